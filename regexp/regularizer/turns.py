"""Techniques that take turns: each batch gets one of a group of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.regularizer.base import Noise, NotApplicable, Regularizer, Step, overrides

_NO_TURNS = ("batch_size", "track", "keep", "observe", "weights", "predict", "restore", "stop")
"""Hooks of techniques that work over more than a step."""


def alternatives(techniques: Mapping[str, Regularizer]) -> dict[str, tuple[str, ...]]:
    """Groups of techniques of which each batch gets one, under the name of the group's stream.

    Raises:
        ConfigError: naming a technique that cannot take turns.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for name, technique in techniques.items():
        try:
            names = technique.alternatives([other for other in techniques if other != name])
        except ConfigError as error:
            key = f"regularizer.{name}.{error.key}"
            raise type(error)(error.problem, key=key, cure=error.cure) from error
        for other in names:
            lasting = any(overrides(techniques[other], hook) for hook in _NO_TURNS)
            if lasting or techniques[other].redraws:
                raise ConfigError(
                    f"{other} works over more than one step, and so takes no turns with others",
                    key=f"regularizer.{name}",
                    cure="leave it out of the list",
                )
            if any(other in group for group in groups.values()):
                raise ConfigError(f"{other} takes turns twice", key=f"regularizer.{name}")
        if len(set(names)) > 1:
            groups[name] = names
    taken = {name for names in groups.values() for name in names}
    mixing = tuple(n for n, t in techniques.items() if t.mixes and n not in taken)
    return groups | ({"mixes": mixing} if len(mixing) > 1 else {})


def check_alternatives(
    name: str, technique: Regularizer, groups: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuse a technique that lets others take turns, beside fewer than two.

    Raises:
        NotApplicable: naming it.
    """
    if overrides(technique, "alternatives") and name not in groups:
        raise NotApplicable(
            "expected at least two techniques beside it, of which each batch gets one",
            key=f"regularizer.{name}",
            cure=f"list them before it: regularizer=[mixup,cutout,{name}]",
        )


def check_idle(name: str, modules: Sequence[nn.Module]) -> None:
    """Refuse a technique whose new layers cannot leave a batch as it is.

    Raises:
        ConfigError: naming it.
    """
    for module in modules:
        is_leaf = next(module.children(), None) is None
        if is_leaf and (not isinstance(module, Noise) or type(module).idle is Noise.idle):
            raise ConfigError(
                f"adds {type(module).__name__}, which acts in every step, and so takes no turns "
                "with others",
                key=f"regularizer.{name}",
                cure="leave it out, or give a layer of your own an `idle`",
            )


def turn_of_each(step: Step, group: str, techniques: Sequence[Regularizer]) -> Sequence[Tensor]:
    """Whether a batch is the turn of each technique of a group, of one of them: bools.

    Those at their neutral numbers get no turn, so that beside them nothing changes.

    Args:
        group: names the stream of the draw.
        techniques: with the numbers that they have in this step.
    """
    active = torch.stack([_active(technique, step.rng.device) for technique in techniques])
    draw = step.rng.fold(group, "turn").uniform(()).double()
    return (active & (active.cumsum(0) == 1 + (draw * active.sum()).floor())).unbind()


def _active(technique: Regularizer, device: torch.device) -> Tensor:
    """Whether one of its numbers is not neutral: bool of no dimension, as they may be tensors."""
    values, neutral = technique.hyperparameters, technique.neutral or {}
    differ = [
        values[name] is not None and values[name] != value for name, value in neutral.items()
    ] or [True]
    return torch.stack([torch.as_tensor(one, device=device) for one in differ]).any()
