"""Weight decay: AdamW and torch's weight_decay argument, step for step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.regularizer.base import GradientView
from tests.support import make_step, not_called, technique


def trained(decay, optimizer, steps=40, learning_rate=0.01, gradient=True):
    """A hand-written loop with the technique's two hooks; float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    parameters = dict(model.named_parameters())
    stepper = optimizer(model.parameters(), lr=learning_rate)
    for index in range(steps):
        x = torch.randn(16, 5, generator=torch.Generator().manual_seed(index)).double()
        stepper.zero_grad()
        (gradient * (model(x) - x[:, :3]).square().mean()).backward()
        with torch.no_grad():
            old = {name: p.clone() for name, p in parameters.items()}
            step = make_step(index, learning_rate)
            if decay is not None:
                gradients = {n: p.grad for n, p in parameters.items() if p.grad is not None}
                changed = decay.gradient(step, GradientView(gradients, old, not_called))
                for name, p in parameters.items():
                    p.grad = changed[name]
        stepper.step()
        if decay is not None:
            with torch.no_grad():
                new = {name: p.clone() for name, p in parameters.items()}
                for name, value in decay.constrain(step, new, old).items():
                    parameters[name].copy_(value)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def with_decay(kind, strength, **options):
    return lambda parameters, lr: kind(parameters, lr=lr, weight_decay=strength, **options)


def test_decoupled_is_adamw():
    decay = technique("weight_decay", strength=0.1, mode="decoupled", include="all")
    ours = trained(decay, torch.optim.Adam)
    torchs = trained(None, with_decay(torch.optim.AdamW, 0.1))
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-15)


def test_decoupled_shrinks_alone_where_there_is_no_gradient():
    decay = technique("weight_decay", strength=0.1, mode="decoupled", include="all")
    start = trained(None, torch.optim.SGD, steps=0)
    ours = trained(decay, torch.optim.SGD, steps=40, gradient=False)
    torch.testing.assert_close(ours, start * (1 - 0.01 * 0.1) ** 40, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {}), (torch.optim.Adamax, {})],
)
def test_coupled_is_torchs_argument(kind, options):
    decay = technique("weight_decay", strength=0.1, mode="coupled", include="all")
    ours = trained(decay, lambda p, lr: kind(p, lr=lr, **options))
    torchs = trained(None, with_decay(kind, 0.1, **options))
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-15)


def test_the_modes_agree_for_sgd_and_differ_for_adam():
    decoupled = technique("weight_decay", strength=0.1, mode="decoupled")
    coupled = technique("weight_decay", strength=0.1, mode="coupled")
    sgd = [trained(mode, torch.optim.SGD) for mode in (decoupled, coupled)]
    adam = [trained(mode, torch.optim.Adam) for mode in (decoupled, coupled)]
    torch.testing.assert_close(sgd[0], sgd[1], rtol=0, atol=1e-15)
    assert (adam[0] - adam[1]).abs().max() > 0.01
