"""Code of a notebook's cells, or of the script that runs: told by its bytecode, not by a file.

From a class or function everything is followed that it calls or names in its own module, so that an
edit of a helper or of a constant in another cell counts; a cell that is run again, or another list
of seeds in the same script, does not.
"""

import dis
import hashlib
import pickle
from collections.abc import Iterator
from functools import partial
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from regexp.tracking import process

_PLAIN = (type(None), bool, int, float, complex, str, bytes)

# What Python keeps in a class that is no part of what it does, or follows from the rest.
_NOT_CODE = frozenset({
    "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate_func__",
    "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__dataclass_fields__",
    "__dataclass_params__", "__orig_bases__",
    "__parameters__", "_abc_impl",
})  # fmt: skip


def digest(thing: Any, module: str) -> tuple[str, list[str]]:
    """Hash of what a class or function is made of, as far as it is defined in a module.

    Values that are no code and no numbers or texts are pickled; they count in this process alone,
    and by their identity where they cannot be.

    Args:
        thing: class, function, or another object that can be called.
        module: the name of that which defines it.

    Returns:
        (the hash, the names of other modules that it uses)
    """
    parts: list[str] = []
    modules: dict[str, None] = {}
    pending, seen = [thing], dict[int, tuple[int, Any]]()
    while pending:
        one = pending.pop()
        if isinstance(one, _PLAIN):
            parts.append(repr(one))
            continue
        if id(one) in seen:
            parts.append(f"again {seen[id(one)][0]}")
            continue
        seen[id(one)] = len(seen), one  # kept, so that its id is no other's
        if isinstance(one, ModuleType):
            modules[one.__name__] = None
        elif isinstance(one, type | FunctionType) and one.__module__ != module:
            modules[str(one.__module__)] = None
        elif isinstance(one, FunctionType):
            parts += _code(one.__code__)
            pending += _used(one, module)
            modules |= dict.fromkeys(_imported(one.__code__))
        else:
            told, inner = _taken_apart(one)
            parts += told
            pending += inner
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16], list(modules)


def _taken_apart(one: Any) -> tuple[list[str], list[Any]]:
    """(what tells an object from others, what it consists of beside that)."""
    if isinstance(one, type):
        own = {name: value for name, value in vars(one).items() if name not in _NOT_CODE}
        return [one.__qualname__, *own], [*own.values(), *one.__bases__]
    if isinstance(one, staticmethod | classmethod):
        return [type(one).__name__], [one.__func__]
    if isinstance(one, MethodType):
        return ["method"], [one.__func__, one.__self__]
    if isinstance(one, property):
        return ["property"], [one.fget, one.fset]
    if isinstance(one, partial):
        return ["partial"], [one.func, one.args, one.keywords]
    if isinstance(one, tuple | list):
        return [f"{type(one).__name__} of {len(one)}"], [*one]
    if isinstance(one, dict):
        return [f"dict of {len(one)}"], [*one.keys(), *one.values()]
    if isinstance(one, MemberDescriptorType | GetSetDescriptorType):  # of slots
        return [one.__name__], []
    return [_opaque(one)], [type(one), getattr(one, "__wrapped__", None)]


def _code(code: CodeType) -> Iterator[str]:
    """What a function does, without where it stands."""
    for part in _inner(code):
        constants = [
            sorted(map(repr, one)) if isinstance(one, frozenset) else one
            for one in part.co_consts
            if not isinstance(one, CodeType)
        ]
        yield part.co_code.hex()
        yield repr([part.co_names, part.co_varnames, part.co_freevars, constants])


def _inner(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of what is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inner(constant)


def _imported(code: CodeType) -> Iterator[str]:
    """The modules that a function imports as it runs."""
    for part in _inner(code):
        for instruction in dis.get_instructions(part):
            if instruction.opname == "IMPORT_NAME":
                yield str(instruction.argval)


def _used(function: FunctionType, module: str) -> Iterator[Any]:
    """What a function has beside its code: defaults, closure, and the globals that it names."""
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty yet
            continue
    there = function.__globals__
    if there.get("__name__") != module:  # a wrapper of another module bears the wrapped one's name
        return
    names = dict.fromkeys(name for part in _inner(function.__code__) for name in part.co_names)
    yield from (there[name] for name in names if name in there)


def _opaque(value: Any) -> str:
    try:
        content = pickle.dumps(value)
    except Exception:  # whatever a stranger's class raises
        content = f"{type(value)} {id(value)}".encode()
    return f"{process.tags()['process']} {hashlib.sha256(content).hexdigest()}"
