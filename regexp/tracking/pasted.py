"""Commands that messages print, as they are pasted into a terminal: on the same store, quoted."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml

from regexp.addresses import public, withhold
from regexp.tracking.login import variables

MLRUNS, DATA = "mlruns", "data"
"""`paths.mlruns` and `paths.data` of conf/config.yaml, which a command need not say."""

_URI, _DATA = "MLFLOW_TRACKING_URI", "REGEXP_DATA"


def command(*words: str, uri: str | None, folder: Path | str, data: Path | str = DATA) -> str:
    """`regexp WORDS`, with where runs and data are, but for what defaults and the environment say.

    Args:
        words: the command's name and its arguments.
        uri: `tracking.uri`.
        folder: `paths.mlruns`.
        data: `paths.data`, of a command that reads data.
    """
    shown, login = withhold(uri or ""), list[str]()
    said = []
    if shown and shown != public(os.environ.get(_URI, "")):
        said.append(override("tracking.uri", shown))
        login = variables(shown)
    if str(folder) != MLRUNS:
        said.append(override("paths.mlruns", str(folder)))
    if str(data) not in (DATA, os.environ.get(_DATA)):
        said.append(override("paths.data", str(data)))
    return " ".join([*map(shlex.quote, [*login, "regexp", *words]), *said])


def deliver_command(uri: str | None, folder: Path) -> str:
    """The command that delivers what waits; it says all, for it may be given much later."""
    words = ["regexp", "deliver"]
    if uri is not None:
        shown = withhold(uri)
        words = [*map(shlex.quote, variables(shown)), *words, override("tracking.uri", shown)]
    words.append(override("paths.mlruns", str(folder)))
    return " ".join(words)


def override(key: str, value: str) -> str:
    """`key=value` as Hydra and the shell take it."""
    return shlex.quote(assignment(key, value))


def assignment(key: str, value: object) -> str:
    """`key=value` as Hydra takes it, of plain containers, numbers, texts and None."""
    return f"{key}={_in_hydras_grammar(value)}"


# Hydra's grammar takes no other letters without quotes, and sweeps and numbers begin otherwise.
_PLAIN = re.compile(r"[A-Za-z_/.][\w./:@%+-]*", re.ASCII)
_NUMBERS = ("inf", "nan")


def _is_text(value: str) -> bool:
    try:
        return isinstance(yaml.safe_load(value), str)
    except yaml.YAMLError:
        return False


def _in_hydras_grammar(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{key}: {_in_hydras_grammar(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydras_grammar, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.casefold() not in _NUMBERS and _is_text(value):
        return value
    # In Hydra's quotes a backslash stands for itself, but before a quote.
    escaped = re.sub(r'(\\*)("|$)', lambda part: part[1] * 2 + part[2].replace('"', '\\"'), value)
    return f'"{escaped}"'
