"""Linear layers on tokens: techniques in their blocks, held against what they do to rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.errors import NotApplicable
from regexp.model.layers import Block, Inputs, blocks
from regexp.model.positions import note_positions
from regexp.sweeps.ingredients import build_model, build_regularizer
from regexp.training.own_loop import Regularized
from tests.support import make_data, technique

TIMES, WIDTH = 3, 4


class Tokens(nn.Module):
    """Twelve inputs as three tokens of four, each through one block; the mean of them counts."""

    def __init__(self, input_shape: tuple[int, ...] = (12,), outputs: int = 2) -> None:
        super().__init__()
        self.inputs = Inputs()
        self.block = Block(nn.Linear(WIDTH, TIMES), nn.Tanh())  # as many features as times
        self.output = nn.Linear(TIMES, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.tokens(self.inputs(x).unflatten(1, (TIMES, WIDTH))).mean(1))

    def tokens(self, x: Tensor) -> Tensor:
        return self.block(x)


class Folded(Tokens):
    def tokens(self, x: Tensor) -> Tensor:
        return self.block(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class TimesFirst(Tokens):
    def tokens(self, x: Tensor) -> Tensor:
        return self.block(x.transpose(0, 1)).transpose(0, 1)


class Patches(Tokens):
    def tokens(self, x: Tensor) -> Tensor:
        return self.block(x[:, None]).squeeze(1)


class Twice(Tokens):
    def tokens(self, x: Tensor) -> Tensor:
        return self.block(x) + self.block(x[:, 0])[:, None]


class Failing(Tokens):
    def tokens(self, x: Tensor) -> Tensor:
        raise RuntimeError("not today")


X = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))


def noted(kind: type[Tokens] = Tokens) -> Any:
    torch.manual_seed(0)
    model = kind()
    note_positions(model, X)
    return model


def test_a_block_knows_what_it_gets() -> None:
    before = torch.random.get_rng_state()
    assert noted().block.dimensions == 1
    rows = nn.Sequential(Block(nn.Linear(12, 3), nn.ReLU()), nn.Linear(3, 2))
    note_positions(rows, X)
    assert {block.dimensions for block in blocks(rows).values()} == {0}
    failing = noted(Failing)  # is told of where the network is called for good
    assert failing.block.dimensions == 0
    torch.manual_seed(0)
    Tokens()
    state = torch.random.get_rng_state()
    noted()
    assert torch.equal(torch.random.get_rng_state(), state), "nothing is drawn"
    torch.random.set_rng_state(before)


@pytest.mark.parametrize("name", ["batch_norm", "ghost_batch_norm", "group_norm"])
def test_tokens_are_normalized_by_feature(name: str) -> None:
    model = technique(name).build(noted()).train()
    model(X)
    moved = [v.clone() for key, v in model.named_buffers() if key.endswith("running_mean")]
    linear = model.block.layer(X.unflatten(1, (TIMES, WIDTH)))
    got = model.block.norm(linear)
    if name == "group_norm":  # each token by itself
        [norm] = [m for m in model.block.norm.modules() if isinstance(m, nn.GroupNorm)]
        wanted = torch.stack([norm(linear[:, time]) for time in range(TIMES)], 1)
        torch.testing.assert_close(got, wanted)
        return
    values = linear.flatten(0, 1)
    wanted = (linear - values.mean(0)) / values.std(0, unbiased=False)
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moved, [0.1 * values.mean(0)])


def test_members_of_an_ensemble_differ_by_row_and_not_by_token() -> None:
    model = technique("batch_ensemble", members=2).build(noted()).eval()
    same = X[:1].repeat(4, 1)
    outputs = model(same)
    assert torch.equal(outputs[0], outputs[2])
    assert not torch.allclose(outputs[0], outputs[1])
    factors = [p.view(2, TIMES) for n, p in model.named_parameters() if n.endswith("factors")]
    tokens = X[0].view(TIMES, WIDTH)
    for member in (0, 1):
        before, after = (one[member] for one in factors)
        by_hand = torch.tanh(model.block.layer(tokens) * before) * after
        torch.testing.assert_close(outputs[member], model.output(by_hand.mean(0)))


def test_gates_of_l0_are_by_feature() -> None:
    model = technique("l0").build(noted())
    assert model.block.dropout[0].gates == (1, TIMES)
    assert model.eval()(X).shape == (8, 2)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Folded, r"Folded: block\.layer gets 21 rows of a batch of 7; keep those of the batch as"),
        (TimesFirst, r"TimesFirst: block\.layer gets 3 rows of a batch of 7"),
        (Patches, r"Patches: block gives \[7, 1, 3, 3\] for 7 rows; expected \[rows, features\]"),
        (Twice, r"Twice: block gives \[7, 3\] and \[7, 3, 3\] for 7 rows"),
    ],
)
def test_what_techniques_cannot_tell_apart_is_refused(kind: type[Tokens], reason: str) -> None:
    for name in ("dropout", "batch_ensemble", "batch_norm"):
        with pytest.raises(NotApplicable, match=reason):
            technique(name).build(noted(kind))
    for name in ("weight_norm", "freezing"):  # of weights alone
        assert technique(name).build(noted(kind))(X).shape == (8, 2)
    if kind in (Folded, TimesFirst):
        with pytest.raises(NotApplicable, match=reason):
            technique("tabm").build(noted(kind))


def test_runs_and_own_loops_take_note() -> None:
    node = {"_target_": f"{__name__}.Tokens"}
    norm = {"_target_": "regexp.regularizer.batch_norm.BatchNorm", "momentum": 0.1, "eps": 1e-5}
    techniques = build_regularizer({"batch_norm": norm})
    model: Any = build_model(node, make_data(shape=(12,)), techniques, 0)
    assert model.block.dimensions == 1
    run = Regularized(
        Tokens(),
        {"batch_norm": technique("batch_norm")},
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        example=X[:1],
        classes=2,
        epochs=1,
        steps_per_epoch=1,
    )
    own: Any = run.model
    assert own.block.dimensions == 1
