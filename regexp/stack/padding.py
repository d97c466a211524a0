"""Embeddings with padding under `torch.vmap`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_EMBEDDING = signature(F.embedding)

_pads: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether a network calls an embedding with padding: under `vmap` it does the same each time."""


@contextmanager
def padded_embeddings(network: nn.Module) -> Iterator[None]:
    """A call of a network whose padding gets no gradients, in any run.

    Torch's rule for `vmap` (2.13) looks words up in the weights of all runs joined, and knows the
    padding of the first run alone. Here a word that is padding is looked up as any other, and its
    output is a constant.

    Args:
        network: that is called. What torch compiles of it is left as it is.
    """
    if not torch.is_grad_enabled() or not _pads.get(network, True) or _is_compiled(network):
        yield
        return
    mode = _Padded()
    with mode:
        yield
    # one within another, as a network is called and its module in it: the inner one sees it
    _pads[network] = mode.seen or _pads.get(network, False)


def _is_compiled(network: nn.Module) -> bool:
    return any(type(module).__name__ == "OptimizedModule" for module in network.modules())


class _Padded(TorchFunctionMode):
    """Takes a tenth of the time of a small network, as every function of torch goes through it.

    Attributes:
        seen: whether an embedding had padding.
    """

    seen = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.embedding:
            given = _EMBEDDING.bind(*args, **kwargs or {}).arguments
            if (padding := given.pop("padding_idx", None)) is not None:
                self.seen = True
                return _embedding(padding, **given)
        return func(*args, **kwargs or {})


def _embedding(padding: int, input: Tensor, weight: Tensor, **options: Any) -> Tensor:
    rows = F.embedding(input, weight, **options)
    padded = input == padding % len(weight)
    return torch.where(padded.unsqueeze(-1), rows.detach(), rows)
