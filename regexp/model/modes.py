"""Training and evaluation mode of networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from regexp.errors import ConfigError

Module = TypeVar("Module", bound=nn.Module)


def training_mode(model: Module) -> Module:
    """Put a network into training mode, all of it but what its own `train()` keeps in evaluation.

    Raises:
        ConfigError: somebody put a part of it into evaluation mode by `eval()`, which would end: to
            freeze statistics, or to try it in an `__init__`, where nobody knows which.
    """
    kept = dict(model.named_modules()) if model.training else {}
    kept = {name: module for name, module in kept.items() if not module.training}
    model.train()
    for name, module in kept.items():
        if module.training:
            kind = type(model).__name__
            raise ConfigError(
                f"{name} of {kind} is in evaluation mode while {kind} is in training mode, which "
                "training would end",
                key="model",
                cure=f"call {name}.train(), or keep it so by a train() of {kind}: def train(self, "
                f"mode=True): super().train(mode); self.{name}.eval(); return self",
            )
    return model


@contextlib.contextmanager
def modes_kept(*models: nn.Module) -> Iterator[None]:
    """Put every module back into the mode that it was in."""
    before = [(module, module.training) for model in models for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextlib.contextmanager
def without_fast_path() -> Iterator[None]:
    """Have torch's transformers do the same in evaluation as in training.

    Their fast path has no rule for `vmap`, leaves out dropout that is called for, and passes by
    layers that techniques have put in the place of theirs.
    """
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
