"""Shake-shake: two branches of each residual, mixed at random."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.regularizer.base import Choice, Noise, NotApplicable, Regularizer, Rng, residuals
from regexp.regularizer.common import backwards_as

Share = Annotated[str, Choice("shake", "even")]


@dataclass(frozen=True)
class ShakeShake(Regularizer, kind="layer"):
    """Give each residual a second branch, and mix both at random: x + a f_1(x) + (1 - a) f_2(x).

    a ~ U(0, 1) is drawn for each row, and another one for the gradient (the paper's
    Shake-Shake-Image); in evaluation both count half. The second branch is built as the first and
    has initial weights of its own. Techniques that add layers to branches are listed after it.

    Helps:
        Residual networks with branches wide enough that half of them would do, trained long under a
        cosine schedule. Kadra et al. (https://arxiv.org/abs/2106.11189) have it among the thirteen
        regularizers of their cocktails for tables.

    Costs:
        The time and the parameters of a second branch: compare it with `forward: even` and
        `backward: even`, which is the larger network by itself, or with a wider one.

    Args:
        forward: the share a in training: `shake`, drawn anew for each row, or `even`, 1/2.
        backward: the share in the gradient: `shake`, drawn anew as well, `even`, or `keep` for that
            of the forward pass.

    Raises:
        ValueError: for another word.
        NotApplicable: for a model without residual branches; for branches that have layers of other
            techniques already, or parameters that cannot be drawn again.

    Reference:
        X. Gastaldi, Shake-shake regularization, 2017, section 1.
        https://arxiv.org/abs/1705.07485
    """

    forward: Share
    backward: Annotated[str, Choice("shake", "even", "keep")]

    def build(self, model: nn.Module) -> nn.Module:
        for name, residual in residuals(model).items():
            second = drawn_again(residual.branch, name)
            residual.branch = TwoBranches(residual.branch, second, self.forward, self.backward)
        return model


def drawn_again(branch: nn.Module, name: str) -> nn.Module:
    """A copy of `branch` with initial weights of its own, from torch's stream as models are made.

    Raises:
        NotApplicable: if it has layers of techniques, or parameters without `reset_parameters`.
    """
    again = copy.deepcopy(branch)
    for module in again.modules():
        if isinstance(module, Noise) or parametrize.is_parametrized(module):
            raise NotApplicable(
                f"the branch {name} has a {type(module).__name__} of another technique",
                key="regularizer",
                cure="list shake_shake before techniques that add layers",
            )
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
        elif next(module.parameters(recurse=False), None) is not None:
            raise NotApplicable(
                f"the branch {name} has a {type(module).__name__} with parameters but without a "
                "reset_parameters, which a second branch needs for initial weights of its own",
                key="regularizer",
                cure="give it that method, or leave shake_shake out",
            )
    return again


class TwoBranches(nn.Module):
    """a first(x) + (1 - a) second(x)."""

    broadcasts: ClassVar[bool] = True

    def __init__(self, first: nn.Module, second: nn.Module, forward: str, backward: str) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.mix = RandomMix(forward, backward)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.first(x), self.second(x))


class RandomMix(Noise):
    """a * first + (1 - a) * second with a of each row; half of both in evaluation.

    Attributes:
        noise: the shares (forward, backward) of each row, [rows, ones, 2].
    """

    def __init__(self, forward: str, backward: str) -> None:
        super().__init__()
        self.shares = (forward, backward)

    def draw(self, rng: Rng, rows: int) -> Tensor:
        assert self.shape is not None, "call the network once before drawing its noise"
        forward, backward = (rng.uniform((rows, *(1 for _ in self.shape))) for _ in self.shares)
        if self.shares[0] == "even":
            forward = torch.full_like(forward, 0.5)
        if self.shares[1] == "even":
            backward = torch.full_like(backward, 0.5)
        elif self.shares[1] == "keep":
            backward = forward
        return torch.stack([forward, backward], -1)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.full_like(noise, 0.5)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        if not (self.training and self.noise.ndim):  # nor before its first draw
            return 0.5 * self.note(first) + 0.5 * second
        shares = self.noise.unbind(-1)
        return backwards_as(*(share * first + (1 - share) * second for share in shares))
