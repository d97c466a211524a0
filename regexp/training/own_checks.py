"""What a training loop of one's own is told where what it gives does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from regexp.model.guards import check_real, check_weights
from regexp.regularizer.base import TrainingSplit, overrides
from regexp.regularizer.cocktail import Cocktail

_LAYERED = "_regexp_layers"
"""The attribute of a model that has the names of the techniques that built it."""


def check_makers(techniques: object, optimizer: object) -> None:
    """Check that techniques have names, and that an optimizer is still to be made.

    Raises:
        ValueError: it is otherwise.
    """
    if not isinstance(techniques, Mapping):
        raise ValueError(
            "techniques: expected a dict of them by name, such as {'dropout': Dropout(0.5, None)}, "
            f"got a {type(techniques).__name__}"
        )
    if isinstance(optimizer, torch.optim.Optimizer) or not callable(optimizer):
        raise ValueError(
            "optimizer: give what makes one, such as lambda parameters: torch.optim.Adam(parameters"
            f", lr=1e-3), as techniques may add parameters; got a {type(optimizer).__name__}"
        )


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


def with_counts(split: TrainingSplit | None, device: torch.device) -> TrainingSplit | None:
    """A split whose counts of classes are float64, whether they were a tensor, an array or a list.

    Args:
        split: the user's.
        device: of the network.

    Raises:
        ValueError: they are not [classes].
    """
    if split is None or split.class_counts is None:
        return split
    counts = torch.as_tensor(split.class_counts, dtype=torch.float64)
    if counts.ndim != 1:
        raise ValueError(
            f"split: expected class_counts [classes], got {list(counts.shape)}; write "
            "torch.bincount(targets)"
        )
    return replace(split, class_counts=counts.to(device))


def check_tensors(**tensors: object) -> None:
    """Check that what a loop gives is tensors.

    Raises:
        ValueError: one is something else, such as a tuple of several inputs.
    """
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{name}: expected a tensor [rows, ...], got {type(value).__name__}; make one of "
                "an array by torch.as_tensor, and of several inputs by torch.cat, which the "
                "network's forward cuts into its parts"
            )


def check_model(model: nn.Module) -> nn.Parameter:
    """Check that a network can be trained; its first parameter, which has its device and type.

    Raises:
        ValueError: it is spread over devices; it has no parameters, complex ones or such of
            several types, or weights that a hook computes.
    """
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise ValueError(
            f"model: expected a network on one device, got {type(model).__name__}; give what is in "
            "it, model.module"
        )
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


def check_new(model: nn.Module, cocktail: Cocktail) -> None:
    """Check that no technique is to add its layers to a model a second time.

    Raises:
        ValueError: the model went through `Regularized` with one of them before.
    """
    twice = [name for name in _building(cocktail) if name in getattr(model, _LAYERED, ())]
    if twice:
        raise ValueError(
            f"model: it has the layers of {twice[0]} already, from another Regularized; make a new "
            "one, or leave the technique out to go on with them"
        )


def note_layers(models: Iterable[nn.Module], cocktail: Cocktail) -> None:
    """Have models know whose layers they have, for `check_new`."""
    for model in models:
        known = [*getattr(model, _LAYERED, ()), *_building(cocktail)]
        object.__setattr__(model, _LAYERED, tuple(dict.fromkeys(known)))


def _building(cocktail: Cocktail) -> list[str]:
    return [name for name, each in cocktail.techniques.items() if overrides(each, "build")]


def check_rows(weights: Tensor | None, numbers: Tensor | None, rows: int) -> None:
    """Check what belongs to the rows of a batch, which is spread over all of them otherwise.

    Args:
        weights: how much rows count, floating [rows].
        numbers: of the rows in the training split, int64 [rows].
        rows: of the batch.

    Raises:
        ValueError: they are of another shape or type.
    """
    if weights is not None and (weights.shape != (rows,) or not weights.is_floating_point()):
        got = f"{weights.dtype} {list(weights.shape)}"
        raise ValueError(f"weights: expected floating point [{rows}], one of each row, got {got}")
    if numbers is not None and (numbers.shape != (rows,) or numbers.dtype != torch.int64):
        got = f"{numbers.dtype} {list(numbers.shape)}"
        raise ValueError(f"rows: expected torch.int64 [{rows}], one of each row, got {got}")


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
