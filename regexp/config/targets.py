"""What `_target_` names: a class or function by its dotted path."""

import importlib
from collections.abc import Mapping
from typing import Any

from regexp.errors import ConfigError, nearest

_EXTRAS = {"pytorch_optimizer": "optimizers"}
"""Modules of libraries -> the extra of this package that has the library."""


def find_target(key: str, node: Mapping[str, Any]) -> Any:
    """The class or function that a node names.

    Raises:
        ConfigError: it names none.
    """
    if not isinstance(node.get("_target_"), str):
        raise ConfigError(f"{key}._target_: expected the dotted path of a class or function")
    return import_target(f"{key}._target_", node["_target_"])


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
