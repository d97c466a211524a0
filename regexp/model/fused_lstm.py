"""An LSTM over whole sequences by torch's own kernel, which oneDNN computes two to three times as
fast as one that is written out time by time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

KERNELS = {"lstm": "torch's LSTM by oneDNN"}
"""What computes layers of a `kind`, where that was changed on purpose and bits with it. Runs record
it, so that a rerun of one from before can name what is different."""


def is_fused(x: Tensor, *weights: Tensor) -> bool:
    """Whether the kernel serves: float32 of one run or of a stack, on a CPU, called as it is.

    Not within `torch.vmap` or `torch.func.grad`, for which it has no rule, nor in a program that is
    exported, which is to run elsewhere.

    Args:
        x: [rows, time, inputs], or [runs, rows, time, inputs].
        weights: those of the layer.
    """
    return (
        x.ndim in (3, 4)
        and all(tensor.dtype is torch.float32 and not tensor.is_cuda for tensor in (x, *weights))
        and x.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
    )


_once: ContextVar[bool] = ContextVar("differentiated_once", default=False)


@contextlib.contextmanager
def differentiated_once() -> Iterator[None]:
    """Passes whose gradients nobody differentiates in turn: by torch's own graph, to the bit.

    A step of a small network takes a twentieth less time.
    """
    token = _once.set(True)
    try:
        yield
    finally:
        _once.reset(token)


def fused_lstm(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """The states of one run at all times, from a state of zeros.

    It may be differentiated twice, as the kernel itself may not, but for `differentiated_once`.

    Args:
        x: [rows, time, inputs].
        weight_ih: [4 * features, inputs], and so on, as `nn.LSTMCell` has them.

    Returns:
        [rows, time, features].
    """
    tensors = x, weight_ih, weight_hh, bias_ih, bias_hh
    once = _once.get() or not torch.is_grad_enabled()
    if not once and any(tensor.requires_grad for tensor in tensors):
        return _FusedLSTM.apply(*tensors)
    return _kernel(*tensors)


def _kernel(x: Tensor, *weights: Tensor) -> Tensor:
    """By torch's own function, which takes float64 too, by cells."""
    zeros = x.new_zeros(1, len(x), weights[1].shape[1])
    training = torch.is_grad_enabled()
    return torch._VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, training, False, True)[0]


_MODE = 2
"""Of the kernel: an LSTM."""


class _FusedLSTM(torch.autograd.Function):
    """The kernel with its gradient, whose own gradient is that of float64, where torch goes by
    cells.

    It is called as torch's function calls it, with the same bits, but without that function and a
    graph of its own in each step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        times = x.detach().transpose(0, 1).contiguous()
        features = weights[1].shape[1]
        zeros = x.new_zeros(len(x), features)
        with torch.enable_grad():  # else it keeps nothing for the way back
            # not reversed, no packed rows, one layer with biases in one direction, for training
            made = torch.ops.aten.mkldnn_rnn_layer.default(
                times, *(weight.detach() for weight in weights), zeros, zeros,
                False, [], _MODE, features, 1, True, False, True, True,
            )  # fmt: skip
        ctx.save_for_backward(x, *weights, times, zeros, *made)
        outputs: Tensor = made[0]
        return outputs.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, *weights = ctx.saved_tensors[:5]
        if torch.is_grad_enabled():  # what it gives is to be differentiated in turn
            outputs = _kernel(*(one.double() for one in (x, *weights))).to(x)
            pairs = zip((x, *weights), ctx.needs_input_grad, strict=True)
            wanted = [one for one, needed in pairs if needed]
            found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        times, zeros, outputs, last, cells, workspace = ctx.saved_tensors[5:]
        inner = torch.ops.aten.mkldnn_rnn_layer_backward.default(
            times, *weights, zeros, zeros, outputs, last, cells,
            gradients[0].transpose(0, 1).contiguous(), None, None,
            False, _MODE, weights[1].shape[1], 1, True, True, False, [], True, workspace,
        )  # fmt: skip
        return inner[0].transpose(0, 1), *inner[1:5]
