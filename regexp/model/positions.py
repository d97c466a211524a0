"""What the linear layers of a network get: one row of features each, or a sequence of them."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Size, Tensor, nn

from regexp.model.layers import Block, unfit
from regexp.model.modes import without_fast_path

_ROWS = 7  # that no other axis of a network is likely to have


def note_positions(model: nn.Module, example: Tensor) -> None:
    """Let the linear layers of `model`, and their blocks, know what they get, by a pass of a copy.

    An `nn.Linear` takes rows [rows, features], and tokens [rows, time, features], without a word; a
    technique that adds layers has to know. Here `dimensions` of a `Block` is set, and of a layer or
    block that techniques cannot add to, `unfit`, to the reason. What fails is told by those who
    look at the whole network (`regexp.model.guards`).

    Args:
        model: before techniques add layers to it.
        example: inputs [rows, *features], of which the first row is enough.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    if not layers:
        return
    shapes: dict[str, set[Size]] = {name: set() for name in layers}
    try:
        trial = copy.deepcopy(model).eval()
        for name, noted in shapes.items():
            trial.get_submodule(name).register_forward_hook(partial(_note, noted))
        with torch.no_grad(), torch.random.fork_rng(devices=[]), without_fast_path():
            trial(torch.cat([example[:1]] * _ROWS))
    except Exception:  # a user's module may raise anything
        return
    seen = {layers[name]: sorted(noted, key=len) for name, noted in shapes.items()}
    for name, layer in layers.items():
        if got := [shape[0] for shape in seen[layer] if shape[0] != _ROWS]:
            vars(layer)["unfit"] = (
                f"{name} gets {got[0]} rows of a batch of {_ROWS}; keep those of the batch as its "
                "first axis, as in [rows, time, features]"
            )
    for name, block in model.named_modules():
        if not isinstance(block, Block) or not isinstance(block.layer, nn.Linear):
            continue
        lengths = {len(shape) for shape in seen[block.layer]}
        if reason := unfit(block.layer):
            block.unfit = reason
        elif lengths not in ({2}, {3}, set()):
            block.unfit = (
                f"{name} gives {' and '.join(str([*shape]) for shape in seen[block.layer])} for "
                f"{_ROWS} rows; expected [rows, features] or [rows, time, features]"
            )
        elif lengths:
            block.dimensions = lengths.pop() - 2


def _note(shapes: set[Size], layer: nn.Module, inputs: Any, outputs: Tensor) -> None:
    shapes.add(outputs.shape)
