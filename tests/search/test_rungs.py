"""Successive halving between batches: the bars of a batch, and who is where after it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from regexp.commands.arguments import parse
from regexp.config.bars import Bars, as_bars, as_lists, rungs_of
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from regexp.metrics.bars import Bar
from regexp.metrics.names import AT_BARS, at_bar
from regexp.search.choice import Trial, best, ranked, ranks, tried
from regexp.search.recipe import Recipe
from regexp.search.rungs import bars_after, rung_lines, share_of_epochs
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan
from tests.search.composed import compose_named


def config(
    eta: int | None = 3, first: int | None = None, epochs: int = 50, metric: str | None = None
) -> DictConfig:
    rungs = {"eta": eta, "first": first}
    return OmegaConf.create(
        {"search": {"rungs": rungs}, "trainer": {"epochs": epochs}, "compare": {"metric": metric}}
    )


Noted = dict[int, float | tuple[float, ...]]
"""Epoch -> loss, or loss and accuracy."""


def trial(number: int, rungs: Noted, bars: Bars = (), accuracy: float = 0.5) -> Trial:
    """One whose run has noted this, as in regression where there is the loss alone."""
    metrics = {"final/val_accuracy": accuracy, "final/val_loss": 1.0, "seconds": 2.0}
    for epoch, noted in rungs.items():
        names = (at_bar("loss", epoch), at_bar("accuracy", epoch))
        metrics |= zip(names, noted if isinstance(noted, tuple) else (noted,), strict=False)
    outcome = Outcome("run", "FINISHED", metrics=metrics)
    return tried(Recipe({"optimizer.lr": number}, {}), {}, [outcome], bars)


def passes(bar: Bar, loss: float, accuracy: float) -> bool:
    return bar.passes({"loss": loss, "accuracy": accuracy})


LOST = tried(Recipe({}, {}), {}, [Outcome("run", "FAILED")], [Bar(5, 1.0), Bar(15, 1.0)])
NOTED = [Bar(5), Bar(15)]


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
    left = trial(6, {5: 0.9}, [Bar(5, 0.2), Bar(15, 0.2)])
    # 1/7 = 0.142857 and 3/7 = 0.428571, of five digits and not below
    assert bars_after([*first, left], config()) == [Bar(5, 0.14286), Bar(15, 0.42858)]
    assert bars_after([*first[:5], LOST], config()) == [Bar(5, 0.0), Bar(15, 0.42858)]


@pytest.mark.parametrize("loss", [1 / 3, 2 / 3, 0.1, 123456.7, 4.0, 1e-9 / 3, 0.0, -1 / 3])
@pytest.mark.parametrize("right", [0, 1, 7, 20, 29, 30])
def test_a_bar_is_passed_by_the_trial_that_it_is_of(loss: float, right: int) -> None:
    """In both precisions of an accuracy; and not by one that is a row or a little loss behind."""
    for share in (right / 30, float(torch.tensor(right / 30))):
        [bar] = bars_after([trial(0, {25: (loss, share)}, [Bar(25)])] * 2, config(eta=2, first=25))
        assert passes(bar, loss, right / 30)
        assert passes(bar, loss, float(torch.tensor(right / 30)))
        assert not passes(bar, loss + abs(loss) * 1e-3 + 1e-9, share)
        assert not passes(bar, loss, (right - 1) / 30)
        assert passes(bar, 1e9, (right + 1) / 30)


def test_trials_are_halved_by_accuracy_and_equal_ones_by_loss() -> None:
    """The oracle counts those that are better."""
    rows = [(loss, right) for loss in (0.9, 0.1, 0.5) for right in (30, 7, 30, 8)]
    noted = [(loss + at / 64, right / 30) for at, (loss, right) in enumerate(rows)]
    trials = [trial(at, {5: one}, NOTED) for at, one in enumerate(noted)]
    bar, _ = bars_after(trials, config())
    passed = {at for at, one in enumerate(noted) if passes(bar, *one)}

    def behind(at: int) -> int:
        more = [one for one in noted if one[1] > noted[at][1]]
        equal = [one for one in noted if one[1] == noted[at][1] and one[0] < noted[at][0]]
        return len(more) + len(equal)

    assert passed == {at for at in range(12) if behind(at) < 4} == {4, 6, 8, 10}
    assert bar == Bar(5, 0.65625, "accuracy", 1.0)


@pytest.mark.parametrize(
    ("metric", "accuracy"),
    [
        (None, 0.9),
        ("test/accuracy", 0.9),
        ("test/recall/loss", 0.9),  # whatever a class is called
        ("test/loss", None),
        ("test/brier", None),
        ("test/ece", None),
    ],
)
def test_where_a_loss_is_compared_trials_are_halved_by_it(
    metric: str | None, accuracy: float | None
) -> None:
    """And by the accuracy where what is compared is a score of decisions that no epoch can tell."""
    noted: list[Noted] = [{5: (0.4, 0.9)}, {5: (0.2, 0.5)}, {5: (0.3, 0.8)}]
    first = [trial(at, one, NOTED) for at, one in enumerate(noted)]
    of = config(metric=metric)
    bar, _ = bars_after(first, of)
    assert bar == (Bar(5, 0.4, "accuracy", accuracy) if accuracy else Bar(5, 0.2))
    by_itself = metric in ("test/accuracy", "test/loss", "test/brier", "test/ece")
    words = f"validation {'accuracy' if accuracy else 'loss'} {'is' if by_itself else '('}"
    assert words in rung_lines(of)[0]
    name = metric.replace("test/", "final/val_") if metric else "final/val_accuracy"
    left = [trial(at, one, [Bar(5, 0.0, "accuracy", 1.0)]) for at, one in enumerate(noted)]
    for one in left:
        one.scores[0][name] = 0.5  # type: ignore[index]
    assert ranked(left, of) == ([0, 2, 1] if accuracy else [1, 2, 0])


@pytest.mark.parametrize("lower", [True, False, None])
def test_a_metric_of_ones_own_halves_by_the_loss_where_it_says_that_low_is_good(
    lower: bool | None,
) -> None:
    of = config(metric="test/price")
    of.trainer.metrics = {"price": {"lower_is_better": lower}}
    noted: list[Noted] = [{5: (0.4, 0.9)}, {5: (0.2, 0.5)}, {5: (0.3, 0.8)}]
    bar, _ = bars_after([trial(at, one, NOTED) for at, one in enumerate(noted)], of)
    assert bar == (Bar(5, 0.2) if lower else Bar(5, 0.4, "accuracy", 0.9))


@pytest.mark.parametrize("metric", sorted({*AT_BARS} - {"accuracy", "rmse"}))
def test_trials_are_halved_by_what_is_compared(metric: str) -> None:
    """Which another order has than the accuracy and the loss. Before, the trials note it."""
    of = config(metric=f"test/{metric}")
    assert bars_after([], of) == [Bar(5, metric=metric), Bar(15, metric=metric)]
    assert f"validation {metric} is" in rung_lines(of)[0]
    high, low = (0.3, 0.7) if metric in ("mae", "log_loss") else (0.7, 0.3)
    trials = [
        Trial(Recipe({}, {}), {}, [{}], rungs={5: {"loss": 0.1, "accuracy": 0.9, metric: low}}),
        Trial(Recipe({}, {}), {}, [{}], rungs={5: {"loss": 0.9, "accuracy": 0.1, metric: high}}),
        Trial(Recipe({}, {}), {}, [{}], rungs={5: {"loss": 0.2, "accuracy": 0.8, metric: 0.5}}),
    ]
    bar, later = bars_after(trials, of)
    assert (bar, later) == (Bar(5, 0.9, metric, high), Bar(15, metric=metric))
    undefined = replace(trials[2], rungs={5: {"loss": 0.2, "accuracy": 0.8}})
    assert bars_after([*trials[:2], undefined], of)[0] == Bar(5, 0.1, "accuracy", 0.9)
    assert [bar.passes(one.rungs[5]) for one in trials] == [False, True, False]
    left = [replace(one, left=True) for one in trials]
    assert ranked(left, of) == [1, 2, 0]


def test_the_next_round_is_priced_as_if_a_third_passed_each_bar() -> None:
    """Nine of nine train for an epoch, three of them for two more, and one for six more."""
    assert share_of_epochs(config(epochs=9)) == pytest.approx((9 + 3 * 2 + 6) / 81)
    assert share_of_epochs(config(epochs=1)) == share_of_epochs(config(eta=None)) == 1


@pytest.mark.parametrize(
    ("metric", "by_rmse"),
    [(None, True), ("test/rmse", True), ("test/loss", False)],
)
def test_in_regression_trials_are_halved_by_their_rmse(metric: str | None, by_rmse: bool) -> None:
    """What is trained with a mean absolute error has another order by its loss."""
    trials = [
        Trial(Recipe({}, {}), {}, [{}], rungs={5: {"loss": loss, "rmse": rmse}}, left=True)
        for loss, rmse in ((0.3, 0.7), (0.2, 0.9), (0.4, 0.50001234))
    ]
    of = config(metric=metric)
    bar, _ = bars_after(trials, of)
    assert bar == (Bar(5, 0.4, "rmse", 0.50002) if by_rmse else Bar(5, 0.2))
    passed = [bar.passes(one.rungs[5]) for one in trials]
    assert passed == [at == (2 if by_rmse else 1) for at in range(3)]
    assert ranked(trials, of) == ([2, 0, 1] if by_rmse else [1, 0, 2])


def test_among_trials_recorded_without_an_accuracy_the_loss_decides() -> None:
    """As an earlier version has recorded them."""
    first = [trial(0, {5: 0.3}, NOTED), *(trial(n, {5: (0.4, 0.9)}, NOTED) for n in (1, 2))]
    assert bars_after(first, config()) == [Bar(5, 0.3), Bar(15)]
    assert bars_after(first[1:], config(eta=2)) == [Bar(12), Bar(24)]


def test_before_there_are_a_few_there_is_no_bar() -> None:
    two = [trial(n, {5: 0.1, 15: 0.1}, NOTED) for n in range(2)]
    assert bars_after([], config()) == NOTED
    assert bars_after([*two, LOST], config()) == NOTED
    left = trial(2, {5: 0.3}, [Bar(5, 0.2)])
    assert bars_after([*two, left], config()) == [Bar(5, 0.1), Bar(15)]
    assert bars_after([*two, *two], config(eta=None)) == []


@pytest.mark.parametrize(
    ("rungs", "left"),
    [
        ({5: 0.2, 15: 0.1}, False),
        ({5: 0.21}, True),
        ({5: 0.2, 15: 0.11}, True),
        ({}, False),
        ({5: (0.2, 0.1), 15: (0.7, 0.6)}, False),
        ({5: (0.2, 0.9), 15: (0.01, 0.4)}, True),
        ({5: (0.2, 0.1), 15: (0.11, 0.5)}, True),
    ],
)
def test_above_a_bar_is_left_and_at_it_is_not(rungs: Noted, left: bool) -> None:
    """Also where a technique ended the run before the first rung: that is no halving."""
    one = trial(0, rungs, [Bar(5, 0.2), Bar(15, 0.1, "accuracy", 0.5)])
    noted = {
        epoch: dict(zip(("loss", "accuracy"), it if isinstance(it, tuple) else (it,), strict=False))
        for epoch, it in rungs.items()
    }
    assert (one.rungs, one.left) == (noted, left)
    assert one.in_full is not left


def test_in_full_is_before_far_and_far_before_near_and_those_before_what_did_not_finish() -> None:
    bars = [Bar(5, 0.5), Bar(15, 0.5)]
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
        compose_named(["dataset=iris", "search.techniques=[l1]", override])


@pytest.mark.parametrize(
    "asked", [3, "a", [3], [[0, 1.0]], [[2, 1.0], [2, 1.0]], [[1, "a"]], [[1, float("nan")]],
              [[1.5, 1.0]], [[1, 2, 3]], [[1, 2, 0.5]], [[1, 2, "a"]], [[1, 2, None]], [[1]],
              [[1, 2, {}]], [[1, 2, {"accuracy": 1.1}]], [[1, 2, {"accuracy": -0.1}]],
              [[1, 2, {"rmse": -1}]], [[1, 2, {"acc": 1}]], [[1, 2, {"roc_auc": "a"}]],
              [[1, 2, {"accuracy": 1, "rmse": 1}]], [[1, 2, {"accuracy": 1}, 1]],
              [[1, 2, {1: 1}]], [[0, 1.0, {"rmse": 1}]], [[1, "a", {"rmse": 1}]],
              [[1, 1.0], [1, 1.0, {"rmse": 1}]], [[True, 1]], {1: 2}],
)  # fmt: skip
def test_bars_are_epochs_and_losses(asked: object) -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.bars=.*: expected null, or epochs"):
        as_bars(asked)


@pytest.mark.parametrize(
    "bars",
    [
        [],
        [Bar(1), Bar(2, 0.5)],
        *([Bar(1, metric=metric), Bar(2, None, metric, 0.5)] for metric in AT_BARS),
        [Bar(3, 1.0, "rmse", 7.0), Bar(4, -1.0, "r2", -2.0), Bar(5, 0.0, "accuracy", 0.0)],
    ],
)
def test_bars_are_read_as_they_are_written(bars: Bars) -> None:
    assert as_bars(as_lists(bars)) == bars


def test_bars_are_of_the_run_however_they_are_written() -> None:
    texts = ("[[1,2],[3,null]]", "[[1,2.0],[3,null]]", "[[1,2.5],[3,null]]", "[]", "null",
             "[[1,2,{accuracy:1}],[3,null]]", "[[1,2,{accuracy:1.0}],[3,null]]",
             "[[1,2,{rmse:1}],[3,null]]")  # fmt: skip
    words = ["dataset=iris", "trainer.batch_size=16"]
    prints = [
        plan(compose(parse([*words, f"trainer.bars={text}"])[0]).jobs[0].config)[0].fingerprint
        for text in texts
    ]
    assert prints[0] == prints[1]
    assert prints[3] == prints[4]
    assert prints[5] == prints[6]
    assert len({*prints}) == 5
