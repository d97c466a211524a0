"""A loss of a user's own, tried on a few rows before it trains anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from regexp.errors import ConfigError, NotApplicable, first_line
from regexp.metrics.loss import CLASSIFICATION
from regexp.random import Rng
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import SOFT_TARGETS
from regexp.stack.objective import OwnLoss

ROWS = 6
"""Of a trial call of a loss."""


def tried(
    function: Callable[..., Any],
    targets: Tensor,
    outputs: int,
    task: str,
    key: str,
    dtype: torch.dtype = torch.float32,
) -> OwnLoss:
    """A loss, tried on outputs as a network may give them.

    Args:
        function: see `OwnLoss`.
        targets: of one row or more, [rows, ...].
        outputs: of the network, for a row.
        task: of the data.
        key: names the loss in messages.
        dtype: of the outputs.

    Raises:
        ConfigError: it fails, gives other than a value a row, or one that hangs on other rows or
            not on the outputs.
    """
    targets = targets[torch.arange(ROWS, device=targets.device) % len(targets)]
    made = Rng(0, "trial of a loss").normal((ROWS, outputs)).to(targets.device, dtype)
    rows = _call(key, function, made, targets)
    for row in range(ROWS):
        alone = _call(key, function, made[row : row + 1], targets[row : row + 1])
        if not torch.allclose(alone[0], rows[row], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ConfigError(
                f"{key}: the loss of a row differs with the rows beside it; expected each row's by "
                "itself"
            )
    soft = task != CLASSIFICATION or _takes_probabilities(function, made, targets, rows)
    return OwnLoss(function, soft=soft)


def _call(key: str, function: Callable[..., Any], outputs: Tensor, targets: Tensor) -> Tensor:
    """What the loss gives, checked: a value a row, which follows the outputs."""
    rows = len(outputs)
    outputs = outputs.clone().requires_grad_()
    given = targets.clone()
    try:
        values = function(outputs, given)
    except Exception as error:  # a user's function may raise anything
        raise ConfigError(
            f"{key}: called with outputs {list(outputs.shape)} and targets "
            f"{list(targets.shape)} ({_kind(targets)}), it raised {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    if given._version or not torch.equal(given, targets):  # the number of writes that torch knows
        raise ConfigError(
            f"{key}: it writes into its targets, which the metrics are taken against",
            cure="give it a result of its own, as targets.clamp(max=1) for targets.clamp_(max=1)",
        )
    shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if not isinstance(values, Tensor) or values.ndim == 0 or len(values) != rows:
        torchs = type(function).__module__.startswith("torch.nn.")
        raise ConfigError(
            f"{key}: expected the loss of each row, of shape [{rows}] for {rows} rows, got {shape}",
            cure="give it reduction: none" if torchs else "leave the mean over rows out",
        )
    if not values.requires_grad:
        raise ConfigError(
            f"{key}: it has no gradient by the outputs, so that nothing would be learned"
        )
    values = values.detach()
    return values if values.ndim == 1 else values.flatten(1).mean(1)


def _kind(targets: Tensor) -> str:
    return "values" if targets.is_floating_point() else "classes, int64"


def _takes_probabilities(
    function: Callable[..., Any], outputs: Tensor, targets: Tensor, rows: Tensor
) -> bool:
    """Whether probabilities of classes are taken as such: those of hard classes give the same."""
    chances = nn.functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    try:
        same = OwnLoss(function)(outputs, chances)
        half = OwnLoss(function)(outputs, (chances + 1 / outputs.shape[-1]) / 2)
    except Exception:  # it was written for classes
        return False
    agrees = same.shape == rows.shape and torch.allclose(same, rows, rtol=1e-4, atol=1e-6)
    return agrees and not torch.equal(half, rows)  # an argmax inside would see no difference


def check_hard(called: str, regularizer: Cocktail) -> None:
    """Refuse techniques whose targets a loss of hard classes cannot take.

    Args:
        called: the loss, for people.
        regularizer: its techniques.

    Raises:
        NotApplicable: there is one.
    """
    for name, technique in regularizer.techniques.items():
        if SOFT_TARGETS in technique.provides:
            raise NotApplicable(
                f"makes probabilities of classes, which the loss {called} does not take",
                key=f"regularizer.{name}",
                cure="write the loss for targets [rows, classes] as well, or leave one of the two "
                "out",
            )
