"""The outputs of a network's hidden blocks, which penalties may read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from regexp.model.layers import blocks
from regexp.regularizer.base import Tensors
from regexp.stack.vmapped import Vmapped


class HiddenBlocks:
    """Takes note of what the hidden blocks of a network give.

    Args:
        model: of one run, or lifted.
        single: the network of one run.
        dtype: of the outputs.

    Attributes:
        outputs: of the last pass that was `noted`, by the block's name; of a block that is called
            again also under `name#1`, `name#2` and so on.

    Raises:
        ValueError: if a block lies in a part that is called by `torch.func.vmap`, where its outputs
            cannot be kept.
    """

    def __init__(self, model: nn.Module, single: nn.Module, dtype: torch.dtype) -> None:
        self.outputs: Tensors = {}
        self._dtype = dtype
        self._in_pass = False
        self._hooks: list[RemovableHandle] = []
        within = [name for name, module in model.named_modules() if isinstance(module, Vmapped)]
        for name in blocks(single):
            if any(name == path or name.startswith(f"{path}.") or not path for path in within):
                raise ValueError(
                    f"regularizer: a technique reads the hidden block {name} of "
                    f"{type(single).__name__}, which a stack of runs cannot show; train the "
                    "runs one after another with stack=false"
                )
            self._watch(name, model.get_submodule(name))

    def _watch(self, name: str, block: nn.Module) -> None:
        def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if self._in_pass:
                calls = sum(key.partition("#")[0] == name for key in self.outputs)
                self.outputs[f"{name}#{calls}" if calls else name] = output.to(self._dtype)

        self._hooks.append(block.register_forward_hook(note))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A pass whose outputs are kept, in the place of those before."""
        self.outputs, self._in_pass = {}, True
        try:
            yield
        finally:
            self._in_pass = False

    def remove(self) -> None:
        """Let go of the network: nothing is noted any more."""
        for hook in self._hooks:
            hook.remove()
