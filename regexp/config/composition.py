"""Compose configurations with Hydra, and say in our words what Hydra refuses.

Every message names the key, what was expected and the nearest choices.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from regexp.config.schema import conf_folder
from regexp.config.values import GROUPS, copied, flat
from regexp.errors import ConfigError, first_line, nearest

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from hydra.core.config_loader import ConfigLoader

CONFIG_NAME = "config"
"""The YAML that a job is composed from."""

# How the generated parser complains, in terms of its grammar: of no use to a user.
JARGON = re.compile(
    r"LexerNoViableAlt|no viable alternative|(?:mismatched|extraneous) input|missing \S+ at"
    r"|token recognition"
)

EXTRAS = {
    "hydra/launcher=submitit_local": "slurm",
    "hydra/launcher=submitit_slurm": "slurm",
    "hydra/sweeper=optuna": "optuna",
}
"""Choices of Hydra's plugins -> the extra of this package that has the plugin."""

_LAUNCHERS = {"hydra_joblib_launcher": "parallel", "hydra_ray_launcher": "ray"}
"""The packages of launchers that our own YAMLs name -> the extra that has them."""


def load_config(hydra: "Hydra", name: str, overrides: Sequence[str], mode: RunMode) -> DictConfig:
    """The configuration `name` with `overrides`, and with Hydra's own node."""
    return hydra.compose_config(
        config_name=name,
        overrides=list(overrides),
        run_mode=mode,
        with_log_configuration=False,
    )


def without_hydra(config: DictConfig) -> DictConfig:
    """A configuration without Hydra's own node."""
    config = copied(config)
    with read_write(config), open_dict(config):
        config.pop("hydra", None)
    return config


def check_choices(hydra: "Hydra", overrides: Sequence[str]) -> None:
    """Check that each choice of a group is a name: Hydra breaks on regularizer=1 or model=null.

    Choices that are swept are left to the check of each job.

    Raises:
        ConfigError: the first choice that is none.
        OverrideParseException: an override that is not of Hydra's grammar.
    """
    loader = hydra.config_loader
    groups = set(loader.list_groups("")) - {"hydra"}
    for one in _parsed(loader, overrides):
        group = one.key_or_group
        if not group:
            raise ConfigError(f"{one.input_line}: expected key=value")
        if (group in groups or "/" in group) and not (one.is_sweep_override() or one.is_delete()):
            _check_choice(one, loader.get_group_options(group))


def _parsed(loader: "ConfigLoader", overrides: Sequence[str]) -> Iterator[Override]:
    """The overrides as Hydra reads them."""
    parser = OverridesParser.create(config_loader=loader)
    for override in overrides:
        try:
            yield from parser.parse_overrides([override])
        except ValueError as error:  # of Python's, at an integer of thousands of digits
            raise ConfigError(f"{override[:60]}...: {error}") from error


def _check_choice(one: Override, options: Sequence[str]) -> None:
    """Check what one override chooses of a group that has these options."""
    group, value = one.key_or_group, one.value()
    label = f"{group}={one.get_value_string()}"
    choices = value if isinstance(value, list) else [value]
    if isinstance(value, list) and group in GROUPS and group != "regularizer":
        # Hydra would merge them, key by key, into a mixture of both.
        each = ",".join(map(str, choices))
        raise ConfigError(
            f"{label}: expected one choice of {group}; for a job with each: -m {group}={each}"
        )
    for choice in choices:
        if not isinstance(choice, str) or not choice:
            raise ConfigError(
                f"{label}: expected a choice of {group}{nearest(str(choice), options)}"
            )


def check_launcher(config: DictConfig) -> None:
    """Check that the plugin is there which a launcher of ours needs.

    Args:
        config: of a multirun, with Hydra's own node.

    Raises:
        ConfigError: it is not installed.
    """
    package, _, module = str(config.hydra.launcher._target_).partition(".")
    plugin = module.partition(".")[0]
    if (extra := _LAUNCHERS.get(plugin)) and find_spec(f"{package}.{plugin}") is None:
        choice = config.hydra.runtime.choices["hydra/launcher"]
        raise ConfigError(
            f"hydra/launcher={choice}: not installed; pip install 'regexp[{extra}]' brings it"
        )


def fit_to_launcher(config: DictConfig, launcher: DictConfig) -> None:
    """Say in a job's configuration that Slurm or Ray finds its machine, if one does.

    What that machine has is not known here, but whether it lends the job a GPU, which has to be
    asked for: that is what `trainer.device=auto` is then.

    Args:
        config: of the job, without Hydra's own node.
        launcher: that node's, with what it asks for.
    """
    match str(launcher.get("_target_")).rpartition(".")[2]:
        case "SlurmLauncher":
            asks = _asks_slurm(launcher) or _asks_slurm(launcher.get("additional_parameters") or {})
            elsewhere = True
        case "RayLauncher" | "RayAWSLauncher" as kind:
            asks = bool(launcher.ray.remote.get("num_gpus"))
            elsewhere = kind != "RayLauncher" or launcher.ray.init.get("address") != "local"
        case _:
            return
    with read_write(config), open_dict(config):
        config.launch.elsewhere = elsewhere
        if config.trainer.get("device") == "auto":
            config.trainer.device = "cuda" if asks else "cpu"


def _asks_slurm(options: Mapping[str, Any]) -> bool:
    """Whether options of `sbatch` ask for a GPU: `gpus_per_node: 1`, `gres: gpu:a100:2`."""
    counts = []
    for key in options:  # others may have values that only a job has
        if key == "gres":
            named = (one.partition(":") for one in str(options[key] or "").split(","))
            counts += [number for kind, _, number in named if kind == "gpu"]
        elif str(key).startswith("gpus") and options[key]:
            counts.append(str(options[key]))
    return any(count.rpartition(":")[2] != "0" for count in counts)


def seed_sampler(config: DictConfig) -> tuple[str, ...]:
    """The override that seeds the sampler of a sweeper, if nothing else does.

    A sweep that draws the same numbers again finds its finished runs, and goes on where it was.

    Args:
        config: of a multirun, with Hydra's own node.

    Raises:
        ConfigError: the sweeper is to keep its study in a database.
    """
    sweeper = config.hydra.sweeper
    if sweeper.get("storage"):
        raise ConfigError(
            f"hydra.sweeper.storage={sweeper.storage}: Optuna's plugin fails with a database; "
            "leave it out: the results are in MLflow, and the same command goes on from there"
        )
    sampler = sweeper.get("sampler")
    seeded = sampler is None or "seed" not in sampler or sampler.seed is not None
    return () if seeded else ("hydra.sweeper.sampler.seed=0",)


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
