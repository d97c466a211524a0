"""A second device where there is no GPU: its tensors are in the CPU's memory, and not of the CPU.

What gives an operation tensors of both raises, as on CUDA; so does what makes an array of numpy's
of one. Torch registers it for the whole process, so that it is for a process of its own: see
`test_other_device`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

aten = torch.ops.aten

FACTORIES = (
    aten.empty.memory_format, aten.empty_strided.default, aten.full.default,
    aten.scalar_tensor.default, aten.arange.default, aten.arange.start, aten.arange.start_step,
    aten.linspace.default, aten.eye.default, aten.eye.m, aten.randperm.default,
    aten.randperm.generator, aten.tril_indices.default, aten.triu_indices.default,
)  # fmt: skip

ACROSS = {
    aten.copy_.default, aten._copy_from.default, aten._to_copy.default,
    aten.index.Tensor, aten.index_put.default, aten.index_put_.default,
}  # fmt: skip
"""Operations that CUDA lets have tensors of both: copies, and indices on the CPU."""


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("other", backend_module=_Backend())
DEVICE = torch.device("other", 0)
_DATA: Any = Tensor.data


class Other(Tensor):
    """A tensor of the device; `content`, on the CPU, has its numbers."""

    content: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def of(cls, content: Tensor) -> Other:
        made: Other = Tensor._make_wrapper_subclass(
            cls, content.shape, strides=content.stride(), dtype=content.dtype, device=DEVICE
        )
        made.content = content
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _call(func, args, kwargs or {})

    def _set_data(self, value: Any) -> None:
        _DATA.__set__(self, value)
        self.content = value.content

    data = property(lambda self: _DATA.__get__(self), _set_data)

    def tolist(self) -> Any:
        return self.content.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("expected a tensor on the CPU")


def _call(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """An operation with at least one tensor of the device, on the CPU."""
    tensors = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    pointwise = torch.Tag.pointwise in function.tags
    for one in tensors:
        if (
            not isinstance(one, Other)
            and function not in ACROSS
            and not (pointwise and one.ndim == 0)
        ):
            raise RuntimeError(f"{function}: a tensor {list(one.shape)} of the CPU, others are not")
    known = {id(_on_cpu(one)): one for one in tensors}
    moves = function is aten._to_copy.default and kwargs.get("device") is not None
    there = not moves or _is_other(kwargs["device"])
    args, kwargs = pytree.tree_map(_on_cpu, (args, kwargs))

    def of_device(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return known[id(one)] if id(one) in known else Other.of(one) if there else one

    return pytree.tree_map(of_device, function(*args, **kwargs))


def _on_cpu(one: Any) -> Any:
    if isinstance(one, torch.device) and _is_other(one):
        return torch.device("cpu")
    return one.content if isinstance(one, Other) else one


def _is_other(device: Any) -> bool:
    return torch.device(device).type == "other"


def _make(factory: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Other:
    return Other.of(factory(*args, **kwargs | {"device": "cpu"}))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _on_cpu(target).copy_(_on_cpu(source))
    return target


_library = torch.library.Library("aten", "IMPL")  # for as long as it is there
for _factory in FACTORIES:
    _library.impl(_factory, partial(_make, _factory), "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")
_autocast = torch.library.Library("_", "IMPL")
_autocast.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


class _Generator(torch.Generator):
    """Of the CPU, for draws of the device as well."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        made: _Generator = super().__new__(cls, "cpu" if _is_other(device) else device)  # type: ignore[call-arg]
        return made


torch.Generator = _Generator  # type: ignore[misc]
torch.__future__.set_swap_module_params_on_conversion(True)  # tied weights stay tied
