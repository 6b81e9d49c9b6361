"""Streams depend on seed, name and keys, and on nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from neurosim.errors import ConfigError, InputError
from neurosim.randomness import Streams, generator_state, restore_generator


def draw(streams, *address):
    return streams.generator(*address).random(8)


def test_the_same_address_gives_the_same_numbers():
    assert np.array_equal(draw(Streams(7), "ca3", 3), draw(Streams(7), "ca3", 3))


def test_the_order_of_requests_does_not_matter():
    streams = Streams(7)
    first = draw(streams, "ca3")
    for k in range(5):
        draw(streams, "other", k)
    assert np.array_equal(draw(streams, "ca3"), first)


def test_every_address_has_a_stream_of_its_own():
    addresses = [
        ("a",),
        ("b",),
        ("a", 0),
        ("a", 1),
        ("a", 0, 1),
        ("a", 1, 0),
        ("a", 2**32),
        ("a0",),
    ]
    draws = {
        tuple(draw(Streams(seed), *each)) for seed in (0, 1, 2**32, 2**200) for each in addresses
    }
    assert len(draws) == 4 * len(addresses)


def test_streams_are_uncorrelated():
    n = 20_000
    a, b = (Streams(0).generator("a", k).standard_normal(n) for k in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(n)  # 4 standard errors


def test_another_process_draws_the_same_numbers():
    code = (
        "import sys; from neurosim.randomness import Streams;"
        "print(Streams(5).seed_for('x', 2)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seed, torch_was_imported = done.stdout.split()
    assert int(seed) == Streams(5).seed_for("x", 2)
    assert torch_was_imported == "False"


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_every_integer_type_means_the_same(kind):
    streams = Streams(kind(9))
    assert type(streams.seed) is int
    assert np.array_equal(draw(streams, "a", kind(3)), draw(Streams(9), "a", 3))


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float32(2), -1, np.int8(-3), "3", None])
def test_what_is_no_natural_number_is_refused(value):
    with pytest.raises(ConfigError, match="integer of 0 or greater"):
        Streams(value)
    with pytest.raises(ConfigError, match="integer of 0 or greater"):
        Streams(0).generator("a", value)


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_stream_without_a_name_is_refused(name):
    with pytest.raises(ConfigError, match="name of a stream"):
        Streams(0).generator(name)


def test_seeds_for_others_fill_63_bits_and_no_more():
    seeds = [Streams(0).seed_for("torch", k) for k in range(200)]
    assert len(set(seeds)) == 200
    assert 2**62 < max(seeds) < 2**63
    assert min(seeds) >= 0


@pytest.mark.parametrize("odd", [False, True])
def test_a_restored_generator_goes_on_where_the_saved_one_stood(odd):
    rng, other = np.random.default_rng(3), np.random.default_rng(4)
    rng.random(5)
    if odd:  # Half of a 64-bit word is left over for the next 32-bit number.
        rng.integers(10, size=3, dtype=np.uint32)
    assert rng.bit_generator.state["has_uint32"] == odd
    saved = generator_state(rng)
    restore_generator(other, saved)
    assert other.bit_generator.state == rng.bit_generator.state
    draws = [each.integers(1 << 30, size=9, dtype=np.uint32) for each in (rng, other)]
    assert np.array_equal(*draws)
    assert (generator_state(rng) != saved).any()


def test_what_is_no_state_of_a_generator_is_refused():
    with pytest.raises(InputError, match="kind PCG64"):
        generator_state(np.random.Generator(np.random.Philox(0)))
    for state in (np.zeros(5, np.uint64), np.zeros(6)):
        with pytest.raises(InputError, match="six numbers of 64 bits"):
            restore_generator(np.random.default_rng(0), state)
