"""Lifted modules against the K modules that they were made of, and torch's own layers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from regexp.model.layers import DropoutLayer, Noise, note_shapes
from regexp.random import Rng
from regexp.stack.lift import lift
from regexp.stack.vmapped import Vmapped, VmappedNoise

RUNS = 3


class Residual(nn.Module):
    """A user's module with a forward of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.scale = nn.Parameter(torch.rand(6))
        self.drop = DropoutLayer(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.norm(self.inner(x)).relu()) * self.scale


class Shifted(nn.Sequential):
    """A Sequential whose forward is its own, which must not be taken for a plain one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Scaled(Noise):
    """Noise that does not broadcast over leading axes, and a number that evaluation uses."""

    numbers = ("share",)
    elementwise = False

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.keep((rows, *(self.shape or ())), self.share)

    def forward(self, x: Tensor) -> Tensor:
        self.note(x)
        return (x * self.noise if self.training else x * self.share).flatten(1)


class Gated(Noise):
    """Noise with a parameter and a number of its own."""

    numbers = ("share",)

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.gate = nn.Parameter(torch.rand(1, 1))

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.keep((rows, *(self.shape or ())), self.share)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate * self.noise if self.training else self.note(x) * self.gate


class BroadcastingGated(Gated):
    broadcasts = True


def test_noise_with_parameters_must_broadcast() -> None:
    with pytest.raises(ValueError, match="broadcasts = True"):
        lift([Gated(0.5), Gated(0.25)])
    lifted = lift([BroadcastingGated(0.5), BroadcastingGated(0.25)])
    assert isinstance(lifted, BroadcastingGated)
    assert lifted.gate.shape == (2, 1, 1)
    assert torch.equal(torch.as_tensor(lifted.share), torch.tensor([0.5, 0.25]).double())


def repeated() -> nn.Module:
    activation, layer = nn.Tanh(), nn.Linear(6, 6)
    return nn.Sequential(layer, activation, nn.Linear(6, 6), activation, layer)


def hooked() -> nn.Module:
    layer = nn.Linear(6, 6)
    layer.register_forward_hook(lambda module, inputs, output: output.relu() + 1)
    return nn.Sequential(layer, nn.Linear(6, 4))


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "linear without bias": (lambda: nn.Linear(6, 4, bias=False), (6,)),
    "linear on sequences": (lambda: nn.Linear(6, 4), (5, 6)),
    "conv": (lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1), (2, 8, 8)),
    "grouped conv": (lambda: nn.Conv2d(4, 8, 3, groups=2, bias=False, dilation=2), (4, 8, 8)),
    "reflecting conv": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (2, 8, 8)),
    "batch norm": (lambda: nn.BatchNorm1d(6), (6,)),
    "batch norm 2d": (lambda: nn.BatchNorm2d(2), (2, 4, 4)),
    "bare batch norm": (lambda: nn.BatchNorm1d(6, affine=False, momentum=0.3, eps=1e-2), (6,)),
    "batch norm of means": (lambda: nn.BatchNorm1d(6, momentum=None), (6,)),
    "untracked batch norm": (lambda: nn.BatchNorm1d(6, track_running_stats=False), (6,)),
    "layer norm": (lambda: nn.LayerNorm(6), (6,)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (4, 3, 3)),
    "pooling": (lambda: nn.MaxPool2d(2), (2, 4, 4)),
    "flatten": (lambda: nn.Flatten(), (2, 4, 4)),
    "flatten in part": (lambda: nn.Flatten(1, 2), (2, 4, 4)),
    "flatten the last": (lambda: nn.Flatten(-2, -1), (2, 4, 4)),
    "repeated": (repeated, (6,)),
    "hooked": (hooked, (6,)),
    "noise by vmap": (lambda: nn.Sequential(nn.Linear(6, 6), Scaled(0.25)), (6,)),
    "gelu": (lambda: nn.GELU(), (6,)),
    "residual": (Residual, (6,)),
    "shifted": (lambda: Shifted(nn.Linear(6, 6), nn.ReLU()), (6,)),
    "nested": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.Sequential(Residual(), nn.Tanh()), nn.ReLU()),
        (6,),
    ),
    "normalised by weight": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)),
        (6,),
    ),
}


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("training", [True, False])
def test_a_lifted_module_agrees_with_its_modules(name: str, training: bool) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    modules = [make().double().train(training) for _ in range(RUNS)]
    for module in modules:
        note_shapes(module, torch.zeros(2, *shape, dtype=torch.float64))
        for inner in module.modules():
            if isinstance(inner, Noise):
                inner.noise = torch.rand(4, *(inner.shape or ()), dtype=torch.float64)
    lifted = lift(copy.deepcopy(modules)).train(training)
    for inner in lifted.modules():
        if isinstance(inner, VmappedNoise):  # what the loop would fill
            noisy = [n for m in modules for n in m.modules() if isinstance(n, Noise)]
            inner.noise = torch.stack([layer.noise for layer in noisy])
    assert {n: tuple(p.shape) for n, p in lifted.named_parameters()} == {
        n: (RUNS, *p.shape) for n, p in modules[0].named_parameters()
    }
    assert {n for n, _ in lifted.named_buffers()} == {n for n, _ in modules[0].named_buffers()}

    x = torch.randn(RUNS, 4, *shape, dtype=torch.float64, requires_grad=True)
    for _ in range(2):  # twice: running statistics feed on what they were
        outputs = lifted(x)
        alone = torch.stack([module(row) for module, row in zip(modules, x, strict=True)])
        torch.testing.assert_close(outputs, alone)
    ours = torch.autograd.grad(outputs.square().sum(), [x, *lifted.parameters()])
    theirs = torch.autograd.grad(
        alone.square().sum(), [x, *(p for module in modules for p in module.parameters())]
    )
    torch.testing.assert_close(ours[0], theirs[0])
    count = len(ours) - 1
    for index, gradient in enumerate(ours[1:]):
        own = torch.stack([theirs[1 + run * count + index] for run in range(RUNS)])
        torch.testing.assert_close(gradient, own)
    for key, buffer in lifted.named_buffers():
        own = torch.stack([module.get_buffer(key) for module in modules])
        torch.testing.assert_close(buffer, own)


def test_layers_that_matter_are_not_lifted_by_vmap() -> None:
    fast = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(18, 4), nn.BatchNorm1d(4), DropoutLayer(0.1),
    )  # fmt: skip
    lifted = lift([copy.deepcopy(fast) for _ in range(2)])
    assert not any(isinstance(module, Vmapped) for module in lifted.modules())


def test_the_runs_of_a_lifted_module_do_not_see_each_other() -> None:
    lifted = lift([Residual().double() for _ in range(RUNS)]).eval()
    x = torch.randn(RUNS, 4, 6, dtype=torch.float64)
    before = lifted(x)
    x[1] = float("nan")
    after = lifted(x)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert after[1].isnan().all()
