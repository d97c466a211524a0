"""One technique a batch, of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regexp.regularizer.base import ConfigError, Regularizer


@dataclass(frozen=True)
class OneOf(Regularizer, kind="control"):
    """Each batch is the turn of one of some techniques, drawn with equal chances.

    The others of them leave the batch, the loss, the gradients, the weights and the noise of that
    step as they are, though what they remember goes on. A technique at its neutral numbers gets no
    turn, so that beside it nothing changes. Techniques of which there is more than a step can see,
    such as averages and stopping, cannot take turns.

    Techniques that mix rows take turns by themselves (`mixup` beside `cutmix`); listed here, they
    do so with all of the list.

    Helps: cocktails of strong augmentations and noise, which are too much for one batch together.

    Costs: those of all of its techniques, of which one counts.

    Args:
        techniques: names of techniques of the cocktail; None for all of the others. Give the names
            where some shall act in every step, weight decay say.

    Raises:
        ConfigError: for a name that the cocktail does not have, or a technique that cannot take
            turns.
        NotApplicable: for fewer than two techniques.

    Reference:
        Choosing one augmentation a batch is usual practice for mixup and CutMix, as in timm
        (R. Wightman et al., ResNet strikes back, 2021, section 3.2).
        https://arxiv.org/abs/2110.00476
    """

    techniques: tuple[str, ...] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.techniques is not None:
            object.__setattr__(self, "techniques", tuple(self.techniques))

    def alternatives(self, others: Sequence[str]) -> tuple[str, ...]:
        names = tuple(others) if self.techniques is None else self.techniques
        if unknown := [name for name in names if name not in others]:
            raise ConfigError(
                f"{unknown[0]} is not among the techniques beside it, which are "
                f"{', '.join(others) or 'none'}",
                key="techniques",
            )
        return names
