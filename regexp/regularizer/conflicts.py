"""Which techniques do not go together, and which not with a dataset or a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from regexp.errors import ConfigError
from regexp.regularizer.base import Noise, NotApplicable, Regularizer, overrides

DATA_KINDS = {1: "table", 2: "series", 3: "images"}
"""What a dataset's rows are, by their number of dimensions."""

OTHER_LOSS, SOFT_TARGETS = "another loss", "soft targets"
"""Words of techniques: `refuses` the user's own loss; `provides` probabilities for classes."""

ONE_PASS = "a prediction of one pass"
"""What a technique `provides` whose `predict` calls the network once, at the weights that are
evaluated, and draws nothing: a program can have it."""


CHANGING_NOISE = "noise that follows a schedule"
"""Word of techniques: `refuses` layers whose noise it could not draw again after training."""


def check_together(techniques: Mapping[str, Regularizer]) -> None:
    """Refuse what is no technique, and two that do not go together.

    Raises:
        ConfigError: naming them.
    """
    for name, technique in techniques.items():
        if not isinstance(technique, Regularizer):
            raise ConfigError(
                f"expected a regexp.regularizer.base.Regularizer, got {type(technique).__name__}",
                key=f"regularizer.{name}",
            )
    for name, technique in techniques.items():
        for other, brings in techniques.items():
            for word in technique.refuses:
                if other != name and word in brings.provides:
                    raise ConfigError(
                        f"does not go together with {other}, which brings {word}",
                        key=f"regularizer.{name}",
                        cure="leave one of the two out",
                    )
        for other, brings in techniques.items():
            if (
                CHANGING_NOISE in technique.refuses
                and brings.schedules
                and overrides(brings, "build")
            ):
                raise ConfigError(
                    f"does not go together with {other}, whose noise follows a schedule: what is "
                    "predicted would change with it",
                    key=f"regularizer.{name}",
                    cure=f"give regularizer.{other} one number",
                )
    several = [name for name, technique in techniques.items() if overrides(technique, "predict")]
    if len(several) > 1:
        raise ConfigError(
            f"{' and '.join(several)} both say what is predicted",
            key="regularizer",
            cure="leave one out",
        )


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
            if any(overrides(techniques[other], hook) for hook in _NO_TURNS):
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


def check_data(
    techniques: Mapping[str, Regularizer],
    name: str,
    task: str,
    shape: Sequence[int],
    *,
    own_loss: bool = False,
) -> None:
    """Refuse a dataset, or a loss, that one of some techniques is not for.

    Args:
        techniques: by name.
        name: of the dataset.
        task: its kind of targets.
        shape: of one row of its inputs, [*features].
        own_loss: whether the loss is a user's.

    Raises:
        NotApplicable: naming the technique.
    """
    kind = DATA_KINDS.get(len(shape), f"rows of shape {list(shape)}")
    for key, technique in techniques.items():
        for asked, given in ((technique.tasks, task), (technique.data, kind)):
            if given not in asked:
                raise NotApplicable(
                    f"is for {' or '.join(asked)}, not for {given} (the dataset {name})",
                    key=f"regularizer.{key}",
                    cure="leave the technique out",
                )
        if own_loss and OTHER_LOSS in technique.refuses:
            raise NotApplicable(
                "is made for cross-entropy, not for another loss (trainer.loss)",
                key=f"regularizer.{key}",
                cure="leave one of the two out",
            )
        technique.check_rows(shape)
