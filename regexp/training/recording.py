"""Tensor operations of a function, recorded while it runs, to be replayed without its Python.

`torch.vmap` and autograd are carried out before an operation is recorded, so a replay calls the
same kernels on the same numbers in the same order, and gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from regexp.random import Fill, Rng
from regexp.training.program import (
    STEP_INDEX,
    Arguments,
    NotRecordableError,
    Program,
    Writer,
    aten,
    storage,
    tensors_of,
)

_REFUSED = {
    torch.Tag.data_dependent_output: "looks at the values of tensors",
    torch.Tag.dynamic_output_shape: "gives a size that depends on the values of tensors",
    torch.Tag.nondeterministic_seeded: "draws from no stream of the step",
    torch.Tag.inplace_view: "changes the shape of a tensor in place",
}


class Unknown:
    """A number in the place of one that differs from step to step: it refuses to be used.

    Args:
        name: for the message.
        tensor: the number as a tensor, which may be used.
    """

    def __init__(self, name: str, tensor: Tensor | None = None) -> None:
        self.name = name
        self.tensor = tensor

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotRecordableError(f"what is done depends on {self.name}")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __pow__ = __rpow__ = __divmod__ = __rdivmod__ = __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __int__ = __float__ = __index__ = _refuse
    __eq__ = __ne__ = __hash__ = __round__ = _refuse
    __str__ = __repr__ = __format__ = _refuse


class Recorder(TorchDispatchMode):
    """Notes what is done within it (`with recorder:`), to make a `Program` of.

    Args:
        inputs: nested dicts and tuples of what may be other tensors in a replay, of the same
            shapes and types, and of anything else, which stays as it is.
        variables: what is changed between replays, in place.
        path: the beginning of the path of all streams that are drawn from, in which the index of
            the step, its last part, is that of the replay.
    """

    def __init__(
        self, inputs: Any, variables: Iterable[Tensor], path: tuple[str | int, ...]
    ) -> None:
        super().__init__()
        self._inputs = inputs
        self._path = path
        self._calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._changing = {storage(tensor) for tensor in variables}
        self._drawing = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._drawing:
            return func(*args, **kwargs)
        for tag, reason in _REFUSED.items():
            if tag in func.tags and not _is_by_numbers(func, args):
                raise NotRecordableError(f"{func} {reason}")
        if func is aten.mkldnn_rnn_layer.default:
            raise NotRecordableError(f"{func} keeps nothing for its gradient if none is asked for")
        out = func(*args, **kwargs)
        self._calls.append((func, args, kwargs, out))
        self._changing.update(storage(tensor) for tensor in _written(func, args, kwargs))
        return out

    def draw(
        self,
        rng: Rng,
        fill: Fill,
        shape: Sequence[int],
        dtype: torch.dtype,
        parameters: Sequence[Any],
    ) -> Tensor:
        """Make a draw of a stream that this watches."""
        length = len(self._path)
        path, draws = rng.path, rng._draws
        if path[:length] != self._path or not all(isinstance(p, str | int) for p in path):
            raise NotRecordableError(f"a draw from the stream {path[0]!r} of no step")
        again = rng.outside().fold()
        again.watch = None
        start, rest = path[: length - 1], path[length:]

        def make(step_index: int, *parameters: Any) -> Tensor:
            stream = again.again(draws, *start, step_index, *rest)
            return stream.make(fill, shape, dtype, *parameters)

        self._drawing = True
        try:
            out = rng.make(fill, shape, dtype, *parameters)
        finally:
            self._drawing = False
        self._calls.append((make, (STEP_INDEX, *parameters), {}, out))
        return out

    def program(self, outputs: Any) -> Program:
        """What gives `outputs` again, nested dicts and tuples of tensors that were computed."""
        # who gets an output may change it
        changing = self._changing | {storage(tensor) for tensor in tensors_of(outputs)}
        return Writer(self._inputs, changing).write(self._calls, outputs)


def _is_by_numbers(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it takes elements by their numbers: with bools the size would depend on these."""
    if func.overloadpacket is not aten.index:
        return False
    return all(index is None or index.dtype not in (torch.bool, torch.uint8) for index in args[1])


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors that an operation writes into."""
    if not func._schema.is_mutable:
        return
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[index] if index < len(args) else kwargs.get(argument.name)
            yield from tensors_of(given)
