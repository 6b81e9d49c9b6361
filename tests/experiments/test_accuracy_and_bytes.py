"""One figure of all methods, from what is committed."""

import json

import numpy as np
import pytest

from experiments import accuracy_and_bytes as figure
from neurosim.errors import ConfigError, CorruptFileError


@pytest.mark.parametrize("dataset", ["mnist", "fashion"])
def test_every_row_is_drawn_once_in_each_panel(dataset):
    import matplotlib.pyplot as plt

    result = figure.run(figure.Config(dataset))
    drawn, axes = plt.subplots()
    figure.plot(result, axes)
    families = {row.family for row in result.rows if row.family}
    assert families <= set(figure.COLOURS)
    assert {"ER", "fast memory", "cortex after sleep"} <= families
    for panel, name in zip(axes.child_axes, ("beside_kb", "all_kb"), strict=True):
        points = [line.get_xydata() for line in panel.lines if line.get_marker() in ("o", "x")]
        found = {(round(x, 6), round(y, 6)) for each in points for x, y in each}
        wanted = {(getattr(r, name), r.accuracy) for r in result.rows if getattr(r, name)}
        assert wanted <= found
    plt.close(drawn)


def test_the_rows_are_whole_and_their_intervals_hold_the_mean():
    rows = figure.read_rows()
    assert len(rows) > 40
    for row in rows:
        assert 10 < row.accuracy < 100 and row.seeds >= 1 and row.beside_kb >= 0
        assert np.isnan(row.low) or row.low <= row.accuracy <= row.high
    metrics = figure.run(figure.Config("mnist")).metrics()
    # The fast memory's 68 kB beside ER's network of 358 kB and 79 kB of images.
    assert metrics["above_er_in_437_kb"] > 20


def test_a_row_that_lacks_something_is_named(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"rows": [{"dataset": "mnist"}]}))
    with pytest.raises(CorruptFileError, match="expected 'method' in row 0"):
        figure.read_rows(path)
    with pytest.raises(ConfigError, match="did you mean mnist"):
        figure.Config("mnits")
