"""Recurrent layers: against torch's nn.LSTM and nn.GRU, their slots by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.errors import NotApplicable
from regexp.model.recurrent import Recurrent, recurrents

TORCHS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU}
ROWS, TIMES, INPUTS, FEATURES = 4, 6, 3, 5
EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-12}

kinds = pytest.mark.parametrize("kind", TORCHS)


def pair(kind: str, seed: int = 0) -> tuple[Recurrent, nn.RNNBase]:
    """Our layer and torch's of the same seed, in float64."""
    torch.manual_seed(seed)
    ours = Recurrent(kind, INPUTS, FEATURES).double()
    torch.manual_seed(seed)
    return ours, TORCHS[kind](INPUTS, FEATURES, batch_first=True).double()


def sequences(*lead: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (*lead, ROWS, TIMES, INPUTS)
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


def stacked(layers: list[Recurrent]) -> dict[str, Tensor]:
    """The parameters of K layers, [K, ...] each."""
    own = [dict(layer.named_parameters()) for layer in layers]
    return {
        key: torch.stack([each[key].detach() for each in own]).requires_grad_() for key in own[0]
    }


@kinds
def test_outputs_gradients_and_first_values_are_torchs(kind: str) -> None:
    ours, theirs = pair(kind)
    first = {f"{name}_l0": value for name, value in ours.state_dict().items()}
    torch.testing.assert_close(dict(theirs.state_dict()), first, rtol=0, atol=0)
    x = sequences()
    outputs, alone = ours(x), theirs(x)[0]
    torch.testing.assert_close(outputs, alone, **EXACT)
    gradients = torch.autograd.grad(outputs.square().sum(), [x, *ours.parameters()])
    expected = torch.autograd.grad(alone.square().sum(), [x, *theirs.parameters()])
    torch.testing.assert_close(gradients, expected, **EXACT)


@kinds
@pytest.mark.parametrize("vmapped", [False, True])
def test_a_leading_axis_of_runs_is_so_many_layers(kind: str, vmapped: bool) -> None:
    pairs = [pair(kind, seed) for seed in range(3)]
    parameters = stacked([ours for ours, _ in pairs])
    x = sequences(3)
    ours = pairs[0][0]

    def call(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(ours, parameters, (x,))

    outputs = (torch.vmap(call) if vmapped else call)(parameters, x)
    alone = torch.stack([theirs(row)[0] for (_, theirs), row in zip(pairs, x, strict=True)])
    torch.testing.assert_close(outputs, alone, **EXACT)
    gradients = torch.autograd.grad(outputs.square().sum(), [x, *parameters.values()])
    one = [
        torch.autograd.grad(theirs(row)[0].square().sum(), [row, *theirs.parameters()])
        for (_, theirs), row in zip(pairs, x, strict=True)
    ]
    expected = tuple(torch.stack(values) for values in zip(*one, strict=True))
    torch.testing.assert_close(gradients, expected, **EXACT)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@kinds
def test_derivatives_of_derivatives(kind: str) -> None:
    ours, _ = pair(kind)
    x = sequences()[:2, :3].detach().requires_grad_()
    assert torch.autograd.gradgradcheck(ours, (x,))
    small = torch.randn_like(x) * 1e-6
    slope: Tensor = torch.func.jvp(ours, (x,), (small,))[1]
    torch.testing.assert_close(slope, (ours(x + small) - ours(x - small)) / 2, **EXACT)


@kinds
def test_state_acts_in_the_recurrent_product_alone(kind: str) -> None:
    ours, _ = pair(kind)
    mask = torch.tensor([0.0, 2.0, 0.0, 2.0, 2.0], dtype=torch.float64)

    class Masked(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            assert h.shape == (ROWS, FEATURES)
            return h * mask

    # a masked state is one whose columns of W_hh are masked
    other = copy.deepcopy(ours)
    other.weight_hh = nn.Parameter(other.weight_hh * mask)
    ours.state.append(Masked())
    x = sequences()
    torch.testing.assert_close(ours(x), other(x), **EXACT)


@kinds
def test_carry_changes_what_a_step_hands_to_the_next(kind: str) -> None:
    seen: list[int] = []

    class EverySecond(nn.Module):
        """Keep the old state at odd times."""

        def forward(self, *, new: Any, old: Any, time: int) -> Any:
            seen.append(time)
            assert (new[1] is None) == (kind == "gru")
            return old if time % 2 else new

    ours, theirs = pair(kind)
    ours.carry.append(EverySecond())
    x = sequences()
    expected = theirs(x[:, ::2])[0].repeat_interleave(2, dim=1)  # the skipped times repeat it
    torch.testing.assert_close(ours(x), expected, **EXACT)
    assert seen == list(range(TIMES))


@kinds
def test_a_parametrized_recurrent_weight_is_computed_once_a_call(kind: str) -> None:
    calls: list[int] = []

    class Halved(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            calls.append(1)
            return weight / 2

    ours, theirs = pair(kind)
    nn.utils.parametrize.register_parametrization(ours, "weight_hh", Halved())
    with torch.no_grad():
        theirs.get_parameter("weight_hh_l0").div_(2)
    calls.clear()
    torch.testing.assert_close(ours(sequences()), theirs(sequences())[0], **EXACT)
    assert len(calls) == 1


@kinds
def test_half_precision_by_autocast(kind: str) -> None:
    ours, _ = pair(kind)
    with torch.autocast("cpu", torch.bfloat16):
        half = ours.float()(sequences().float())
    torch.testing.assert_close(half.float(), ours(sequences().float()), rtol=0, atol=0.05)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.kind: expected one of lstm, gru, got 'rnn'"):
        Recurrent("rnn", 3, 4)
    with pytest.raises(ValueError, match="sizes >= 1, got 3 inputs and 0 features"):
        Recurrent("gru", 3, 0)


def test_recurrents_are_found_by_name_and_missed_aloud() -> None:
    model = nn.ModuleDict({"one": Recurrent("gru", 2, 3), "two": Recurrent("lstm", 3, 4)})
    assert {name: layer.features for name, layer in recurrents(model).items()} == {
        "one": 3,
        "two": 4,
    }
    with pytest.raises(NotApplicable, match=r"no regexp\.model\.recurrent.*use model=lstm"):
        recurrents(nn.Sequential(nn.Linear(2, 2)))
