"""What a configuration from elsewhere may name: `_target_` is code that would be called.

The configuration of a recorded run comes from the store or from an archive, and others may have
written there. Only what regexp's own YAMLs name is called or downloaded, and what the user allows
by name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from regexp.config.schema import conf_folder
from regexp.config.targets import named_by
from regexp.dataset.stored import is_allowed
from regexp.errors import ConfigError

TARGET = "_target_"


def check_trusted(configs: Iterable[Mapping[str, Any]], allowed: Sequence[str] = ()) -> None:
    """Refuse what regexp's own YAMLs do not name.

    Args:
        allowed: dotted paths that the user trusts: `my_package.MyModel`, or with a dot at the end
            all that begins so: `my_package.`; or whole addresses of data.

    Raises:
        ConfigError: naming every target and address that is not trusted; or an interpolation,
            which could read environment variables, or a `_target_` that is no text.
    """
    unknown: dict[str, str] = {}
    for config in configs:
        for key, value in _leaves(config):
            if "${" in key or (isinstance(value, str) and "${" in value):
                raise ConfigError(
                    "the recorded configuration holds an interpolation (${...}), which a run's "
                    "resolved configuration never has; it is not from regexp",
                    key=ascii(key),
                )
        for target in targets_in(config):
            if not (target in known() or is_allowed(target, allowed)):
                unknown[target] = "calls"
        for _, value in _leaves(config.get("dataset")):
            if _is_address(value) and value not in (*addresses(), *allowed):
                unknown[value] = "downloads"
    if unknown:
        named = ", ".join(f"{what} {ascii(name)[1:-1]}" for name, what in unknown.items())
        options = " ".join(f"--allow {ascii(name)[1:-1]}" for name in unknown)
        raise ConfigError(
            f"the recorded configuration {named}, which is no part of regexp and was left alone. "
            f"If you know it and trust who recorded the run, add: {options}"
        )


def targets_in(config: Any) -> Iterator[str]:
    """Every `_target_` anywhere in a configuration, and what Hydra is to look up by a path.

    Raises:
        ConfigError: one that is no text.
    """
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            for target in named_by(node):
                if not isinstance(target, str):
                    raise ConfigError(
                        key=TARGET,
                        got=ascii(target)[:100],
                        expected="the dotted path of a class or function",
                    )
                yield target
            pending.extend(node.values())
        elif isinstance(node, list | tuple):
            pending.extend(node)


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """The targets that regexp's own YAMLs name."""
    leaves = (leaf for node in _yamls() for leaf in _leaves(node))
    return frozenset(value for key, value in leaves if key.endswith(TARGET) and value is not None)


@lru_cache(maxsize=1)
def addresses() -> frozenset[str]:
    """The addresses that regexp's own YAMLs name."""
    leaves = (value for node in _yamls() for _, value in _leaves(node))
    return frozenset(value for value in leaves if _is_address(value))


def _yamls() -> Iterator[Any]:
    for path in sorted(conf_folder().rglob("*.yaml")):
        yield yaml.safe_load(path.read_text(encoding="utf-8"))


def _is_address(value: object) -> bool:
    return isinstance(value, str) and "://" in value


def _leaves(config: Any) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all that is no mapping and no list."""
    pending = [("", config)]
    while pending:
        key, node = pending.pop()
        if isinstance(node, Mapping):
            pending.extend((f"{key}.{name}".lstrip("."), value) for name, value in node.items())
            if not node:
                yield key, None
        elif isinstance(node, list | tuple):
            pending.extend((f"{key}[{index}]", value) for index, value in enumerate(node))
        else:
            yield key, node
