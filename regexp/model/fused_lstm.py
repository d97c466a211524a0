"""An LSTM over whole sequences by torch's own kernel, which oneDNN computes two to three times as
fast as one that is written out time by time."""

from __future__ import annotations

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


def fused_lstm(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """The states of one run at all times, from a state of zeros.

    It may be differentiated twice, as the kernel itself may not.

    Args:
        x: [rows, time, inputs].
        weight_ih: [4 * features, inputs], and so on, as `nn.LSTMCell` has them.

    Returns:
        [rows, time, features].
    """
    tensors = x, weight_ih, weight_hh, bias_ih, bias_hh
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _FusedLSTM.apply(*tensors)
    return _kernel(*tensors)


def _kernel(x: Tensor, *weights: Tensor) -> Tensor:
    zeros = x.new_zeros(1, len(x), weights[1].shape[1])
    training = torch.is_grad_enabled()
    return torch._VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, training, False, True)[0]


class _FusedLSTM(torch.autograd.Function):
    """The kernel with its gradient, whose own gradient is that of float64, where torch goes by
    cells."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        with torch.enable_grad():
            ctx.leaves = [one.detach().requires_grad_(one.requires_grad) for one in tensors]
            ctx.outputs = _kernel(*ctx.leaves)
        return ctx.outputs.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        again = torch.is_grad_enabled()  # what it gives is to be differentiated in turn
        inputs, outputs = ctx.leaves, ctx.outputs
        if again:
            inputs = ctx.saved_tensors
            outputs = _kernel(*(one.double() for one in inputs)).to(inputs[0])
        wanted = [one for one, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
        found = iter(
            torch.autograd.grad(outputs, wanted, gradients, retain_graph=True, create_graph=again)
        )
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
