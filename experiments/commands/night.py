"""sleep offline, with nothing but the brain: replay, dreams, release"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("brain", type=Path, metavar="BRAIN", help="directory made by init")
    parser.add_argument(
        "--cycles",
        type=int,
        default=None,
        metavar="N",
        help="NREM-REM cycles (default: 5, or as the interrupted night was planned)",
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Let the brain sleep one night, or the rest of an interrupted one."""
    from circuits.brain import Brain
    from neurosim.errors import ConfigError
    from neurosim.progress import progress
    from neurosim.resources import ResourceMeter
    from rules.willshaw import Willshaw

    if arguments.cycles is not None and arguments.cycles < 1:
        raise ConfigError(
            f"--cycles: expected a whole number from 1, got {arguments.cycles}; "
            f"people sleep four to six"
        )
    with ResourceMeter() as meter, Brain.open(arguments.brain, Willshaw()) as brain:
        if brain.cycles_slept:
            print(f"going on after cycle {brain.cycles_slept} of an interrupted night")
        planned = brain.ledger[-1].get("planned", brain.config.night.cycles)
        n_cycles = arguments.cycles or planned
        with progress(n_cycles - brain.cycles_slept, "night") as bar:
            reports, dawn = brain.sleep(arguments.cycles, on_cycle=lambda report: bar.advance())
        gauge = brain.hippocampus.gauge()
    if dawn is None:
        print("nothing to consolidate: the hippocampus holds no memory")
        return {"n_consolidated": 0, "merged": False, **meter.as_dict()}
    for report in reports:
        print(
            f"cycle {report.cycle}: {len(report.bursts)} bursts, {report.n_memories} memories, "
            f"{report.n_dreams} dreams, {report.n_mastered} memories now in the cortex"
        )
    verdict = "merged" if dawn.merged else "rolled back: the dreams had drifted too far"
    print(
        f"dawn: {verdict}; {dawn.n_consolidated} of {dawn.n_examined} memories consolidated and "
        f"released, {dawn.freed:.0%} of their synapses free; {gauge.n_episodes} memories remain"
    )
    return {
        "merged": dawn.merged,
        "drift": dawn.drift,
        "n_examined": dawn.n_examined,
        "n_consolidated": dawn.n_consolidated,
        "freed": dawn.freed,
        "memories_held": gauge.n_episodes,
        "capacity_used": gauge.used,
        "n_steps": sum(report.n_steps for report in reports),
        **meter.as_dict(),
    }
