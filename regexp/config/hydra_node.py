"""Configurations with and without Hydra's own node."""

import copy
from types import SimpleNamespace
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from regexp.config.repository import is_of_hydra
from regexp.config.strays import override_key
from regexp.config.values import copied


def without_hydra(config: DictConfig) -> DictConfig:
    """A configuration without Hydra's own node."""
    config = copied(config)
    with read_write(config), open_dict(config):
        config.pop("hydra", None)
    return config


def with_hydra(node: DictConfig, plan: dict[str, Any]) -> DictConfig:
    """The configuration of a planned job with Hydra's node of its sweep.

    Args:
        node: of the sweep.
        plan: as in the job's file: its `config`; its `overrides` and the `choices` of its groups,
            which names of folders may be made of; its own `hydra` node, if it has one.
    """
    node = copy.deepcopy(node)
    pairs = [
        SimpleNamespace(key_or_group=override_key(override), input_line=override)
        for override in plan["overrides"]
    ]
    pairs = [pair for pair in pairs if not pair.key_or_group.startswith(("hydra.", "hydra/"))]
    with read_write(node), open_dict(node):
        node.merge_with(plan.get("hydra") or {})
        node.overrides.task = [pair.input_line for pair in pairs]
        of_hydra = {k: v for k, v in node.runtime.choices.items() if is_of_hydra(str(k))}
        node.runtime.choices = of_hydra | plan["choices"]
        node.job.override_dirname = get_overrides_dirname(
            overrides=pairs,  # type: ignore[arg-type]
            kv_sep=node.job.config.override_dirname.kv_sep,
            item_sep=node.job.config.override_dirname.item_sep,
            exclude_keys=node.job.config.override_dirname.exclude_keys,
        )
    config = OmegaConf.create(plan["config"])
    config.hydra = node
    OmegaConf.set_struct(config, True)
    OmegaConf.set_readonly(config.hydra, False)
    return config
