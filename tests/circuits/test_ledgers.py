"""What predictive-coding circuits enter into the ledgers is what NumPy multiplies."""

import numpy as np
import pytest

from circuits.bidirectional import BidirectionalConfig, BidirectionalNetwork
from circuits.inferred import Precisions
from circuits.visual_hierarchy import VisualHierarchy, VisualHierarchyConfig
from neurosim.ledger import counting
from neurosim.optimisers import Optimiser


class Counted(np.ndarray):
    """An array that counts the multiply-adds of the matrix products it takes part in."""

    multiply_adds = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        plain = [np.asarray(each) for each in inputs]
        if out is not None:
            settings["out"] = tuple(np.asarray(each) for each in out)
        result = getattr(ufunc, method)(*plain, **settings)
        if ufunc is np.matmul:
            Counted.multiply_adds += result.size * plain[0].shape[-1]
        return out[0] if out is not None else np.asarray(result).view(Counted)


@pytest.fixture(autouse=True)
def nothing_counted():
    Counted.multiply_adds = 0


@pytest.mark.parametrize("prior", [0.0, 0.4])
def test_a_bidirectional_network_counts_its_products_and_changes(prior):
    config = BidirectionalConfig(
        (6, 5, 4, 3), "tanh", optimiser=Optimiser("sgd", 0.01), dtype="float64"
    )
    net = BidirectionalNetwork(config, np.random.default_rng(0))
    net.up, net.down = ([w.view(Counted) for w in matrices] for matrices in (net.up, net.down))
    view = np.random.default_rng(1).normal(size=(7, 6)).view(Counted)
    with counting() as whole:
        inferred = net.infer(view, view, precisions=Precisions(0.7, prior), n_steps=3)
        before = net.ledger.multiply_adds
        assert before == Counted.multiply_adds > 0
        net.learn(inferred)
    n_synapses = 2 * (6 * 5 + 5 * 4 + 4 * 3)
    assert Counted.multiply_adds - before == 7 * n_synapses
    assert net.ledger.weight_writes == n_synapses
    assert net.ledger.synaptic_events == Counted.multiply_adds
    assert net.ledger.multiply_adds == Counted.multiply_adds + n_synapses
    assert net.ledger.bytes_touched >= 3 * 8 * n_synapses  # Read, read and written to learn.
    assert whole == net.ledger


def test_a_prior_that_counts_for_nothing_costs_nothing():
    config = BidirectionalConfig((6, 5, 4, 3), n_steps=4)
    net = BidirectionalNetwork(config, np.random.default_rng(0))
    view = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    costs = []
    for prior in (0.4, 0.0):
        before = net.ledger.multiply_adds
        net.infer(view, view, precisions=Precisions(0.7, prior))
        costs.append(net.ledger.multiply_adds - before)
    assert costs[0] - costs[1] == 4 * 2 * (5 * 4 + 4 * 3)


@pytest.mark.parametrize("feedback", [True, False])
def test_a_visual_hierarchy_counts_its_products_and_changes(feedback):
    config = VisualHierarchyConfig(side=5, shift=2, modules=2, n_lower=6, n_upper=4, n_steps=3)
    hierarchy = VisualHierarchy(config, np.random.default_rng(0))
    hierarchy.fields = hierarchy.fields.view(Counted)
    hierarchy.fields_above = hierarchy.fields_above.view(Counted)
    images = np.random.default_rng(1).normal(size=(3, config.field, config.field))
    with counting() as whole:
        percept = hierarchy.perceive(images, feedback)
        before = hierarchy.ledger.multiply_adds
        assert before == Counted.multiply_adds > 0
        hierarchy.learn(percept)
    n_fields, n_above = 25 * 6, 4 * 6 * 4
    assert Counted.multiply_adds - before == 3 * 4 * n_fields + 3 * n_above
    assert hierarchy.ledger.weight_writes == n_fields + n_above
    assert hierarchy.ledger.synaptic_events == Counted.multiply_adds
    assert hierarchy.ledger.multiply_adds == Counted.multiply_adds + n_fields + n_above
    assert whole == hierarchy.ledger
