"""What both programs need whatever drives them: data, network, loss and optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

Split = tuple[Tensor, Tensor]
"""Inputs [rows, 64] in [0, 1] and classes [rows]."""

TRAIN_SIZE = 300


@dataclass(frozen=True)
class Settings:
    """The techniques' numbers, each neutral unless it is set."""

    l1: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    dropout: float = 0.0
    inputs_dropout: float = 0.0
    batch_norm: bool = False
    patience: int | None = None
    smoothing: float = 0.0
    clip: float | None = None
    max_norm: float | None = None
    ema: float | None = None
    noise: float = 0.0
    mixup: float = 0.0
    rho: float = 0.0


NUMBERS = {
    "l1": {"strength": "l1"},
    "l2": {"strength": "l2"},
    "weight_decay": {"strength": "decay"},
    "dropout": {"hidden": "dropout", "inputs": "inputs_dropout"},
    "early_stopping": {"patience": "patience"},
    "label_smoothing": {"smoothing": "smoothing"},
    "gradient_clipping": {"limit": "clip"},
    "max_norm": {"limit": "max_norm"},
    "ema": {"decay": "ema"},
    "input_noise": {"std": "noise"},
    "mixup": {"alpha": "mixup"},
    "sam": {"rho": "rho"},
}
"""Technique of regexp -> its number -> the setting that it is here."""


def settings(techniques: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Of techniques and numbers as regexp has them; batch normalization has none here."""
    numbers: dict[str, Any] = {"batch_norm": "batch_norm" in techniques}
    for name, keys in NUMBERS.items():
        for number, value in techniques.get(name, {}).items():
            numbers[keys[number]] = value
    return Settings(**numbers)


def settings_of(config: DictConfig) -> Settings:
    """Of a technique, or of several with a plus between them."""
    numbers: dict[str, Any] = {}
    for name in config.technique.split("+"):
        numbers |= dict(config.techniques[name])
    return Settings(**numbers)


def load(seed: int) -> dict[str, Split]:
    """300 rows to learn from, a fifth of all to validate and another to test, stratified."""
    inputs, targets = load_digits(return_X_y=True)
    x, y = torch.tensor(inputs, dtype=torch.float32) / 16, torch.tensor(targets)
    rest, test = train_test_split(range(len(y)), test_size=0.2, stratify=y, random_state=seed)
    train, val = train_test_split(rest, test_size=0.25, stratify=y[rest], random_state=seed)
    train, _ = train_test_split(train, train_size=TRAIN_SIZE, stratify=y[train], random_state=seed)
    return {
        name: (x[rows], y[rows]) for name, rows in (("train", train), ("val", val), ("test", test))
    }


def batches(split: Split, size: int, careful: bool) -> Any:
    """What gives an epoch's batches each time it is iterated over."""
    return ByIndex(*split, size) if careful else DataLoader(TensorDataset(*split), size, True)


class ByIndex:
    """Rows in memory, in a new order each time."""

    def __init__(self, inputs: Tensor, targets: Tensor, size: int) -> None:
        self.inputs, self.targets, self.size = inputs, targets, size

    def __iter__(self) -> Iterator[Split]:
        for rows in torch.randperm(len(self.targets)).split(self.size):
            yield self.inputs[rows], self.targets[rows]


def network(settings: Settings, sizes: Sequence[int] = (64, 64, 64, 10)) -> nn.Sequential:
    """Of inputs, hidden units and classes, with ReLU."""
    *hidden, last, classes = sizes
    layers: list[nn.Module] = []
    if settings.inputs_dropout:
        layers.append(nn.Dropout(settings.inputs_dropout))
    for inputs, units in itertools.pairwise([*hidden, last]):
        layers.append(nn.Linear(inputs, units))
        if settings.batch_norm:
            layers.append(nn.BatchNorm1d(units))
        layers.append(nn.ReLU())
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
    return nn.Sequential(*layers, nn.Linear(last, classes))


def weights(model: nn.Module) -> list[Tensor]:
    """Without biases and what belongs to batch normalization."""
    return [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]


def objective(model: nn.Module, x: Tensor, y: Tensor, settings: Settings) -> Tensor:
    """The mean loss of a batch with what techniques change about it."""
    if settings.noise:
        x = x + settings.noise * torch.randn_like(x)
    if settings.mixup:
        other = torch.randperm(len(y))
        share = float(torch.distributions.Beta(settings.mixup, settings.mixup).sample())
        outputs = model(share * x + (1 - share) * x[other])
        loss = share * F.cross_entropy(outputs, y) + (1 - share) * F.cross_entropy(
            outputs, y[other]
        )
    else:
        loss = F.cross_entropy(model(x), y, label_smoothing=settings.smoothing)
    if settings.l1:
        loss = loss + settings.l1 * torch.stack([w.abs().sum() for w in weights(model)]).sum()
    if settings.l2:
        loss = loss + settings.l2 * torch.stack([w.square().sum() for w in weights(model)]).sum()
    return loss


class SAM(torch.optim.AdamW):
    """A step along the gradient at the worst point within `rho`, which the closure is asked for."""

    rho: float

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        assert closure is not None
        loss = closure()
        with torch.no_grad():
            parameters = [p for group in self.param_groups for p in group["params"]]
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters]) + 1e-12
            steps = [self.rho / norm * p.grad for p in parameters]
            torch._foreach_add_(parameters, steps)
        closure()
        with torch.no_grad():
            torch._foreach_sub_(parameters, steps)
        super().step()
        return loss


def optimizer(model: nn.Module, settings: Settings, lr: float, fused: bool) -> torch.optim.AdamW:
    """Adam, with decoupled decay of weights alone; SAM where it is asked for."""
    decayed = weights(model)
    others = [p for p in model.parameters() if not any(p is w for w in decayed)]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.decay},
        {"params": others},
    ]
    kind = SAM if settings.rho else torch.optim.AdamW
    made = kind(groups, lr=lr, weight_decay=0.0, fused=fused or None)
    if isinstance(made, SAM):
        made.rho = settings.rho
    return made


@torch.no_grad()
def bound(model: nn.Module, limit: float) -> None:
    """Each unit's incoming weights to a norm of at most `limit`."""
    for weight in weights(model):
        weight.copy_(torch.renorm(weight, 2, 0, limit))


@torch.no_grad()
def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean loss and accuracy in evaluation mode."""
    model.eval()
    outputs = model(split[0])
    model.train()
    return (
        F.cross_entropy(outputs, split[1]).item(),
        (outputs.argmax(1) == split[1]).float().mean().item(),
    )
