"""Addresses with credentials, taken out of the command line and of configurations."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from regexp.addresses import has_credentials, public, withhold
from regexp.config.strays import parsed_override
from regexp.errors import ConfigError, reason_of

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def withhold_words(words: Sequence[str]) -> list[str]:
    """The words of a command line, with every address in its public form.

    The whole addresses are remembered, see `regexp.addresses`.

    Raises:
        ConfigError: an address with credentials takes a value from elsewhere, which is not there.
    """
    return [_withheld_word(word) if "://" in word else word for word in words]


def withhold_config(config: DictConfig) -> None:
    """Put every address of a configuration into its public form, and remember the whole ones.

    What an address takes from elsewhere, as by `${oc.env:NAME}`, counts as part of it. A text that
    is another's, as by `${paths.mlruns}`, is in its public form where that is.

    Raises:
        ConfigError: an address with credentials takes a value from elsewhere, which is not there.
    """
    texts = list(_texts(OmegaConf.to_container(config)))
    known = {".".join(map(str, path)) for path, _ in texts}
    for path, text in texts:
        reference = _REFERENCE.fullmatch(text)
        if ("://" not in text and "${" not in text) or (reference and reference[1] in known):
            continue
        node: Any = config
        try:
            for part in path[:-1]:
                node = node[part]
            value = node[path[-1]]
        except OmegaConfBaseException as error:  # ${lengths.steps} before the data are known
            if has_credentials(text):
                raise ConfigError(reason_of(error), key=public(text)) from error
            continue
        if isinstance(value, str) and (shown := withhold(value)) != value:
            with read_write(node):
                node[path[-1]] = shown


def _withheld_word(word: str) -> str:
    """One word; what Hydra would not read is only cleaned."""
    try:
        override = parsed_override(word)
    except (HydraException, ValueError, RecursionError):
        return public(word)
    shown = word
    for _, text in _texts(without_grammar(override._value)):
        if has_credentials(text):
            shown = shown.replace(text, withhold(_resolved(text)))
    return public(shown)


def _resolved(text: str) -> str:
    """An address with what it takes from the environment."""
    if "${" not in text:
        return text
    try:
        return str(OmegaConf.create({"address": text}).address)
    except OmegaConfBaseException as error:
        raise ConfigError(reason_of(error), key=public(text)) from error


def without_grammar(value: Any) -> Any:
    """A value as Hydra's grammar reads it, without the grammar's own classes."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, ChoiceSweep):
        return [without_grammar(item) for item in value.list]
    if isinstance(value, list):
        return [without_grammar(item) for item in value]
    if isinstance(value, dict):
        return {without_grammar(key): without_grammar(item) for key, item in value.items()}
    return value


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """(keys that lead there, text) of every text in plain containers."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))
