"""Which code a result depends on: a module, and all that it imports of ours."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import wseg_tf

# This project's packages lie side by side.
_ROOT = Path(wseg_tf.__file__).parents[1]
PACKAGES = ("wseg_tf", "pipeline")
# They name what is behind them, for whoever imports from outside.
FRONT_DOORS = ("", *PACKAGES)
# Whose arithmetic it is; the others' where a module imports them, by the names
# that they are installed by.
STANDS_ON = ("tensorflow", "keras", "numpy")
OTHERS = {
    "keras_cv": "keras-cv",
    "ot": "POT",
    "scipy": "scipy",
    "tensorflow_addons": "tensorflow-addons",
}
_LONGEST_NAME = 256  # of a file that a literal names


@functools.cache
def code_digest(*modules: str, without: tuple[str, ...] = ()) -> str:
    """Returns a text that changes with the code that decides a result.

    Comments, docstrings and layout do not count; the versions of TensorFlow,
    Keras and NumPy do, and those of `OTHERS` that the modules import.

    Args:
        modules: The modules that make the result, e.g.
            `"wseg_tf.training.loop"`; all that they import, directly or not,
            counts too.
        without: Modules or packages that decide nothing of it, such as
            pictures. Defaults to none.

    Returns:
        Sixteen hexadecimal digits.

    Raises:
        ValueError: If there is no such module.

    Example:

    >>> one = code_digest("wseg_tf.classes")
    >>> len(one), one == code_digest("wseg_tf.palettes")
    (16, False)
    """
    digest = hashlib.sha256()
    own = sorted(reached(*modules, without=without))
    imported = {name for module in own for name in _imported(module)}
    others = [OTHERS[name] for name in sorted(imported & {*OTHERS})]
    for name in (*STANDS_ON, *others):
        digest.update(f"{name} {_version(name)}\n".encode())
    for module in own:
        digest.update(f"{module}\n{_meaning_of(module)}\n".encode())
    return digest.hexdigest()[:16]


def reached(*modules: str, without: tuple[str, ...] = ()) -> frozenset[str]:
    """Returns modules with all those of this project that they import.

    A package that is imported by its own name counts with all its modules,
    since some are imported by name when they are asked for.

    Args:
        modules: Names of modules.
        without: Modules or packages that are left out.

    Raises:
        ValueError: If there is no such module.

    Example:

    >>> sorted(reached("wseg_tf.classes"))
    ['wseg_tf.classes', 'wseg_tf.configuration', 'wseg_tf.filesystems',
     'wseg_tf.overriding', 'wseg_tf.palettes', 'wseg_tf.ranges',
     'wseg_tf.typed']
    """
    found: set[str] = set()
    waiting = [*modules]
    for module in modules:
        if _file(module) is None:
            raise ValueError(
                "Invalid value for argument `modules`. Expected modules of "
                f"this project. Received: {module!r}."
            )
    while waiting:
        module = waiting.pop()
        left_out = any(
            module == each or module.startswith(f"{each}.") for each in without
        )
        if module in {*found, *FRONT_DOORS} or left_out:
            continue
        found.add(module)
        waiting += _imports(module)
        # Python runs the packages that a module is in, too.
        waiting.append(module.rpartition(".")[0])
    return frozenset(found)


def look_here() -> None:
    """Lets Python find modules in the folder that a command is run in."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def foreign_digest(module: str) -> str:
    """Returns what tells one state of a user's own module from another.

    Args:
        module: Its name; of a package, all of its Python files count, and so
            do modules of the user's own that it imports, directly or not, the
            versions of packages, and the files that any of them names by
            literals: `"prior.npy"`, or `"data"` and then `"prior.npy"`, beside
            it or where the command is run.

    Returns:
        Sixteen hexadecimal digits.

    Raises:
        ValueError: If its source is not to be found.
    """
    look_here()
    own = module.partition(".")[0]
    found = {own: _foreign_files(own)}
    if not found[own]:
        raise ValueError(
            "Invalid value for argument `module`. Expected a module with a "
            f"source file. Received: {module!r}."
        )
    waiting, texts, folders = [*found[own]], set[str](), {os.getcwd()}
    while waiting:
        path = waiting.pop()
        tree = ast.parse(path.read_text())
        texts |= {*_literals(tree)}
        folders.add(str(path.parent))
        for name in {each.partition(".")[0] for each in _names(tree)}:
            if name not in found:
                files = _foreign_files(name)
                is_own = not any(map(_is_installed, files))
                found[name] = files if is_own else []
                waiting += found[name]
    digest = hashlib.sha256()
    for name in sorted(found):
        for path in found[name]:
            said = f"{name} {path.name}\n{meaning(path.read_text())}\n"
            digest.update(said.encode())
        if not found[name]:
            digest.update(f"{name} {_version(name)}\n".encode())
    for line in sorted({_content(path) for path in _named(texts, folders)}):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and 0 < len(text) < _LONGEST_NAME:
            yield text


def _named(texts: set[str], folders: set[str]) -> Iterator[str]:
    """Yields the files that texts name, below some folders."""
    seen = {os.path.realpath(each) for each in folders}
    places = [*seen]
    while places:
        folder = places.pop()
        for text in texts:
            path = os.path.join(folder, text)
            place = os.path.realpath(path) if os.path.isdir(path) else folder
            if os.path.isfile(path) and not path.endswith(".py"):
                yield os.path.realpath(path)
            elif place not in seen and place.startswith(f"{folder}{os.sep}"):
                seen.add(place)
                places.append(place)


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**24):
            digest.update(block)
    return f"{os.path.basename(path)} {digest.hexdigest()}\n"


def _foreign_files(top: str) -> list[Path]:
    """Returns the source of a package or module that is not of this project."""
    try:
        spec = None if top in PACKAGES else importlib.util.find_spec(top)
    except ValueError:  # Such as `__main__`, which no file need be behind.
        spec = None
    if spec is None:
        return []
    files: list[Path] = []
    for folder in spec.submodule_search_locations or ():
        files += sorted(Path(folder).rglob("*.py"))
    if not files and spec.has_location and str(spec.origin).endswith(".py"):
        files = [Path(str(spec.origin))]
    return files


def _is_installed(path: Path) -> bool:
    """Whether a file is Python's own or a package's that was installed."""
    return any(
        path.is_relative_to(sysconfig.get_path(place))
        for place in ("stdlib", "purelib", "platlib")
    )


def meaning(source: str) -> str:
    """Returns what a module says to Python, as text.

    Args:
        source: Python source.

    Example:

    >>> meaning("x = 1  # One.") == meaning("x  =  1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[:] = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _file(module: str) -> Path | None:
    """Returns the file of a module of this project, or None."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    path = _ROOT.joinpath(*module.split("."))
    for each in (path.with_suffix(".py"), path / "__init__.py"):
        if each.is_file():
            return each
    return None


@functools.cache
def _meaning_of(module: str) -> str:
    path = _file(module)
    return "" if path is None else meaning(path.read_text())


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    """Returns the modules of this project that a module names."""
    path = _file(module)
    if path is None:
        return ()
    tree = ast.parse(path.read_text())
    return tuple(
        each
        for name in _names(tree)
        if (found := _file(name)) is not None
        for each in (name, *_members(name, found))
    )


@functools.cache
def _imported(module: str) -> frozenset[str]:
    """Returns the packages that a module of this project names."""
    path = _file(module)
    tree = ast.parse("" if path is None else path.read_text())
    return frozenset(name.partition(".")[0] for name in _names(tree))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{each.name}" for each in node.names]
            yield from inner
            # Of a package whose modules are named, no more is asked for.
            if not all(_file(each) for each in inner):
                yield node.module


def _members(package: str, path: Path) -> Iterator[str]:
    """Yields the modules of a package."""
    if path.name != "__init__.py" or package in PACKAGES:
        return
    for each in sorted(path.parent.rglob("*.py")):
        parts = each.relative_to(_ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
