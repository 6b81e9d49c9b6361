"""Other libraries of continual learning on our streams: each file a library.

A file has ``REQUIRES``, the package it needs; ``METHODS``, by our method's class what the library
calls it; and ``accuracies(stream, method, seed)``: the library's own strategy on the same images in
the same tasks, with the method's constants, returning the accuracy on each task at the end.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

from neurosim.discovery import modules


def known() -> dict[str, ModuleType]:
    """Return all libraries by name."""
    return modules(__name__)


def installed() -> dict[str, ModuleType]:
    """Return those whose packages are installed."""
    return {n: m for n, m in known().items() if importlib.util.find_spec(m.REQUIRES)}
