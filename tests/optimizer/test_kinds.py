"""Which parameters Muon orthogonalizes, held against a list by hand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from regexp.optimizer.muon import MuonWithAdam
from regexp.stack.stack import Stack
from regexp.training.own_loop import Regularized
from tests.support import TiedLanguageModel, make_member, technique


class Net(nn.Module):
    """Matrices that are hidden weights, and others that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(1, 5))
        self.first = nn.Linear(5, 6)
        self.norm = nn.LayerNorm((6, 1))
        self.second = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
        self.output = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x + self.token).unsqueeze(-1)).squeeze(-1)
        return self.output(self.second(hidden.relu()))


HIDDEN = {"first.weight", "second.parametrizations.weight.original1"}


def orthogonalized(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[str]:
    assert isinstance(optimizer, MuonWithAdam)
    chosen = {id(parameter) for parameter in optimizer.param_groups[0]["params"]}
    every = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert every == {id(parameter) for parameter in model.parameters()}
    return {name for name, p in model.named_parameters() if id(p) in chosen}


@pytest.mark.parametrize("techniques", [{}, {"l2": technique("l2")}])
def test_a_run_gives_muon_the_hidden_weights_and_adam_the_rest(techniques):
    stack = Stack([make_member(0, techniques, partial(MuonWithAdam, lr=0.01), model=Net)], 1, 32)
    assert orthogonalized(stack.model, stack.optimizers.groups[0].optimizer) == HIDDEN


def test_so_does_a_loop_of_ones_own():
    ours = Regularized(
        Net(), {}, MuonWithAdam, example=torch.zeros(1, 5), classes=3, epochs=1, steps_per_epoch=1
    )
    assert orthogonalized(ours.model, ours.optimizer) == HIDDEN


def test_a_table_of_words_that_is_the_output_layer_too_is_adams():
    model = TiedLanguageModel()
    ours = Regularized(
        model, {}, MuonWithAdam, example=torch.zeros(1, 4, dtype=torch.long), classes=7, epochs=1,
        steps_per_epoch=1,
    )  # fmt: skip
    assert orthogonalized(ours.model, ours.optimizer) == {"a.weight", "b.weight"}


def test_as_many_kinds_as_parameters_are_asked_for():
    with pytest.raises(ValueError, match="zip"):
        MuonWithAdam(Net().parameters(), kinds=["weight"])


def test_an_optimizer_that_does_not_ask_is_told_nothing():
    member = make_member(0, {}, lambda parameters: torch.optim.SGD(parameters, lr=0.1), model=Net)
    optimizer = Stack([member], 1, 32).optimizers.groups[0].optimizer
    assert [len(group["params"]) for group in optimizer.param_groups] == [10]
