"""the main job: a day, a night, the examination and a report, beside controls"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

REPORT = "report.html"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "file",
        nargs="?",
        default=None,
        metavar="FILE",
        help="the day's text; default: the shipped diary",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/night"), metavar="DIR", help="default: out/night"
    )
    parser.add_argument(
        "--controls",
        default="few",
        metavar="few|all|none|NAMES",
        help="few: naive, no sleep; or names apart by commas (default: few)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="runs of every arm (default: 1)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the first run (default: 0)"
    )
    parser.add_argument(
        "--cycles", type=int, default=None, metavar="N", help="of the night (default: 5)"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Run the experiment `one_night` and write its report."""
    from circuits.night import NightConfig
    from experiments import one_night
    from experiments.arms import ARMS, check_replaceable
    from experiments.report import write_report, write_table
    from neurosim.errors import ConfigError
    from neurosim.resources import ResourceMeter
    from neurosim.storage import check_place

    if arguments.seeds < 1:
        raise ConfigError(f"--seeds: expected 1 or more, got {arguments.seeds}; try 5")
    arms = {"few": one_night.FEW, "all": ARMS, "none": ("night",)}.get(
        arguments.controls, tuple(name.strip() for name in arguments.controls.split(","))
    )
    brain = arguments.out / "brain"
    night = NightConfig() if arguments.cycles is None else NightConfig(cycles=arguments.cycles)
    config = one_night.Config(
        file=arguments.file or "",
        arms=arms,
        seeds=tuple(range(arguments.seed, arguments.seed + arguments.seeds)),
        night=night,
        brain=str(brain),
    )
    check_place(arguments.out, folder=True)
    check_replaceable(brain)
    with ResourceMeter() as meter:
        result = one_night.run_with_progress(config, arguments.out)
        one_night.save(result, arguments.out)
        page = write_report(arguments.out)
        write_table(arguments.out)
    values = one_night.summary(result) | meter.as_dict()
    values["peak_rss_mb"] = _peak(result)
    _print(values, page, brain)
    return values


def _peak(result: Any) -> float:
    """Bound the memory of all processes at once: this one and the largest that ran beside it."""
    import os
    import resource

    arms = sorted((row.metrics["peak_rss_mb"] for row in result.arms), reverse=True)
    workers = min(result.config.workers or os.cpu_count() or 1, len(arms))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    if workers == 1:  # It ran in this process.
        return float(own)
    return float(own + sum(arms[:workers]))


def _print(values: dict[str, Any], page: Path, brain: Path) -> None:
    from neurosim.ledger import Ledger

    rows = {"night": values, **values["controls"]}
    print(f"{'':12} {'new recall':>10} {'base facts':>16} {'perplexity':>16} {'steps':>6}")
    for name, row in rows.items():
        base = f"{row['base_before']:.1%} ->{row['base_after']:6.1%}"
        perplexity = f"{row['perplexity_before']:.2f} ->{row['perplexity_after']:6.2f}"
        print(
            f"{name:12} {row['new_recall']:10.1%} {base:>16} {perplexity:>16} {row['n_steps']:6.0f}"
        )
    print(
        f"{values['n_items']} items a day, {values['n_seeds']} seed(s); "
        f"{values['freed']:.0%} of the consolidated memories' synapses are free again"
    )
    costs = Ledger(*(round(values[key]) for key in Ledger().as_dict()))
    print(f"the synapses of a night's arm, its day and examinations included: {costs}")
    print(
        f"{values['seconds']:.0f} s, {values['cpu_seconds']:.0f} CPU s, "
        f"peak {values['peak_rss_mb']:.0f} MB"
    )
    print(f"report: {page}    brain: {brain}")
