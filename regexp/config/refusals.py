"""What Hydra refuses, in our words: the key, what was expected and the nearest choices."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regexp.config.composition import EXTRAS, load_config
from regexp.config.hydra_node import without_hydra
from regexp.config.schema import conf_folder
from regexp.config.values import flat
from regexp.errors import first_line, nearest

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

# How the generated parser complains, in terms of its grammar: of no use to a user.
JARGON = re.compile(
    r"LexerNoViableAlt|no viable alternative|(?:mismatched|extraneous) input|missing \S+ at"
    r"|token recognition"
)


def explain_hydra(
    error: Exception,
    hydra: "Hydra",
    name: str,
    overrides: Sequence[str],
    several: str = "Add -m for a job with each",
) -> str:
    """One message for what Hydra refuses.

    Args:
        error: of Hydra or OmegaConf.
        hydra: which raised it.
        name: of the configuration that was composed.
        overrides: with which it was.
        several: what to do about several values of a key.
    """
    text = str(error) or str(error.__cause__ or error.__context__)
    if isinstance(error, OverrideParseException):
        return _ungrammatical(error.override.removeprefix("++"), text)
    if ambiguous := re.search(r"Ambiguous value for argument '\+*([^']+)'", text):
        override = ambiguous.group(1)
        key, _, value = override.partition("=")
        as_list = f"; for a single job with all of them write '{key}=[{value}]'"
        listed = key == "regularizer" or key.startswith("grid.")
        return f"{override}: several values. {several}{as_list * listed}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        if extra := EXTRAS.get(f"{group}={choice}"):
            return f"{group}={choice}: not installed; pip install 'regexp[{extra}]' brings it"
        if group:
            options = error.options or hydra.config_loader.get_group_options(group)
            return f"{group}={choice}: expected a choice of {group}{nearest(choice, options)}"
        return f"there is no configuration {choice} in {conf_folder()}"
    if "does not support sweep type" in text:
        ranges = [one for one in overrides if re.search(r"=\s*(?:interval|tag)\(", one)]
        return (
            f"{' '.join(ranges) or text}: a range is for a sweeper that draws from it, such as "
            "Optuna's; for a list of numbers write key=1e-4,1e-3 or grid.key=[1e-4,1e-3]"
        )
    if unknown := re.search(r"Could not (?:override|append to config|delete)\D*?'([^']+)'", text):
        key = unknown.group(1).partition("@")[0]
        inner = getattr(error.__cause__, "full_key", None) or ""
        if inner.startswith(f"{key}."):  # of a mapping that was given
            return f"{inner}: there is no such key in {key}; to add it write +{inner}=..."
        if "already at" in text:
            return f"{key}: the key exists already; write {key}=... without a plus"
        return f"{key}: there is no such key{nearest(key, _keys(key, hydra, name, overrides))}"
    if in_file := re.match(r"In '([^']+)': \w+ raised while composing config:\s*(.*)", text, re.S):
        known = partial(_keys, hydra=hydra, name=name, overrides=overrides)
        return _of_file(in_file[1], in_file[2], known)
    if "Error merging override" in text or "Value '" in text or "is not supported" in text:
        override = re.search(r"Error merging override (\S+)", text)
        cause = error.__cause__ or error
        detail = first_line(cause) or first_line(text)
        key = getattr(cause, "full_key", None)
        return f"{(override and override.group(1)) or key}: {_expected(detail)}"
    return text.partition("\nConfig search path")[0].partition("\nSee https")[0].strip()


def _of_file(file: str, text: str, known: Callable[[str], list[str]]) -> str:
    """The message for a file whose content does not fit.

    Args:
        file: as Hydra calls it, such as `experiment/mine`.
        text: what OmegaConf says of it.
        known: gives the keys that one may have meant.
    """
    found = re.search(r"full_key: (\S+)", text)
    key, detail = found[1] if found else "", first_line(text)
    head = f"{key}, in the file {file}" if key else f"the file {file}"
    if re.match(r"Key '[^']+' not in", detail):
        if key == file.partition("/")[0]:  # its content was put under the name of its group
            return f"{file}: its first line has to be `# @package _global_`"
        return f"{head}: there is no such key{nearest(key, known(key))}"
    if re.match(r"Cannot (?:assign|merge) (?:str|AnyNode|StringNode)\b", detail):
        return (
            f"{head}: expected a mapping; a choice of a group stands in the list of defaults, as "
            f"`- override /{key}: NAME`"
        )
    return f"{head}: {_expected(detail)}"


def _expected(detail: str) -> str:
    """OmegaConf's complaint about a type, in the words of the other messages."""
    if "is not Optional" in detail:
        return "expected a value, not null"
    found = re.search(r"(?:could not be converted to|is not a valid) (\w+)", detail)
    kinds = {"Integer": "an integer", "Float": "a number", "bool": "true or false"}
    return f"expected {kinds[found.group(1)]}" if found and found.group(1) in kinds else detail


def _ungrammatical(override: str, text: str) -> str:
    """The message for an override that Hydra cannot read."""
    expected = f"{override}: expected key=value"
    reason = " ".join(
        line for line in text.splitlines() if not line.startswith(("See ", "Error "))
    ).strip()
    if not JARGON.search(reason):  # such as a function of sweeps that does not exist
        return f"{expected} ({reason})"
    if "=" not in override:
        return expected
    unescaped = re.sub(r"\\.", "", override)
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", unescaped)
    if re.search("['\"]", unquoted):
        return (
            f"{expected}, but a quote is not closed. The shell takes quotes away: put the whole "
            "override in quotes of the other kind, 'key=\"a value\"'"
        )
    if any(unquoted.count(left) != unquoted.count(right) for left, right in ("[]", "{}", "()")):
        return (
            f"{expected}, but its brackets do not match. The shell splits at spaces: put the whole "
            "override in quotes, 'key=[a, b]'"
        )
    if re.search(r"[{,]\s*(['\"]|[^\W\d]*[^\x00-\x7f]|[<>])[^,{}]*:", override.partition("=")[2]):
        return (
            f"{expected}. The keys of a mapping can have no quotes here, and no letters but those "
            "of ASCII: write it into the YAML of an experiment of your own"
        )
    return (
        f"{expected}. A value with spaces or special characters needs quotes, and the whole "
        "override quotes for the shell: 'key=\"a value\"'"
    )


def _keys(key: str, hydra: "Hydra", name: str, overrides: Sequence[str]) -> list[str]:
    """What a mistyped key may have meant: every key that a job with these groups has.

    For one of Hydra's own keys: those beside it.
    """
    loader = hydra.config_loader
    groups = [group for group in loader.list_groups("") if group != "hydra"]
    chosen = [one for one in overrides if one.partition("=")[0] in groups and "," not in one]
    for attempt in (chosen, []):
        try:
            config: Any = load_config(hydra, name, attempt, RunMode.RUN)
        except (HydraException, OmegaConfBaseException):
            continue
        if key.startswith("hydra."):
            return _beside(key, config)
        config = without_hydra(config)
        dotted = [one for one, _ in flat(config) if "._" not in one]
        return [*groups, *map(str, config), *dotted]
    return groups


def _beside(key: str, config: DictConfig) -> list[str]:
    """The keys of the nearest mapping that a dotted key would stand in."""
    parent = key.rpartition(".")[0]
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig):
        return _beside(parent, config)
    return [f"{parent}.{one}" for one in map(str, node) if not one.startswith("_")]
