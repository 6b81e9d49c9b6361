"""Where a result comes from: the versions of the software and the commit of the source."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from neurosim import __version__

_PACKAGES = ("numpy", "scipy", "numba", "torch", "h5py", "brian2")


def versions() -> dict[str, str]:
    """Return the versions of neurosim, Python and what is installed beside them.

    Nothing is imported for it, so that it costs milliseconds.
    """
    found = {"neurosim": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def source_digest() -> str:
    """Return the SHA-256 of all Python files of the four packages: what a result was made by."""
    root = Path(__file__).parents[1]
    seen = hashlib.sha256()
    for package in ("neurosim", "rules", "circuits", "experiments"):
        for path in sorted((root / package).rglob("*.py")):
            seen.update(str(path.relative_to(root)).encode())
            seen.update(path.read_bytes())
    return seen.hexdigest()


@functools.cache
def commit() -> str | None:
    """Return the git commit of the running source, or None if it is not under git.

    ``-dirty`` is appended if tracked files differ from the commit.
    """
    # An installed copy may lie inside another project's repository, whose commit is not ours.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    revision = _git("rev-parse", "--verify", "HEAD")
    if not revision:
        return None
    return f"{revision}-dirty" if _git("status", "--porcelain", "-uno") else revision


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
