"""Separation, completion, natural input and the two sparsities, against closed forms and bars."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from circuits.ca3 import CA3Config
from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.pattern_ca1 import PatternCA1Config
from circuits.pattern_hippocampus import PatternHippocampusConfig
from circuits.perforant_path import GeneratedPath, PlasticPath, StoredPath
from experiments import comparison, completion, natural_input, separation, two_sparsities
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder
from neurosim.resources import ResourceMeter

PUBLISHED = Path(separation.__file__).parents[1] / "data" / "published"


def drawn(module, result):
    axes = Figure().add_subplot()
    module.plot(result, axes)
    assert axes.get_xlabel() and "(" in axes.get_ylabel()
    assert axes.get_legend() is not None
    return axes


# Arms


def test_arms_that_were_finished_are_not_run_again_and_other_workers_find_them(tmp_path):
    config = completion.Config(arms=completion.ARMS[:2], seeds=(3, 4), workers=1)
    ran, first = [], ("no CA3 NMDA receptors", 4)

    def run_arm(alone, arm, seed):
        if (arm, seed) == first and len(ran) == 3:
            ran.append("stopped")
            raise KeyboardInterrupt
        ran.append((arm, seed))
        assert alone.n_patterns == config.n_patterns
        return {"overlap": np.array([seed, len(arm)], dtype=float), "novelty": np.array(0.5)}

    with pytest.raises(KeyboardInterrupt):
        comparison.compare(run_arm, config, shelf=tmp_path)
    other = dataclasses.replace(config, workers=0, seeds=(3, 4))
    measured = comparison.compare(run_arm, other, shelf=tmp_path)
    assert len(ran) == 5 and ran[-1] == first
    assert measured["intact"]["overlap"].tolist() == [[3, 6], [4, 6]]
    assert measured[first[0]]["novelty"].tolist() == [0.5, 0.5]
    recorder = Recorder()
    comparison.record(measured, recorder, {"overlap": ("fraction",)})
    assert recorder.recording()["no_CA3_NMDA_receptors/overlap"].dims == ("seed", "fraction")


# Separation


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_the_expected_overlap_is_the_orthant_of_two_normal_drives(share):
    # At half active it has a closed form: Sheppard (1899), 1/4 + asin(rho) / 2 pi.
    closed = 0.5 + math.asin(share) / math.pi
    assert separation.expected_overlap(share, 0.5) == pytest.approx(closed, abs=1e-6)
    assert separation.expected_overlap(0.0, 0.03) == pytest.approx(0.03, abs=1e-6)
    assert separation.expected_overlap(1.0, 0.03) == 1.0


@pytest.mark.compiled
@pytest.mark.parametrize("wiring", ["stored", "plastic", "generated"])
def test_the_random_control_lies_on_the_known_curve_with_every_wiring(wiring):
    """10,000 inputs, 10 % active, 5,000 synapses: 0.95 -> 0.67, 0.90 -> 0.54, 0.80 -> 0.37."""
    rng, n, n_pairs = np.random.default_rng(5), 10_000, 50
    paths = {
        "stored": lambda: StoredPath(n, 2000, 1000, rng),
        "plastic": lambda: PlasticPath(n, 2000, 0.5, rng),
        "generated": lambda: GeneratedPath(n, 2000, 1000, seed=5),
    }
    config = DentateConfig(2000, sparsity=0.01, homeostasis=False)
    gyrus = DentateGyrus(config, n, rng, path=paths[wiring]())
    for share, known in ((0.95, 0.67), (0.9, 0.54), (0.8, 0.37), (0.6, 0.20)):
        first = [separation.draw_pattern(n, 1000, rng) for _ in range(n_pairs)]
        second = [separation.draw_lure(pattern, share, rng) for pattern in first]
        codes = gyrus.encode(np.stack(first + second))
        pairs = zip(codes[:n_pairs], codes[n_pairs:], strict=True)
        overlaps = [one.overlap(other) for one, other in pairs]
        # The bar's 0.03, and two standard errors of the 50 pairs.
        noise = 2 * np.std(overlaps) / math.sqrt(n_pairs)
        assert abs(np.mean(overlaps) - known) < 0.03 + noise


@pytest.mark.compiled
def test_all_mechanisms_together_reach_the_bar_and_no_gyrus_separates_nothing():
    arms = (separation.NO_GYRUS, separation.RANDOM, separation.ALL)
    config = separation.Config(
        n_units=1000,
        tests=15,
        development=100,
        shares=(0.9,),
        arms=arms,
        seeds=(0,),
        burn_in=50,
        workers=1,
    )
    recorder = Recorder()
    result = separation.run(config, None, recorder)
    numbers = result.metrics()
    assert numbers["overlap_090_no_dentate_gyrus"] == pytest.approx(0.9)
    assert numbers["overlap_090_all_mechanisms"] <= 0.45
    assert numbers["overlap_090_random_k_wta"] > 0.5
    assert numbers["reliability_after_1_all_mechanisms"] > 0.8
    assert recorder.recording()["random_k-WTA/overlap"].values.shape == (1, 1)
    drawn(separation, result)


@pytest.mark.slow
@pytest.mark.compiled
def test_a_rats_perforant_path_encodes_within_half_a_cpu_second_and_half_a_gigabyte():
    """A million granule cells of 4,000 synapses, from 100,000 entorhinal cells, a tenth active."""
    rng = np.random.default_rng(0)
    path = GeneratedPath(100_000, 1_000_000, 40_000, seed=1)
    gyrus = DentateGyrus(DentateConfig(1_000_000, 0.02), 100_000, rng, path=path)
    pattern = separation.draw_pattern(100_000, 10_000, rng)[None]
    gyrus.encode(pattern)  # Compiles.
    with ResourceMeter() as meter:
        (code,) = gyrus.encode(pattern)
    assert len(code) == 20_000
    drive = path.drive(pattern)[0]
    assert drive.sum() == 10_000 * 40_000
    assert drive[code.active].min() >= np.sort(drive)[-20_000]
    assert meter.cpu_seconds <= 0.5


def test_an_unknown_arm_is_answered_with_the_nearest():
    for module in (separation, completion):
        with pytest.raises(ConfigError, match="did you mean"):
            module.Config(arms=("no dentat gyrus",))
    with pytest.raises(ConfigError, match="burn_in"):
        separation.Config(burn_in=3)
    with pytest.raises(ConfigError, match="did you mean mnist"):
        natural_input.Config(source="minst")


# Completion


@pytest.mark.compiled
def test_completion_needs_ca3_only_for_fragments():
    tiny = PatternHippocampusConfig(
        256,
        DentateConfig(1024, sparsity=0.04, connectivity=0.2),
        CA3Config(n_units=512, fan_in=256, sparsity=0.04),
        PatternCA1Config(512, sparsity=0.04),
    )
    config = completion.Config(
        fractions=(1.0, 0.25), n_patterns=10, n_probes=10, development=50, seeds=(0,), workers=1
    )
    result = completion.run(dataclasses.replace(config, hippocampus=tiny), None, Recorder())
    numbers = result.metrics()
    assert numbers["full_cue_difference"] <= 0.03
    assert numbers["quarter_cue_difference"] >= 0.3
    assert numbers["recall_100_no_ca1_learning"] < 0.2
    assert numbers["novelty_known_intact"] < 0.1 < 0.8 < numbers["novelty_new_intact"]
    drawn(completion, result)


# The two sparsities


def test_the_exponents_of_a_known_law_are_found():
    config = two_sparsities.Config(seeds=(0, 1, 2))
    a, c = np.meshgrid(config.activations, config.connections, indexing="ij")
    noise = np.random.default_rng(0).normal(size=(3, *a.shape))
    result = two_sparsities.Result(config, 50 * c / a * np.exp(0.01 * noise))
    numbers = result.metrics()
    # Points scatter by 1 per cent over a range of e^1.6 and more.
    assert numbers["exponent_activation"] == pytest.approx(-1.0, abs=0.02)
    assert numbers["exponent_connection"] == pytest.approx(1.0, abs=0.02)
    assert numbers["exponent_connection_per_synapse"] == pytest.approx(0.0, abs=0.02)
    assert numbers["variance_share_activation"] > 0.99
    assert not result.reached()[0, 0] and result.reached()[-1].all()
    drawn(two_sparsities, result)


@pytest.mark.compiled
def test_sparser_activity_holds_more_and_fewer_synapses_hold_less():
    config = two_sparsities.Config(n_units=300, n_probes=10, growth=1.5)
    sparse = two_sparsities.capacity(config, 0.05, 1.0, 0)
    dense = two_sparsities.capacity(config, 0.3, 1.0, 0)
    diluted = two_sparsities.capacity(config, 0.05, 0.5, 0)
    assert sparse > 2 * dense and sparse > 1.3 * diluted


@pytest.mark.compiled
def test_each_capacity_of_the_grid_stands_at_its_activation_connection_and_seed():
    config = two_sparsities.Config(
        (0.05, 0.1, 0.3), (0.5, 1.0), n_units=60, n_probes=4, growth=2.0, seeds=(3, 4), workers=1
    )
    found = two_sparsities.run(config).capacity
    assert found.shape == (2, 3, 2) and len(np.unique(found)) > 6
    for (s, a, c), value in np.ndenumerate(found):
        alone = config.activations[a], config.connections[c], config.seeds[s]
        assert value == two_sparsities.capacity(config, *alone)


# Natural input


def test_a_load_is_found_between_two_measured_ones():
    loads, recall = (100, 200, 400), np.array([1.0, 0.6, 0.2])
    assert natural_input.load_at(loads, recall, 0.4) == pytest.approx(200 * math.sqrt(2))
    assert natural_input.load_at(loads, recall, 0.1) == 400.0
    assert natural_input.load_at(loads, np.zeros(3), 0.5) == 100.0


@pytest.mark.parametrize(("source", "n_input"), [("sentences", 1024), ("digits", 512)])
def test_patterns_are_different_sparse_and_as_the_seed_says(source, n_input):
    first, second = (
        natural_input.entorhinal_patterns(source, 60, np.random.default_rng(2)) for _ in range(2)
    )
    assert first.shape == (60, n_input) and set(np.unique(first)) == {0.0, 1.0}
    assert len(np.unique(first, axis=0)) == 60
    assert 0.05 < first.mean() < 0.2
    np.testing.assert_array_equal(first, second)


def recall_at_the_raw_load(source, loads):
    arms = (natural_input.RAW, natural_input.HOMEOSTASIS)
    config = natural_input.Config(source=source, arms=arms, seeds=(0,), loads=loads, workers=1)
    result = natural_input.run(config, None, Recorder())
    raw = result.recall(natural_input.RAW)[0]
    assert raw[0] > 0.2 > raw[-1], "the loads must bracket the raw codes' 20 per cent"
    drawn(natural_input, result)
    return result.metrics()["recall_homeostasis"]


@pytest.mark.compiled
def test_digits_are_recalled_where_raw_codes_fail():
    # At one seed and 40 probes; 0.9 is the bar of the mean.
    assert recall_at_the_raw_load("digits", (100, 350)) >= 0.9


@pytest.mark.data
@pytest.mark.compiled
def test_mnist_is_recalled_where_raw_codes_fail():
    assert recall_at_the_raw_load("mnist", (200, 400)) >= 0.85


# Published findings


def test_every_published_finding_has_its_source_and_says_how_it_was_read():
    files = sorted(PUBLISHED.glob("pattern_*.json"))
    assert files
    for file in files:
        for entry in json.loads(file.read_text("utf-8"))["findings"]:
            where = entry["doi"] or entry["url"]
            assert where.startswith(("10.", "https://pmc.ncbi.nlm.nih.gov/articles/PMC"))
            assert entry["read"] in ("full text", "abstract", "memory")
            assert len(entry["finding"].split()) >= 5
            assert entry["values"] is None or entry["read"] != "memory"
