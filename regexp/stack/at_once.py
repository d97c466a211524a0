"""How many runs of a stack are trained at once.

Side by side, runs share the time of every call. One after another, they share the processor's
cache: a run that goes through all its steps by itself finds its weights, moments and activations
there, and those of many wide networks, or of images, do not fit together. On large planes a grouped
convolution is slower than one after another as well. On a GPU they have to fit into its memory.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from regexp.stack.member import Member, lengths

WORKING_SET = 16 * 2**20
"""Bytes that the runs which train at once may go through in a step on a CPU. Networks of several
widths, batches and images were measured; see benchmarks/README.md."""

SHARE = 1 / 4
"""Of a GPU's memory, what these bytes may be: gradients of what modules give, techniques that call
the network again, and the rows need the rest."""


def runs_at_once(members: Sequence[Member], batch_size: int, device: torch.device) -> int:
    """How many runs of a stack train side by side; the same on every CPU, and GPU of one memory.

    Args:
        members: of equal structure.
        batch_size: rows a step, for each run.
        device: where they train.
    """
    room = room_on(device)
    if room is None or len(members) == 1:
        return len(members)
    first = members[0]
    [(rows, _)] = lengths(first.regularizer, len(first.data.train), batch_size, 1)
    example = first.data.train.inputs[:1].to(torch.float32)
    most = max(1, room // working_set(first.model, example, rows))
    return -(-len(members) // -(-len(members) // most))  # of about equal size


def room_on(device: torch.device) -> int | None:
    """Bytes that the runs which train at once may go through in a step; None for any."""
    if device.type == "cpu":
        return WORKING_SET
    if device.type == "cuda":
        return int(SHARE * torch.cuda.get_device_properties(device).total_memory)
    return None


def working_set(model: nn.Module, example: Tensor, rows: int) -> int:
    """Bytes that a training step of one network goes through, in float32.

    Its weights with their gradients and the two moments of Adam, and what its modules give.

    Args:
        model: left as it is.
        example: inputs of one row, [1, *features].
        rows: of a batch.
    """
    kept: dict[int, Tensor] = {}  # by memory, which stays taken: modules may pass on what they get

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            kept[output.untyped_storage().data_ptr()] = output

    trial = copy.deepcopy(model).to(example).eval()
    for module in trial.modules():
        module.register_forward_hook(keep)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        trial(example)
    weights = sum(parameter.numel() for parameter in model.parameters())
    return 4 * (4 * weights + rows * sum(output.numel() for output in kept.values()))
