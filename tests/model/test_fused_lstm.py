"""An LSTM by torch's kernel: against `nn.LSTM` to the bit, and where it must be written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.model import recurrent
from regexp.model.fused_lstm import differentiated_once
from regexp.model.layers import DropoutLayer
from regexp.model.recurrent import Recurrent
from regexp.regularizer.zoneout import ZoneoutLayer
from regexp.stack.lift import lift

ROWS, TIMES, INPUTS, FEATURES = 4, 6, 3, 5
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def layer(seed: int = 0) -> Recurrent:
    torch.manual_seed(seed)
    return Recurrent("lstm", INPUTS, FEATURES)


def torchs(ours: Recurrent) -> nn.LSTM:
    theirs = nn.LSTM(INPUTS, FEATURES, batch_first=True)
    theirs.load_state_dict({f"{name}_l0": value for name, value in ours.state_dict().items()})
    return theirs


def sequences(*lead: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((*lead, ROWS, TIMES, INPUTS), generator=generator, requires_grad=True)


def zoneout(ours: Recurrent, hidden: float, cell: float = 0.0) -> Recurrent:
    ours.carry.append(ZoneoutLayer(hidden, cell))
    with torch.no_grad():
        ours(sequences())  # notes its shape
    return ours


def same_bits(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def gradients(outputs: Tensor, x: Tensor, module: nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs.square().sum(), [x, *module.parameters()])


def test_one_run_is_torchs_lstm_to_the_bit() -> None:
    ours, x = layer(), sequences()
    theirs = torchs(ours)
    outputs, expected = ours(x), theirs(x)[0]
    same_bits(outputs, expected)
    same_bits(gradients(outputs, x, ours), gradients(expected, x, theirs))
    with torch.no_grad():
        same_bits(ours(x), theirs(x)[0])


def test_every_run_of_a_stack_is_torchs_lstm_to_the_bit() -> None:
    layers, x = [layer(seed) for seed in range(3)], sequences(3)
    lifted = lift(layers)
    outputs = lifted(x)
    found = gradients(outputs, x, lifted)
    for run, one in enumerate(layers):
        alone, theirs = x[run].detach().requires_grad_(), torchs(one)
        expected = theirs(alone)[0]
        same_bits(outputs[run], expected)
        same_bits(tuple(g[run] for g in found), gradients(expected, alone, theirs))


def test_it_is_what_is_written_out() -> None:
    ours, x = layer(), sequences()
    outputs = ours(x)
    written = ours._unrolled(x, ours.weight_ih, ours.weight_hh, ours.bias_ih, ours.bias_hh)
    torch.testing.assert_close(outputs, written, **CLOSE)
    torch.testing.assert_close(gradients(outputs, x, ours), gradients(written, x, ours), **CLOSE)


def test_second_derivatives_are_those_in_float64() -> None:
    """Which go by the cells that are written out."""

    def curvature(ours: Recurrent, x: Tensor) -> Tensor:
        [slope] = torch.autograd.grad(ours(x).square().sum(), [x], create_graph=True)
        return torch.autograd.grad(slope.square().sum(), [*ours.parameters()])[1]

    exact = curvature(layer().double(), sequences().detach().double().requires_grad_())
    torch.testing.assert_close(curvature(layer(), sequences()).double(), exact, **CLOSE)


def test_what_is_differentiated_once_is_torchs_own_graph_to_the_bit() -> None:
    ours, x = layer(), sequences()
    outputs = ours(x)
    with differentiated_once():
        once = ours(x)
    same_bits(once, outputs)
    same_bits(gradients(once, x, ours), gradients(outputs, x, ours))
    assert type(outputs.grad_fn) is not type(once.grad_fn)
    assert type(ours(x).grad_fn) is type(outputs.grad_fn)


def test_torch_func_and_vmap_have_it_written_out() -> None:
    ours, x = layer(), sequences(2)
    parameters = {name: value.detach() for name, value in ours.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(ours, parameters, (x,)).square().sum()

    found = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x.detach())
    for run in range(2):
        expected = gradients(ours(x[run]), x, ours)[1:]
        for value, wanted in zip(found.values(), expected, strict=True):
            torch.testing.assert_close(value[run], wanted, **CLOSE)


@pytest.mark.parametrize("slot", ["state", "carry"])
def test_a_technique_that_changes_nothing_leaves_the_bits_of_none(slot: str) -> None:
    def fitted(strength: float) -> Recurrent:
        ours = layer()
        if slot == "carry":
            return zoneout(ours, strength)
        ours.state.append(DropoutLayer(strength))
        ours.eval()(sequences())  # notes its shape
        return ours

    x = sequences().detach()
    none, silent, active = layer(), fitted(0.0), fitted(0.3)
    same_bits(silent(x), none(x))
    lifted = lift([silent, active])
    both = lifted(torch.stack([x, x]))  # with noise of ones
    same_bits(both[0], none(x))
    lifted.eval()
    both = lifted(torch.stack([x, x]))
    same_bits(both[0], none(x))
    torch.testing.assert_close(both[1], active.eval()(x), **CLOSE)
    assert torch.equal(both[0], both[1]) == (slot == "state")  # dropout is off in evaluation


@pytest.mark.parametrize(("hidden", "cell"), [(0.3, 0.0), (0.0, 0.3)])
def test_a_technique_at_work_is_heard(hidden: float, cell: float) -> None:
    x, ours = sequences(), zoneout(layer(), hidden, cell).eval()
    assert not torch.allclose(ours(x), layer()(x))


def test_what_stands_in_a_slot_and_is_not_known_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "fused_lstm", lambda *_: pytest.fail("the slot is passed over"))
    ours = layer()
    ours.state.append(nn.Identity())
    assert ours(sequences()).shape == (ROWS, TIMES, FEATURES)
