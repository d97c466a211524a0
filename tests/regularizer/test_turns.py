"""Of several techniques that mix rows each batch gets one: held against each of them alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch

from regexp.errors import ConfigError
from regexp.random import Rng
from regexp.regularizer.base import Batch, Regularizer, Step
from regexp.regularizer.cocktail import Cocktail
from tests.support import NETWORKS, make_data, make_member, make_step, run, technique

ROWS = 8
MIXERS: dict[str, Any] = {
    "mixup": technique("mixup", alpha=1.0),
    "cutmix": technique("cutmix", alpha=1.0, p=1.0),
}


@dataclass(frozen=True)
class Reverse(Regularizer, kind="input", neutral={"strength": 0.0}, mixes=True):
    """A third way to mix: the mean of each row and that at the same place from the end."""

    strength: float

    def batch(self, step: Step, batch: Batch) -> Batch:
        inputs, targets = (values.lerp(values.flip(0), self.strength / 2) for values in batch)
        return Batch(inputs, targets)


def batch_of() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(ROWS, 1, 6, 6, generator=generator, dtype=torch.float64)
    return Batch(images, torch.eye(ROWS, dtype=torch.float64))


def mixed(techniques: dict[str, Any], index: int, batch: Batch) -> Batch:
    step = make_step(memory={name: {} for name in techniques})
    return Cocktail(techniques).batch(replace(step, rng=Rng(0, "step", index)), batch)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(mine, its) for mine, its in zip(one, other, strict=True))


@pytest.mark.parametrize("names", [("mixup", "cutmix"), ("cutmix", "mixup", "reverse")])
def test_each_batch_is_the_turn_of_exactly_one_and_all_have_equal_shares(names) -> None:
    every = MIXERS | {"reverse": Reverse(1.0)}
    techniques = {name: every[name] for name in names}
    batch, count, turns = batch_of(), 900, dict.fromkeys(names, 0)
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


@pytest.mark.parametrize("other", MIXERS)
def test_hidden_rows_are_not_mixed_on_top_of_inputs(other: str) -> None:
    for names in (("manifold_mixup", other), (other, "manifold_mixup")):
        with pytest.raises(ConfigError, match=f"manifold_mixup: .*{other}, .* mixed rows"):
            Cocktail({name: technique(name) for name in names})


def test_one_of_them_alone_draws_no_turn() -> None:
    """Its bits are those that it had before there were turns."""
    batch, index = batch_of(), 3
    ours = mixed({"mixup": MIXERS["mixup"]}, index, batch)
    step = replace(make_step(), rng=Rng(0, "step", index).fold("mixup", "batch"))
    assert same(ours, MIXERS["mixup"].batch(step, batch))
