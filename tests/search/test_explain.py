"""`regexp explain` as a command: from a recorded recipe to what carries it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import regexp
from regexp.__main__ import run
from regexp.commands.arguments import parse
from regexp.commands.explain import _verdict_of
from regexp.config.jobs import compose
from regexp.config.values import plain
from regexp.errors import ConfigError
from regexp.metrics.names import OF_SEARCH, SEARCH
from regexp.search import verdict
from regexp.search.cocktail_runs import Cocktail, check_alone, cocktail_of, planned
from regexp.search.explain import take_part
from regexp.search.explanation import as_experiment as as_smaller
from regexp.search.recipe import Recipe
from regexp.search.records import SearchRecord
from regexp.search.taking_part import read_space
from regexp.search.written import as_experiment
from regexp.sweeps.identity import Node
from regexp.sweeps.job import train
from regexp.sweeps.plan import plan
from tests.sandbox import Sandbox
from tests.search.composed import compose_named
from tests.search.records_by_hand import record

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=6", "search.seeds=3",
         "search.techniques=[dropout,l1]")  # fmt: skip


USELESS = {"dropout": {"hidden": 0.0, "inputs": 0.0}}


def searched(
    sandbox: Sandbox, techniques: Mapping[str, Node] = USELESS | {"l1": {"strength": 3.0}}
) -> tuple[str, str]:
    """A search that ended with a useless and a harmful technique; ids of it and of its verdict."""
    space = read_space(compose_named([*SMALL, *sandbox.arguments]))
    shared = dict(space.default.shared) | {"optimizer.lr": 0.05}
    recipe = Recipe(shared, dict(techniques))
    with sandbox.tracker() as tracker:
        search = tracker.sweep("by hand search", "search", {})
        command = (
            "experiment=recipe dataset=iris dataset.test_seed=0 'regularizer=none,[l1]' seeds=3"
        )
        settings = {"search": {"folder": "there"}, "command": command}
        worth = tracker.sweep("by hand", "its worth", settings)
        for runs in verdict.planned_arms(space, recipe, Recipe(shared, {})).values():
            train(runs, space.config, tracker, worth.id)
        found = record(verdict=worth.id, text=as_experiment(space, recipe))
        search.text(found.as_json(), SEARCH)
        worth.tags({OF_SEARCH: search.id})
        worth.finish()
        search.finish()
    return search.id, worth.id


def test_a_recipe_is_explained_and_the_second_time_trains_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, worth_id = searched(sandbox)
    where = [one for one in sandbox.arguments if one.startswith(("paths", "figures"))]
    assert run(["explain", worth_id, *where, "dry_run=true"]) == 0
    told = capsys.readouterr().out
    assert "Without each of 2 ingredients: 6 runs at the same seeds; then at most 3 of " in told
    assert sandbox.parents().keys() == {search_id, worth_id}

    assert run(["explain", search_id, *where]) == 0
    told = capsys.readouterr().out
    assert "the whole: 3 runs, 3 exist already" in told  # they are the same to the fingerprint
    assert "none: 3 runs, 3 exist already" in told
    assert "dropout: changes no score." in told
    assert "\n  l1 harms: −" in told
    assert "\n  l1 goes: +" in told
    assert "dropout goes as well: 0 points without it, standard error 0" in told
    assert "none is left. Its worth, with fresh seeds:" in told
    assert "\nnone (smaller) " in told
    assert "\nWith fresh seeds it is" in told
    assert " dataset=iris experiment=recipe_small dataset.test_seed=0 " in told
    with sandbox.tracker() as tracker:
        runs = {parent: tracker.runs(parent) for parent in sandbox.parents()}
    [apart, smaller] = [one for parent, one in runs.items() if parent not in (search_id, worth_id)]
    if "smaller" in {*apart["variant"]}:
        apart, smaller = smaller, apart
    assert {*apart["variant"]} == {"whole", "without dropout", "without l1", ""}
    assert {*apart["seed"]} == {10_000, 10_001, 10_002}
    chosen_by = smaller["stage"] == "tuning"
    assert {*smaller[chosen_by]["seed"]} == {10_000, 10_001, 10_002}
    assert {*smaller[~chosen_by]["seed"]} == {10_020, 10_021, 10_022}
    assert {*smaller[~chosen_by]["variant"]} == {"whole", "smaller"}

    # the experiment is the run of the smaller one
    path = sandbox.folder / "there" / "experiment" / "recipe_small.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["regularizer"] == {}
    words = ["--config-dir", "there", "experiment=recipe_small", "dataset=iris",
             "dataset.test_seed=0", "seeds=[10020,10021,10022]"]  # fmt: skip
    [job] = compose(parse(words)[0]).jobs
    found = smaller[smaller["variant"] == "smaller"]
    assert [one.fingerprint for one in plan(job.config)] == [*found["fingerprint"]]

    assert run(["explain", search_id, *where]) == 0
    assert "\n  l1 harms: −" in capsys.readouterr().out
    with sandbox.tracker() as tracker:
        again = {parent: tracker.runs(parent) for parent in sandbox.parents()}
    assert {key: [*one["run_id"]] for key, one in again.items()} == {
        key: [*one["run_id"]] for key, one in runs.items()
    }


def test_what_is_left_without_the_only_technique_is_told_of_it_also_where_it_is_none(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, _ = searched(sandbox, {"l1": {"strength": 3.0}})
    where = [word for word in sandbox.arguments if word.startswith(("paths.mlruns", "tracking"))]
    assert run(["explain", search_id, *where]) == 0
    told = capsys.readouterr().out
    assert "without l1: 3 runs, 3 exist already" in told
    assert "\n  l1 harms: −" in told


def test_of_two_seeds_no_smaller_cocktail_is_looked_for(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, _ = searched(sandbox, USELESS)
    where = [word for word in sandbox.arguments if word.startswith(("paths.mlruns", "tracking"))]
    assert run(["explain", search_id, *where, "--seeds", "2"]) == 0
    told = capsys.readouterr().out
    assert "none is looked for: it takes final/val_accuracy of 3 seeds or more" in told
    assert "none of them can be left out" not in told


def test_by_a_metric_of_test_rows_alone_no_smaller_cocktail_is_looked_for(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, _ = searched(sandbox, USELESS)
    with sandbox.tracker() as tracker:
        asked = {"search": {"folder": "there"}, "compare": {"metric": "test/brier"}}
        tracker.sweep("by hand", "its worth", asked).finish()
    where = [word for word in sandbox.arguments if word.startswith(("paths.mlruns", "tracking"))]
    assert run(["explain", search_id, *where]) == 0
    told = capsys.readouterr().out
    first, _, later = told.partition("without dropout: ")
    assert (
        "no smaller cocktail is looked for, as the validation split, which would choose it, has no "
        "test/brier." in first
    )
    assert later
    assert "smaller" not in later


def test_a_verdict_is_explained_also_where_its_search_has_a_newer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = {"older": {OF_SEARCH: "search"}, "newest": {OF_SEARCH: "search"}, "search": {}}
    reader: Any = SimpleNamespace(
        run=lambda run_id: SimpleNamespace(tags=tags[run_id]), has=lambda run_id: True
    )
    found = record(verdict="newest", text="optimizer: {lr: 0.1}")
    monkeypatch.setattr("regexp.search.page.record_in", lambda *_: found)
    text = {"optimizer": {"lr": 0.1}}
    assert _verdict_of(reader, "older") == ("older", {})
    assert _verdict_of(reader, "newest") == _verdict_of(reader, "search") == ("newest", text)


def test_a_process_that_takes_part_trains_the_jobs_that_it_is_sent(sandbox: Sandbox) -> None:
    space = read_space(compose_named([*SMALL, *sandbox.arguments]))
    jobs = [*verdict.planned_arms(space, space.default, space.default).values()]
    with sandbox.tracker() as tracker:
        sweep = tracker.sweep("by hand", "a sweep", {})
        take_part(*pickle.loads(pickle.dumps((space.config, sweep.id, jobs))))
        sweep.finish()
        runs = tracker.runs(sweep.id)
    assert {*runs["status"]} == {"FINISHED"}
    assert {*runs["fingerprint"]} == {run.fingerprint for job in jobs for run in job}


def test_a_search_without_a_verdict_cannot_be_explained(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    with sandbox.tracker() as tracker:
        search = tracker.sweep("by hand search", "search", {})
        search.finish()
    assert run(["explain", search.id, f"paths.mlruns={sandbox.store}"]) == 2
    assert "is a search that has no verdict yet; give its command again" in capsys.readouterr().err


@dataclass(frozen=True)
class Run:
    """A run as it was recorded."""

    config: dict[str, Any]
    tags: dict[str, str]
    status: str = "FINISHED"


def arm(names: str, variant: str = "", stage: str = "", seeds: int = 2, **tags: str) -> list[Run]:
    """The runs of some techniques, such as `l1+dropout`."""
    nodes: dict[str, Any] = {name: {} for name in names.split("+") if name != "none"}
    told = {"variant": variant, "stage": stage, "dataset": "iris", **tags}
    return [Run({"seed": seed, "regularizer": nodes}, told) for seed in range(seeds)]


def test_the_cocktail_of_a_sweep_is_the_only_one_or_the_recipe() -> None:
    found = cocktail_of([*arm("none"), *arm("l1"), *arm("l1+dropout", seeds=3)])
    assert found.ingredients == ("l1", "dropout")
    assert found.seeds == [0, 1, 2]
    assert [one["seed"] for one in found.none] == [0, 1]
    assert cocktail_of(arm("l1+dropout", seeds=3), most=2).seeds == [0, 1]
    arms = [*arm("none", "tuned"), *arm("none", "untuned"), *arm("l1", "recipe", "final"),
            *arm("l1+dropout", stage="tuning")]  # fmt: skip
    found = cocktail_of(arms)
    assert found.last == 1
    assert found.ingredients == ("l1",)
    assert len(found.none) == 2


def test_a_run_that_was_killed_before_its_configuration_came_counts_by_its_seed() -> None:
    told = {"seed": "4", "variant": "", "stage": "", "dataset": "iris"}
    assert cocktail_of([*arm("l1+dropout"), Run({}, told, "RUNNING")]).last == 4


def test_fresh_seeds_are_behind_those_that_chose_the_numbers() -> None:
    """The trials of a tuned sweep have the first seeds that its runs leave."""
    trials = [Run(one.config | {"seed": 10 + one.config["seed"]}, one.tags)
              for one in arm("l1+l2", stage="tuning", seeds=3)]  # fmt: skip
    found = cocktail_of([*arm("l1+l2", seeds=10), *trials])
    assert found.seeds == list(range(10))
    iris = plain(compose_named(SMALL).config.dataset)
    fresh = Cocktail([one | {"dataset": iris} for one in found.configs], last=found.last)
    assert [one["seed"] for one in fresh.afresh(("l1",), "data")] == list(range(60, 70))


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        (arm("l1"), "it has none"),
        ([*arm("l1+l2"), *arm("l1+l2", "strength=1")], r"it has l1\+l2, l1\+l2 \(strength=1\)"),
        ([*arm("l1+l2"), *arm("l1+l2", setting="rows=50")], r"it has l1\+l2, l1\+l2"),
        ([*arm("none", "tuned"), *arm("none", "recipe")], "found no technique that helps"),
        ([Run(one.config, one.tags, "FAILED") for one in arm("l1+l2")], "it has none"),
    ],
)
def test_a_sweep_without_one_cocktail_is_refused(runs: list[Run], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        cocktail_of(runs)


def test_a_schedule_is_an_ingredient_and_the_experiment_is_the_run_without_it(
    tmp_path: Path,
) -> None:
    space = read_space(compose_named(SMALL))
    shared = dict(space.default.shared) | {"scheduler": "cosine_annealing_lr"}
    recipe = Recipe(shared, {"dropout": {"hidden": 0.1}, "l1": {"strength": 0.1}})
    runs = verdict.planned_arms(space, recipe, space.default)["recipe"]
    constant = plain(space.searched.nodes["scheduler"]["constant"])
    cocktail = Cocktail([run.config for run in runs], constant=constant)
    assert cocktail.ingredients == ("dropout", "l1", "scheduler")
    here = {"paths": runs[0].config["paths"], "tracking": {}, "debug": False}
    for kept in (("l1",), ("dropout", "scheduler"), cocktail.ingredients):
        own = planned(cocktail.subset(kept), here, "")
        path = tmp_path / "experiment" / f"small{len(kept)}.yaml"
        path.parent.mkdir(exist_ok=True)
        content = yaml.safe_load(as_experiment(space, recipe))
        path.write_text(as_smaller(content, cocktail, kept), encoding="utf-8")
        words = ["--config-dir", str(tmp_path), f"experiment={path.stem}", "dataset=iris",
                 "dataset.test_seed=0", f"seeds={[run.seed for run in runs]}"]  # fmt: skip
        [job] = compose(parse(words)[0]).jobs
        assert [one.fingerprint for one in plan(job.config)] == [one.fingerprint for one in own]
    assert [run.fingerprint for run in own] == [run.fingerprint for run in runs]
    assert Cocktail(cocktail.configs).ingredients == ("dropout", "l1")


def test_without_a_recipe_the_experiment_has_the_techniques_alone() -> None:
    nodes = {"l1": {"strength": 0.1}, "dropout": {"hidden": 0.2}}
    config = {"regularizer": nodes, "scheduler": {"_target_": "a"}, "seed": 3}
    written = as_smaller({}, Cocktail([config]), ("dropout",))
    assert written.startswith("# @package _global_\n# Found by `regexp explain`: dropout\n")
    assert yaml.safe_load(written) == {"regularizer": {"dropout": {"hidden": 0.2}}}
    cocktail = Cocktail([config], constant={"_target_": "b"})
    content = yaml.safe_load(as_smaller({}, cocktail, ("dropout",)))
    assert content["defaults"] == [{"override /scheduler": "constant"}]


def test_what_sets_the_size_of_batches_is_not_left_out() -> None:
    growth = {"_target_": "regexp.regularizer.batch_growth.BatchGrowth", "factor": 2, "every": 1}
    node = {"_target_": "regexp.regularizer.l1.L1", "strength": 0.1, "include": "weights"}
    whole = {"regularizer": {"batch_growth": growth, "l1": node}}
    check_alone(whole, {"regularizer": {"batch_growth": growth}})
    with pytest.raises(ConfigError, match="sets the size of batches"):
        check_alone(whole, {"regularizer": {"l1": node}})


def test_a_search_is_compared_and_opened_by_its_verdict(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, worth_id = searched(sandbox)
    with sandbox.tracker() as tracker:
        ongoing = tracker.sweep("another search", "another", {})
        ongoing.finish()
    where = [f"paths.mlruns={sandbox.store}", "figures=false"]
    alike = ["-m", "regularizer=none,dropout", "dataset=iris", "model.hidden=[4]", "seeds=3",
             "trainer.epochs=1", "yardsticks=false"]  # fmt: skip
    assert sandbox.run(*alike) == 0
    [sweep_id] = sandbox.parents().keys() - {search_id, worth_id, ongoing.id}
    tables = []
    for first in (search_id, worth_id):
        folder = str(sandbox.folder / first)
        assert run(["compare", first, sweep_id, "--folder", folder, *where]) == 0
        tables.append(Path(folder, "comparison.csv").read_text(encoding="utf-8"))
    assert tables[0] == tables[1]
    assert "dropout" in tables[0]
    capsys.readouterr()
    for others in ([], [sweep_id]):
        assert run(["compare", ongoing.id, *others, *where]) == 2
        assert "is a search that has no verdict yet" in capsys.readouterr().err

    opened, of_verdict = (regexp.open_sweep(one, sandbox.store) for one in (search_id, worth_id))
    assert opened.best == of_verdict.best
    assert opened.figures == of_verdict.figures != []
    assert opened.table().equals(of_verdict.table())
    assert regexp.open_sweep(ongoing.id, sandbox.store).figures == []


def test_a_recipe_of_others_is_not_written_over(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    search_id, worth_id = searched(sandbox)
    where = [f"paths.mlruns={sandbox.store}", "--folder", "there", "dry_run=true"]
    small = sandbox.folder / "there" / "experiment" / "recipe_small.yaml"
    small.parent.mkdir(parents=True)
    by = "# Found by `regexp explain`: none\n"
    for text, problem in [
        ("# my own\n", "it has an experiment/recipe_small.yaml by other hands"),
        (f"{by}# Of the sweep another\n", "it has the smaller recipe of another sweep"),
        (f"{by}# Of the sweep {worth_id}\n", ""),
        (by, ""),  # of an earlier version
    ]:
        small.write_text(text, encoding="utf-8")
        assert run(["explain", search_id, *where]) == (2 if problem else 0)
        assert problem in capsys.readouterr().err
    whole = small.with_name("recipe.yaml")
    with sandbox.tracker() as tracker:
        found = tracker.text(search_id, SEARCH)
    assert found is not None
    text = SearchRecord.from_json(found).text
    for given, status in [(text, 0), (text.replace("3.0", "4.0"), 2), ("a: [", 0)]:
        whole.write_text(given, encoding="utf-8")
        assert run(["explain", search_id, *where]) == status
    assert "it has the recipe of a search that is not explained here" in capsys.readouterr().err


def test_the_experiment_of_a_sweep_is_a_part_of_its_smaller_cocktail(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = sandbox.folder / "mine" / "experiment" / "of_mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: iris\n"
        "  - override /regularizer: [l1, l2]\n  - _self_\n"
        "model:\n  hidden: [4]\ntrainer:\n  epochs: 2\nyardsticks: false\n",
        encoding="utf-8",
    )
    techniques = "regularizer=none,[dropout,l1]"
    numbers = ["regularizer.dropout.hidden=0", "regularizer.l1.strength=3"]
    assert sandbox.run("--config-dir", str(mine.parents[1]), "-m", "experiment=of_mine",
                       techniques, *numbers, "seeds=3") == 0  # fmt: skip
    [sweep_id] = sandbox.parents()
    where = [f"paths.mlruns={sandbox.store}", "figures=false", "--folder", "there"]
    assert run(["explain", sweep_id, *where]) == 0
    told = capsys.readouterr().out
    assert "with the sweep's other overrides, but experiment and regularizer:" in told
    assert "--config-dir there 'hydra.searchpath=[FOLDER]' experiment=recipe_small" in told
    assert "(FOLDER is the one that has experiment/of_mine.yaml)" in told
    words = ["--config-dir", "there", f"hydra.searchpath=[{mine.parents[1]}]",
             "experiment=recipe_small", "seeds=3"]  # fmt: skip
    [job] = compose(parse(words)[0]).jobs
    with sandbox.tracker() as tracker:
        runs = tracker.runs(sweep_id)
    assert (runs["technique"] == "none").sum() == 3
    none = runs[runs["technique"] == "none"]
    assert [one.fingerprint for one in plan(job.config)] == [*none["fingerprint"]]
