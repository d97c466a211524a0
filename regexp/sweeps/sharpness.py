"""Sharpness of a run's final weights, of its plain loss on rows of the training split."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from regexp.errors import kind_and_reason
from regexp.metrics import names
from regexp.metrics.loss import LOSSES, Loss
from regexp.metrics.sharpness import sharpness
from regexp.model.functional import call_with
from regexp.model.modes import modes_kept, without_fast_path
from regexp.random import Rng
from regexp.stack.member import Member
from regexp.training.state import Result


def add_sharpness(member: Member, result: Result, rows: int) -> None:
    """Give a run that has finished the sharpness of its final weights, or why it has none.

    It is that of the network in evaluation mode, without penalties and noise, in float64 on the
    CPU.

    Args:
        rows: of the training split, which are drawn from the run's stream.
    """
    try:
        if member.regularizer.uses("predict"):
            raise ValueError("the mean prediction of several members is no loss at one point")
        found = _sharpness(member, result.last["weights"], rows)
        result.metrics |= {names.SHARPNESS + name: value for name, value in found.items()}
    except Exception as error:  # a user's network may have no second derivative
        reason = kind_and_reason(error)
        result.failed_metrics[names.SHARPNESS.rstrip("/")] = reason


def _sharpness(member: Member, weights: dict[str, Tensor], rows: int) -> dict[str, float]:
    model, data, objective = member.model, member.data, member.objective
    rng = Rng(member.seed, "sharpness")
    chosen = rng.permutation(len(data.train))[:rows]

    def double(tensor: Tensor) -> Tensor:
        # on the CPU, as cuDNN's recurrent layers have no second derivative
        tensor = tensor.detach().cpu()
        return tensor.double() if tensor.is_floating_point() else tensor

    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    tensors = {name: double(weights.get(name, tensor)) for name, tensor in held.items()}
    learned = [name for name, p in model.named_parameters() if p.requires_grad]
    inputs, targets = (
        double(values.index_select(0, chosen)) for values in (data.train.inputs, data.train.targets)
    )
    counts = objective.weights(data)
    count = 1.0 if counts is None else counts[chosen]
    own = objective.loss and objective.loss.to(torch.device("cpu"), torch.float64)
    each: Loss = own or LOSSES[data.task]

    def loss(point: list[Tensor]) -> Tensor:
        outputs = call_with(model, tensors | dict(zip(learned, point, strict=True)), inputs)
        return (count * each(outputs, targets)).mean()

    point = [tensors[name] for name in learned]
    start = rng.normal((sum(tensor.numel() for tensor in point),)).double()
    with modes_kept(model), sdpa_kernel(SDPBackend.MATH), without_fast_path():
        model.eval()  # and by kernels that have a second derivative
        return sharpness(loss, point, start)
