"""Equal tuning: ranges, draws, the choice on validation data, and sweeps that are tuned."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig
from scipy.stats import kstest

from regexp.__main__ import run
from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.config.search_space import Dimension, space
from regexp.errors import ConfigError
from regexp.sweeps import job
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.plan import plan, plan_all
from regexp.sweeps.planned_run import PlannedRun, key_of, repeats
from regexp.sweeps.resume import Resume
from regexp.sweeps.stacks import group_by_structure
from regexp.sweeps.tuning import (
    choose_configuration,
    draw_configurations,
    mean_score,
    numbers_in_words,
    trial_seeds,
)
from tests.sandbox import Sandbox

SMALL = ("dataset=iris", "dataset.split_seed=0", "model.hidden=[4]", "trainer.epochs=2")
LR = 'tune.search.optimizer.lr="tag(log, interval(1e-4, 1e-1))"'


def config(*overrides: str) -> DictConfig:
    return compose(parse([*SMALL, *overrides])[0]).jobs[0].config


def dimension(text: str, key: str = "optimizer.lr") -> Dimension:
    [[one], []] = space(config("tune.budget=2", f'tune.search.{key}="{text}"'))
    return one


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("interval(1, 3)", [1.0, 1.5, 2.0, 2.5]),
        ("tag(log, interval(1e-4, 1))", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("interval(0, 1e-3)", [0.0, 0.00025, 0.0005, 0.00075]),
        ("int(interval(1, 4))", [1, 2, 3, 4]),
        ("tag(log, int(interval(1, 15)))", [1, 2, 4, 8]),
        ("choice(0.5, 8, 2)", [0.5, 0.5, 8, 2]),
        ("range(1, 9, 2)", [1, 3, 5, 7]),
    ],
)
def test_ranges_of_hydras_grammar(text: str, values: list[float]) -> None:
    one = dimension(text)
    found = [one.at(share) for share in (0, 0.25, 0.5, 0.75)]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))
    assert one.at(math.nextafter(1, 0)) <= max(one.extremes)


def test_numbers_have_four_digits_and_stay_inside() -> None:
    one = dimension("tag(log, interval(0.00123456, 0.0234567))")
    found = [one.at(share) for share in np.linspace(0, 1, 300, endpoint=False)]
    assert all(0.00123456 <= value <= 0.0234567 for value in found)
    assert all(float(f"{value:.4g}") == value for value in found[1:])


def test_choices_may_be_words_and_lists() -> None:
    one = config("tune.budget=9", 'tune.search.model.activation="choice(relu, tanh)"',
                 'tune.search.model.hidden="choice([4],[8,4])"')  # fmt: skip
    found = [
        (numbers["model.activation"], numbers["model.hidden"])
        for numbers in draw_configurations(one)
    ]
    assert sorted(found) == [(a, h) for a in ("relu", "tanh") for h in ([4], [8, 4])]
    assert {tuple(run.config["model"]["hidden"]) for run in plan(one)} == {(4,), (8, 4)}


def test_the_ends_of_a_schedule_are_searched() -> None:
    falling = "{from: 0.5, to: 0.0, shape: cosine}"
    one = config("tune.budget=8", "regularizer=dropout", f"regularizer.dropout.hidden={falling}",
                 "regularizer.dropout.search.hidden={from: 'interval(0.3, 0.8)', to: null}",
                 "regularizer.dropout.search.inputs=null",
                 )  # fmt: skip
    first, *drawn = [run.config["regularizer"]["dropout"]["hidden"] for run in plan(one)]
    assert dict(first) == {"from": 0.5, "to": 0.0, "shape": "cosine"}
    assert all(0.3 <= hidden["from"] <= 0.8 and hidden["to"] == 0 for hidden in drawn)
    assert len({hidden["from"] for hidden in drawn}) == 7
    members = [build_member(run) for run in plan(one)]
    assert len({member.structure() for member in members}) == 1, "they train side by side"


WRONG = [
    (("tune.budget=-1",), "tune.budget=-1: expected an integer >= 0"),
    (("tune.budget=1.5",), "tune.budget=1.5: expected an integer"),
    (("tune.budget=2", "tune.seeds=0"), "tune.seeds=0: expected an integer >= 1"),
    (("tune.budget=200000",), "tune.budget=200000: .* would have 200,000 trials"),
    (("tune.budgets=1",), "tune.budgets: there is no such key. Did you mean tune.budget"),
    (("tune.budget=2", "grid.optimizer.lr=[0.1,0.2]"), "grid: tune.budget=2 searches numbers"),
    (("tune.budget=2", 'tune.search.optimizer.rl="interval(0,1)"'),
     r"tune.search.optimizer.rl: there is nothing .* mean tune.search.optimizer.lr"),
    (("tune.budget=2", 'tune.search.dataset.validation="interval(0.1,0.2)"'),
     "tune.search.dataset.validation: there is nothing to search"),
    (("tune.budget=2", 'tune.search.regularizer.l1.strength="interval(0,1)"'),
     "the range of one of them is regularizer.l1.search.strength"),
    (("tune.budget=2", "tune.search.optimizer.lr=0.1"),
     "tune.search.optimizer.lr=0.1: expected a range"),
    (("tune.budget=2", 'tune.search.optimizer.lr="interval(1"'), r"interval\(1: expected a range"),
    (("tune.budget=2", 'tune.search.optimizer.lr="glob(*)"'), "expected a range"),
    (("tune.budget=2", 'tune.search.optimizer.lr="interval(1,0.1)"'), "the smaller number first"),
    (("tune.budget=2", 'tune.search.optimizer.lr="tag(log,interval(0,1))"'),
     "needs numbers above 0"),
    (("tune.budget=2", 'tune.search.optimizer.lr="choice(0.1,0.1)"'), "expected different values"),
    (("tune.budget=2", 'tune.search.model.activation="interval(0,1)"'),
     r"model.activation=relu is no number; expected choice"),
    (("tune.budget=2", 'tune.search.optimizer.lr="interval(-1,1)"'),
     r"tune.search.optimizer.lr=interval\(-1,1\): optimizer.lr=-1.0: .*Invalid learning rate"),
    (("tune.budget=2", 'tune.search.trainer.epochs="interval(1,9)"'),
     r"trainer.epochs=interval\(1,9\): trainer.epochs cannot be 1.0; int\(interval"),
    (("tune.budget=2", "regularizer=dropout", 'regularizer.dropout.search.hidden="interval(0,2)"'),
     r"dropout.search.hidden=interval\(0,2\): regularizer.dropout.hidden: .*< 1, got 2"),
    (("tune.budget=2", "regularizer=dropout", "regularizer.dropout.hidden={from:0.5,to:0}"),
     r"dropout.search.hidden=interval\(0.05, 0.8\): regularizer.dropout.hidden follows a schedule, "
     r".*; regularizer.dropout.search.hidden=\{from: RANGE, to: RANGE\}, or .*hidden=null"),
    (("tune.budget=2", "regularizer=self_distillation", "regularizer.self_distillation.share=0.5"),
     "search.share.to=.*: regularizer.self_distillation.share=0.5 is one number, .*`to`; "
     "regularizer.self_distillation.search.share=RANGE, or .*share=null"),
    (("tune.budget=2", "regularizer=l1", "regularizer.l1.search=3"),
     "regularizer.l1.search=3: expected a mapping"),
    (("tune.budget=2", "-m", "regularizer=l1", "regularizer.l1.strength=1e-4,1e-3"),
     "regularizer.l1.strength: the sweep varies it, .* regularizer.l1.search.strength=null"),
    (("-m", "tune.budget=4,2", LR), "tune.budget: the sweep varies it, .* a command for each"),
    (("-m", "tune.budget=2", "tune.seeds=2,1", LR), "tune.seeds: the sweep varies it"),
    ((LR,), "tune.search.optimizer.lr: nothing is tuned, as tune.budget is 0; give the config"),
    (("experiment=tuned_ablation", "tune.budget=0", "tune.seeds=2"), "tune.seeds: nothing is t"),
    (("regularizer=l1", "regularizer.l1.search.strength=null"), "l1.search.strength: nothing is t"),
    (("-m", "seeds=3", "seeds_max=8"), "seeds_max: it is for seeds=auto, and there is seeds=3; l"),
    (("search.trials=3",), "search.trials: it is for regexp search alone; leave it out"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), WRONG, ids=[" ".join(one[0]) for one in WRONG])
def test_what_is_wrong_is_told_before_anything_is_written(
    overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        config(*overrides)
    assert re.search(message, str(error.value)), error.value


def test_a_split_by_the_seed_is_refused_and_one_by_time_is_not() -> None:
    with pytest.raises(ConfigError, match=r"splits iris anew.* give dataset.split_seed=0"):
        plan(config("tune.budget=2", LR, "dataset.split_seed=null"))
    series = config("tune.budget=2", LR, "dataset=series", "dataset.split_seed=null", "model=lstm",
                    "model.hidden=[4]")  # fmt: skip
    assert len(plan(series)) == 2


def test_an_invalid_configuration_inside_a_range_is_told() -> None:
    with pytest.raises(ConfigError, match=r"of .* \(at batch_size=.*; narrow its ranges\)"):
        plan(config("tune.budget=8", 'tune.search.trainer.batch_size="int(interval(60, 200))"'))


def test_the_first_configuration_is_the_yamls_own_and_all_are_different() -> None:
    one = config("tune.budget=16", LR, "regularizer=[l1,dropout]")
    drawn = draw_configurations(one)
    assert drawn[0] == {
        "optimizer.lr": 0.001, "regularizer.l1.strength": 1e-4,
        "regularizer.dropout.hidden": 0.5, "regularizer.dropout.inputs": 0.2,
    }  # fmt: skip
    assert len({str(numbers) for numbers in drawn}) == len(drawn) == 16
    assert drawn == draw_configurations(one)
    assert draw_configurations(config("tune.budget=4", LR, "regularizer=[l1,dropout]")) == drawn[:4]


def test_what_all_techniques_search_is_paired_and_what_one_searches_is_its_own() -> None:
    drawn = {name: draw_configurations(config("tune.budget=16", LR, f"regularizer={name}"))
             for name in ("none", "l1", "l2", "dropout")}  # fmt: skip
    rates = {name: [one["optimizer.lr"] for one in own] for name, own in drawn.items()}
    assert all(rate == rates["none"] for rate in rates.values())
    own = {
        name: [one[f"regularizer.{name}.strength"] for one in drawn[name][1:]]
        for name in ("l1", "l2")
    }
    assert not set(own["l1"]) & set(own["l2"])


def test_other_trial_seeds_draw_other_numbers() -> None:
    one, other = (
        draw_configurations(config("tune.budget=8", LR, f"seeds={seeds}")) for seeds in (3, 4)
    )
    assert one[0] == other[0]
    assert one[1:] != other[1:]


def test_draws_fill_the_space_evenly() -> None:
    """Each dimension by itself, and shared with own ones: no corner is left out."""
    drawn = draw_configurations(config("tune.budget=257", LR, "regularizer=l1"))[1:]
    shares = np.log10([(one["optimizer.lr"], one["regularizer.l1.strength"]) for one in drawn])
    shares = (shares - [-4, -6]) / [3, 4]
    for column in shares.T:
        assert kstest(column, "uniform").statistic < 0.01, "a random sample would have about .05"
    cells = np.floor(shares.clip(0, 0.9999) * 8).astype(int) @ [8, 1]
    assert set(np.bincount(cells, minlength=64)) == {4}


def test_ranges_that_hold_less_than_the_budget_are_tried_as_a_whole() -> None:
    patience = config("tune.budget=32", "regularizer=early_stopping",
                      'regularizer.early_stopping.search.patience="choice(5,7,40)"')  # fmt: skip
    default = patience.regularizer.early_stopping.patience
    found = [one["regularizer.early_stopping.patience"] for one in draw_configurations(patience)]
    assert found[0] == default
    assert sorted(found) == sorted({default, 5, 7, 40})
    assert draw_configurations(config("tune.budget=32")) == [{}]
    assert draw_configurations(
        config("tune.budget=32", "regularizer=l1", "regularizer.l1.search.strength=null")
    ) == [{}]


@pytest.mark.parametrize(
    ("seeds", "trials", "expected"),
    [("2", 1, [2]), ("[0,1,3]", 3, [2, 4, 5]), ("[5]", 2, [0, 1])],
)
def test_trials_have_seeds_of_their_own(seeds: str, trials: int, expected: list[int]) -> None:
    one = config(f"seeds={seeds}", f"tune.seeds={trials}", "tune.budget=3", LR)
    assert trial_seeds(one) == expected
    assert [run.seed for run in plan(one)] == expected * 3


def score(accuracy: float, loss: float = 0.0) -> dict[str, float]:
    return {"final/val_accuracy": accuracy, "final/val_loss": loss}


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ([[score(0.1)], [score(0.3)], [score(0.2)]], 1),
        ([[score(0.9), score(0.1)], [score(0.6), score(0.6)]], 1),  # by the mean
        ([[score(0.3, 2)], [score(0.3, 1)], [score(0.3, 1)]], 1),  # loss, then the earlier draw
        ([[None], [score(0.0, 9)]], 1),
        ([[score(0.9), None], [score(0.1), score(0.1)]], 1),  # one seed diverged
        ([[score(math.nan)], [score(0.1)]], 1),
        ([[score(0.3, math.nan)], [score(0.3, math.inf)], [score(0.3, 5)]], 2),
        ([[{"final/val_rmse": 2.0, "final/val_loss": 0.0}],
          [{"final/val_rmse": 1.0, "final/val_loss": 1.0}]], 1),
        # as many of 60 rows right: the lower loss, however the floats add up
        ([[score(51 / 60, 9)] * 3, [score(54 / 60), score(48 / 60), score(51 / 60)]], 1),
        ([[score(0.9)] * 3, [score(0.8999999761581421, 9)] * 3], 0),
        ([[{"final/val_loss": 0.0}], [score(0.1, 9)]], 1),  # its accuracy could not be computed
    ],
)  # fmt: skip
def test_the_choice(trials: list[list[dict[str, float] | None]], best: int) -> None:
    assert choose_configuration(trials) == best


@pytest.mark.parametrize(
    ("scores", "mean"),
    [([1e308, 1e308], math.inf), ([math.inf, -math.inf], math.nan), ([1e308, -1e308], 0.0)],
)
def test_scores_of_any_size_have_a_mean(scores: list[float], mean: float) -> None:
    np.testing.assert_equal(mean_score(scores), mean)


def test_there_is_no_choice_where_all_diverged() -> None:
    with pytest.raises(ConfigError, match=r"all 2 configurations diverged.* lower optimizer.lr"):
        choose_configuration([[None], [score(0.1), None]])
    with pytest.raises(ConfigError, match=r"no trial that finished has final/val_accuracy"):
        choose_configuration([[{}], [{}]], "test/accuracy")


def test_numbers_in_words() -> None:
    assert numbers_in_words(
        {"regularizer.l1.strength": 0.001234, "model.n": 1234567, "a.mode": "soft"}
    ) == ("strength=0.001234, n=1234567, mode=soft")
    assert numbers_in_words({"regularizer.l1.strength": 1.0, "regularizer.l2.strength": 2.0}) == (
        "regularizer.l1.strength=1, regularizer.l2.strength=2"
    )


def test_numbers_of_trials_train_as_one_stack_and_choices_as_several() -> None:
    def parts(*overrides: str) -> list[int]:
        runs = plan(config("tune.budget=8", LR, *overrides))
        found = group_by_structure(runs, [build_member(run) for run in runs], stack=True)
        return sorted(map(len, found))

    assert parts("regularizer=[l1,dropout]") == [8]
    assert sum(parts("regularizer=early_stopping")) == 8
    assert 2 <= len(parts("regularizer=early_stopping")) <= 5


def test_the_chosen_numbers_make_the_run_that_they_make_without_a_search() -> None:
    tuned = config("tune.budget=3", LR, "regularizer=l1", "seeds=2")
    runs = plan(tuned, {"optimizer.lr": 0.05, "regularizer.l1.strength": 0.01})
    plain = plan(config("regularizer=l1", "seeds=2", "optimizer.lr=0.05",
                        "regularizer.l1.strength=0.01"))  # fmt: skip
    assert [run.fingerprint for run in runs] == [run.fingerprint for run in plain]
    assert {run.variant for run in runs} == {""}
    assert {run.tuned for run in runs} == {"lr=0.05, strength=0.01"}
    assert not any(run.trial_for for run in runs)
    assert all("tune" not in run.config for run in [*runs, *plan(tuned)])


def test_equal_trials_for_other_seeds_are_another_sweep() -> None:
    def of(*overrides: str) -> tuple[str, dict[int, int]]:
        sweep = compose(parse([*SMALL, "tune.budget=3", LR, *overrides])[0])
        planned, _ = plan_all(sweep.jobs)
        return key_of(planned, sweep.command), repeats(planned)

    one, other = of("seeds=[1,2]")[0], of("seeds=[1,2,3]")[0]
    assert one == of("seeds=[1,2]")[0] != other
    assert of("-m", "seeds=[1,2],[1,2,3],[1,2]")[1] == {2: 0}


COMMAND = ("-m", "regularizer=none,l1", "tune.budget=4", LR, "seeds=2", *SMALL)


def found_in(sandbox: Sandbox) -> tuple[Any, Any]:
    """(trials, runs that count) of the only sweep."""
    runs = sandbox.children()
    return runs[runs["stage"] == "tuning"], runs[runs["stage"] == "final"]


def test_a_tuned_sweep(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.run(*COMMAND, "dry_run=true") == 0
    table = capsys.readouterr().out
    assert re.search(r"job +technique +trials +runs +finished +to run", table)
    assert re.search(r"2 +l1 +4 +6 +0 +6 ", table)

    assert sandbox.run(*COMMAND) == 0
    said = capsys.readouterr().out
    assert "[2/2] l1: 4 trials, then 2 runs ..." in said
    trials, runs = found_in(sandbox)
    assert (trials["status"] == "FINISHED").all()
    assert set(trials["seed"]) == {2}
    assert set(runs["seed"]) == {0, 1}
    for technique in ("none", "l1"):
        own = trials[trials["technique"] == technique]
        assert len(own) == 4
        best = own.sort_values(  # the draws are in the order of their start
            ["metrics.final/val_accuracy", "metrics.final/val_loss"],
            ascending=[False, True], kind="stable",
        ).iloc[0]  # fmt: skip
        final = runs[runs["technique"] == technique]
        assert set(final["variant"]) == {""}
        keys = ["params.optimizer.lr", "params.regularizer.l1.strength"][: 1 + (technique == "l1")]
        assert (final[keys] == best[keys]).all().all()
        told = re.search(rf"\] {technique}: test accuracy .* with (.*)", said)
        assert told
        assert told[1] == best["variant"]
        with sandbox.tracker() as tracker:
            tags = [tracker.client.get_run(one).data.tags for one in final["run_id"]]
        assert [one["tuned"] for one in tags] == [told[1]] * 2
        assert [one["stage"] for one in tags] == ["final"] * 2

    assert sandbox.run(*COMMAND) == 0
    assert capsys.readouterr().out.count("finished before") == 2
    assert len(sandbox.children()) == 12
    assert sandbox.run(*COMMAND, "dry_run=true") == 0
    assert re.search(r"2 +l1 +4 +6 +6 +0 ", capsys.readouterr().out)


def wall_seconds(sandbox: Sandbox) -> float:
    """What the only sweep has taken so far."""
    [parent] = sandbox.parents()
    with sandbox.tracker() as tracker:
        return float(tracker.client.get_run(parent).data.tags["wall_seconds"])


def broken_at(monkeypatch: pytest.MonkeyPatch, *, trials: bool) -> None:
    """Break training after the first epoch of trials, or of other runs, as Ctrl-C does; once."""
    whole, before = Resume.save, job._train_stack
    planned: list[PlannedRun] = []

    def train_stack(members: Any, runs: Any, *rest: Any) -> Any:
        planned[:] = runs
        return before(members, runs, *rest)

    def save(self: Resume, epoch: int, content: Any) -> None:
        whole(self, epoch, content)
        if epoch == 1 and bool(planned[0].trial_for) is trials:
            monkeypatch.setattr(Resume, "save", whole)
            raise KeyboardInterrupt

    monkeypatch.setattr(job, "_train_stack", train_stack)
    monkeypatch.setattr(Resume, "save", save)


@pytest.mark.usefixtures("no_table")
def test_a_broken_search_goes_on_to_the_same_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is broken off in its trials, then in what it has chosen."""
    command = ("regularizer=l1", "tune.budget=3", LR, "seeds=2", "checkpoint.every=1", *SMALL)
    spent = 0.0
    for trials_left in (True, False):
        broken_at(monkeypatch, trials=trials_left)
        assert sandbox.run(*command) == 130
        assert wall_seconds(sandbox) > spent, "a study's time is that of all its commands"
        spent = wall_seconds(sandbox)
        assert found_in(sandbox)[1].empty is trials_left
    assert sandbox.run(*command) == 0
    assert wall_seconds(sandbox) > spent
    trials, runs = found_in(sandbox)
    assert len(trials) == 3
    assert len(runs) == 2
    assert (sandbox.children()["status"] == "FINISHED").all()

    other = Sandbox(sandbox.folder, sandbox.store, f"{sandbox.experiment}-whole")
    assert other.run(*command) == 0
    columns = ["name", "fingerprint", "metrics.final/val_loss", "metrics.test/loss"]
    one, whole = (each.children()[columns].sort_values("name") for each in (sandbox, other))
    assert one.to_numpy().tolist() == whole.to_numpy().tolist()


def test_trials_and_chosen_runs_are_made_again(sandbox: Sandbox) -> None:
    command = ("regularizer=l1", "tune.budget=2", LR, "seeds=2", *SMALL)
    assert sandbox.run(*command) == 0
    [parent] = sandbox.parents()
    trials, runs = found_in(sandbox)
    here = sandbox.arguments[:2]
    assert run(["rerun", trials["run_id"].iloc[1], *here]) == 0
    assert run(["rerun", runs["run_id"].iloc[0], *here]) == 0
    again = []
    with sandbox.tracker() as tracker:
        for other in sandbox.parents():
            if other != parent:
                again.append(tracker.runs(other).iloc[0])
    assert {(one["stage"], one["variant"]) for one in again} == {
        ("tuning", trials["variant"].iloc[1]), ("final", "")}  # fmt: skip


def test_trials_that_diverge_are_not_chosen_and_fail_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = 'tune.search.optimizer.lr="choice(0.01,1e30,1e32)"'
    assert sandbox.run("tune.budget=4", rates, "seeds=2", *SMALL) == 0
    trials, runs = found_in(sandbox)
    assert sorted(trials["status"]) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]
    assert set(runs["params.optimizer.lr"]) <= {"0.001", "0.01"}
    assert "FAILED" not in capsys.readouterr().out


def test_a_search_in_which_all_diverge_fails_with_the_reason(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = ("optimizer.lr=1e31", 'tune.search.optimizer.lr="choice(1e30,1e32)"')
    assert sandbox.run("tune.budget=4", *rates, *SMALL) == 1
    said = capsys.readouterr().out
    assert "all 3 configurations diverged" in said
    assert found_in(sandbox)[1].empty
    assert sandbox.run("tune.budget=4", *rates, *SMALL) == 1
    assert "all 3 configurations diverged" in capsys.readouterr().out


def test_trials_that_break_are_not_chosen_from(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(job, "record_result", full)
        assert sandbox.run("tune.budget=2", LR, *SMALL) == 1
    assert "disk full" in capsys.readouterr().out
    assert found_in(sandbox)[1].empty
    assert sandbox.run("tune.budget=2", LR, *SMALL) == 0
    assert len(found_in(sandbox)[1]) == 1


def test_a_regression_is_chosen_by_its_error(sandbox: Sandbox) -> None:
    command = ("dataset=diabetes", "dataset.split_seed=0", "model.hidden=[4]", "trainer.epochs=3")
    assert sandbox.run(*command, "tune.budget=4", LR) == 0
    trials, runs = found_in(sandbox)
    best = trials.loc[trials["metrics.final/val_rmse"].idxmin()]
    assert runs["params.optimizer.lr"].item() == best["params.optimizer.lr"]


def test_the_experiment_gives_every_technique_the_same_budget(tmp_path: Path) -> None:
    sweep = compose(parse(["-m", "experiment=tuned_ablation"])[0])
    assert len(sweep.jobs) >= 12
    assert any("+" in one.technique for one in sweep.jobs)
    drawn = [draw_configurations(one.config) for one in sweep.jobs]
    assert {len(one) for one in drawn} == {sweep.config.tune.budget} == {32}
    rates = {tuple(numbers["optimizer.lr"] for numbers in one) for one in drawn}
    assert len(rates) == 1
