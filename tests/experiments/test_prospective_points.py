"""Points of published curves: read from a file, compared, drawn; the results page has them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import prospective_configuration
from neurosim.errors import ConfigError


def test_points_of_a_file_are_compared_and_drawn_without_a_run(tmp_path):
    point = {"depth_2_pc": (0.3, 0.29, 0.31, 0.001, 10), "depth_2_bp": (0.35, None, None, 0.01, 1)}
    numbers = {
        f"{key}{part}": value
        for key, values in point.items()
        for part, value in zip(prospective_configuration.PARTS, values, strict=True)
    }
    path = tmp_path / "points.json"
    path.write_text(json.dumps(numbers))
    config = prospective_configuration.Config(("depth",), (2.0,), points=str(path))
    result = prospective_configuration.run(config)
    found = result.metrics()
    assert found["depth_2_pc_low"] == 0.29 and np.isnan(found["depth_2_bp_low"])
    assert found["depth_farthest"] == pytest.approx(0.35 - 0.321)
    assert found["depth_within"] == 0.5 and found["depth_same_winner"] == 1
    axes = Figure().add_subplot()
    prospective_configuration.plot(result, axes)
    lines = axes.child_axes[0].get_lines()
    assert any(0.3 in line.get_ydata() for line in lines)
    with pytest.raises(ConfigError, match="depth_4_pc"):
        prospective_configuration.run(replace(config, settings=(2.0, 4.0)))
    with pytest.raises(ConfigError, match="--json"):
        prospective_configuration.run(replace(config, points=str(tmp_path / "none.json")))


def test_the_page_has_its_points_in_a_file():
    path = Path(__file__).parents[2] / "docs" / "results" / "prospective_configuration.json"
    numbers = prospective_configuration.run(
        prospective_configuration.Config(points=str(path))
    ).metrics()
    page = path.with_suffix(".md").read_text("utf-8")
    for key in prospective_configuration.expected:
        shown = f"{numbers[key]:.4f} [{numbers[f'{key}_low']:.4f}, {numbers[f'{key}_high']:.4f}]"
        assert shown in page, key
