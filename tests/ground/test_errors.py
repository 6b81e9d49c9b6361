"""Errors are one sentence that says what is wrong and how to mend it."""

from types import SimpleNamespace

import pytest

from neurosim import errors
from neurosim.errors import ConfigError, NeurosimError, NumericalError, check_counts, nearest_name


def test_every_error_is_a_child_of_the_base():
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each.__module__ == errors.__name__
    ]
    assert len(kinds) >= 9
    assert all(issubclass(kind, NeurosimError) for kind in kinds)


def test_expected_names_owner_attribute_values_and_mend():
    error = ConfigError.expected("DentateGyrus", "sparsity", "0 < sparsity < 1", 3, "use 0.02")
    assert isinstance(error, ConfigError)
    assert str(error) == "DentateGyrus.sparsity: expected 0 < sparsity < 1, got 3; use 0.02"


@pytest.mark.parametrize("owner", [dict, {}, "dict"])
def test_the_owner_may_be_a_class_an_instance_or_a_name(owner):
    assert str(ConfigError.expected(owner, "a", "b", 1, "c")).startswith("dict.a: ")


def test_a_huge_or_many_lined_value_does_not_flood_the_message():
    message = str(ConfigError.expected("A", "b", "c", "x\n" * 10_000, "d"))
    assert len(message) < 200
    assert "\n" not in message


def test_a_numerical_error_names_region_signal_and_time():
    message = str(NumericalError.at("ca3", "rate", 0.25))
    assert "ca3.rate" in message
    assert "t = 0.25 s" in message


def test_exit_code_2_is_for_what_the_user_can_mend():
    assert ConfigError.exit_code == errors.InputError.exit_code == 2
    assert errors.StorageError.exit_code == errors.CapacityError.exit_code == 2
    assert NumericalError.exit_code == 1


def test_nearest_name_finds_a_slip_whatever_the_case():
    assert nearest_name("predictive_codng", ["backprop", "predictive_coding"]) == (
        "predictive_coding"
    )
    assert nearest_name("OJA", ["Oja", "hebb"]) == "Oja"


def test_nearest_name_is_none_if_nothing_is_near():
    assert nearest_name("zzz", ["backprop", "oja"]) is None
    assert nearest_name("oja", []) is None


@pytest.mark.parametrize("value", [0, -1, float("nan"), (), (3, 0), [2, -1]])
def test_a_count_that_is_too_small_is_named(value):
    config = SimpleNamespace(n_cells=1, repeats=value)
    with pytest.raises(ConfigError, match=r"SimpleNamespace\.repeats: expected 1 or more"):
        check_counts(config, "n_cells", "repeats")
    check_counts(SimpleNamespace(seeds=(0, 1)), "seeds", least=0)
