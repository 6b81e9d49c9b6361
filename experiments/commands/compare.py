"""compare learners on equal terms: the same network, samples, order, budget and search"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "settings",
        nargs="*",
        default=(),
        metavar="TASK.FIELD=VALUE",
        help="such as digits.passes=2",
    )
    parser.add_argument(
        "--learners", default="all", metavar="NAMES", help="apart by commas; default: all"
    )
    parser.add_argument(
        "--tasks",
        default="digits",
        metavar="NAMES",
        help="apart by commas, or all; default: digits; neurosim list tasks names them",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of each (default: 3)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first (default: 0)")
    parser.add_argument(
        "--search",
        type=int,
        default=0,
        metavar="N",
        help="trials of a search for each learner's settings; default: 0, those found before",
    )
    parser.add_argument(
        "--winners", type=Path, metavar="FILE", help="settings to use, or to write with --search"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes; 0, the default: one a processor",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/compare"), metavar="DIR", help="default: out/compare"
    )
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="default: compare.png within --out"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table in Markdown")


def run(arguments: Namespace) -> dict[str, Any]:
    """Compare, print the table, draw the figure."""
    from experiments.learners import comparison, search
    from experiments.learners.figure import draw
    from experiments.learners.table import table
    from neurosim import plotting
    from neurosim.progress import progress
    from neurosim.resources import ResourceMeter
    from neurosim.storage import atomic_write_json, atomic_write_text, check_place, make_directory

    config = configured(arguments)
    check_place(arguments.out, folder=True)  # Made when there is something to write.
    for file in (arguments.figure, arguments.table, arguments.search and arguments.winners):
        if file and file.parent != arguments.out:
            check_place(file)
    figure_file = arguments.figure or arguments.out / "compare.png"
    with ResourceMeter() as meter, progress(comparison.n_jobs(config), "Comparing") as bar:
        result = comparison.run(config, bar.advance, arguments.out)
    make_directory(arguments.out)
    text = table(result)
    print(text)
    if arguments.table is not None:
        atomic_write_text(arguments.table, text + "\n")
    with plotting.style():
        plotting.save(draw(result), figure_file)
    print(f"drawn in {figure_file}")
    if config.n_trials:
        target = arguments.winners or arguments.out / "winners.json"
        atomic_write_json(target, search.document(result.searches.values(), target))
        print(f"winners of the search in {target}")
    return {**result.metrics(), **meter.as_dict()}


def configured(arguments: Namespace) -> Any:
    """Return the comparison that was asked for.

    Raises
    ------
    ConfigError
        For an unknown learner, task or field; the nearest is suggested. For no seed at all.
    """
    from experiments.learners import search
    from experiments.learners.comparison import Config
    from neurosim.errors import ConfigError

    if arguments.seeds < 1:
        raise ConfigError(f"--seeds: expected 1 or more, got {arguments.seeds}; try 5")
    learners = () if arguments.learners == "all" else _names("learners", arguments.learners)
    return Config(
        learners=learners,
        tasks=_tasks(arguments.tasks, arguments.settings),
        seeds=tuple(range(arguments.seed, arguments.seed + arguments.seeds)),
        n_trials=arguments.search,
        winners=search.winners(None if arguments.search else arguments.winners),
        workers=arguments.workers,
    )


def _tasks(words: str, settings: Sequence[str]) -> dict[str, Any]:
    from experiments.commands.run import changed, split
    from neurosim.discovery import member, members
    from neurosim.errors import ConfigError, nearest_name
    from neurosim.task import Task

    known = members("experiments.tasks", Task)
    names = tuple(known) if words == "all" else _names("tasks", words)
    tasks = {
        kind.__module__.rpartition(".")[2]: kind()
        for kind in (member("experiments.tasks", Task, name) for name in names)
    }
    for setting in settings:
        path, text = split(setting)
        name, dot, place = path.partition(".")
        if name not in tasks or not dot:
            near = nearest_name(name, tasks)
            mend = f"did you mean '{near}'?" if near else f"write {next(iter(tasks))}.FIELD=VALUE"
            raise ConfigError.expected(
                "compare", "setting", "TASK.FIELD=VALUE of a task that is compared", setting, mend
            )
        tasks[name] = changed(tasks[name], place, text)
    return tasks


def _names(option: str, words: str) -> tuple[str, ...]:
    from neurosim.errors import ConfigError

    names = tuple(word.strip() for word in words.split(",") if word.strip())
    if not names:
        raise ConfigError.expected(
            "compare", option, "one or more names, apart by commas", words, "leave it out"
        )
    return names
