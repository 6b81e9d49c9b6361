"""Other simulators on the spiking CA3: each file a simulator, of which only the cost is asked.

A file has ``REQUIRES``, the package it needs, ``NOTE``, in which way it computes something else,
and ``measured(ca3, seconds)``, which returns processor seconds a simulated second, without
construction.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

from neurosim.discovery import modules


def known() -> dict[str, ModuleType]:
    """Return all simulators by name."""
    return modules(__name__)


def installed() -> dict[str, ModuleType]:
    """Return those whose packages are installed."""
    return {n: m for n, m in known().items() if importlib.util.find_spec(m.REQUIRES)}
