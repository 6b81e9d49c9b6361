"""Inject one-line bugs and see whether the suite catches them.

Run it by hand, from the root of the checkout::

    python tests/mutate.py            # all mutations, some three minutes
    python tests/mutate.py ca3 night  # those of files whose name contains one of the words

Each mutation replaces one piece of one line in a copy of the tree and runs the tests that watch
over that line; the checkout itself is never touched. The tests must pass on the unchanged copy
first. The exit code is 0 when every bug was caught, 1 when one was missed, and 2 when a mutation
no longer fits the source or the tests fail without it. It is no part of the normal suite.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "out", "*.egg-info", "build")


@dataclass(frozen=True)
class Mutation:
    """A bug of one line.

    Parameters
    ----------
    file : str
        Path within the tree.
    old, new : str
        What stands there exactly once, and what replaces it.
    tests : str
        Test file, and after a space the ``-k`` expression that selects from it.
    """

    file: str
    old: str
    new: str
    tests: str


PROJECTIONS, JOBS, CA3, NIGHT, CORTEX, BRAIN = (
    "neurosim/projections.py",
    "neurosim/jobs.py",
    "circuits/episodic_ca3.py",
    "circuits/night.py",
    "circuits/language_cortex.py",
    "circuits/brain.py",
)
CAPTURE, DUSK = "circuits/synaptic_capture.py", "circuits/dusk_and_dawn.py"
GROWTH = "circuits/night_growth.py"
ON_CAPTURE = "tests/circuits/test_synaptic_capture.py"
ON_PROJECTIONS = "tests/ground/test_projections.py"
ON_HIPPOCAMPUS = "tests/circuits/test_hippocampus.py"
ON_JOBS = "tests/ground/test_jobs.py"
ON_NIGHT = "tests/circuits/test_night.py"
ON_CORTEX = "tests/circuits/test_language_cortex.py"
ON_BRAIN = "tests/circuits/brain"
DIRECT, TARGETS, EQUILIBRIUM, FORWARD, SOFTHEBB = (
    "rules/direct_feedback_alignment.py",
    "rules/difference_target_propagation.py",
    "rules/equilibrium_propagation.py",
    "rules/forward_forward.py",
    "rules/softhebb_layers.py",
)
ON_LOCAL = "tests/rules/test_local_learners.py"
ON_PHASES = "tests/rules/test_learners_in_phases.py"
ON_LEDGERS = "tests/circuits/test_ledgers.py"
SETTLING, ONLINE = "neurosim/settling.py", "neurosim/online_inference.py"
ON_ENERGY = "tests/ground/test_predictive_coding.py"
ON_FAMILY = "tests/rules/test_predictive_coding_family.py"
PLASTICITY, LOOPS, AUDIT = (
    "neurosim/plasticity.py",
    "neurosim/synapse_loops.py",
    "neurosim/audit.py",
)
ON_PLASTIC = "tests/ground/test_ledger.py"
ON_RULES = "tests/rules/test_rule_contract.py"
ON_RESULTS = "tests/rules/test_known_results.py"
ON_SPIKES = "tests/rules/test_spike_rules.py"
ON_AUDIT = "tests/rules/test_audit.py"
ON_BAD_INPUT = "tests/rules/test_bad_input.py"
LEARNER_AUDIT, TRIAL, SEARCH = (
    "neurosim/learner_audit.py",
    "experiments/learners/trial.py",
    "experiments/learners/search.py",
)
ON_LEARNER_AUDIT = "tests/rules/test_learner_audit.py"
ON_SEARCH = "tests/experiments/test_learner_search.py"
ON_TASKS = "tests/experiments/test_tasks.py"
ON_CREDIT = "tests/ground/test_credit.py"
REPLAY_SCORE, ON_REPLAY = "neurosim/replay_score.py", "tests/ground/test_replay_detection.py line"

PROTOTYPES = "experiments/continual/gated_prototypes.py"
ON_PROTOTYPES = "tests/experiments/test_gated_prototypes.py"

MUTATIONS = (
    Mutation(PROTOTYPES, "(0, extent - rows), (0,", "(extent - rows, 0), (0,", ON_PROTOTYPES),
    Mutation(PROTOTYPES, "(0, extent - columns))", "(extent - columns, 0))", ON_PROTOTYPES),
    Mutation(PROJECTIONS, "0, MAX_COUNT).astype", "0, MAX_COUNT - 1).astype", ON_PROJECTIONS),
    Mutation(
        PROJECTIONS,
        "np.add.at(self._used_by_post, self.targets.reshape(-1)[slots], change)",
        "self._used_by_post[self.targets.reshape(-1)[slots]] += change",
        ON_PROJECTIONS,
    ),
    Mutation(PROJECTIONS, "if weights[i, k] > 0:", "if weights[i, k] > 1:", ON_PROJECTIONS),
    Mutation(CA3, "self.deepen(index, sign * depth)", "self.deepen(index, sign)", ON_HIPPOCAMPUS),
    Mutation(
        CA3,
        "zip(states, states[1:], strict=False)",
        "zip(states, states, strict=False)",
        ON_HIPPOCAMPUS,
    ),  # fmt: skip
    Mutation(
        CA3,
        "self.fatigue[index.active] += self",
        "self.fatigue[index.active] -= self",
        ON_HIPPOCAMPUS,
    ),  # fmt: skip
    Mutation(CA3, "1.0 - acetylcholine", "1.0", f"{ON_HIPPOCAMPUS} salient"),
    Mutation(CA3, "silent * np.log((1 - p)", "-silent * np.log((1 - p)", ON_HIPPOCAMPUS),
    Mutation(
        NIGHT,
        'self.streams.generator("order", self.number, number)',
        "np.random.default_rng()",
        f"{ON_BRAIN} same_seed or goes_on",
    ),
    Mutation(
        NIGHT,
        "if drift > self.config.drift_limit:",
        "if drift < self.config.drift_limit:",
        f"{ON_BRAIN} night_changes or same_seed",
    ),  # fmt: skip
    Mutation(NIGHT, 'if "cortex" in nrem.plastic:', "if True:", f"{ON_NIGHT} plastic"),
    Mutation(
        "circuits/attractor.py",
        "trusted = believe(received[state.active])",
        "trusted = believe(received[cue.active])",
        "tests/circuits/test_ca3_recall.py prior_to",
    ),
    Mutation(
        "circuits/readouts.py",
        "drive + np.log(sparsity / (1.0 - sparsity))",
        "drive",
        "tests/circuits/test_ca3_recall.py prior_to or believed",
    ),
    Mutation(
        "circuits/readouts.py",
        "which * len(expected)",
        "which",
        "tests/circuits/test_ca3_recall.py",
    ),
    Mutation(
        NIGHT, "length = phase.duration / REM.duration", "length = 1.0", f"{ON_NIGHT} morning"
    ),
    Mutation(JOBS, "kept.put(places[k], pack(result))", "pass", ON_JOBS),
    Mutation(
        GROWTH,
        'tensors[f"{key}/{name}"] = value',
        "pass",
        f"{ON_CORTEX} interrupted",
    ),
    Mutation(CORTEX, "(n_words + 1) // 2", "n_words // 2", f"{ON_CORTEX} opening"),
    Mutation(
        CORTEX, "chosen = logits.argmax(-1)", "chosen = logits.argmin(-1)", f"{ON_CORTEX} recall"
    ),
    Mutation(
        CORTEX, "self.plasticity.dream_weight * loss", "0.0 * loss", f"{ON_CORTEX} dreams_keep"
    ),
    Mutation(CORTEX, "self.plasticity.silence * noise", "0.0 * noise", f"{ON_CORTEX} silence"),
    Mutation(BRAIN, "self._require_awake()", "pass", f"{ON_BRAIN} goes_on"),
    Mutation(
        BRAIN,
        "if self.config.gate and self._expects",
        "if not self.config.gate and self._expects",
        f"{ON_BRAIN} gate",
    ),  # fmt: skip
    Mutation(BRAIN, "second_half.max() <=", "second_half.max() >=", f"{ON_BRAIN} gate or exposure"),
    Mutation(PLASTICITY, "2 * by_post > self.n_post", "by_post > 0", ON_PLASTIC + " visited"),
    Mutation(PLASTICITY, 'where == "either", seen', "False, seen", ON_PLASTIC + " visited"),
    Mutation(PLASTICITY, "if not self.rule.traces_first:", "if True:", ON_RULES + " formula"),
    Mutation(LOOPS, "broken += dw - dw != 0.0", "broken += 0", ON_BAD_INPUT),
    Mutation(LOOPS, "min(max(x_weight + dw, low), high)", "x_weight + dw", ON_RULES + " bounds"),
    Mutation(AUDIT, "return not np.array_equal(after, base)", "return False", ON_AUDIT),
    Mutation(AUDIT, "others = np.ones(", "others = np.zeros(", ON_AUDIT),
    Mutation("rules/oja.py", "pre - post * weight", "pre + post * weight", ON_RULES + " oja"),
    Mutation("rules/bcm.py", "post * post - theta", "post - theta", ON_RESULTS + " bcm"),
    Mutation("rules/triplet_stdp.py", "(o2 + post)", "(o2 + 2 * post)", ON_SPIKES + " triplets"),
    Mutation(LEARNER_AUDIT, "(values > 1e-9 * values.max()).sum() :", "0:", ON_LEARNER_AUDIT),
    Mutation(LEARNER_AUDIT, "values[...] = mine[k]", "pass", ON_LEARNER_AUDIT),
    Mutation(
        LEARNER_AUDIT, "np.roll(world.y, 1, axis=0)), base)", "world.y), base)", ON_LEARNER_AUDIT
    ),
    Mutation(
        LEARNER_AUDIT,
        "((0, 1), (2, 2), (0, 2), (2, 1))",
        "((0, 1), (2, 2), (0, 1), (2, 2))",
        ON_LEARNER_AUDIT,
    ),
    Mutation(LEARNER_AUDIT, "network.restore(before)", "pass", ON_LEARNER_AUDIT),
    Mutation(TRIAL, "self.network.ledger = spent", "pass", f"{ON_SEARCH} costs"),
    Mutation(
        TRIAL, 'streams.generator("order")', "np.random.default_rng()", f"{ON_SEARCH} same_weights"
    ),
    Mutation(
        SEARCH, "task, SEED, False), root)", "task, SEED, True), root)", f"{ON_SEARCH} budget"
    ),
    Mutation("neurosim/credit.py", "target - before)", "target)", ON_CREDIT),
    Mutation("neurosim/task.py", "[self.n_train])", "[self.n_validation])", ON_TASKS),
    Mutation("experiments/tasks/concept_drift.py", "np.roll(chosen, 1)", "chosen", ON_TASKS),
    Mutation("neurosim/spikes.py", "dt=wait", "dt=0.5 * wait", ON_SPIKES + " window"),
    Mutation(
        DIRECT, "activities[layer + 1]) * arriving", "arriving) + arriving", ON_LOCAL + " one"
    ),
    Mutation(TARGETS, "- values[len(h) :]", "- 0 * values[len(h) :]", ON_LOCAL + " difference"),
    Mutation(EQUILIBRIUM, "signed[n:] *= -1", "signed[n:] *= 1", ON_PHASES + " contrast"),
    Mutation(EQUILIBRIUM, "states[layer + 1])", "0 * states[layer + 1])", ON_PHASES + " at_rest"),
    Mutation(FORWARD, "miss[n:] *= -1", "miss[n:] *= 1", ON_PHASES + " climbs"),
    Mutation(FORWARD, "(rate - below)", "rate", ON_PHASES + " rest"),
    Mutation(
        "circuits/bidirectional.py", "self._count_products(matrix, len(signal))", "pass", ON_LEDGERS
    ),
    Mutation(
        "circuits/visual_hierarchy.py",
        "self.ledger.add(visits, 0",
        "self.ledger.add(0, 0",
        ON_LEDGERS,
    ),
    Mutation(SOFTHEBB, "share -= np.log(use", "share += np.log(use", ON_LOCAL + " homeostasis"),
    Mutation(
        SETTLING, "lowest = max(self.front - 1, 0)", "lowest = self.front", ON_ENERGY + " zero"
    ),
    Mutation(ONLINE, "and not inside[j]", "and inside[j]", ON_ENERGY + " become_active"),
    Mutation("rules/pc.py", "1 / (self.inference.nudge *", "1 / (1 *", ON_FAMILY + " in_place"),
    Mutation("rules/ipc.py", "predict(changed=reached)", "predict()", ON_FAMILY + " together"),
    Mutation("rules/zil.py", "step=1.0", "step=0.9", ON_FAMILY + " zil_is_backprop"),
    Mutation(CAPTURE, "share) * (v - w)", "share) * v", ON_CAPTURE + " mean"),
    Mutation(
        CAPTURE, "            self.network.place(self.captured)", "            pass", ON_CAPTURE
    ),
    Mutation(CAPTURE, "            v[...] = w", "            pass", ON_CAPTURE),
    Mutation(
        DUSK, "state = {name: np.array(state[name])", "state = {name: state[name]", ON_CAPTURE
    ),
    Mutation(DUSK, "if growing and self.horizon:", "if self.horizon:", ON_CAPTURE),
    Mutation(
        "circuits/lamellae.py",
        "self.config.fine * w, self.config.steady",
        "w, self.config.steady",
        "tests/circuits/test_lamellae.py steady",
    ),
    Mutation(
        "experiments/__main__.py",
        "signal.signal(signal.SIGINT, _end)",
        "pass",
        "tests/experiments/test_interrupts.py callback",
    ),
    Mutation(
        "experiments/command_line.py",
        'or "DIR" in words',
        "",
        "tests/experiments/test_empty_places.py",
    ),
    # From here on: bugs put in at random that the suite once missed.
    Mutation(
        "neurosim/optimisers.py", "bias[j] += change", "bias[j] -= change", ON_FAMILY + " in_place"
    ),
    Mutation(
        PLASTICITY,
        "changed += self._run(loop, (some, rows, targets), seen)[0]",
        "changed = self._run(loop, (some, rows, targets), seen)[0]",
        ON_PLASTIC + " blocks",
    ),
    Mutation(REPLAY_SCORE, "(n_bins - 1) / 2) * bin_width", "n_bins / 2) * bin_width", ON_REPLAY),
    Mutation(REPLAY_SCORE, "0.999 * covered.max()", "0.0 * covered.max()", ON_REPLAY),
    Mutation(TARGETS, "* (noisy - back) /", "* (h - back) /", ON_LOCAL + " noise"),
    Mutation(SOFTHEBB, "first = n / seen[0] if", "first = 0.0 if", ON_LOCAL + " averages"),
    Mutation(
        SOFTHEBB, "(1 - self.adaptation) ** n", "(1 - self.adaptation)", ON_LOCAL + " averages"
    ),
    Mutation(
        "circuits/readouts.py",
        "first = int(numbers.min())",
        "first = int(numbers.min()) - 1",
        "tests/circuits/test_ca3_recall.py classes",
    ),
    Mutation(
        "circuits/spiking_activity.py",
        "while p > 0 and last < total:\n        few",
        "if p > 0 and last < total:\n        few",
        "tests/circuits/test_spiking_engines.py drawn_to",
    ),
    Mutation(
        "experiments/two_sparsities.py",
        "for activation in config.activations\n        for connection in config.connections",
        "for connection in config.connections\n        for activation in config.activations",
        "tests/experiments/test_hippocampus_experiments.py grid",
    ),
    Mutation(
        "experiments/benchmarks/rules.py",
        "(o1[j] - 2 * target * tau)",
        "(o1[j] - target * tau)",
        "tests/experiments/test_bench.py by_hand",
    ),
    Mutation(
        "neurosim/learner.py",
        "error.in_training(int(memory.moments.n_steps[0]))",
        "error.in_training(0)",
        "tests/rules/test_predictive_coding_family.py diverges",
    ),
)


def passes(tree: Path, tests: str) -> bool:
    """Run tests in a tree; return whether all of them pass."""
    file, _, expression = tests.partition(" ")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
    words += ["-k", expression] if expression else []
    return subprocess.run(words, cwd=tree, capture_output=True, check=False).returncode == 0


def caught(tree: Path, mutation: Mutation) -> bool:
    """Return whether the tests fail with the bug in place; take it out again."""
    path = tree / mutation.file
    source = path.read_text("utf-8")
    path.write_text(source.replace(mutation.old, mutation.new), "utf-8")
    try:
        return not passes(tree, mutation.tests)
    finally:
        path.write_text(source, "utf-8")


def main(words: list[str]) -> int:
    """Run the mutations whose file contains one of the words, or all."""
    chosen = [m for m in MUTATIONS if not words or any(word in m.file for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for mutation in chosen:
            if (tree / mutation.file).read_text("utf-8").count(mutation.old) != 1:
                print(f"no longer fits: {mutation.file}: {mutation.old}")
                return 2
        for tests in dict.fromkeys(m.tests for m in chosen):
            if not passes(tree, tests):
                print(f"fails without any mutation: {tests}")
                return 2
        missed = 0
        for mutation in chosen:
            found = caught(tree, mutation)
            missed += not found
            word = "caught" if found else "MISSED"
            print(f"{word}  {mutation.file}: {mutation.old} -> {mutation.new}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
