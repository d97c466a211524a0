"""The chain of what is evaluated: slow weights, averages of them, snapshots of these; held against
one loop in plain PyTorch that writes the methods out.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regexp.errors import ConfigError
from regexp.random import Rng
from regexp.regularizer.batch_norm import BatchNorm
from regexp.regularizer.cocktail import Cocktail
from regexp.training.state import Result
from tests.support import make_member, run, technique, tensor
from tests.technique_runs import assert_same_bits

EPOCHS, ROWS, BATCH = 6, 90, 32  # 18 steps, the last of each epoch of 26 rows
STEPS = 18
SGD = partial(torch.optim.SGD, lr=0.2)
NORM = {"batch_norm": BatchNorm(momentum=0.1, eps=1e-5)}
CHANGES: dict[str, dict[str, Any]] = {
    "lookahead": {"k": 4, "alpha": 0.5},
    "swa": {"start": 0.4},
    "ema": {"decay": 0.6},
    "snapshot": {"snapshots": 4},  # after 5, 10, 15 and 18 steps
    "sam": {"rho": 0.1},
}


def techniques(*names: str) -> dict[str, Any]:
    return {name: technique(name, **CHANGES.get(name, {})) for name in names}


@dataclass
class ByHand:
    """The methods that `names` has, on weights of a network with batch normalization."""

    names: tuple[str, ...]
    seed: int
    snapshots: list[dict[str, Tensor]] = field(default_factory=list)
    evaluated: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        member = make_member(self.seed, dict(NORM), SGD)
        self.model = member.model.double()
        self.inputs, self.targets = (
            tensor(member.data.train.inputs).double(), member.data.train.targets,
        )  # fmt: skip
        self.train()

    def weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    @torch.no_grad()
    def put(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])

    def gradients(self, rows: Tensor) -> dict[str, Tensor]:
        """At the weights; only the first pass of a step moves running statistics."""
        loss = F.cross_entropy(self.model(self.inputs[rows]), self.targets[rows])
        named = dict(self.model.named_parameters())
        return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))

    def step(self, rows: Tensor) -> None:
        w, g = self.weights(), self.gradients(rows)
        if "sam" in self.names:
            buffers = {name: b.clone() for name, b in self.model.named_buffers()}
            length = torch.sqrt(sum((value**2).sum() for value in g.values()))  # type: ignore[arg-type]
            self.put({name: w[name] + 0.1 * g[name] / length for name in w})
            g = self.gradients(rows)
            for name, buffer in self.model.named_buffers():
                buffer.copy_(buffers[name])
        self.put({name: w[name] - 0.2 * g[name] for name in w})

    def train(self) -> None:
        slow, mean, count = self.weights(), self.weights(), 0
        step = 0
        for epoch in range(EPOCHS):
            order = Rng(self.seed, "order", epoch).permutation(ROWS)
            for rows in order.split(BATCH):
                self.model.train()
                self.step(rows)
                step += 1
                if "lookahead" in self.names and (step % 4 == 0 or step == STEPS):
                    fast = self.weights()
                    slow = {name: slow[name] + 0.5 * (fast[name] - slow[name]) for name in slow}
                    self.put(slow)
                seen = slow if "lookahead" in self.names else self.weights()
                if "ema" in self.names:
                    d = min(0.6, step / (9 + step)) if step > 1 else 0.0
                    mean = {name: d * mean[name] + (1 - d) * seen[name] for name in seen}
                if "swa" in self.names and step % 3 == 0 and step > 0.4 * STEPS:
                    count += 1
                    mean = {name: mean[name] + (seen[name] - mean[name]) / count for name in seen}
                averaged = mean if "ema" in self.names or count else seen
                if "snapshot" in self.names and (step % 5 == 0 or step == STEPS):
                    self.snapshots.append(self.with_statistics(averaged))
        self.evaluated = self.with_statistics(averaged)

    def with_statistics(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """With running statistics: of training, or of other weights their own."""
        state = {n: v.clone() for n, v in self.model.state_dict().items() if v.is_floating_point()}
        if all(torch.equal(state[name], value) for name, value in weights.items()):
            return state
        model = copy.deepcopy(self.model).train()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
            seen: dict[str, list[Tensor]] = {}
            for name, module in model.named_modules():
                if isinstance(module, nn.BatchNorm1d):
                    seen[name] = []
                    note = lambda _, x, y, into=seen[name]: into.append(x[0])
                    module.register_forward_hook(note)
            order = Rng(self.seed, "statistics").permutation(ROWS)
            for rows in order.split(BATCH):
                model(self.inputs[rows])
        for name, batches in seen.items():
            shares = [len(x) / ROWS for x in batches]
            means = [x.mean(0) for x in batches]
            variances = [x.var(0) for x in batches]
            for kind, parts in (("mean", means), ("var", variances)):
                total = sum(share * part for share, part in zip(shares, parts, strict=True))
                state[f"{name}.running_{kind}"] = torch.as_tensor(total)
        return state | weights


CHAINS = [
    ("swa", "lookahead"), ("ema", "lookahead"), ("swa", "snapshot"), ("ema", "snapshot"),
    ("lookahead", "snapshot"), ("lookahead", "swa", "snapshot"), ("sam", "swa"),
    ("sam", "lookahead", "ema"),
]  # fmt: skip


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_is_the_loop_written_by_hand(names: tuple[str, ...]) -> None:
    """In a stack of two in every order of listing, and alone."""
    expected = [ByHand(names, seed) for seed in (0, 1)]
    stacks = [(listed, (0, 1)) for listed in itertools.permutations(names)]
    for listed, seeds in [*stacks, (names, (1,))]:
        members = [make_member(seed, NORM | techniques(*listed), SGD) for seed in seeds]
        results, _ = run(members, EPOCHS, BATCH, precision="float64")
        for result, hand in zip(results, expected[-len(seeds) :], strict=True):
            for name, value in hand.evaluated.items():
                torch.testing.assert_close(result.last["weights"][name], value, rtol=0, atol=1e-10)
            kept = result.last["memory"].get("snapshot", {})
            assert len(kept) == len(hand.snapshots) == (4 if "snapshot" in names else 0)
            for ours, right in zip(kept.values(), hand.snapshots, strict=True):
                torch.testing.assert_close(ours, right, rtol=0, atol=1e-10)


NEUTRAL = ["swa", "ema", "lookahead", "snapshot"]


def trained(cocktail: dict[str, Any], seeds: tuple[int, ...]) -> list[Result]:
    return run([make_member(seed, NORM | cocktail, SGD) for seed in seeds], EPOCHS, BATCH)[0]


@cache
def trained_alone(name: str, seeds: tuple[int, ...]) -> list[Result]:
    return trained(techniques(name), seeds)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["alone", "stacked"])
@pytest.mark.parametrize(
    ("silent", "other"),
    [pair for pair in itertools.permutations(NEUTRAL, 2) if set(pair) != {"swa", "ema"}],
)
def test_a_neutral_link_changes_nothing(silent: str, other: str, seeds: tuple[int, ...]) -> None:
    """To the bit, snapshots and running statistics too.

    What is averaged predicts by `vmap` of one network, whose products some processors round in
    another way than those of a stack.
    """
    neutral = {silent: technique(silent, **(technique(silent).neutral or {}))}
    both = trained(neutral | techniques(other), seeds)
    for ours, expected in zip(both, trained_alone(other, seeds), strict=True):
        assert_same_bits(ours.last["weights"], expected.last["weights"])
        metrics = expected.metrics | {"seconds": 0}
        assert ours.metrics | {"seconds": 0} == pytest.approx(metrics, rel=1e-6)


def test_two_of_one_link_are_refused() -> None:
    """What would be evaluated of two averages, or of two ensembles?"""
    for pair in [("ema", "swa"), ("swa", "swag"), ("swag", "snapshot"), ("snapshot", "mc_dropout")]:
        for names in itertools.permutations(pair):
            with pytest.raises(ConfigError, match="does not go together with"):
                Cocktail(techniques(*names))


def test_swag_beside_lookahead_has_the_mean_of_swa() -> None:
    """Its Gaussian is around the same mean of the slow weights."""
    means = []
    for name in ("swa", "swag"):
        cocktail = {name: technique(name, start=0.4)} | techniques("lookahead")
        (result,), _ = run([make_member(0, cocktail, SGD)], EPOCHS, BATCH)
        means.append(result.last["weights"])
    assert_same_bits(*means)
