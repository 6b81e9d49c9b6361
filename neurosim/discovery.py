"""Find rules, circuits and experiments by listing their folder."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from neurosim.errors import ConfigError, nearest_name


def names(package: str) -> list[str]:
    """Return the names of the public modules of a package, sorted, importing none of them.

    Parameters
    ----------
    package : str
        Such as ``"rules"``.
    """
    try:
        folder = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # Something that the package itself needs is missing.
            raise
        raise ConfigError.expected(
            "discovery", "package", "an installed package", package, "install neurosim anew"
        ) from error
    found = pkgutil.iter_modules(getattr(folder, "__path__", ()))
    return sorted(m.name for m in found if not m.ispkg and not m.name.startswith("_"))


def modules(package: str) -> dict[str, ModuleType]:
    """Import the public modules of a package and return them by name.

    Parameters
    ----------
    package : str
        Such as ``"rules"``.
    """
    return {name: importlib.import_module(f"{package}.{name}") for name in names(package)}


def find(package: str, name: str) -> ModuleType:
    """Import one module of a package.

    Parameters
    ----------
    package : str
        Such as ``"experiments"``.
    name : str
        What the user asked for.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest one is suggested.
    """
    known = names(package)
    if name not in known:
        near = nearest_name(name, known)
        mend = f"did you mean '{near}'?" if near else f"choose one of {', '.join(known) or 'none'}"
        raise ConfigError.expected(package, "name", "an existing module", name, mend)
    return importlib.import_module(f"{package}.{name}")
