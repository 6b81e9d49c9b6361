"""Samples and targets are converted once, or refused with a sentence."""

import numpy as np
import pytest

from neurosim.errors import InputError
from neurosim.network import Network, NetworkConfig
from neurosim.samples import check_inputs, check_targets


def network():
    config = NetworkConfig(sizes=(7, 6, 5, 4), dtype="float64")
    return Network(config, np.random.default_rng(0))


@pytest.mark.parametrize(
    "x", [np.zeros((2, 7), np.float32), np.zeros((7, 2)).T, np.zeros(7), [[0] * 7]]
)
def test_inputs_of_any_kind_are_converted_once(x):
    values = check_inputs(network(), x)
    assert values.dtype == np.float64 and values.flags.c_contiguous and values.shape[1] == 7


def test_inputs_that_need_no_conversion_are_not_copied():
    x = np.zeros((2, 7))
    assert np.shares_memory(check_inputs(network(), x), x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 8)), "expected (n_samples, 7) values, got (2, 8)"),
        (np.zeros((0, 7)), "expected (n_samples, 7) values"),
        (np.zeros((2, 7, 1)), "expected (n_samples, 7) values"),
        ([[0] * 7, [0] * 6], "expected (n_samples, 7) numbers, got 'list of others'"),
        ([["a"] * 7], "make all rows equally long, and numbers of words"),
        ([[0] * 6 + [np.nan]] * 2, "inputs[0, 6]: expected a finite number, got nan"),
        ([[0] * 7, [0, np.inf, 0, 0, 0, 0, 0]], "inputs[1, 1]: expected a finite number"),
        ([[0] * 6 + [10**400]], "expected (n_samples, 7) numbers"),
        (np.ones((2, 7)) * 1j, "inputs: expected real numbers, got 'complex128 of shape (2, 7)'"),
        ([[1 + 0j] * 7], "inputs: expected real numbers"),
    ],
)
def test_inputs_that_cannot_be_used_are_refused(x, words):
    with pytest.raises(InputError) as caught:
        check_inputs(network(), x)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 4], "labels[1]: expected a class from 0 to 3, got 4"),
        ([-1, 0], "labels[0]: expected a class"),
        ([0, 1, 2], "expected 2 labels or (2, 4) values, got (3,)"),
        (np.zeros((2, 3)), "expected 2 labels or (2, 4) values, got (2, 3)"),
        (np.full((2, 4), np.nan), "targets[0, 0]: expected a finite number"),
        ([0.0, np.nan], "labels[1]: expected a class from 0 to 3, got nan; mend or leave out"),
        ([0.0, 3.0], "labels: expected a class from 0 to 3, as an integer, got dtype('float64')"),
        (np.ones((2, 4)) * 1j, "targets: expected real numbers, got 'complex128 of shape (2, 4)'"),
        (["cat", "dog"], "expected 2 labels or (2, 4) values, got 'list of others'"),
        ([[1, 0, 0, 0], [0, 1]], "expected 2 labels or (2, 4) values, got 'list of others'"),
    ],
)
def test_targets_that_cannot_be_used_are_refused(y, words):
    with pytest.raises(InputError) as caught:
        check_targets(network(), y, 2)
    assert words in str(caught.value)
