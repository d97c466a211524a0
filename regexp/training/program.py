"""Recorded tensor operations written as a program, of what each replay has to do."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

Arguments = tuple[Any, ...]

Program = Callable[[int, Any], Any]
"""`program(step_index, inputs)` gives the outputs for the inputs of a later step."""

_UNFILLED = {
    getattr(aten, name)
    for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
}
_LIKE = {
    getattr(aten, name)
    for name in ("ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full")
}
"""What gives the same values for any values of the tensor that it is given."""

_HIDDEN = {aten.native_batch_norm.default}
"""What writes into tensors that it is given, its running statistics, and does not say so."""


class NotRecordableError(Exception):
    """What a function did cannot be replayed."""


STEP_INDEX = object()
"""Stands for the number of the step among the arguments of a recorded call."""


class Writer:
    """Writes recorded calls as a graph, of what each replay has to do.

    What depends on neither inputs, draws nor what changes was computed for good, and so were views
    of tensors from outside, which show what these will hold. What is computed twice is so once, and
    what nothing needs is left out.

    Args:
        changing: the storages that are written into.
    """

    def __init__(self, inputs: Any, changing: set[int]) -> None:
        self._graph = Graph()
        self._step_index = self._graph.placeholder("step_index")
        self._last = self._graph.placeholder("inputs")  # of the placeholders
        self._nodes: dict[int, Node] = {}  # by the id of a tensor, which is kept alive
        self._inner: set[int] = set()  # those that are not from outside
        self._alive: list[Any] = []
        self._changing = changing
        self._outer: list[Tensor] = []
        self._views: dict[Any, Node] = {}
        self._results: dict[Any, Node] = {}
        self._pure: set[Node] = set()
        self._given = [storage(tensor) for tensor in tensors_of(inputs)]
        self._unpack(inputs, self._last)

    def _unpack(self, values: Any, node: Node) -> None:
        """Take the tensors out of nested inputs."""
        if isinstance(values, Tensor):
            self._set(values, node)
            return
        items: Iterable[Any] = ()
        if isinstance(values, dict):
            items = values.items()
        elif isinstance(values, list | tuple):
            items = enumerate(values)
        for key, value in items:
            if tensors_of(value):
                self._unpack(value, self._add(operator.getitem, (node, key), {}, pure=True))

    def write(self, calls: Sequence[Any], outputs: Any) -> Program:
        for func, args, kwargs, out in calls:
            self._alive.append((args, kwargs, out))
            if not self._is_outer(func, args, kwargs, out):
                self._call(func, args, kwargs, out)
        self._graph.output(pytree.tree_map(self._node, outputs))
        elsewhere = {storage(tensor) for tensor in self._outer}
        if len({*self._given, *elsewhere}) < len(self._given) + len(elsewhere):
            raise NotRecordableError("what is given shares memory, which it may not do later")
        for node in reversed(self._graph.nodes):
            if node in self._pure and not node.users:
                self._graph.erase_node(node)
        # views without the graph of the step that was recorded
        outer = [tensor if tensor.is_leaf else tensor.detach() for tensor in self._outer]
        # not by a GraphModule, whose text torch keeps for good
        code = self._graph.python_code("self")
        names = dict(code.globals)
        exec(compile(code.src, "<replay>", "exec"), names)
        forward = names["forward"]
        return lambda step_index, inputs: forward(None, step_index, inputs, *outer)

    def _is_outer(self, func: Any, args: Any, kwargs: Any, out: Any) -> bool:
        """Whether a call gives what need not be computed again."""
        if not isinstance(out, Tensor) or not _is_pure(func):
            return False
        if func.overloadpacket in _UNFILLED and out.numel():
            return False
        given = [] if func.overloadpacket in _LIKE else tensors_of((args, kwargs))
        if any(id(tensor) in self._inner for tensor in given):
            return False
        if func is aten.lift_fresh.default:  # made by Python
            return storage(out) not in self._changing
        if any(storage(out) == storage(tensor) for tensor in given):
            return True
        return not any(storage(tensor) in self._changing for tensor in (out, *given))

    def _call(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        if func is aten.lift_fresh.default:  # made by Python, and changed later
            func = aten.clone.default
        if func is aten._unsafe_view.default:  # unsafe for autograd alone
            func = aten.view.default
        given = tensors_of((args, kwargs))
        pure, key, known = _is_pure(func), None, self._results
        if pure and isinstance(out, Tensor) and storage(out) in map(storage, given):
            key, known = _place(out), self._views
            for tensor in given:
                self._views.setdefault(_place(tensor), self._node(tensor))
        nodes, named = self._mapped(args), self._mapped(kwargs)
        if key is None and pure and func.overloadpacket not in _UNFILLED:
            storages = {storage(tensor) for tensor in (*given, *tensors_of(out))}
            if not storages & self._changing:
                key = func, repr(nodes), repr(named)
        node = known.get(key)
        if node is None:
            node = self._add(_fast(func, args, kwargs), nodes, named, pure)
            if key is not None:
                known[key] = node
        if isinstance(out, Tensor):
            self._set(out, node)
            return
        for index, part in enumerate(out or ()):
            if isinstance(part, Tensor):
                self._set(part, self._add(operator.getitem, (node, index), {}, pure=True))

    def _add(self, function: Any, args: Any, kwargs: Any, pure: bool) -> Node:
        node = self._graph.call_function(function, args, kwargs)
        if pure:
            self._pure.add(node)
        return node

    def _mapped(self, values: Any) -> Any:
        return pytree.tree_map(self._argument, values)

    def _argument(self, value: Any) -> Any:
        if value is STEP_INDEX:
            return self._step_index
        return self._node(value) if isinstance(value, Tensor) else value

    def _set(self, tensor: Tensor, node: Node) -> None:
        self._nodes.setdefault(id(tensor), node)
        self._inner.add(id(tensor))
        self._alive.append(tensor)

    def _node(self, tensor: Tensor) -> Node:
        if id(tensor) not in self._nodes:
            with self._graph.inserting_after(self._last):
                self._last = self._graph.placeholder(f"outer_{len(self._outer)}")
            self._outer.append(tensor)
            self._nodes[id(tensor)] = self._last
        return self._nodes[id(tensor)]


class _CallError(Exception):
    """A function calls an operation."""

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        super().__init__()
        self.call = func, args, kwargs


class _First(TorchDispatchMode):
    """Tells the first operation that is called, and lets nothing be computed."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise _CallError(func, args, kwargs or {})


def _fast(func: Any, args: Any, kwargs: Any) -> Any:
    """torch's own function for an operation, if it calls just that: it takes half the time."""
    if not isinstance(func, torch._ops.OpOverload):
        return func
    name = func._schema.name.removeprefix("aten::")
    for place in (torch, torch.Tensor):
        fast = getattr(place, name, None)
        if not isinstance(fast, BuiltinFunctionType | MethodDescriptorType):
            continue
        try:
            with _First():
                fast(*args, **kwargs)
        except _CallError as found:
            if _same(found.call, (func, args, kwargs)):
                return fast
        except Exception:  # it takes other arguments
            continue
    return func


def _same(first: Any, second: Any) -> bool:
    ours, theirs = pytree.tree_flatten(first), pytree.tree_flatten(second)
    return ours[1] == theirs[1] and all(
        a is b or (not isinstance(a, Tensor) and type(a) is type(b) and a == b)
        for a, b in zip(ours[0], theirs[0], strict=True)
    )


def _is_pure(func: Any) -> bool:
    """Whether a call of it writes into nothing, and gives the same each time."""
    if not isinstance(func, torch._ops.OpOverload):  # a draw
        return False
    return not func._schema.is_mutable and func not in _HIDDEN


def _place(tensor: Tensor) -> Any:
    """What tensors that show the same memory in the same way have in common."""
    layout = tensor.shape, tensor.stride(), tensor.storage_offset()
    return storage(tensor), *layout, tensor.dtype


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def tensors_of(values: Any) -> list[Tensor]:
    return [value for value in pytree.tree_leaves(values) if isinstance(value, Tensor)]
