"""How sharp a minimum is: the largest eigenvalue of the Hessian, and the gap that SAM closes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ITERATIONS = 100
"""Of the power iteration, each a product of the Hessian with a vector."""

RADIUS = 0.05
"""Of the ball in which the SAM gap looks, the rho of the paper."""


def sharpness(
    loss: Callable[[list[Tensor]], Tensor], point: list[Tensor], start: Tensor
) -> dict[str, float]:
    """How fast a loss rises around a point.

    Args:
        loss: `loss(tensors)` is a number (of no dimension), twice differentiable.
        point: the tensors at which it is taken, better float64.
        start: of the power iteration: random, as many numbers as `point` has.

    Returns:
        `eigenvalue`, the largest of the Hessian; `residual`, the length of H v - eigenvalue * v
        relative to it, v the unit vector that the iteration ended with: so far from the eigenvalue
        lies a true one at most; and `sam_gap`, the loss at `RADIUS` along the gradient minus that
        at the point, max over the ball to first order (Foret et al. 2021, eq. 2).
    """
    point = [tensor.detach().clone().requires_grad_() for tensor in point]
    here = loss(point)
    gradient = _flat(torch.autograd.grad(here, point, create_graph=True, materialize_grads=True))

    def multiply(v: Tensor) -> Tensor:
        """H v, through the graph of the gradient, which is made once."""
        if not gradient.requires_grad:  # a loss that is linear
            return torch.zeros_like(v)
        rows = torch.autograd.grad(
            gradient, point, v, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return _flat(rows).detach()

    eigenvalue, residual = largest_eigenvalue(multiply, start)
    direction = gradient.detach() / torch.linalg.vector_norm(gradient.detach()).clamp(min=1e-300)
    with torch.no_grad():
        parts = direction.split([tensor.numel() for tensor in point])
        moved = [w + RADIUS * part.view_as(w) for w, part in zip(point, parts, strict=True)]
        gap = loss(moved) - here
    return {"eigenvalue": eigenvalue, "residual": residual, "sam_gap": float(gap)}


def largest_eigenvalue(
    multiply: Callable[[Tensor], Tensor], start: Tensor, iterations: int = ITERATIONS
) -> tuple[float, float]:
    """The largest eigenvalue of a symmetric matrix, by power iteration.

    The iteration finds that of the largest size. If it is negative, a second one finds the largest
    of the matrix minus it, which has none below zero.

    Args:
        multiply: the matrix times a vector [n].
        start: [n], random.
        iterations: of each.

    Returns:
        The eigenvalue, and its residual relative to it (see `sharpness`).
    """
    value, residual = _power_iteration(multiply, start, iterations)
    if value < 0:
        least = value
        above, residual = _power_iteration(lambda v: multiply(v) - least * v, start, iterations)
        value = above + least
    return value, residual / abs(value) if value else residual


def _power_iteration(
    multiply: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[float, float]:
    """The eigenvalue of the largest size, and the length of H v - eigenvalue * v."""
    v = start / torch.linalg.vector_norm(start)
    value, product = 0.0, multiply(v)
    for _ in range(iterations):
        length = torch.linalg.vector_norm(product)
        if length == 0:
            break
        v = product / length
        product = multiply(v)
    value = v @ product
    return float(value), float(torch.linalg.vector_norm(product - value * v))


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
