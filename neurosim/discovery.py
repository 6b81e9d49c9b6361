"""Find rules, circuits and experiments by listing their folder, and one folder of the user's.

The environment variable ``NEUROSIM_RULES`` (and so on, by package) names a further folder whose
files count as modules of the package.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from neurosim.errors import ConfigError, nearest_name

T = TypeVar("T")


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
    _add_folder_of_user(folder)
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


def members(package: str, base: type[T]) -> dict[str, type[T]]:
    """Return the class of each module of a package that descends from `base`, by module name.

    Parameters
    ----------
    package : str
        Such as ``"rules"``; its modules hold one such class each, or none.
    base : type
        Such as `Rule`.
    """
    return {
        name: kind
        for name, module in modules(package).items()
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, base) and kind.__module__ == module.__name__
    }


def member(package: str, base: type[T], name: str) -> type[T]:
    """Return one of `members` by the name of its module or its class.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest one is suggested.
    """
    found = members(package, base)
    by_class = {kind.__name__: kind for kind in found.values()}
    if name in by_class:
        return by_class[name]
    if name not in found:
        near = nearest_name(name, [*found, *by_class])
        mend = f"did you mean '{near}'?" if near else f"choose one of {', '.join(found)}"
        raise ConfigError.expected(package, "name", f"a {base.__name__.lower()}", name, mend)
    return found[name]


def _add_folder_of_user(package: ModuleType) -> None:
    variable = f"NEUROSIM_{package.__name__.upper().replace('.', '_')}"
    folder = os.environ.get(variable)
    if folder is None:
        return
    if not Path(folder).is_dir():
        raise ConfigError.expected(
            "discovery", variable, "a folder", folder, "make it, or unset the variable"
        )
    if folder not in package.__path__:
        package.__path__.append(folder)
