"""Which techniques do not go together, and which not with a dataset or a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regexp.errors import ConfigError
from regexp.regularizer.base import NotApplicable, Regularizer, overrides

DATA_KINDS = {1: "table", 2: "series", 3: "images"}
"""What a dataset's rows are, by their number of dimensions."""

OTHER_LOSS, SOFT_TARGETS = "another loss", "soft targets"
"""Words of techniques: `refuses` the user's own loss; `provides` probabilities for classes."""

CLASS_WEIGHTS = "weights of classes"
"""What a technique `provides`, or `refuses`, that makes rare classes count as frequent ones do."""

ONE_PASS = "a prediction of one pass"
"""What a technique `provides` whose `predict` calls the network once, at the weights that are
evaluated, and draws nothing: a program can have it."""


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
    several = [name for name, technique in techniques.items() if overrides(technique, "predict")]
    if len(several) > 1:
        raise ConfigError(
            f"{' and '.join(several)} both say what is predicted",
            key="regularizer",
            cure="leave one out",
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
