"""Hyper-parameters by the same search for every learner, on validation samples only."""

import json
import math
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from experiments.learners.trial import NOT_DEFINED, Job, Settings, Trial, configured, run_trial
from neurosim.discovery import member
from neurosim.errors import ConfigError, CorruptFileError
from neurosim.jobs import Shelf
from neurosim.learner import Learner
from neurosim.provenance import versions
from neurosim.randomness import Streams
from neurosim.storage import json_text, read_json
from neurosim.task import Task

DATA = Path(__file__).parents[2] / "data"
SPACE = DATA / "learner_search.json"
WINNERS = DATA / "learner_winners.json"
ALL = "every learner"
FIRST = "first of all"
WORST = -1.0
SEED = 1000
"""Of the trials' samples, weights and order; a comparison takes other seeds."""


class Found(NamedTuple):
    """What a search tried.

    Parameters
    ----------
    learner, task : str
    tried : tuple of (dict, float)
        Settings and their scores on validation samples, in this order; NaN where there was a fault.
    """

    learner: str
    task: str
    tried: tuple[tuple[Settings, float], ...]

    @property
    def best(self) -> tuple[Settings, float]:
        """The winner: the first of the best scores. Without any, what was tried first."""
        scored = [pair for pair in self.tried if math.isfinite(pair[1])]
        return max(scored, key=lambda pair: pair[1]) if scored else self.tried[0]

    def pack(self) -> bytes:
        """Return it as JSON."""
        pairs = [(settings, score if math.isfinite(score) else None) for settings, score in self[2]]
        return json_text([self.learner, self.task, pairs]).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Found":
        """Take back what `pack` returned."""
        learner, task, pairs = json.loads(data)
        return cls(learner, task, tuple((s, math.nan if v is None else v) for s, v in pairs))


def space_of(learner: str, path: Path = SPACE) -> dict[str, Any]:
    """Return where to search for a learner's settings: what all share, and what is its own."""
    spaces = read_json(path)
    return {**spaces[ALL], **spaces.get(learner, {})}


def search(learner: str, task_name: str, task: Task, n_trials: int, root: str) -> Found:
    """Search for the settings with which a learner scores most on validation samples.

    The first trial are the learner's own defaults. The next go over the same learning rates for
    every learner, so that none has better luck with them; the rest are asked of a tree-structured
    Parzen estimator. It is seeded by the task, so that a search that was interrupted asks the same
    again and finds the trials that were finished on its shelf.

    Parameters
    ----------
    learner, task_name : str
    task : Task
    n_trials : int
        The budget.
    root : str
        Folder of the shelf; empty for none.

    References
    ----------
    Bergstra, Bardenet, Bengio & Kegl (2011) NeurIPS; Akiba et al. (2019) KDD.
    """
    import optuna  # Slow to import.

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, own = space_of(learner), member("rules", Learner, learner)()
    first = [{}, *read_json(SPACE)[FIRST]][:n_trials]
    seed = Streams(SEED).seed_for(f"search/{task_name}") % 2**32
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=len(first))
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for settings in first:
        study.enqueue_trial(asked_names(configured(own, settings), space))
    tried = []
    for _ in range(n_trials):
        asked = study.ask()
        settings = suggest(asked, space)
        trial = _kept(Job(learner, settings, task_name, task, SEED, False), root)
        # What diverges is worse than any constant answer.
        study.tell(asked, max(trial.score, WORST) if math.isfinite(trial.score) else WORST)
        tried.append((settings, trial.score))
        if trial.fault.startswith(NOT_DEFINED):  # Nor will it be with other settings.
            break
    return Found(learner, task_name, tuple(tried))


def suggest(asked: Any, space: Mapping[str, Any]) -> Settings:
    """Ask a trial of optuna for one setting of each field of a space.

    A range is ``{"log": [low, high]}``, and so with "linear" and "integer"; a choice ``{"choices":
    [...]}``; ``{"by": FIELD, VALUE: range, ...}`` depends on another field, which stands before it.
    """
    settings: Settings = {}
    for path, given in space.items():
        name, where = path, given
        if "by" in given:
            value = settings[given["by"]]
            name, where = f"{path}/{value}", given[value]
        if "choices" in where:
            settings[path] = asked.suggest_categorical(name, where["choices"])
        elif "integer" in where:
            settings[path] = asked.suggest_int(name, *where["integer"])
        elif "log" in where or "linear" in where:
            low, high = where.get("log") or where["linear"]
            settings[path] = asked.suggest_float(name, low, high, log="log" in where)
        else:
            raise ConfigError.expected(
                "learner_search", path, "log, linear, integer, choices or by", where, "name one"
            )
    return settings


def asked_names(learner: Learner, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a learner under optuna's names, where the space has them."""
    found: dict[str, Any] = {}
    for path, given in space.items():
        name, where = path, given
        if "by" in given:
            value = found.get(given["by"])
            if value is None:
                continue
            name, where = f"{path}/{value}", given[value]
        own: Any = learner
        for part in path.split("."):
            own = getattr(own, part)
        if "choices" in where:
            inside = own in where["choices"]
        else:
            low, high = next(where[kind] for kind in ("log", "linear", "integer") if kind in where)
            inside = low <= own <= high
        if inside:
            found[name] = own
    return found


def _kept(job: Job, root: str) -> Trial:
    """Run a trial, or take it from the shelf."""
    if not root:
        return run_trial(*job)
    shelf = Shelf(Path(root))
    place = shelf.place("search", *job)
    trial = shelf.get(place, Trial.unpack)
    if trial is None:
        trial = run_trial(*job)
        shelf.put(place, trial.pack())
    return trial


def forget(found: Found, task: Task, root: str) -> None:
    """Take the trials of a search that is done from its shelf."""
    if root:
        shelf = Shelf(Path(root))
        jobs = [Job(found.learner, s, found.task, task, SEED, False) for s, _ in found.tried]
        shelf.clear([shelf.place("search", *job) for job in jobs])


def winners(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return winners by task and learner: of a file, or those committed, if there are any.

    Raises
    ------
    StorageError
        When the file cannot be read.
    CorruptFileError
        When it is no file of winners.
    """
    if path is None:
        if not WINNERS.is_file():
            return {}
        path = WINNERS
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("winners"), dict):
        raise CorruptFileError(
            f"{path}: expected winners of neurosim compare --search, got another file; check it"
        )
    for task, rows in found["winners"].items():
        whole = isinstance(rows, dict)
        for learner, row in rows.items() if whole else (("", None),):
            if not (isinstance(row, dict) and isinstance(row.get("settings"), dict)):
                place = ".".join(("winners", task, *filter(None, (learner,))))
                raise CorruptFileError(
                    f"{path}: expected settings by learner in {place}, got others; search anew"
                )
    return dict(found["winners"])


def document(searches: Iterable[Found], path: Path) -> dict[str, Any]:
    """Return winners for a file: those of the searches, and what is there of others already."""
    known = winners(path) if path.is_file() else {}
    for found in searches:
        settings, score = found.best
        known.setdefault(found.task, {})[found.learner] = {
            "settings": settings,
            "validation_score": score if math.isfinite(score) else None,
            "n_trials": len(found.tried),
            "n_faults": sum(not math.isfinite(each) for _, each in found.tried),
            "neurosim": versions()["neurosim"],
            "optuna": metadata.version("optuna"),
        }
    ordered = {task: dict(sorted(known[task].items())) for task in sorted(known)}
    return {"seed": SEED, "space": read_json(SPACE), "winners": ordered}
