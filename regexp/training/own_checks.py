"""What a training loop of one's own is told where what it gives does not fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regexp.model.guards import check_real, check_weights
from regexp.regularizer.base import TrainingSplit
from regexp.regularizer.cocktail import Cocktail


def check_cocktail(cocktail: Cocktail, split: TrainingSplit | None) -> None:
    """Check that techniques ask for nothing that a loop of one's own does itself.

    Raises:
        ValueError: one changes the size of batches or the initial weights, or looks at rows and
            there is no `split`.
    """
    if cocktail.uses("batch_size"):
        raise ValueError(
            f"regularizer: {cocktail.name} changes the size of batches, which a loop of your own "
            "makes; change it there"
        )
    if cocktail.flag("redraws"):
        raise ValueError(
            f"regularizer: {cocktail.name} draws other initial weights, which are yours here; give "
            "a network that was made with another seed"
        )
    if cocktail.flag("uses_rows") and split is None:
        raise ValueError(
            f"regularizer: {cocktail.name} looks at the numbers of rows or counts of classes; give "
            "split=TrainingSplit(rows, class_counts), and train_batch(..., rows=numbers)"
        )


def check_model(model: nn.Module) -> nn.Parameter:
    """Check that a network can be trained; its first parameter, which has its device and type.

    Raises:
        ValueError: it has no parameters, complex ones or such of several types, or weights that
            a hook computes.
    """
    first = next(model.parameters(), None)
    if first is None:
        raise ValueError("model: it has no parameters, so that there is nothing to train")
    check_real(model)
    check_weights(model)
    types = sorted({str(p.dtype) for p in model.parameters() if p.is_floating_point()})
    if len(types) > 1:
        raise ValueError(
            f"model: its parameters are of {' and '.join(types)}; expected one type, which inputs "
            "and what techniques keep have too: call model.float(), or double()"
        )
    return first


def check_values(targets: Tensor, rows: int, outputs: int, *, own_loss: bool) -> None:
    """Check the targets of a regression.

    Args:
        targets: values [rows, outputs].
        rows: of the inputs.
        outputs: of the network.
        own_loss: whether the loss is the user's, who may have other columns than outputs.

    Raises:
        ValueError: they are of another shape or type.
    """
    got = list(targets.shape)
    if targets.ndim != 2 or not targets.is_floating_point():
        raise ValueError(
            f"targets: expected values [rows, outputs], got {targets.dtype} {got}; a single output "
            "is targets.unsqueeze(1)"
        )
    if got != [rows, outputs] and (not own_loss or got[0] != rows):
        raise ValueError(
            f"targets: expected values [{rows}, {outputs}], for so many rows and outputs of the "
            f"model, got {got}"
        )


def check_classes(targets: Tensor, rows: int, classes: int, *, soft: bool) -> None:
    """Check the targets of a classification.

    Args:
        targets: classes, int64 or uint8 [rows]; `soft`: or probabilities of them [rows, classes].
        rows: of the inputs.
        classes: how many there are.
        soft: see `targets`.

    Raises:
        ValueError: they are of another shape or type, or of other classes.
    """
    got = list(targets.shape)
    if soft and targets.is_floating_point() and got == [rows, classes]:
        return
    if targets.dtype not in (torch.int64, torch.uint8) or got != [rows]:
        raise ValueError(
            f"targets: expected classes, torch.int64 [{rows}], got {targets.dtype} {got}"
        )
    if targets.device.type == "cpu":
        least, most = targets.aminmax()  # techniques make probabilities of them
        if least < 0 or most >= classes:
            raise ValueError(
                f"targets: expected classes 0 to {classes - 1}, got {int(least)} to {int(most)}; a "
                "loss that leaves rows out has no place here, nor a number of classes that is too "
                "small"
            )
