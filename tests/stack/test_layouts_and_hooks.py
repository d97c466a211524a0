"""Networks as people write them: transposed weights, hooks on parameters, replaced buffers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.guards import checked_outputs
from regexp.model.mlp import MLP
from regexp.stack.lift import chain
from regexp.training.own_loop import Regularized
from tests.support import make_data, make_member, run, technique

FUSED = partial(torch.optim.Adam, lr=0.01, fused=True)


def transposed() -> nn.Module:
    """Its first weight is column-major, as of a decomposition."""
    model: Any = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    model[0].weight = nn.Parameter(model[0].weight.detach().t().contiguous().t())
    assert model[0].weight.stride() == (1, 8)
    return model


def row_major() -> nn.Module:
    model: Any = transposed()
    model[0].weight = nn.Parameter(model[0].weight.detach().contiguous())
    return model


def channels_last() -> nn.Module:
    layers = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)
    made: nn.Module = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def weights(model: Callable[[], nn.Module], runs: int = 1, **options: Any) -> list[dict[str, Any]]:
    techniques = {name: technique(name, **changes) for name, changes in options.items()}
    members = [make_member(seed, techniques, FUSED, model=model) for seed in range(runs)]
    results, _ = run(members, way="auto", precision="float64")
    return [one.last["weights"] for one in results]


def assert_close(ours: dict[str, Any], others: dict[str, Any]) -> None:
    for name, value in ours.items():
        torch.testing.assert_close(value, others[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("name", ["gradient_clipping", "sam"])
def test_gradients_lie_as_their_parameter_does(name: str, runs: int) -> None:
    """Fused optimizers take memory as it lies, and would pair weights with others' gradients."""
    changes = {"limit": 1e9} if name == "gradient_clipping" else {}
    ours = weights(transposed, runs, **{name: changes})
    others = weights(row_major, runs, **{name: changes})
    for mine, other in zip(ours, others, strict=True):
        assert_close(mine, other)


def test_runs_of_several_rates_have_moments_that_lie_as_their_parameters_do() -> None:
    data = [make_data(seed, shape=(2, 4, 4)) for seed in (0, 1)]
    rates = [partial(torch.optim.Adam, lr=lr, fused=True) for lr in (0.01, 0.03)]
    members = lambda: [
        make_member(seed, {}, rates[seed], model=channels_last, data=data[seed]) for seed in (0, 1)
    ]
    together, _ = run(members(), way="auto", precision="float64")
    for ours, member in zip(together, members(), strict=True):
        [alone], _ = run([member], way="general", precision="float64")
        assert_close(ours.last["weights"], alone.last["weights"])


@pytest.mark.parametrize("kind", ["register_hook", "register_post_accumulate_grad_hook"])
@pytest.mark.parametrize("techniques", [(), ("l1",)])
def test_a_hook_on_a_parameter_is_heard_whatever_way_steps_are_made(
    kind: str, techniques: tuple[str, ...]
) -> None:
    def hooked() -> nn.Module:
        model: Any = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
        weight = model[0].weight

        def to_zero(given: Tensor) -> Tensor | None:
            if given is not weight:
                return given * 0
            assert weight.grad is not None
            weight.grad.zero_()
            return None

        getattr(weight, kind)(to_zero)
        return model

    member = make_member(techniques={one: technique(one) for one in techniques}, model=hooked)
    before = member.model.state_dict()["0.weight"].clone()
    [result], _ = run([member], epochs=40, way="auto")
    assert torch.equal(result.last["weights"]["0.weight"], before)


class Moving(nn.Module):
    """Takes a moving mean away, which it replaces in each step."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return self.layer(x - self.mean)


class InPlace(Moving):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return self.layer(x - self.mean)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_buffer_may_be_replaced_as_well_as_changed(runs: int) -> None:
    for ours, other in zip(weights(Moving, runs), weights(InPlace, runs), strict=True):
        assert ours["mean"].abs().max() > 0
        assert_close(ours, other)


def test_a_container_with_a_hook_or_a_way_of_its_own_is_called() -> None:
    inner = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
    model = nn.Sequential(inner, nn.Linear(5, 3))
    assert len(chain(model)) == 3
    handle = inner.register_full_backward_hook(lambda *_: None)
    assert chain(model)[0] is inner
    handle.remove()
    inner.forward = lambda x: x  # type: ignore[method-assign]
    assert chain(model)[0] is inner


def test_complex_parameters_are_refused() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Parameter(torch.randn(5, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return (x * self.c).abs()

    with pytest.raises(ConfigError, match=r"c of Spectral is complex, .*view_as_complex"):
        checked_outputs(Spectral(), torch.randn(3, 5))
    with pytest.raises(ConfigError, match="c of Spectral is complex"):
        Regularized(Spectral(), {}, FUSED, example=torch.randn(3, 5), classes=5, epochs=1,
                    steps_per_epoch=1)  # fmt: skip


def test_a_network_that_was_trained_by_ones_own_loop_may_be_pickled() -> None:
    example, model = torch.randn(20, 5), MLP((5,), 3, [8], "relu")
    loop = Regularized(model, {"decov": technique("decov")}, FUSED, example=example, classes=3,
                       epochs=2, steps_per_epoch=1)  # fmt: skip
    loop.train_batch(example, torch.arange(20) % 3)
    assert pickle.loads(pickle.dumps(loop.finish()))(example).shape == (20, 3)
