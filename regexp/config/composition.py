"""Compose configurations with Hydra, and check what it would break on or do in vain."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from regexp.config.strays import parsed_override
from regexp.config.values import GROUPS
from regexp.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

CONFIG_NAME = "config"
"""The YAML that a job is composed from."""

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


def check_choices(hydra: "Hydra", overrides: Sequence[str]) -> None:
    """Check that each choice of a group is a name: Hydra breaks on regularizer=1 or model=null.

    Choices that are swept are left to the check of each job.

    Raises:
        ConfigError: the first choice that is none.
        OverrideParseException: an override that is not of Hydra's grammar.
    """
    loader = hydra.config_loader
    groups = set(loader.list_groups("")) - {"hydra"}
    for one in _parsed(overrides):
        group = one.key_or_group
        if not group:
            raise ConfigError(f"{one.input_line}: expected key=value")
        if (group in groups or "/" in group) and not (one.is_sweep_override() or one.is_delete()):
            _check_choice(one, loader.get_group_options(group))


def _parsed(overrides: Sequence[str]) -> Iterator[Override]:
    """The overrides as Hydra reads them."""
    for override in overrides:
        try:
            yield parsed_override(override)
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
