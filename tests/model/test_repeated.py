"""Noise of techniques where modules are called twice; and torch's functional call, mended."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from regexp.errors import ConfigError
from regexp.model.functional import call_with
from regexp.model.layers import Block, DropoutLayer, Inputs
from regexp.model.noise import fill_noise, note_shapes, owner_of
from regexp.model.recurrent import Recurrent
from regexp.model.repeated import Repeated
from regexp.random import Rng
from regexp.regularizer.base import Regularizer
from regexp.regularizer.r_drop import RDrop
from regexp.regularizer.sam import SAM
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.training.loop import train
from regexp.training.state import TrainingState
from tests.support import make_member, run, stacked_and_alone, technique

ROWS = 300


class Twice(nn.Module):
    """A block with dropout at two places, at rows of other sizes; gives both masks."""

    def __init__(self, times: int = 2) -> None:
        super().__init__()
        self.times = times
        self.block = Block(nn.Linear(6, 6), nn.Identity())
        self.block.dropout.append(DropoutLayer(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.block(x) for _ in range(self.times)])


def test_every_call_of_a_block_has_its_own_mask_and_the_first_is_as_ever() -> None:
    network, x = Twice(), torch.randn(ROWS, 6)
    note_shapes(network, x[:1])
    fill_noise(network, Rng(0, "step", 0), ROWS)
    with Repeated([network]).counted():
        first, second = network(x)
    masks = torch.stack([first, second]).flatten(1) != 0
    assert abs(float(torch.corrcoef(masks.float())[0, 1])) < 5 / (ROWS * 6) ** 0.5
    once = Twice(times=1)
    note_shapes(once, x[:1])
    fill_noise(once, Rng(0, "step", 0), ROWS)
    assert torch.equal(once.get_buffer("block.dropout.0.noise") > 0, masks[0].view(ROWS, 6))
    assert [name for name, _ in once.named_buffers()] == ["block.dropout.0.noise"]


class Checkpointed(nn.Sequential):
    """Calls its middle again in the backward pass."""

    def __init__(self, times: int) -> None:
        super().__init__(nn.Linear(5, 6), Twice(times), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        first, middle, last = self
        masked: Tensor = checkpoint(middle, first(x), use_reentrant=False)
        return last(masked.sum(0))


def test_a_backward_pass_that_calls_repeated_noise_again_is_refused() -> None:
    stack = Stack([make_member(0, model=lambda: Checkpointed(times=2))], 1, 6)
    message = r"backward pass of the network calls 1\.block again.*torch\.utils\.checkpoint"
    with pytest.raises(ConfigError, match=message):
        train(stack, 1, lambda *_: None)
    once = Stack([make_member(0, model=lambda: Checkpointed(times=1))], 1, 6)
    [result] = train(once, 1, lambda *_: None)  # where the noise is still that of the pass
    assert result.status == "FINISHED"


@pytest.mark.parametrize("calling", [SAM(0.05), RDrop(1.0, None)])
def test_what_is_computed_again_is_refused_where_the_network_is_called_with_other_tensors(
    calling: Regularizer,
) -> None:
    member = make_member(0, {"technique": calling}, model=lambda: Checkpointed(times=1))
    with pytest.raises(RuntimeError, match=r"computes parts again \(torch\.utils\.checkpoint\)"):
        train(Stack([member], 1, 6), 1, lambda *_: None)


def test_more_calls_than_were_tried_are_refused() -> None:
    network = Twice()
    note_shapes(network, torch.zeros(1, 6))
    fill_noise(network, Rng(0), 3)
    network.times = 3
    with Repeated([network]).counted(), pytest.raises(ConfigError, match="block 3 times"):
        network(torch.zeros(3, 6))


def test_a_recurrent_layer_has_one_mask_for_all_times() -> None:
    layer = Recurrent("gru", 2, 4)
    layer.state.append(DropoutLayer(0.5))
    network = nn.Sequential(layer)
    note_shapes(network, torch.zeros(1, 5, 2))
    assert owner_of("0.state.0", network) == "0"
    assert not layer.state[0].further


SGD = partial(torch.optim.SGD, lr=0.05)


def calling_twice() -> nn.Module:
    twice = Block(nn.Linear(5, 5), nn.Tanh())
    return nn.Sequential(Inputs(), twice, twice, nn.Linear(5, 3))


def standing_twice() -> nn.Module:
    twice = Block(nn.Linear(5, 5), nn.Tanh())
    twice.dropout.append(DropoutLayer(0.3))
    return nn.Sequential(twice, nn.Linear(5, 5), twice, nn.Linear(5, 3))


def test_runs_of_a_stack_have_the_noise_that_they_have_alone() -> None:
    def member(seed: int):
        return make_member(seed, model=standing_twice)

    for result, _, alone, _ in stacked_and_alone(member, range(2)):
        for name, value in result.last["weights"].items():
            torch.testing.assert_close(value, alone.last["weights"][name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["alone", "stacked"])
def test_a_run_that_is_broken_off_goes_on_with_the_same_bits(seeds: tuple[int, ...]) -> None:
    def new() -> Stack:
        return Stack([make_member(seed, model=standing_twice) for seed in seeds], 3, 32)

    kept = []
    whole = train(new(), 3, lambda *_: None, lambda _, content: kept.append(deepcopy(content())))
    stack = new()
    state = TrainingState.resumed(stack, kept[0])
    for ours, theirs in zip(train(stack, 3, lambda *_: None, state=state), whole, strict=True):
        assert_close(ours.last["weights"], theirs.last["weights"], rtol=0, atol=0)


def test_noise_that_calls_have_in_common_is_that_of_passes_of_techniques_in_a_stack_too() -> None:
    """Its second name was lost there, and the second call of the block was without noise."""

    def mixing(seed: int) -> Member:
        techniques = {name: technique(name) for name in ("manifold_mixup", "fgsm")}
        return make_member(seed, techniques, SGD, model=calling_twice)

    for stacked, _, alone, _ in stacked_and_alone(mixing, (0, 1)):
        for name, weight in alone.last["weights"].items():
            assert_close(stacked.last["weights"][name], weight, rtol=0, atol=1e-12)


def test_a_module_that_stands_twice_goes_on_learning_after_an_evaluation() -> None:
    """torch's functional call leaves such a module without its parameters."""
    members = [make_member(seed, model=standing_twice) for seed in range(2)]
    for epochs in (1, 2):
        results, _ = run([make_member(seed, model=standing_twice) for seed in range(2)], epochs)
        weights = [result.last["weights"]["0.layer.weight"] for result in results]
        if epochs == 1:
            after_one = weights
    for one, two, member in zip(after_one, weights, members, strict=True):
        assert not torch.equal(one, two)
        assert not torch.equal(one, member.model[0].layer.weight)  # type: ignore[index]


def test_other_tensors_are_put_in_all_places_and_taken_back() -> None:
    layer, tied = nn.Linear(3, 3), nn.Linear(3, 3)
    tied.weight = layer.weight
    network = nn.Sequential(layer, tied, layer, nn.BatchNorm1d(3))
    own = dict(network.named_parameters(remove_duplicate=False))
    x, double = torch.randn(5, 3), {name: 2 * p.detach() for name, p in network.named_parameters()}
    once = nn.Linear(3, 3), nn.Linear(3, 3)
    once[0].load_state_dict({"weight": double["0.weight"], "bias": double["0.bias"]})
    once[1].load_state_dict({"weight": double["0.weight"], "bias": double["1.bias"]})
    norm = nn.BatchNorm1d(3)
    norm.load_state_dict({"weight": double["3.weight"], "bias": double["3.bias"]}, strict=False)
    expected = nn.Sequential(once[0], once[1], once[0], norm)(x)
    torch.testing.assert_close(call_with(network, double, x), expected)
    for name, parameter in network.named_parameters(remove_duplicate=False):
        assert parameter is own[name]
