"""The committed accuracies: every learner is there, as the pages say, and the figure shows them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import measured_accuracy
from experiments.local_accuracy import BY_NAME, PROTOCOLS
from experiments.measured_accuracy import Config, measured, run
from neurosim.errors import ConfigError, CorruptFileError

RESULTS = Path(measured_accuracy.__file__).parents[1] / "docs" / "results"
PAGES = ("local_accuracy.md", "predictive_coding.md")


def test_every_learner_with_a_protocol_was_measured():
    first = {name for name in PROTOCOLS if not name.endswith("_searched")}
    assert set(measured("mnist")) == first
    assert set(measured("fashion")) == set(PROTOCOLS) - set(BY_NAME)


def test_means_and_intervals_are_those_of_the_pages():
    text = "".join((RESULTS / page).read_text(encoding="utf-8") for page in PAGES)
    for source in ("mnist", "fashion"):
        for name, each in measured(source).items():
            i = each.interval
            said = f"{100 * i.mean:.2f} [{100 * i.low:.2f}, {100 * i.high:.2f}]"
            near = re.findall(rf"{100 * i.mean:.2f} \[(\d+\.\d+), (\d+\.\d+)\]", text)
            ends = [(float(a), float(b)) for a, b in near]
            # Values are kept to a hundredth of a per cent, so that ends may differ in rounding.
            fits = [np.allclose(e, (100 * i.low, 100 * i.high), atol=0.016) for e in ends]
            assert any(fits), (source, name, said)


def test_the_figure_shows_each_learner_of_each_source():
    result = run(Config())
    axes = Figure().add_subplot()
    measured_accuracy.plot(result, axes)
    *panels, key = axes.child_axes
    for panel, row in zip(panels, result.rows.values(), strict=True):
        assert len(panel.containers) == len(row)
    said = [text.get_text() for text in key.get_legend().get_texts()]
    assert len(said) == 3 and any("bar" in words for words in said)
    axes = Figure().add_subplot()
    measured_accuracy.plot(run(Config(sources=("fashion",))), axes)  # There are no bars.
    assert len(axes.child_axes[-1].get_legend().get_texts()) == 2
    values = result.metrics()
    assert values["mnist_pc"] == 0.9824 and values["fashion_ipc_seeds"] == 5


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="did you mean mnist"):
        Config(sources=("mnst",))
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"mnist": {"pc": {"mean": 1}}}))
    with pytest.raises(CorruptFileError, match="expected accuracies by learner under mnist"):
        measured("mnist", path)
