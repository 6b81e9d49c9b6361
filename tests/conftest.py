"""What every test shares: two threads at most, no window, no hidden random numbers."""

import os
from pathlib import Path

# Before anything imports NumPy or torch, since both read these once.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
SMALL = os.environ.get("NEUROSIM_SMALL", "0") not in ("", "0")
REAL_DATA = os.environ.get("NEUROSIM_DATA", "")


def pytest_collection_modifyitems(items):
    """Skip what cannot run here, each with its reason."""
    for item in items:
        if INTERPRETED and item.get_closest_marker("compiled"):
            item.add_marker(pytest.mark.skip(reason="kernels are interpreted (NUMBA_DISABLE_JIT)"))
        if not REAL_DATA and item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason="NEUROSIM_DATA is not set"))


@pytest.fixture(scope="session")
def neurosim_data() -> Path:
    """Return the folder of the real data sets."""
    if not REAL_DATA:
        pytest.skip("NEUROSIM_DATA is not set")
    if not Path(REAL_DATA).is_dir():
        pytest.fail(f"NEUROSIM_DATA: expected a folder, got {REAL_DATA!r}")
    return Path(REAL_DATA)


@pytest.fixture
def small() -> bool:
    """Tell whether sizes should be small because kernels run interpreted."""
    return SMALL or INTERPRETED


@pytest.fixture(autouse=True)
def _no_global_random_numbers(request):
    """Fail a test whose code draws from NumPy's global generator."""
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    yield
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    drawn = before["pos"] != after["pos"] or not np.array_equal(before["key"], after["key"])
    if drawn and not request.node.get_closest_marker("global_rng"):
        pytest.fail("the code under test drew from NumPy's global generator; pass an rng")
