"""Of several techniques that mix rows each batch gets one: held against each of them alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.layers import Noise, blocks
from regexp.random import Rng
from regexp.regularizer.base import Batch, Regularizer, Step
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.stack import Stack
from tests.support import NETWORKS, make_data, make_member, make_step, run, technique

ROWS = 8
STRONG: dict[str, dict[str, float]] = {
    "manifold_mixup": {"alpha": 1.0}, "mixup": {"alpha": 1.0}, "cutmix": {"alpha": 1.0, "p": 1.0},
}  # fmt: skip
MIXERS: dict[str, Any] = {name: technique(name, **STRONG[name]) for name in ("mixup", "cutmix")}


@dataclass(frozen=True)
class Reverse(Regularizer, kind="input", neutral={"strength": 0.0}, mixes=True):
    """A third way to mix: the mean of each row and that at the same place from the end."""

    strength: float

    def batch(self, step: Step, batch: Batch) -> Batch:
        inputs, targets = (values.lerp(values.flip(0), self.strength / 2) for values in batch[:2])
        return Batch(inputs, targets)


def batch_of() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(ROWS, 1, 6, 6, generator=generator, dtype=torch.float64)
    return Batch(images, torch.eye(ROWS, dtype=torch.float64))


def mixed(techniques: dict[str, Any], index: int, batch: Batch) -> Batch:
    step = make_step(memory={name: {} for name in techniques})
    return Cocktail(techniques).batch(replace(step, rng=Rng(0, "step", index)), batch)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(mine, its) for mine, its in zip(one[:2], other[:2], strict=True))


@pytest.mark.parametrize("names", [("mixup", "cutmix"), ("cutmix", "mixup", "reverse")])
def test_each_batch_is_the_turn_of_exactly_one_and_all_have_equal_shares(names) -> None:
    every = MIXERS | {"reverse": Reverse(1.0)}
    techniques = {name: every[name] for name in names}
    batch, count, turns = batch_of(), 400, dict.fromkeys(names, 0)
    for index in range(count):
        ours = mixed(techniques, index, batch)
        alone = {name: mixed({name: one}, index, batch) for name, one in techniques.items()}
        (turn,) = [name for name in names if same(ours, alone[name])]
        turns[turn] += 1
    share = 1 / len(names)
    deviation = (count * share * (1 - share)) ** 0.5
    assert all(abs(n - count * share) < 4 * deviation for n in turns.values()), turns


def test_a_technique_between_them_sees_every_batch() -> None:
    smoothing = technique("label_smoothing", smoothing=0.25)
    names = {"mixup": MIXERS["mixup"], "label_smoothing": smoothing, "cutmix": MIXERS["cutmix"]}
    for index in range(20):
        batch = batch_of()
        ours = mixed(names, index, batch)
        plain = mixed(MIXERS, index, batch).targets
        torch.testing.assert_close(ours.targets, 0.75 * plain + 0.25 / ROWS, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("silent", "other"), [("mixup", "cutmix"), ("cutmix", "mixup")])
@pytest.mark.parametrize("third", [True, False])
def test_a_neutral_one_has_no_turn(silent: str, other: str, third: bool) -> None:
    still = {silent: replace(MIXERS[silent], **MIXERS[silent].neutral)}
    acting = {other: MIXERS[other]} | ({"reverse": Reverse(1.0)} if third else {})
    for index in range(30):
        batch = batch_of()
        expected = mixed(acting, index, batch)
        for techniques in (still | acting, acting | still):
            assert same(mixed(techniques, index, batch), expected)
    both = still | {other: replace(MIXERS[other], **MIXERS[other].neutral)}
    assert same(mixed(both, 0, batch_of()), batch_of())


def member(seed: int, **numbers: dict[str, float]):
    shape, task, build = NETWORKS["cnn"]
    techniques = {n: technique(n, **numbers.get(n, {})) for n in ("mixup", "cutmix", "l2")}
    optimizer = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
    data = make_data(seed, 60, shape, task)
    return make_member(seed, techniques, optimizer, model=build, data=data)


RUNS: list[tuple[int, dict[str, dict[str, float]]]] = [
    (0, {}), (1, {"mixup": {"alpha": 0.0}}), (1, {"cutmix": {"p": 0.0}}),
    (2, {"mixup": {"alpha": 0.0}, "cutmix": {"p": 0.0}}),
]  # fmt: skip


def test_turns_in_a_stack_of_other_numbers_are_those_alone() -> None:
    stacked, _ = run([member(seed, **numbers) for seed, numbers in RUNS], precision="float64")
    weights = []
    for (seed, numbers), ours in zip(RUNS, stacked, strict=True):
        (alone,), _ = run([member(seed, **numbers)], precision="float64")
        for name, value in ours.last["weights"].items():
            torch.testing.assert_close(value, alone.last["weights"][name], rtol=0, atol=1e-11)
        weights.append(ours.last["weights"]["output.weight"])
    assert not torch.equal(weights[1], weights[2])


class Through(Noise):
    """A layer whose forward does not broadcast over runs, with the draws that its hooks have."""

    elementwise = False
    shared = True

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.uniform((rows,)).double() + 1

    def idle(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.noise.ndim):
            return self.note(x)
        assert x.ndim == 2, "of one run"
        return x + self.noise[:, None]


class Restless(Noise):
    """Does not say what it draws when it is not its turn."""

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.uniform((rows, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.noise if self.training else self.note(x)


@dataclass(frozen=True)
class Restlessly(Regularizer, kind="input", mixes=True):
    def build(self, model: nn.Module) -> nn.Module:
        next(iter(blocks(model).values())).dropout.append(Restless())
        return model


def test_a_layer_that_knows_no_rest_is_named() -> None:
    run([make_member(0, {"restlessly": Restlessly()})], 1)
    with pytest.raises(ConfigError, match="restlessly: adds Restless, which acts in every step"):
        run([make_member(0, {"restlessly": Restlessly(), "mixup": MIXERS["mixup"]})], 1)


@dataclass(frozen=True)
class Within(Regularizer, kind="input", mixes=True):
    """Adds to the outputs of the first hidden block, and to the targets, the same draws."""

    def build(self, model: nn.Module) -> nn.Module:
        next(iter(blocks(model).values())).dropout.append(Through())
        return model

    def batch(self, step: Step, batch: Batch) -> Batch:
        added = step.shared.uniform((len(batch.targets),)).double() + 1
        return batch._replace(targets=batch.targets + added[:, None])


def steps(
    network: str, runs: int, techniques: dict[str, Any]
) -> Iterator[tuple[Stack, Batch, Batch]]:
    """40 steps of a stack, its noise drawn: the stack, a batch, and what becomes of it."""
    shape, task, build = NETWORKS[network]
    members = [
        make_member(seed, techniques, model=build, data=make_data(seed, 60, shape, task))
        for seed in range(runs)
    ]
    stack = Stack(members, 1, ROWS, precision="float64")
    axis = () if runs == 1 else (runs,)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(*axis, ROWS, *shape, generator=generator).double()
    batch = Batch(inputs, torch.eye(ROWS).double().expand(*axis, -1, -1))
    for index in range(40):
        stack.step_index = index
        changed = stack.regularizer.batch(stack.step(), batch)
        stack.draw_noise(stack.step(), ROWS)
        yield stack, batch, changed


def noise_of(stack: Stack) -> Tensor:
    """Of all layers that a technique added, [layers, ...]."""
    return torch.stack([m.noise for m in stack.model.modules() if isinstance(m, Noise)])


@pytest.mark.parametrize("order", [1, -1])
def test_hidden_rows_are_mixed_in_turns_of_their_own(order: int) -> None:
    """A batch's inputs are mixed, or the outputs of one layer, and its targets as either is."""
    techniques = {
        name: technique(name, **numbers) for name, numbers in list(STRONG.items())[::order]
    }
    by_itself = {"manifold_mixup": techniques["manifold_mixup"]}
    turns = []
    for (stack, batch, changed), (alone, _, expected) in zip(
        steps("cnn", 1, techniques), steps("cnn", 1, by_itself), strict=True
    ):
        inside = bool((noise_of(stack)[..., 0] != 1).any())
        outside = not torch.equal(changed.inputs, batch.inputs)
        assert inside + outside == 1
        if inside:
            assert torch.equal(noise_of(stack), noise_of(alone))
            assert torch.equal(changed.targets, expected.targets)
        turns.append(inside)
    assert 3 <= sum(turns) <= 25, "a third of 40, give or take four deviations"


def test_hidden_turns_in_a_stack_are_those_alone() -> None:
    techniques = {name: technique(name, **STRONG[name]) for name in ("mixup", "manifold_mixup")}
    stacked = torch.stack([noise_of(stack)[..., 0] for stack, *_ in steps("cnn", 3, techniques)])
    alone = torch.stack([noise_of(stack)[..., 0] for stack, *_ in steps("cnn", 1, techniques)])
    assert torch.equal(stacked[:, :, 0], alone)
    acting = (stacked != 1).flatten(3).any(3).any(1)
    assert not torch.equal(acting[:, 0], acting[:, 1]), "every run has turns of its own"


def test_layers_that_are_lifted_by_vmap_have_turns_and_draws_of_their_technique() -> None:
    techniques = {"mixup": MIXERS["mixup"], "within": Within()}
    seen = []
    for stack, batch, changed in steps("mlp", 2, techniques):
        (noise,) = noise_of(stack)
        for place in range(2):
            acts = bool(noise[place].any())
            assert acts == torch.equal(changed.inputs[place], batch.inputs[place])
            if acts:
                added = changed.targets[place] - batch.targets[place]
                torch.testing.assert_close(added, noise[place][:, None].expand_as(added))
            seen.append(acts)
    assert 20 < sum(seen) < 60


@pytest.mark.parametrize("silent", ["mixup", "manifold_mixup"])
def test_neutral_beside_hidden_mixing_changes_no_bit(silent: str) -> None:
    (other,) = {"mixup", "manifold_mixup"} - {silent}
    acting = {other: technique(other, **STRONG[other])}
    both = {silent: technique(silent, alpha=0.0), **acting}
    (ours,), (plain,) = (
        run([make_member(0, techniques)], precision="float64")[0] for techniques in (both, acting)
    )
    for name, value in plain.last["weights"].items():
        assert torch.equal(ours.last["weights"][name], value), name


def test_one_of_them_alone_draws_no_turn() -> None:
    """Its bits are those that it had before there were turns."""
    batch, index = batch_of(), 3
    ours = mixed({"mixup": MIXERS["mixup"]}, index, batch)
    step = replace(make_step(), rng=Rng(0, "step", index).fold("mixup", "batch"))
    assert same(ours, MIXERS["mixup"].batch(step, batch))
