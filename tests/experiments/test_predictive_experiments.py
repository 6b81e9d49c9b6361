"""Prospective configuration, completion and end-stopping: protocols, and small runs of each."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from circuits.visual_hierarchy import VisualHierarchyConfig
from experiments import completion_of_images, end_stopping, prospective_configuration
from experiments import prospective_pretraining as pretraining
from experiments import prospective_protocols as protocols
from experiments import prospective_replica as replication
from experiments.prospective_trials import Scholar, trial
from neurosim.errors import ConfigError, InputError
from neurosim.gabor import Gabor
from neurosim.randomness import Streams


@pytest.fixture
def fashion(monkeypatch):
    """Put 784 random pixels in the place of Fashion-MNIST: class k is bright at k."""

    def fake(part):
        rng = np.random.default_rng(len(part))
        labels = np.repeat(np.arange(10), 30)
        images = rng.random((300, 784), dtype=np.float32)
        images[np.arange(300), labels] = 5
        return images, labels

    monkeypatch.setattr(protocols, "fashion", fake)


def test_the_published_points_are_complete():
    published = prospective_configuration.PUBLISHED
    assert set(published) == set(protocols.FIGURES)
    for curves in published.values():
        assert len(curves["settings"]) == len(curves["PC"]) == len(curves["BP"])
        assert all(0 < e < 1 for e in [*curves["PC"], *curves["BP"]])
    size = published["data_size"]
    winners = [pc < bp for pc, bp in zip(size["PC"], size["BP"], strict=True)]
    assert winners == [n < 3000 for n in size["settings"]]


def test_both_rules_begin_with_the_same_weights_and_data(fashion):
    protocol = replace(protocols.protocol_of("batch_size", 8), n_iterations=1, n_batches=2)
    first = []
    for rule in ("PC", "BP"):
        tiny = trial(protocol, rule, 1e-30, 0)["errors"]
        first.append(tiny)
    np.testing.assert_array_equal(*first)


def test_labels_drift_in_half_of_the_classes_and_before_the_test(fashion):
    protocol = replace(protocols.FIGURES["drift"], per_class=5)
    turns = protocols.turns(protocol, Streams(0))
    seen = [next(turns) for _ in range(66)]
    answers = []
    for turn in seen:
        images, right = turn.tests[0].images, turn.tests[0].labels
        classes = images[:, :10].argmax(axis=1)
        answers.append([int(right[classes == c][0]) for c in range(10)])
    assert all(a[:5] == [0, 1, 2, 3, 4] and sorted(a[5:]) == [5, 6, 7, 8, 9] for a in answers)
    assert answers[0] == answers[63] != answers[64]
    assert seen[64].training is seen[63].training and seen[65].training is not seen[64].training
    assert set(np.unique(seen[0].tests[0].targets)) == {-1.0, 1.0}
    assert set(np.unique(seen[0].training.targets)) == {0.0, 1.0}
    assert set(np.unique(seen[1].training.targets)) == {-1.0, 1.0}


def test_pretraining_draws_what_torch_draws_in_the_order_of_the_authors_code(fashion):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    draws, seed = pretraining.Draws(7), 7
    images, labels = draws.subset("train")
    n_tests = len(draws.subset("test")[1])
    network = draws.network()
    orders = [draws.order(len(labels)), draws.order(n_tests), draws.order(len(labels))]
    assert len(labels) == n_tests == 10 * 29  # One image of each class is left out.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        all_labels = torch.from_numpy(protocols.fashion("train")[1])
        firsts = []
        for part in ("train", "test"):
            for k in range(10):
                of_class = (all_labels == k).nonzero().squeeze(1)
                kept = of_class[torch.randperm(len(of_class))[:-1]].sort().values
                firsts.append((part, kept))
        theirs = torch.cat([kept for part, kept in firsts if part == "train"])
        layers = [torch.nn.Linear(n, m, bias=False) for n, m in ((784, 32), (32, 32), (32, 10))]
        for layer in layers:
            torch.nn.init.xavier_uniform_(layer.weight, gain=1)
        # One loader an epoch of training or testing, as the authors have them.
        loaders = [DataLoader(TensorDataset(torch.arange(290)), 60, shuffle=True) for _ in range(3)]
        their_orders = [torch.cat([batch for (batch,) in loader]) for loader in loaders]
    np.testing.assert_array_equal(images, protocols.fashion("train")[0][theirs])
    for mine, layer in zip(list(network)[::2], layers, strict=True):
        np.testing.assert_array_equal(mine.weight.detach(), layer.weight.detach())
    for mine, order in zip(orders, their_orders, strict=True):
        np.testing.assert_array_equal(mine, order)


@pytest.mark.parametrize("figure", ["depth", "data_size"])
def test_a_replica_learns_what_the_authors_code_draws_from_their_seed(fashion, figure):
    torch = pytest.importorskip("torch")
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    deep = figure == "depth"
    eta = 0.0005 if deep else 0.01
    protocol = replace(
        protocols.FIGURES[figure],
        per_class=5,
        test_per_class=9,
        n_layers=3,
        n_iterations=3,
        batch=20,
    )
    errors = replication.replica(protocol, "BP", eta, 1)["errors"][:, 0]
    with torch.random.fork_rng():
        torch.manual_seed(698841058)
        sets = []
        for part, kept in (("train", 5), ("test", -1 if deep else 9)):
            images, labels = map(torch.from_numpy, protocols.fashion(part))
            chosen = torch.cat(
                [
                    (labels == k).nonzero().squeeze(1)[torch.randperm(30)[:kept]].sort().values
                    for k in range(10)
                ]
            )
            sets.append(TensorDataset(images[chosen], labels[chosen]))
        n, act = protocol.n_hidden, nn.LeakyReLU if deep else nn.Sigmoid
        linear = [nn.Linear(i, o, bias=False) for i, o in ((784, n), (n, n), (n, 10))]
        for layer in linear:
            if deep:
                nn.init.xavier_normal_(layer.weight, gain=0.9999)
            else:
                nn.init.xavier_uniform_(layer.weight)
        network = nn.Sequential(linear[0], act(), linear[1], act(), linear[2])
        optimiser = torch.optim.SGD(network.parameters(), lr=eta)
        training, test = (DataLoader(each, 20, shuffle=True) for each in sets)
        theirs = []
        for _ in range(3):
            for images, labels in training:
                optimiser.zero_grad()
                wanted = nn.functional.one_hot(labels, 10)
                (0.5 * (network(images) - wanted).square().sum()).backward()
                optimiser.step()
            wrong = [(network(images).argmax(1) != labels).float() for images, labels in test]
            theirs.append(float(torch.cat(wrong).mean()))
    assert len(set(theirs)) > 1
    np.testing.assert_allclose(errors, theirs, atol=1e-6)  # Shares of equal counts.


def test_a_replica_draws_images_anew_after_each_batch_of_an_epoch_in_which_labels_drift(fashion):
    protocol = replace(
        protocols.FIGURES["drift"], per_class=5, test_per_class=9, batch=20, n_iterations=66
    )
    rng = np.random.default_rng(0)
    shapes = ((32, 784), (32, 32), (10, 32))
    weights = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
    errors = replication.replica(protocol, "BP", 1e-30, 2, weights)["errors"][:, 0]
    draws, labels = pretraining.Draws(2283198659), np.random.RandomState(2283198659)
    draws.subset("train", 5), draws.subset("test")
    draws.weights((784, 32, 32, 10))
    scholar = Scholar(protocol, Streams(0), weights)
    wanted = []
    for iteration in range(66):
        draws.order(50)
        if iteration % 64 == 0:
            for _ in range(3):  # Batches of 20, 20 and 10.
                answers = np.arange(10)
                labels.shuffle(answers[5:])
                draws.subset("train", 5)
                images, classes = (drawn.numpy() for drawn in draws.subset("test", 9))
        draws.order(90)
        right = answers[classes]
        wanted.append(scholar.error(protocols.Samples(images, images[:, :10], right)))
    assert len(set(wanted)) == 2  # The network rests, what it is asked changes.
    np.testing.assert_allclose(errors, wanted, rtol=0, atol=1e-12)


def test_replicas_are_of_the_authors_seeds_and_figures():
    with pytest.raises(ConfigError, match="continual"):
        prospective_configuration.Config(figures=("continual",), seeds=(0,), replicas=True)
    with pytest.raises(ConfigError, match="0 to 2"):
        prospective_configuration.Config(figures=("depth",), seeds=(0, 3), replicas=True)


def test_pretraining_moves_weights_from_the_drawn_ones_and_counts_living_units(fashion):
    one, again = (pretraining.pretrained(3, n_epochs=1) for _ in range(2))
    for name, weights in one.items():
        np.testing.assert_array_equal(weights, again[name])
    drawn = pretraining.Draws(3)
    for part in ("train", "test"):
        drawn.subset(part)
    assert np.abs(one["layer/0"] - drawn.network()[0].weight.detach().numpy()).max() > 1e-3
    dead = np.zeros((32, 784), np.float32)
    alive = dead.copy()
    alive[:5, :10] = 10 * np.eye(10, dtype=np.float32)[:5]
    second = np.zeros((32, 32), np.float32)
    second[0, 0], second[0, 31] = 12, -20  # The last unit below always answers a half.
    assert pretraining.n_alive((dead, second)) == (0, 0)
    assert pretraining.n_alive((alive, second)) == (5, 1)


def test_the_search_goes_downhill_until_the_error_rises():
    protocol = protocols.protocol_of("depth", 4)
    assert protocol.downhill and list(protocol.etas) == sorted(protocol.etas, reverse=True)
    found = (0.9, 0.899, 0.3, 0.305, 0.4, *(0.1,) * (len(protocol.etas) - 5))
    errors = dict(zip(protocol.etas, found, strict=True))
    asked = []

    def error(eta):
        asked.append(eta)
        return errors[eta]

    assert prospective_configuration._best(protocol, error) == protocol.etas[2]
    assert asked == list(protocol.etas[:5])  # 0.305 is no rise, 0.4 is.
    whole = replace(protocol, downhill=False)
    assert prospective_configuration._best(whole, error) == protocol.etas[5]


def test_two_tasks_take_turns_and_share_answers(fashion):
    turns = protocols.turns(protocols.FIGURES["continual"], Streams(0))
    learnt = [next(turns).training.images[:, :10].argmax(axis=1).max() < 5 for _ in range(16)]
    assert learnt == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 4


def test_labels_are_those_of_the_authors_runs(fashion):
    shuffled = np.arange(10)
    np.random.RandomState(2283198659).shuffle(shuffled)  # Their third seed.
    turn = next(protocols.turns(protocols.FIGURES["continual"], Streams(2)))
    for test in turn.tests:
        classes = test.images[:, :10].argmax(axis=1)
        np.testing.assert_array_equal(test.labels, shuffled[classes] % 5)
    their = np.random.RandomState(698841058)
    for _ in range(7):  # 50 images are seven batches of eight, and each shuffles anew.
        targets = np.arange(10)
        their.shuffle(targets[5:])
    drift = replace(protocols.FIGURES["drift"], per_class=5, batch=8)
    test = next(protocols.turns(drift, Streams(1))).tests[0]
    np.testing.assert_array_equal(test.labels, targets[test.images[:, :10].argmax(axis=1)])
    others = [protocols.label_shuffles(Streams(seed)).permutation(10) for seed in (21, 22)]
    assert (others[0] != others[1]).any()


def test_the_last_output_of_the_continual_task_never_learns(fashion):
    protocol = replace(protocols.FIGURES["continual"], n_iterations=1, batch=50, per_class=10)
    scholar = Scholar(protocol, Streams(0))
    assert scholar.network.config.sizes[-1] == 4 and scholar.mute.shape == (1, 32)
    samples = next(protocols.turns(protocol, Streams(0))).tests[0]
    assert scholar.wanted(samples).shape == (len(samples.labels), 4)
    assert scholar.error(samples) <= 1


def test_a_network_that_diverges_knows_nothing(fashion):
    protocol = replace(protocols.protocol_of("depth", 2), n_iterations=2, per_class=10)
    with np.errstate(all="ignore"):
        errors = trial(protocol, "BP", 1e30, 0)["errors"]
    assert (errors == 0.9).all()


@pytest.mark.compiled  # Interpreted, the small network's inference takes a minute.
def test_curves_are_searched_run_drawn_and_compared(fashion, tmp_path):
    config = prospective_configuration.Config(
        figures=("batch_size",), settings=(64.0,), seeds=(0, 1), n_iterations=1, workers=1
    )
    ticks = []
    result = prospective_configuration.run(config, None, None, lambda: ticks.append(1), tmp_path)
    numbers = result.metrics()
    # Five learning rates and two rules at the first seed, then the best at the second.
    assert len(ticks) >= 12 and not list(tmp_path.rglob("*.cost"))
    assert numbers["batch_size_64_pc"] < 0.95 and numbers["batch_size_within"] in (0, 0.5, 1)
    assert numbers["batch_size_64_bp_eta"] in protocols.protocol_of("batch_size", 64).etas
    axes = Figure().add_subplot()
    prospective_configuration.plot(result, axes)
    assert axes.child_axes


def test_an_unknown_figure_is_refused():
    with pytest.raises(ConfigError, match="did you mean depth"):
        prospective_configuration.Config(figures=("deth",))
    with pytest.raises(ConfigError, match="n_search"):
        prospective_configuration.Config(n_search=0)
    with pytest.raises(ConfigError, match="n_iterations"):
        prospective_configuration.Config(n_iterations=-1)


def test_fashion_mnist_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    protocols.fashion.cache_clear()
    with pytest.raises(InputError, match="SHA-256"):
        protocols.fashion("train")


def test_completion_is_measured_on_the_covered_half_and_drawn():
    start = completion_of_images.Config()
    network = replace(start.cortex.network, sizes=(64, 40, 10))
    config = replace(
        start, cortex=replace(start.cortex, network=network), n_train=300, n_epochs=3, seeds=(0,),
        workers=1,
    )  # fmt: skip
    result = completion_of_images.run(config)
    numbers = result.metrics()
    for half in completion_of_images.HALVES:
        seen = completion_of_images.visible(half, 64)
        assert seen.sum() == 32
        assert numbers[f"ratio_{half}"] == pytest.approx(
            numbers[f"error_{half}"] / numbers[f"linear_{half}"]
        )
    assert 0.2 < numbers["accuracy"] <= 1
    shown, original = result.measured["shown"][0], result.linear["original"]
    seen = completion_of_images.visible("lower", 64)
    np.testing.assert_allclose(shown[:, seen], original[:, seen])
    completion_of_images.plot(result, Figure().add_subplot())


def test_a_bar_lies_on_its_field():
    gabor = Gabor(6.0, 5.0, 0.3, 0.125, 2.0, 3.0, 0.0, 1.0)
    shown = end_stopping.bars(gabor, 4, 20, (4.0, 12.0))
    rows, columns = np.mgrid[:20, :20]
    for bar, length in zip(shown, (4.0, 12.0), strict=True):
        assert bar.sum() == pytest.approx(4 * length, rel=0.1)  # Half a wave wide.
        assert (bar * rows).sum() / bar.sum() == pytest.approx(10, abs=0.2)
        assert (bar * columns).sum() / bar.sum() == pytest.approx(9, abs=0.2)


def test_end_stopping_runs_on_dead_leaves_and_is_drawn(monkeypatch):
    monkeypatch.setattr(end_stopping, "dead_leaves", lambda size, rng: rng.random((40, 40)))
    config = end_stopping.Config(
        source="dead leaves",
        hierarchy=VisualHierarchyConfig(side=6, shift=2, n_lower=4, n_upper=4, n_steps=5),
        n_batches=2, batch=4, quality=0.0, lengths=(2.0, 6.0), seeds=(0, 1), workers=1,
    )  # fmt: skip
    result = end_stopping.run(config)
    assert result.tuning(True).shape == (2, 2)
    # Without feedback an error cell reports what its cell fires.
    assert (result.measured["without_feedback"] > 0).any()
    assert set(end_stopping.expected) <= set(result.metrics())
    end_stopping.plot(result, Figure().add_subplot())
