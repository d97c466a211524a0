"""What `_target_` names: a class or function by its dotted path."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from regexp.errors import ConfigError, nearest

_EXTRAS = {"pytorch_optimizer": "optimizers"}
"""Modules of libraries -> the extra of this package that has the library."""

_LOOKS_UP = "hydra.utils.get_"
"""So begin Hydra's functions that give what stands at a path, such as a function for a schedule."""


def find_target(key: str, node: Mapping[str, Any]) -> Any:
    """The class or function that a node names.

    Raises:
        ConfigError: it names none.
    """
    if not isinstance(node.get("_target_"), str):
        raise ConfigError(f"{key}._target_: expected the dotted path of a class or function")
    return import_target(f"{key}._target_", node["_target_"])


def named_by(node: Mapping[str, Any]) -> Iterator[object]:
    """What a node calls: its `_target_`, and the path at which Hydra is to look something up."""
    if "_target_" in node:
        yield node["_target_"]
        if str(node["_target_"]).startswith(_LOOKS_UP) and "path" in node:
            yield node["path"]


def import_target(key: str, path: str) -> Any:
    """The object at a dotted path.

    Raises:
        ConfigError: there is none; the nearest names of its module are suggested.
    """
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                continue
            raise ConfigError(f"{key}={path}: importing {name} failed: {error}") from error
        except Exception as error:
            raise ConfigError(f"{key}={path}: importing {name} failed: {error!r}") from error
        for attribute in parts[length:]:
            if not hasattr(found, attribute):
                names = [n for n in dir(found) if not n.startswith("_")]
                raise ConfigError(
                    f"{key}={path}: {name} has no {attribute}" + nearest(attribute, names)
                )
            found = getattr(found, attribute)
        if not callable(found):
            raise ConfigError(f"{key}={path}: expected a class or function")
        return found
    if extra := _EXTRAS.get(parts[0]):
        cure = f"pip install 'regexp[{extra}]' brings it"
    else:
        cure = "is the folder that holds it on PYTHONPATH?"
    raise ConfigError(f"{key}={path}: there is no module {parts[0]}; {cure}")
