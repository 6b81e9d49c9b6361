"""Learners are trained by their protocols, on images that are not examined."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import local_accuracy
from experiments.local_accuracy import PROTOCOLS, Config, Protocol, adam, images
from neurosim import datasets
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder
from rules.backprop import Backprop


def test_a_protocol_stands_under_the_name_of_its_learners_file():
    for name, protocol in PROTOCOLS.items():
        of_learner = name.removesuffix("_wide").removesuffix("_searched")
        assert type(protocol.learner).__module__ == f"rules.{of_learner}"
        assert protocol.n_epochs >= 1 and protocol.batch >= 1
        assert protocol.schedule(0.0) == 1.0


def test_settings_are_chosen_on_training_images_that_are_not_learnt():
    whole = images(Config(source="digits"))
    split = images(Config(source="digits", n_validation=300, n_train=1000))
    assert len(split.x) == 1000 and len(split.x_test) == 300
    np.testing.assert_array_equal(split.x_test, whole.x[-300:])
    np.testing.assert_array_equal(split.x, whole.x[:1000])
    pixels = datasets.load("digits").test_images[0].ravel()
    np.testing.assert_allclose(whole.x_test[0], pixels / 255, rtol=1e-6)
    assert whole.x.dtype == np.float32 and whole.x.max() == 1


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="did you mean backprop"):
        Config(arms=("backprob",))
    with pytest.raises(ConfigError, match=r"Config.eta"):
        Config(eta=-1.0)
    with pytest.raises(ConfigError, match="at most 1137 images"):
        images(Config(source="digits", n_validation=300, n_train=1200))
    with pytest.raises(ConfigError, match="n_validation: expected less than 1437 images"):
        images(Config(source="digits", n_validation=1437))


@pytest.mark.compiled  # Adam's loop, interpreted, would take a minute.
def test_digits_are_learnt_and_drawn(monkeypatch):
    # Twelve learners would take too long here; what they can is tested in `tests/rules`.
    protocols = {
        "backprop": Protocol(Backprop(optimiser=adam(3e-3)), 8, 32, hidden=(64,)),
        "untrained": Protocol(Backprop(optimiser=adam(1e-9)), 1, 500, hidden=(64,)),
    }
    monkeypatch.setattr(local_accuracy, "PROTOCOLS", protocols)
    config = Config(source="digits", arms=tuple(protocols), seeds=(0, 1), workers=1)
    recorder = Recorder(None)
    result = local_accuracy.run(config, np.random.default_rng(0), recorder)
    values = result.metrics()
    # Logistic regression gets 88 to 90 % of this test set, chance 10 %.
    assert values["accuracy_backprop"] > 0.85 > 0.4 > values["accuracy_untrained"]
    low, high = values["accuracy_backprop_low"], values["accuracy_backprop_high"]
    assert low < values["accuracy_backprop"] < high
    loss = result.measured["backprop"]["loss"]
    assert loss.shape == (2, 8) and (loss[:, -1] < 0.3 * loss[:, 0]).all()
    assert {"backprop/accuracy", "backprop/loss"} <= set(recorder.recording().signals)
    axes = Figure().add_subplot()
    local_accuracy.plot(result, axes)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(protocols)
