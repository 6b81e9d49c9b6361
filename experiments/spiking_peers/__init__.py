"""Other simulators on the spiking CA3: each file a simulator, of which only the cost is asked.

A file has ``REQUIRES``, the package it needs, ``NOTE``, in which way it computes something else,
``load()``, which imports that package, and ``measured(ca3, seconds)``, which returns processor
seconds a simulated second, without construction.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

from neurosim.discovery import modules


def known() -> dict[str, ModuleType]:
    """Return all simulators by name."""
    return modules(__name__)


def absent(module: ModuleType) -> str:
    """Return why a simulator cannot be measured here; nothing if it can.

    Parameters
    ----------
    module : module
        Of `known`.
    """
    if importlib.util.find_spec(module.REQUIRES) is None:
        return "not installed"
    try:
        module.load()
    except (ImportError, RuntimeError, OSError) as error:
        return f"installed, but does not load: {str(error).splitlines()[0]}"
    return ""
