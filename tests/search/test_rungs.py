"""Successive halving between batches: the bars of a batch, and who is where after it."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig, OmegaConf

from regexp.commands.arguments import parse
from regexp.config.bars import Bars, as_bars, rungs_of
from regexp.config.jobs import compose
from regexp.config.searched import compose_search
from regexp.errors import ConfigError
from regexp.metrics.names import rung_loss
from regexp.search.choice import Trial, best, ranked, ranks, tried
from regexp.search.recipe import Recipe
from regexp.search.rungs import bars_after, rung_lines
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan


def config(eta: int | None = 3, first: int | None = None, epochs: int = 50) -> DictConfig:
    rungs = {"eta": eta, "first": first}
    return OmegaConf.create(
        {"search": {"rungs": rungs}, "trainer": {"epochs": epochs}, "compare": {"metric": None}}
    )


def trial(number: int, rungs: dict[int, float], bars: Bars = (), accuracy: float = 0.5) -> Trial:
    """One whose run has noted these losses."""
    metrics = {"final/val_accuracy": accuracy, "final/val_loss": 1.0, "seconds": 2.0}
    metrics |= {rung_loss(epoch): loss for epoch, loss in rungs.items()}
    outcome = Outcome("run", "FINISHED", metrics=metrics)
    return tried(Recipe({"optimizer.lr": number}, {}), {}, [outcome], bars)


LOST = tried(Recipe({}, {}), {}, [Outcome("run", "FAILED")], [(5, 1.0), (15, 1.0)])
NOTED = [(5, None), (15, None)]


@pytest.mark.parametrize(
    ("eta", "first", "epochs", "rungs"),
    [
        (3, None, 100, [11, 33]),
        (3, None, 50, [5, 15]),
        (3, None, 3, [1]),
        (3, None, 2, []),
        (2, None, 50, [12, 24]),
        (3, 1, 50, [1, 3, 9]),
        (3, 16, 50, [16]),
        (None, 1, 50, []),
    ],
)
def test_rungs(eta: int | None, first: int | None, epochs: int, rungs: list[int]) -> None:
    assert rungs_of(eta, first, epochs) == rungs
    [*lines] = rung_lines(config(eta, first, epochs))
    assert len(lines) == bool(rungs)
    assert all(f"After {' and '.join(map(str, rungs))} of {epochs} epochs" in one for one in lines)


def test_a_bar_is_the_loss_of_the_best_third_of_those_that_reached_the_rung() -> None:
    first = [trial(n, {5: n / 7, 15: 1 - n / 7}, NOTED) for n in range(6)]
    left = trial(6, {5: 0.9}, [(5, 0.2), (15, 0.2)])
    assert bars_after([*first, left], config()) == [(5, 0.14286), (15, 0.42857)]
    assert bars_after([*first[:5], LOST], config()) == [(5, 0.0), (15, 0.42857)]


def test_before_there_are_a_few_there_is_no_bar() -> None:
    two = [trial(n, {5: 0.1, 15: 0.1}, NOTED) for n in range(2)]
    assert bars_after([], config()) == NOTED
    assert bars_after([*two, LOST], config()) == NOTED
    assert bars_after([*two, trial(2, {5: 0.3}, [(5, 0.2)])], config()) == [(5, 0.1), (15, None)]
    assert bars_after([*two, *two], config(eta=None)) == []


@pytest.mark.parametrize(
    ("rungs", "left"),
    [({5: 0.2, 15: 0.1}, False), ({5: 0.21}, True), ({5: 0.2, 15: 0.11}, True), ({}, False)],
)
def test_above_a_bar_is_left_and_at_it_is_not(rungs: dict[int, float], left: bool) -> None:
    """Also where a technique ended the run before the first rung: that is no halving."""
    one = trial(0, rungs, [(5, 0.2), (15, 0.1)])
    assert (one.rungs, one.left) == (rungs, left)
    assert one.in_full is not left


def test_in_full_is_before_far_and_far_before_near_and_those_before_what_did_not_finish() -> None:
    bars = [(5, 0.5), (15, 0.5)]
    trials = [
        trial(0, {5: 0.6}, bars, accuracy=0.99),
        LOST,
        trial(2, {5: 0.1, 15: 0.9}, bars, accuracy=0.98),
        trial(3, {5: 0.5, 15: 0.5}, bars, accuracy=0.1),
        trial(4, {5: 0.2, 15: 0.8}, bars, accuracy=0.97),
        trial(5, {5: 0.4, 15: 0.4}, bars, accuracy=0.2),
        trial(6, {5: 0.55}, bars, accuracy=0.96),
    ]
    assert ranked(trials, config()) == [5, 3, 4, 2, 6, 0]
    assert ranks(trials, config()) == [5, 6, 3, 1, 2, 0, 4]
    assert best(trials, config(), 5) == [trials[5].recipe, trials[3].recipe]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("search.rungs.eta=1", r"search\.rungs\.eta=1: expected an integer >= 2, or null"),
        (
            "search.rungs.first=0",
            r"search\.rungs\.first=0: .* epochs that 3 times .*=50",
        ),
        ("search.rungs.first=17", r"search\.rungs\.first=17: expected null, or epochs"),
        ("trainer.bars=[[1,2]]", r"trainer\.bars=\[\[1, 2\]\]: regexp search .* leave it out"),
    ],
)
def test_what_is_wrong_is_told(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose_search(parse(["dataset=iris", "search.techniques=[l1]", override])[0])


@pytest.mark.parametrize(
    "asked", [3, "a", [3], [[0, 1.0]], [[2, 1.0], [2, 1.0]], [[1, "a"]], [[1, float("nan")]],
              [[1.5, 1.0]], [[1, 2, 3]], [[True, 1]], {1: 2}],
)  # fmt: skip
def test_bars_are_epochs_and_losses(asked: object) -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.bars=.*: expected null, or epochs"):
        as_bars(asked)


def test_bars_are_of_the_run_however_they_are_written() -> None:
    texts = ("[[1,2],[3,null]]", "[[1,2.0],[3,null]]", "[[1,2.5],[3,null]]", "[]", "null")
    words = ["dataset=iris", "trainer.batch_size=16"]
    prints = [
        plan(compose(parse([*words, f"trainer.bars={text}"])[0]).jobs[0].config)[0].fingerprint
        for text in texts
    ]
    assert prints[0] == prints[1]
    assert prints[3] == prints[4]
    assert len({*prints}) == 3
