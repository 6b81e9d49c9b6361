"""Ten days: an interrupted life goes on, to the same end."""

import dataclasses

import numpy as np
import pytest

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.night import NightConfig
from experiments import ten_days
from experiments.childhood import shipped_facts

pytestmark = pytest.mark.compiled
CONFIG = ten_days.Config(days=2, night=NightConfig(cycles=1, steps=3, dreams_per_step=4))


@pytest.fixture(scope="module", autouse=True)
def small_life():
    """Days of four sentences, a hippocampus that is born quickly, a short examination."""
    usual = Brain._hippocampus_config

    def small(brain):
        config = usual(brain)
        entorhinal = dataclasses.replace(config.entorhinal, n_item=256, n_context=256)
        ca3 = EpisodicCA3Config(1024, 20, 2048, 20, connectivity=0.5)
        return dataclasses.replace(
            config, entorhinal=entorhinal, dentate=DentateConfig(n_units=2048), ca3=ca3
        )

    read = ten_days.read_sentences
    facts = shipped_facts()[:5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Brain, "_hippocampus_config", small)
        patch.setattr(brain_module, "ADOLESCENCE", 20)
        patch.setattr(ten_days, "read_sentences", lambda path: list(read(path))[:4])
        patch.setattr(ten_days, "shipped_facts", lambda: facts)
        patch.setattr(ten_days, "heldout_perplexity", lambda cortex: 40.0)
        yield


@pytest.fixture(scope="module")
def straight(small_life):
    return ten_days.run(CONFIG)


class Interruption(BaseException):
    """As Ctrl-C, but not taken for one by pytest."""


@pytest.mark.parametrize("moment", ["after a night", "after a day", "before the examination"])
def test_an_interrupted_life_goes_on_to_the_same_end(straight, monkeypatch, tmp_path, moment):
    def interrupt(*arguments):
        raise Interruption

    with monkeypatch.context() as patch, pytest.raises(Interruption):
        if moment == "after a day":
            patch.setattr(Brain, "sleep", interrupt)
        elif moment == "before the examination":
            state = ten_days._state
            patch.setattr(ten_days, "_state", lambda b: interrupt() if b.nights else state(b))
        ten_days.run(CONFIG, tick=interrupt, shelf=tmp_path)
    assert list(tmp_path.iterdir())
    again = ten_days.run(CONFIG, shelf=tmp_path)
    for field in dataclasses.fields(straight):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(straight, field.name))
    assert list(tmp_path.iterdir()) == []
