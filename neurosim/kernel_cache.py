"""Where compiled kernels are kept, also where nothing can be written."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def ensure(source: Path) -> Path | None:
    """Give Numba a folder of this process's own if it could write to none.

    Numba refuses, at import, to cache a kernel that it finds no folder for: a read-only
    installation in a container without a home would not start at all.

    Parameters
    ----------
    source : Path
        A folder of kernels; Numba writes to ``__pycache__`` in it, else to the user's cache.

    Returns
    -------
    Path or None
        The temporary folder, deleted when the process ends; None if none was needed.
    """
    given = os.environ.get(VARIABLE)
    if (given and _writable(Path(given))) or _writable(source / "__pycache__"):
        return None
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if _writable(Path(user) / "numba"):
        return None
    folder = tempfile.mkdtemp(prefix="neurosim-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder  # Numba reads it when it is imported, processes of ours too.
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder  # type: ignore[attr-defined]
    warnings.warn(
        f"neurosim: no folder for compiled kernels can be written, so every start compiles them "
        f"anew; set {VARIABLE} to one that can",
        stacklevel=2,
    )
    return Path(folder)


def _writable(folder: Path) -> bool:
    """Try as Numba does: permissions alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
