"""A user's own code: which modules a run calls, by the hashes of their sources.

Modules are followed through their import statements, wherever in a file these stand, so that what
is found does not depend on what else the process has imported. Imports by computed names are not
seen.
"""

import ast
import hashlib
import importlib.machinery
import importlib.metadata
import marshal
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from regexp.errors import ConfigError
from regexp.tracking import interactive

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Their versions are part of `environment.arithmetic`, or of Python itself.
_ELSEWHERE = frozenset({"regexp", "torch", "numpy"}) | sys.stdlib_module_names


@dataclass(frozen=True)
class Source:
    """The source of a user's module.

    Attributes:
        digest: of the file.
        imports: names of what it imports, some of which are no modules: `a.b` and `a.b.c` for
            `from a.b import c`.
        edited: whether the file is known to be another than was loaded.
    """

    digest: str
    imports: tuple[str, ...]
    edited: bool


# By name; of a module that is loaded the source as it was first seen, until it is loaded again.
_sources: dict[str, tuple[object, Source]] = {}

# By name: modules that are no user's, as they are loaded.
_others: dict[str, object] = {}


def loaded_code() -> dict[str, str]:
    """Hash of the file of every loaded module that is neither installed, nor Python's, nor ours.

    These are a user's own networks and techniques, as far as they have been imported by now.
    """
    hashes = {}
    # Thousands are others, which every run would look at again.
    new = [name for name, module in [*sys.modules.items()] if _others.get(name) is not module]
    for name in sorted(new):
        module = sys.modules.get(name)
        if name == "__main__" or module is None:
            continue
        file = getattr(module, "__file__", None)
        if not (isinstance(file, str) and _is_own(file)):
            _others[name] = module
        elif source := _source(name):
            hashes[name] = source.digest
    return hashes


def code_of(targets: Iterable[str]) -> dict[str, str]:
    """What stands behind some `_target_`s beside regexp, torch, numpy and Python.

    Args:
        targets: dotted paths of classes and functions, whose modules are imported.

    Returns:
        By module the hash of a source that is nobody's package; by distribution its version.

    Raises:
        ConfigError: a file was edited after it was imported, so that it does not tell what runs.
    """
    found: dict[str, str] = {}
    pending = [name for target in targets for name in _modules_of(target, found)]
    seen = set(pending)
    while pending:
        name = pending.pop()
        top = name.partition(".")[0]
        # a file of the user's may be called as a module of Python, and is found before it
        if (top in _ELSEWHERE and _source(name) is None) or _is_live(name):
            continue
        if _is_installed(top) or _is_installed(name):  # packages without a file have modules alone
            found |= _versions(top)
        elif source := _source(name):
            if source.edited:
                raise ConfigError(
                    f"{name} was edited after it was imported: its file is not what would run",
                    cure=f"importlib.reload({name}) and make what comes from it anew, or start "
                    "Python again",
                )
            found[name] = source.digest
            new = [one for one in source.imports if one not in seen]
            pending += new
            seen.update(new)
    return dict(sorted(found.items()))


def _modules_of(target: str, found: dict[str, str]) -> Iterator[str]:
    """The modules of a target: that which its path names, and that which defines it.

    What no file tells, as the cells of a notebook, is put into `found` right away.
    """
    parts = target.split(".")
    name = next((".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)
                 if ".".join(parts[:end]) in sys.modules), parts[0])  # fmt: skip
    yield from _with_parents(name)
    thing: Any = sys.modules.get(name)
    for attribute in parts[name.count(".") + 1 :]:
        thing = getattr(thing, attribute, None)
    # An object has the module of its class.
    defined_in = (hasattr(thing, "__qualname__") and thing.__module__) or name
    yield from _with_parents(defined_in)
    if _is_live(defined_in):
        found[target], used = interactive.digest(thing, defined_in)
        for other in used:
            yield from _with_parents(other)


def _is_live(name: str) -> bool:
    """Whether a module is what is loaded of it: there is no file, or it is what runs."""
    module = sys.modules.get(name)
    if name == "__main__":
        return True
    built_in = name.partition(".")[0] in _ELSEWHERE
    spaces = hasattr(module, "__path__")  # packages without a file hold modules alone
    return module is not None and not (built_in or spaces or getattr(module, "__file__", None))


def _with_parents(name: str) -> Iterator[str]:
    """`a.b.c`, and the packages that it lies in, which are run with it."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _source(name: str) -> Source | None:
    """The source of a user's module; None if it is none, or not there."""
    module = sys.modules.get(name)
    file = _file(name) if module is None else getattr(module, "__file__", None)
    if not isinstance(file, str) or not _is_own(file):
        return None
    # A module gets a new spec whenever it is loaded; one that is not loaded is read each time.
    version = module and (getattr(module, "__spec__", None) or module)
    known = _sources.get(name)
    if known and version is not None and known[0] is version:
        return known[1]
    try:
        content = Path(file).read_bytes()
    except OSError:
        return None
    package = name if Path(file).stem == "__init__" else name.rpartition(".")[0]
    imports = tuple(dict.fromkeys(_imports(content, package)))
    source = Source(
        _hash(content), imports, module is not None and _is_edited(module, file, content)
    )
    _sources[name] = version, source
    return source


def _is_edited(module: ModuleType, file: str, content: bytes) -> bool:
    """Whether the bytecode that a module was loaded from is of an earlier state of its file.

    Nothing is known of a module without bytecode, or with such that could not be written anew.
    """
    bytecode = getattr(module, "__cached__", None)
    if sys.dont_write_bytecode or not isinstance(bytecode, str):
        return False
    try:
        loaded = Path(bytecode).read_bytes()
        there = Path(file).stat()
    except OSError:
        return False
    # https://docs.python.org/3/reference/import.html#pyc-invalidation: flags, time, size
    header, code = loaded[:16], loaded[16:]
    if len(header) < 16 or any(header[4:8]) or not os.access(Path(bytecode).parent, os.W_OK):
        return False
    now = (int(there.st_mtime) & 0xFFFFFFFF, there.st_size & 0xFFFFFFFF)
    if struct.unpack("<2I", header[8:]) == now:
        return False
    try:  # it may have been saved again as it was
        return bool(marshal.loads(code) != compile(content, file, "exec", dont_inherit=True))
    except (SyntaxError, ValueError, EOFError, TypeError):
        return True


def _file(name: str) -> str | None:
    """Where a module that is not loaded would be loaded from; nothing is run to know it."""
    path: Any = None
    spec = None
    for part in _with_parents(name):
        try:
            spec = importlib.machinery.PathFinder.find_spec(part, path)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec.origin if spec else None


def _imports(content: bytes, package: str) -> Iterator[str]:
    """What a source imports, from anywhere in it; nothing of what is no Python.

    Args:
        package: that relative imports are relative to.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache  # of thousands that are asked for in turn, a bounded one would miss all
def _is_own(file: str) -> bool:
    """Whether a file belongs neither to a package that is installed, nor to Python, nor to us."""
    # First as it is written, as links are followed part by part, which takes ten times as long.
    return not _is_others(Path(file)) and not _is_others(Path(file).resolve())


def _is_others(path: Path) -> bool:
    if not _INSTALLED.isdisjoint(path.parts):
        return True
    return any(path.is_relative_to(place) for place in _places())


@lru_cache(maxsize=1)
def _places() -> list[Path]:
    """Where Python, installed packages and we ourselves lie."""
    found = map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
    return [_PACKAGE, *(Path(place).resolve() for place in found if place)]


def _is_installed(name: str) -> bool:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) if module else _file(name)
    return isinstance(file, str) and not _is_own(file)


@lru_cache(maxsize=256)
def _versions(top: str) -> dict[str, str]:
    """The distributions that bring a module, with their versions."""
    return {
        name.lower(): importlib.metadata.version(name) for name in _distributions().get(top, ())
    }


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
