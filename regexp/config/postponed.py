"""Modules that our libraries import and a command rarely needs: they run when they are first used.

As `importlib.util.LazyLoader` does, which Python 3.11 undoes at the second import statement.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def _as_it_is(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """What `torch._dynamo.disable` makes of a function where nothing is compiled."""
    return function if function is not None else _as_it_is


class _StandIn:
    """A class or function of a module that waits, which runs when more than its name is needed.

    It can be called, asked for attributes, held against objects by `isinstance` and inherited from,
    each as what it stands for. Where something else is done with a name, the module must not wait.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        module, name = self._place
        _run(module)
        return getattr(sys.modules[module], name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, thing: object) -> bool:
        return isinstance(thing, self._real())

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[Any, ...]:
        return (self._real(),)


def _standing_in(module: str, *names: str) -> dict[str, _StandIn]:
    return {name: _StandIn(module, name) for name in names}


POSTPONED: Mapping[str, Mapping[str, Any]] = {
    "fontTools.agl": {},  # by matplotlib, for text that TeX sets
    "numpy.f2py": {},  # by scipy, which imports all of NumPy's public modules
    "numpy.testing": {},
    # By scikit-learn: for splines, ROC curves, and a data set of faces.
    "scipy.interpolate": _standing_in("scipy.interpolate", "BSpline"),
    "scipy.io": _standing_in("scipy.io", "loadmat"),
    "scipy.stats": _standing_in("scipy.stats", "rankdata"),
    # By MLflow, to bring a database to its form; with Mako, and by that Pygments.
    "alembic": {},
    "alembic.migration": _standing_in("alembic.migration", "MigrationContext"),
    "alembic.script": _standing_in("alembic.script", "ScriptDirectory"),
    # By MLflow, for its gateway to language models.
    "fastapi": _standing_in("fastapi", "HTTPException"),
    # By torch's optimizers, to tell its compiler (1 s, 700 modules, sympy) to leave them alone.
    "torch._dynamo": {"disable": _as_it_is, "graph_break": lambda *_, **__: None},
}
"""Name -> what the module has already before it runs."""


def postpone() -> None:
    """Have the modules of this process that `POSTPONED` names run when they are first used."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def waits(name: str) -> bool:
    """Whether a module has been imported by name alone, and has not run."""
    return isinstance(sys.modules.get(name), _Postponed)


def _run(name: str) -> None:
    package = name.rpartition(".")[0]
    if waits(package):  # which Python runs before its parts
        _run(package)
    module = sys.modules[name]
    if isinstance(module, _Postponed):
        vars(module)["_loader"].run(module)


class _Postponed(ModuleType):
    """A module that runs when it is asked for what it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        loader = self.__dict__.get("_loader")
        # None: while the import system makes this. Names such as __warningregistry__ are asked
        # of all modules, by those who want to know nothing of this one.
        if loader is None or (name.startswith("__") and name != "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        loader.run(self)
        if type(self) is _Postponed:
            raise AttributeError(f"module {self.__name__!r} has not run to its {name!r} yet")
        return getattr(self, name)


class _Loader(Loader):
    """Makes a module that waits, and runs it once."""

    def __init__(self, real: Loader, ready: Mapping[str, Any]) -> None:
        self._real = real
        self._ready = ready
        self._lock = threading.RLock()
        self._running = False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._ready, _loader=self, __loader__=self._real)
        assert module.__spec__ is not None
        module.__spec__.loader = self._real

    def run(self, module: ModuleType) -> None:
        """Run the module, unless another thread has done so by now or this one is about to."""
        with self._lock:
            if type(module) is not _Postponed or self._running:
                return
            self._running = True
            try:
                self._real.exec_module(module)
            finally:
                self._running = False
            del vars(module)["_loader"]
            module.__class__ = ModuleType  # type: ignore[assignment]


class _Loaded(Loader):
    """Gives a module that is there already to who is about to load it, once."""

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module = module
        self._spec = spec
        self._real = spec.loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        self._spec.loader = self._real


class _Finder(MetaPathFinder):
    """Finds what is postponed, as Python would, and gives it another loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if waits(package) and name not in POSTPONED:  # a part of it: only after the whole
            _run(package)
            loaded = sys.modules.get(name)
            if loaded is not None and loaded.__spec__ is not None:  # Python would load it again
                loaded.__spec__.loader = _Loaded(loaded, loaded.__spec__)
                return loaded.__spec__
        if name not in POSTPONED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, POSTPONED[name])
        return spec
