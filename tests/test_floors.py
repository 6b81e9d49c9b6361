"""The house stands: floors, names, docstrings and forbidden calls, read from the source itself.

Each checker takes the root of a tree and returns its complaints. The second half of the file
plants violations in a tree of its own and sees to it that each checker finds them.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN_IMPORTS = {
    "neurosim": {"rules", "circuits", "experiments", "tests"},
    "rules": {"circuits", "experiments", "tests"},
    "circuits": {"rules", "experiments", "tests"},
    "experiments": {"tests"},
}
PACKAGES = tuple(FORBIDDEN_IMPORTS)
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
FORBIDDEN_CALLS = {
    ("pickle", "load"),
    ("pickle", "loads"),
    ("pickle", "Unpickler"),
    ("torch", "load"),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


# Reading the source


def sources(root: Path, folders: tuple[str, ...] = PACKAGES) -> Iterator[tuple[str, ast.Module]]:
    """Yield the path within the tree and the syntax tree of every file."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root).as_posix(), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield line, dotted module and local name of everything imported, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]  # What `import a.b` binds is a.
                yield node.lineno, alias.name if alias.asname else package, alias.asname or package
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = "." * node.level + (node.module or "")
                yield node.lineno, module, alias.asname or alias.name


def is_own(module: str) -> bool:
    """Return whether a module belongs to the house."""
    return module.startswith(".") or module.partition(".")[0] in PACKAGES


def is_cached(function: Function, tree: ast.Module) -> bool:
    """Return whether a decorator, or the alias it names, says ``cache=True``."""
    aliases = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and says_cache(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return any(
        says_cache(each)
        or bool({n.id for n in ast.walk(each) if isinstance(n, ast.Name)} & aliases)
        for each in function.decorator_list
    )


def says_cache(node: ast.AST) -> bool:
    """Return whether ``cache=True`` stands anywhere in an expression."""
    return any(
        isinstance(each, ast.keyword)
        and each.arg == "cache"
        and not (isinstance(each.value, ast.Constant) and each.value.value is False)
        for each in ast.walk(node)
    )


def names_within(function: Function, functions: dict[str, Function]) -> set[str]:
    """Return the names a function uses, and those used by the functions of its file it calls."""
    seen: set[str] = set()
    pending = [function]
    while pending:
        body = pending.pop().body
        used = {n.id for line in body for n in ast.walk(line) if isinstance(n, ast.Name)}
        pending += [functions[name] for name in used - seen if name in functions]
        seen |= used
    return seen


# Checkers


def imports_upwards(root: Path) -> list[str]:
    """Find imports from a higher floor, or between rules and circuits."""
    return [
        f"{path}:{line}: imports {module}"
        for path, tree in sources(root)
        for line, module, _ in imports(tree)
        if module.partition(".")[0] in FORBIDDEN_IMPORTS[path.partition("/")[0]]
    ]


def relative_imports(root: Path) -> list[str]:
    """Find relative and star imports."""
    return [
        f"{path}:{line}: imports {name} from {module}"
        for path, tree in sources(root)
        for line, module, name in imports(tree)
        if module.startswith(".") or name == "*"
    ]


def cached_kernels_across_files(root: Path) -> list[str]:
    """Find cached kernels that use something of another file: its edits would go unnoticed."""
    complaints = []
    for path, tree in sources(root):
        foreign = {name for _, module, name in imports(tree) if is_own(module)}
        functions = {n.name: n for n in tree.body if isinstance(n, Function)}
        cached = [n for n in ast.walk(tree) if isinstance(n, Function) and is_cached(n, tree)]
        for kernel in cached:
            complaints += [
                f"{path}:{kernel.lineno}: cached {kernel.name} uses {name} of another file"
                for name in sorted(names_within(kernel, functions) & foreign)
            ]
    return complaints


def shapeless_names(root: Path) -> list[str]:
    """Find modules and folders whose name says nothing."""
    return [
        path
        for path, _ in sources(root, (*PACKAGES, "tests"))
        if FORBIDDEN_NAMES & {part.removesuffix(".py").strip("_") for part in path.split("/")}
    ]


def unsafe_loading(root: Path) -> list[str]:
    """Find whatever could run code from a file: pickle, torch.load, allow_pickle=True."""
    complaints = []
    for path, tree in sources(root):
        origin = {name: module for _, module, name in imports(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                call = (origin.get(node.value.id, ""), node.attr)
            elif isinstance(node, ast.Name):
                call = (origin.get(node.id, ""), node.id)
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                safe = isinstance(node.value, ast.Constant) and node.value.value is False
                call = ("", "") if safe else ("pickle", "load")
            else:
                continue
            if call in FORBIDDEN_CALLS:
                complaints.append(f"{path}:{getattr(node, 'lineno', 0)}: loads a pickle")
        complaints += [
            f"{path}:{line}: imports {module}.{name}"
            for line, module, name in imports(tree)
            if module.partition(".")[0] in {"pickle", "cloudpickle", "dill", "joblib"}
            or (module, name) == ("torch", "load")
        ]
    return complaints


def bare_excepts(root: Path) -> list[str]:
    """Find ``except:`` without a kind of error."""
    return [
        f"{path}:{node.lineno}: bare except"
        for path, tree in sources(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def missing_docstrings(root: Path) -> list[str]:
    """Find modules, public functions and public classes without a docstring."""
    complaints = []
    for path, tree in sources(root):
        nodes = [n for n in tree.body if isinstance(n, Function | ast.ClassDef)]
        public = [n for n in nodes if not n.name.startswith("_") and not is_overload(n)]
        complaints += [f"{path}: {n.name}" for n in public if not ast.get_docstring(n)]
        if not ast.get_docstring(tree):
            complaints.append(f"{path}: the module")
    return complaints


def is_overload(node: Function | ast.ClassDef) -> bool:
    """Return whether a definition only gives types to the one after it, which has the docstring."""
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)


CHECKERS: tuple[Callable[[Path], list[str]], ...] = (
    imports_upwards,
    relative_imports,
    cached_kernels_across_files,
    shapeless_names,
    unsafe_loading,
    bare_excepts,
    missing_docstrings,
)


# The house itself


def test_the_house_has_its_four_floors():
    assert all(list((ROOT / package).glob("*.py")) for package in PACKAGES)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_the_house_is_free_of(checker):
    assert checker(ROOT) == []


# The checkers themselves

GOOD = '''"""A module."""

import pickle_free
from neurosim.codes import SparseCode
from numba import njit

_fast = njit(cache=True)


@njit(cache=True)
def kernel(x, out):
    """Compute."""
    _inner(x, out)


@_fast
def _inner(x, out):
    out[:] = x


def door(x):
    """Open."""
    try:
        return SparseCode(x)
    except ValueError:
        return numpy.load(x, allow_pickle=False)
'''

VIOLATIONS = [
    (imports_upwards, "neurosim/a.py", "import rules"),
    (imports_upwards, "neurosim/a.py", "def f():\n    from experiments.x import y"),
    (imports_upwards, "rules/a.py", "from circuits.ca3 import CA3"),
    (imports_upwards, "circuits/deep/a.py", "import rules.oja as oja"),
    (imports_upwards, "circuits/a.py", "from experiments import x"),
    (relative_imports, "rules/a.py", "from . import oja"),
    (relative_imports, "rules/a.py", "from numpy import *"),
    (
        cached_kernels_across_files,
        "rules/a.py",
        "from neurosim.kernels import dot\n@njit(cache=True)\ndef f(x):\n    return dot(x)",
    ),
    (
        cached_kernels_across_files,
        "rules/a.py",
        "import neurosim.kernels as k\n@numba.njit(cache=True)\ndef f(x):\n    return k.dot(x)",
    ),
    (
        cached_kernels_across_files,
        "rules/a.py",
        "from neurosim.kernels import dot\nfast = njit(cache=True)\n"
        "@njit\ndef g(x):\n    return dot(x)\n@fast\ndef f(x):\n    return g(x)",
    ),
    (shapeless_names, "neurosim/utils.py", ""),
    (shapeless_names, "tests/helpers/a.py", ""),
    (shapeless_names, "rules/_common.py", ""),
    (unsafe_loading, "neurosim/a.py", "import torch\ntorch.load('x')"),
    (unsafe_loading, "neurosim/a.py", "import torch as t\nt.load('x')"),
    (unsafe_loading, "neurosim/a.py", "import torch.nn\ntorch.load('x')"),
    (unsafe_loading, "neurosim/a.py", "from torch import load"),
    (unsafe_loading, "neurosim/a.py", "import pickle"),
    (unsafe_loading, "neurosim/a.py", "numpy.load('x', allow_pickle=True)"),
    (bare_excepts, "neurosim/a.py", "try:\n    f()\nexcept:\n    pass"),
    (missing_docstrings, "neurosim/a.py", "x = 1"),
    (missing_docstrings, "neurosim/a.py", '"""A."""\ndef f():\n    pass'),
    (missing_docstrings, "neurosim/a.py", '"""A."""\nclass A:\n    pass'),
]


def plant(root: Path, path: str, text: str) -> None:
    """Write a file into a tree, with the folders it needs."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def test_a_good_tree_passes_every_checker(tmp_path):
    for package in PACKAGES:
        plant(tmp_path, f"{package}/good.py", GOOD)
    plant(tmp_path, "experiments/marry.py", '"""Marry."""\nimport rules.good, circuits.good\n')
    assert [complaint for checker in CHECKERS for complaint in checker(tmp_path)] == []


@pytest.mark.parametrize(("checker", "path", "text"), VIOLATIONS)
def test_a_planted_violation_is_found(tmp_path, checker, path, text):
    plant(tmp_path, path, text)
    assert any(complaint.startswith(path) for complaint in checker(tmp_path))


def test_every_checker_is_shown_to_find_something():
    assert {checker for checker, _, _ in VIOLATIONS} == set(CHECKERS)
