"""How deep in a network its parameters stand, by their names."""

from __future__ import annotations

from regexp.model.kinds import in_order, owner
from regexp.regularizer.base import ParameterKinds, Tensors, weights

_FIRST, _SECOND = ".branch.first.", ".branch.second."
"""What parts of two parallel branches are called, see `regexp.regularizer.shake_shake`."""


def layers_before_output(parameters: Tensors, kinds: ParameterKinds) -> dict[str, int]:
    """How many layers with weights lie between each parameter and the output.

    Args:
        parameters: all of a network's, by name.
        kinds: of them, in their order from inputs to outputs.

    Returns:
        By name: 0 in the last layer, 1 in the one before it. A parameter of a module without
        weights (normalization) counts with the layer before it, or the first.
    """
    parameters = {name: parameters[name] for name in in_order(parameters, kinds)}
    owners = (_of_first_branch(owner(name)) for name in weights(parameters, kinds))
    layers = {module: i for i, module in enumerate(dict.fromkeys(owners))}
    distances, current = {}, 0
    for name in parameters:
        current = layers.get(_of_first_branch(owner(name)), current)
        distances[name] = len(layers) - 1 - current
    return distances


def last_block_before(parameters: Tensors) -> dict[str, int]:
    """The number of the hidden block, from 0, that each parameter is of or stands after.

    A block is what has parameters under its slot `layer` (see `regexp.model.layers.Block`). What
    stands before the first one counts with it.

    Args:
        parameters: all of a network's, by name, in its order from inputs to outputs.
    """
    blocks: dict[str, int] = {}
    numbers, current = {}, 0
    for name in parameters:
        block, within, _ = _of_first_branch(name).rpartition(".layer.")
        if within:
            current = blocks.setdefault(block, len(blocks))
        numbers[name] = current
    return numbers


def _of_first_branch(name: str) -> str:
    """What stands as deep in the first of two parallel branches; else the name itself."""
    return f"{name}.".replace(_SECOND, _FIRST).removesuffix(".")
