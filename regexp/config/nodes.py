"""Nodes of a configuration that name a class: `_target_` and its arguments, checked and built.

A wrong argument in such a node fails, in Hydra, only when the node is instantiated, in the middle
of a sweep and with a traceback. Here the node is held against the signature of its target first.
"""

import dataclasses
import inspect
import re
import shlex
import sys
import types
import typing
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Any

from omegaconf import ListConfig

from regexp.config.targets import find_target
from regexp.errors import ConfigError, nearest, quoted

# Ends the description of a value that plain YAML cannot write.
NODE = ", named by _target_"
# Arguments of hydra.utils.instantiate itself.
DIRECTIVES = frozenset({"_target_", "_partial_", "_args_", "_recursive_", "_convert_"})
# Whose classes need nothing of Hydra to be called.
_SIMPLE = ("regexp.", "torch.optim.")


def without_search(techniques: Mapping[str, Any]) -> dict[str, Any]:
    """Techniques by name, without the ranges that they are tuned in: those are no arguments."""
    return {
        name: {key: value for key, value in node.items() if key != "search"}
        if isinstance(node, Mapping)
        else node
        for name, node in techniques.items()
    }


def check_node(
    key: str, node: Mapping[str, Any], *, given: Sequence[str] = (), build: bool = False
) -> None:
    """Hold a node against the signature of its target.

    Args:
        key: the node's dotted key, for messages.
        node: resolved, plain containers.
        given: names of arguments that the program adds later, so that they are left out.
        build: also instantiate it, so that its own check of ranges speaks.

    Raises:
        ConfigError: no such target; an argument that is missing, unknown or of a wrong type; a
            ValueError or TypeError of the constructor.
    """
    target = find_target(key, node)
    for directive, kind in (("_partial_", bool), ("_recursive_", bool), ("_args_", list)):
        if not isinstance(node.get(directive, kind()), kind):
            raise ConfigError(f"{key}.{directive}={node[directive]}: expected {_named(kind)}")
    arguments = {name: value for name, value in node.items() if name not in DIRECTIVES}
    _check_arguments(key, target, arguments, given, node)
    for name, value in arguments.items():
        if isinstance(value, Mapping) and "_target_" in value:
            check_node(f"{key}.{name}", value)
    if build:
        build_node(key, node)


def build_node(key: str, node: Mapping[str, Any], /, **arguments: Any) -> Any:
    """Instantiate a node; an error of its constructor becomes a ConfigError that names the key.

    Raises:
        ConfigError: whatever was raised; a class of a user's may raise anything.
    """
    target = find_target(key, node) if _is_simple(node) else None
    # a path through a module of ours may lead to anything that this has imported
    if inspect.isclass(target) and target.__module__.startswith(_SIMPLE):
        values = {
            name: _argument(f"{key}.{name}", value, lists=node.get("_convert_") == "all")
            for name, value in node.items()
            if name not in DIRECTIVES and name not in arguments
        }
        call = partial(target, **values | arguments)
        try:
            return call if node.get("_partial_") else call()
        except Exception as error:
            raise blame(key, node, error) from error

    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        cause = error.__cause__
        raise blame(key, node, cause if isinstance(cause, Exception) else error) from error
    except (TypeError, ValueError) as error:  # a directive of Hydra's
        raise blame(key, node, error) from error


def _argument(key: str, value: Any, *, lists: bool) -> Any:
    """A value of a simple node as Hydra hands it over: a list as its own, if not as `lists`."""
    if isinstance(value, dict):
        return build_node(key, value)
    if isinstance(value, list):
        return list(value) if lists else ListConfig(value)
    return value


def _is_simple(node: Mapping[str, Any]) -> bool:
    """Whether Hydra would merely call a class of ours or of torch's, 40 times as slowly.

    What is to be resolved is Hydra's; so are others' targets, of which it refuses some, mappings
    that are no nodes, and lists of lists.
    """
    inherits_nothing = "_convert_" not in node  # as what is nested would
    return (
        type(node) is dict
        and str(node.get("_target_")).startswith(_SIMPLE)
        and DIRECTIVES.isdisjoint(node.keys() - {"_target_", "_partial_", "_convert_"})
        and (inherits_nothing or not any(isinstance(value, dict) for value in node.values()))
        and all(map(_is_final, node.values()))
    )


def _is_final(value: object) -> bool:
    if isinstance(value, str):
        return "$" not in value and value != "???"
    if type(value) is list:
        return not any(isinstance(one, list | dict) for one in value) and all(map(_is_final, value))
    if type(value) is dict:
        return _is_simple(value)
    return isinstance(value, int | float | None)


def blame(key: str, node: Mapping[str, Any], error: Exception) -> ConfigError:
    """The error of a constructor or a step, as one that names its argument where that is clear."""
    if isinstance(error, ConfigError) and error.key in node:
        return ConfigError(error.problem, key=f"{key}.{error.key}")
    # torch appends the frames of its C++ code
    reason = str(error).partition("\nException raised from")[0] or type(error).__name__
    if not isinstance(error, ValueError | TypeError):
        reason = f"{type(error).__name__}: {reason}"
    group = key.removeprefix("grid.")
    if reason.startswith((f"{group}.", f"{group}=", f"{group}:")):
        return ConfigError(f"{key.removesuffix(group)}{reason}")
    names = [str(name) for name in node if name not in DIRECTIVES]
    for name in names:
        if re.match(rf"{re.escape(name)}\b\W*", reason):
            detail = re.sub(rf"^{re.escape(name)}\b[:\s]*", "", reason)
            return ConfigError(f"{key}.{name}={node[name]}: {detail}")
    if isinstance(error, ZeroDivisionError):
        ends = [name for name in names if type(node[name]) in (int, float) and node[name] == 0]
    else:
        ends = [name for name in names if reason.endswith(f" {node[name]}")]
    if len(ends) == 1:
        return ConfigError(f"{key}.{ends[0]}={node[ends[0]]}: {reason}")
    return ConfigError(f"{key}: {reason}")


def _check_arguments(
    key: str, target: Any, arguments: dict[str, Any], given: Sequence[str], node: Mapping[str, Any]
) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    parameters = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    annotations = hints(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, value in arguments.items():
        if name not in parameters:
            if open_ended:
                continue
            raise ConfigError(
                f"{key}.{name}: {node['_target_']} has no such argument"
                + nearest(name, [n for n in parameters if n not in given])
            )
        expected = annotations.get(name, Any)
        if name in given:
            raise ConfigError(f"{key}.{name}={value}: the run gives it; leave it out")
        if value == "???":
            raise ConfigError(f"{key}.{name}: expected a value; none is given")
        if not fits(value, expected) and not _accepted(target, name, value):
            quotes = ""
            if fits(f"{value}", expected) and type(value) in (int, float):
                asked = f'{key}.{name}="{value}"'
                quotes = f"; if it is a name, write it in quotes: {shlex.quote(asked)}"
            raise ConfigError(f"{key}.{name}={quoted(value)}: expected {_named(expected)}{quotes}")
    if node.get("_args_"):
        return
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in arguments and name not in given
    ]
    if missing and not (node.get("_partial_") and not given):
        raise ConfigError(
            f"{key}.{missing[0]}: {node['_target_']} needs this argument; "
            f"give it: {key}.{missing[0]}=..."
        )


def _accepted(target: Any, name: str, value: Any) -> bool:
    """Whether a class says of itself that it takes a value that is not of the annotated type."""
    accepts = getattr(target, "accepts", None)
    return accepts is not None and accepts(name, value)


def hints(target: Any) -> dict[str, Any]:
    """The annotations of a target's arguments, but of those that cannot be evaluated."""
    return dict((_hints if isinstance(target, Hashable) else _evaluated)(target))


def _evaluated(target: Any) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except Exception:  # names of another module, or that are imported for type checkers alone
        found: dict[str, Any] = {}
    for name, annotation, names in _written(target):
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found |= typing.get_type_hints(holder, globalns=names)
        except Exception:
            found.pop(name, None)
    return found


_hints = lru_cache(maxsize=1024)(_evaluated)  # every run of a sweep asks for the same few classes


def _written(target: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(argument, its annotation as it stands, what its names mean)."""
    if inspect.isclass(target) and dataclasses.is_dataclass(target):
        for one in reversed(target.__mro__):  # a field's annotation is of its own class's module
            names = vars(sys.modules.get(one.__module__, types))
            for name, annotation in vars(one).get("__annotations__", {}).items():
                yield name, annotation, names
        return
    function = target.__init__ if inspect.isclass(target) else target
    names = getattr(function, "__globals__", {})
    for name, annotation in getattr(function, "__annotations__", {}).items():
        yield name, annotation, names


def fits(value: Any, expected: Any) -> bool:
    """Whether a plain YAML value may stand for an annotation; what is not understood may.

    An integer stands for a float (1 for 1.0), a bool for neither.
    """
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if expected in (None, type(None)):
        return value is None
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if expected in (bool, str):
        return isinstance(value, expected)
    kind = origin or expected
    if not inspect.isclass(kind) or kind in (Any, object):
        return True
    if issubclass(kind, PurePath):
        return isinstance(value, str)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if issubclass(kind, Sequence) or kind in (list, tuple, Iterable):
        if not isinstance(value, list | tuple):
            return False
        fixed = kind is tuple and Ellipsis not in inner and inner
        if fixed:
            return len(value) == len(inner) and all(map(fits, value, inner))
        return not inner or all(fits(item, inner[0]) for item in value)
    # A class that YAML cannot write (a tensor, a module): never a plain value.
    return isinstance(value, kind)


def _named(annotation: Any) -> str:
    """An annotation in words: "a number", "an integer or null", "a list of integers"."""
    words = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "text",
        type(None): "null",
        None: "null",
    }
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in inner)
    if origin in (typing.Union, types.UnionType):
        names = [_named(one) for one in inner]
        written = [name for name in names if not name.endswith(NODE)]
        return " or ".join(written if set(written) - {"null"} else names)
    kind = origin or annotation
    if inspect.isclass(kind) and issubclass(kind, list | tuple | Sequence) and kind is not str:
        if kind is tuple and Ellipsis not in inner:
            return f"a list of {len(inner)}: {', '.join(_named(one) for one in inner)}"
        plural = {int: "integers", float: "numbers", str: "words"}.get(inner[0]) if inner else None
        return f"a list of {plural} ([...])" if plural else "a list ([...])"
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return "a mapping ({key: value})"
    try:
        return words[annotation]
    except (KeyError, TypeError):
        name = getattr(annotation, "__name__", str(annotation))
        return f"a {name}{NODE}"
