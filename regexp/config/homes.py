"""`~` at the beginning of a path: the home folder of who gives the command."""

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from regexp.errors import ConfigError

# Text as Hydra's grammar has it without quotes; a colon before a space ends a key of a mapping.
_PART = r"""(?:[^,\[\]{}()'"\\=:]|:(?!\s))*"""
_WITH_TILDE = re.compile(rf"(?!\s){_PART}~{_PART}")


def quote_tildes(words: Sequence[str]) -> list[str]:
    """The words of a command line, with quotes of Hydra's around values that have a `~`.

    Hydra's grammar takes none without them. Words that have quotes already are left as they are.

    >>> quote_tildes(["paths.data=~/data", "seeds=2", "~dataset"])
    ["paths.data='~/data'", 'seeds=2', '~dataset']
    """
    return [_quoted(word) for word in words]


def _quoted(word: str) -> str:
    key, mark, value = word.partition("=")
    if word.startswith("-") or "~" not in value or re.search("['\"]", value):
        return word
    return key + mark + _WITH_TILDE.sub(lambda found: f"'{found[0]}'", value)


def expand_homes(config: DictConfig) -> None:
    """Put the home folder into the folders of a configuration that begin with `~`.

    Raises:
        ConfigError: the home of a user who is not known.
    """
    for key in ("paths.data", "paths.mlruns", "search.folder"):
        try:
            value = OmegaConf.select(config, key)
        except OmegaConfBaseException:  # told by the checks
            continue
        if isinstance(value, str) and value.startswith("~"):
            home = str(at_home(value, key=key, got=value))
            with read_write(config):
                OmegaConf.update(config, key, home)


def at_home(path: str, **where: str) -> Path:
    """A path, with the home folder for its `~`: the shell expands none after an equals sign.

    Args:
        path: as it was given.
        where: `key` and `got` of the message; by default the path is its key.

    Raises:
        ConfigError: the home of a user who is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        cure = f"a folder of that name is written ./{path}"
        raise ConfigError(str(error), **(where or {"key": path}), cure=cure) from error
