"""`regexp search` as a command: from trials to a recipe that runs, and what it is worth."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import regexp
from regexp.__main__ import run
from regexp.commands.arguments import parse
from regexp.commands.search import search
from regexp.config.jobs import compose
from regexp.config.schema import conf_folder
from regexp.config.searched import budget_of
from regexp.config.values import plain
from regexp.errors import ConfigError
from regexp.metrics.names import OF_SEARCH
from regexp.search import lead, verdict
from regexp.search.arm import Arm
from regexp.search.choice import Trial
from regexp.search.command import dry_run, lines_of, run_search
from regexp.search.identity import key_of_search
from regexp.search.recipe import Recipe
from regexp.search.seeds import finalist_runs
from regexp.search.taking_part import read_space
from regexp.search.written import (
    are_choices,
    as_experiment,
    command_of,
    prepare_folder,
    write,
)
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun
from tests.sandbox import Sandbox
from tests.search.composed import compose_named

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=2", "search.trials=8",
         "search.batch=4", "search.finalists=2", "search.seeds=2",
         "search.techniques=[dropout,batch_norm,mixup,l1]",
         "search.space.model.hidden='choice([4],[8])'")  # fmt: skip


@pytest.mark.parametrize(
    ("scheduler", "techniques"),
    [
        ("constant", {"dropout": {"hidden": 0.3, "inputs": 0.1}, "l1": {"strength": 0.002}}),
        ("cosine_annealing_lr", {"batch_norm": {"momentum": 0.2}}),
    ],
)
def test_the_written_recipe_is_the_run_of_the_verdict(
    tmp_path: Path, scheduler: str, techniques: dict[str, dict[str, float]]
) -> None:
    """The experiment in a folder of its own, composed by Hydra, has the same fingerprints."""
    space = read_space(compose_named(SMALL))
    shared = {"optimizer.lr": 0.02, "trainer.batch_size": 32, "model.hidden": [8]}
    recipe = Recipe(shared | {"scheduler": scheduler}, techniques)
    arms = verdict.planned_arms(space, recipe, space.default)
    assert [*arms] == ["tuned", "recipe"]  # the configuration's own numbers are the tuned ones
    path = tmp_path / "experiment" / "recipe.yaml"
    path.parent.mkdir()
    path.write_text(as_experiment(space, recipe), encoding="utf-8")
    words = ["--config-dir", str(tmp_path), "experiment=recipe", "dataset=iris",
             "dataset.test_seed=0", "seeds=[10000,10001]"]  # fmt: skip
    [job] = compose(parse(words)[0]).jobs
    assert [one.fingerprint for one in plan(job.config)] == [
        one.fingerprint for one in arms["recipe"]
    ]


def test_a_recipe_is_held_against_others(tmp_path: Path) -> None:
    """The command line chooses other techniques and schedules in the place of its own."""
    space = read_space(compose_named([*SMALL, "optimizer.betas=[0.8,0.99]"]))
    techniques = {"dropout": {"hidden": 0.3, "inputs": 0.1}, "l1": {"strength": 0.002}}
    shared = {"optimizer.lr": 0.02, "scheduler": "cosine_annealing_lr", "model.hidden": [8]}
    path = tmp_path / "experiment" / "recipe.yaml"
    path.parent.mkdir()
    recipe = Recipe(space.default.shared | shared, techniques)
    path.write_text(as_experiment(space, recipe), encoding="utf-8")
    words = ["-m", "--config-dir", str(tmp_path), "experiment=recipe", "dataset=iris", "seeds=1"]
    jobs = compose(parse([*words, "regularizer=none,[dropout,l1],[l1],batch_norm"])[0]).jobs
    none, whole, one, other = (plain(job.config.regularizer) for job in jobs)
    assert (none, [*whole], [*one], [*other]) == ({}, ["dropout", "l1"], ["l1"], ["batch_norm"])
    assert (whole["dropout"]["hidden"], whole["dropout"]["inputs"]) == (0.3, 0.1)
    assert whole["l1"]["strength"] == one["l1"]["strength"] == 0.002
    assert all(job.config.optimizer.lr == 0.02 for job in jobs)
    assert all(plain(job.config.optimizer)["betas"] == [0.8, 0.99] for job in jobs)
    [constant] = compose(parse([*words, "scheduler=constant"])[0]).jobs
    assert "Constant" in constant.config.scheduler._target_
    for alone in ("none", "batch_norm"):  # what the file says of others rests
        [job] = compose(parse([*words, f"regularizer={alone}"])[0]).jobs
        assert [*job.config.regularizer] == [alone] * (alone != "none")
    with pytest.raises(ConfigError, match="does not have the technique dropout"):
        compose(parse([*words, "regularizer=none", "regularizer.dropout.hidden=0.1"])[0])


def test_a_technique_of_the_command_line_keeps_its_place_in_a_recipe(tmp_path: Path) -> None:
    mine = "+regularizer.mine={_target_: regexp.regularizer.l1.L1, strength: 0.1, include: all}"
    words = [one for one in SMALL if "techniques" not in one]
    space = read_space(compose_named([*words, mine, "search.techniques=[mine,dropout]"]))
    recipe = Recipe(space.default.shared, {"mine": {}, "dropout": {"hidden": 0.3}})
    runs = verdict.planned_arms(space, recipe, space.default)["recipe"]
    path = tmp_path / "experiment" / "recipe.yaml"
    path.parent.mkdir()
    path.write_text(as_experiment(space, recipe), encoding="utf-8")
    given = ["--config-dir", str(tmp_path), "experiment=recipe", "dataset=iris",
             "dataset.test_seed=0", f"seeds=[{runs[0].seed}]"]  # fmt: skip
    [job] = compose(parse(given)[0]).jobs
    assert [one.fingerprint for one in plan(job.config)] == [runs[0].fingerprint]
    assert not are_choices(space, recipe)
    assert are_choices(space, Recipe(space.default.shared, {"dropout": {}}))


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=recipe_wine"],
        ["dataset=wine", "dataset.train_size=90", "+trainer.class_weight={class_0: 2, class_1: 1}",
         "trainer.precision=float64", "trainer.device=cpu"],
        ["dataset=table", "dataset.path='{folder}/some, rows.csv'", "dataset.target=kind",
         "dataset.drop=[of no use]", "experiment=recipe_table"],
        ["--config-dir", "{folder}", "dataset=grapes"],
    ],
)  # fmt: skip
def test_the_command_that_is_printed_trains_as_the_verdict_did(
    words: Sequence[str], tmp_path: Path
) -> None:
    """On the data of an experiment, too, and with all of `trainer` that is a run's."""
    rows = [f"{at % 7},{at},{at % 11 / 3},{'ab'[at % 2]}" for at in range(240)]
    text = "\n".join(["length,width,of no use,kind", *rows])
    (tmp_path / "some, rows.csv").write_text(text, encoding="utf-8")
    grapes = (conf_folder() / "dataset" / "wine.yaml").read_text(encoding="utf-8")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "grapes.yaml").write_text(grapes, encoding="utf-8")
    given = [word.replace("{folder}", str(tmp_path)) for word in words]
    given += [f"search.folder={tmp_path / 'it is here'}", "search.techniques=[l1]"]
    space = read_space(compose_named(given))
    recipe = Recipe({**space.default.shared, "optimizer.lr": 0.02}, {"l1": {"strength": 0.002}})
    runs = verdict.planned_arms(space, recipe, space.default)["recipe"]
    write(space, as_experiment(space, recipe), "a key")
    _, *printed = shlex.split(command_of(space))
    [job] = compose(parse([*printed, "seeds=[10000]"])[0]).jobs
    assert [one.fingerprint for one in plan(job.config)] == [runs[0].fingerprint]


def test_the_command_that_is_printed_finds_what_the_search_did(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("own", "ours", "theirs")]
    for folder in folders:
        Path(folder).mkdir()
    words = ["--config-dir", folders[0], *SMALL, f"hydra.searchpath=[{','.join(folders[1:])}]"]
    _, *printed = shlex.split(command_of(read_space(compose_named(words))))
    assert f"hydra.searchpath=[{','.join(folders)}]" in printed


def test_the_runs_that_follow_a_budget_are_counted_by_its_finalists() -> None:
    words = [*SMALL, "search.seeds=10", "search.finalists=24"]
    told = lines_of(read_space(compose_named([*words, "search.budget=10min"])))
    runs = sum(finalist_runs(24)) + 30
    assert any(f"then at most {runs} runs" in line for line in told)


def test_what_a_search_says_itself_is_told() -> None:
    for word in ("seeds=3", "compare.baseline=l1", "++compare.factor=model",
                 "++tune.search.optimizer.lr=1"):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            compose_named(["dataset=iris", word], ["l1"])
        key = word.lstrip("+").partition("=")[0]
        key = key.removesuffix(".optimizer.lr")
        assert str(caught.value).startswith(f"{key}: a search says this itself; leave it out")
    for word, key in (
        ("+search.trails=5", "search.trails"),
        ("+search.rungs.etta=3", "search.rungs.etta"),
    ):
        with pytest.raises(ConfigError, match=f"{key}: there is no such key. Did you mean"):
            compose_named(["dataset=iris", word], ["l1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.techniques=[]"], "search.techniques=[]: expected names, or null"),
        (["search.techniques=[l1]", "compare.metric=seconds"], "chooses by the validation split"),
        (["search.techniques=[l1]", "compare.metric=sharpness/eigenvalue", "trainer.sharpness=16"],
         "chooses by the validation split"),
    ],
)  # fmt: skip
def test_what_nothing_can_be_chosen_by_is_told_before_anything_is_trained(
    words: Sequence[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_space(compose_named(["dataset=iris", *words], ["l1"]))
    assert message in str(caught.value)


def test_a_folder_keeps_the_recipe_of_one_search(tmp_path: Path) -> None:
    folder = str(tmp_path / "recipe")
    space = read_space(compose_named([*SMALL, f"search.folder={folder}"]))
    prepare_folder(folder, "one")
    prepare_folder(folder, "two")  # there is no recipe yet
    path = write(space, as_experiment(space, space.default), "two")
    prepare_folder(folder, "two")
    with pytest.raises(ConfigError, match="it has the recipe of another search"):
        prepare_folder(folder, "one")
    with pytest.raises(ConfigError, match="it has the recipe of another search"):
        write(space, as_experiment(space, space.default), "one")  # which both had begun before
    with pytest.raises(ConfigError, match="it has the recipe of another search"):
        dry_run(space.searched)
    path.write_text("# Found by `regexp search`: l1, by an earlier version\n", encoding="utf-8")
    prepare_folder(folder, "one")
    path.write_text("# my own\noptimizer:\n  lr: 0.5\n", encoding="utf-8")
    for key in ("one", "two"):
        with pytest.raises(ConfigError, match=r"it has an experiment/recipe\.yaml by other hands"):
            prepare_folder(folder, key)


def test_a_folder_may_begin_with_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = compose_named([*SMALL, "search.folder='~/recipes'"]).config
    assert config.search.folder == str(tmp_path / "recipes")


def test_what_a_list_of_techniques_cannot_have_is_named() -> None:
    words = ["dataset=iris", "model=logistic", "search.techniques=[l1,dropout]"]
    with pytest.raises(ConfigError, match=r"^regularizer\.dropout: "):
        read_space(compose_named(words))


@pytest.mark.parametrize("words", [["dataset=wine,iris"], ["-m", "dataset=wine"]])
def test_several_datasets_are_searched_by_a_command_each(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"[Aa] search is one job; give a command for each"):
        search(words)


def test_trials_that_are_typed_take_the_place_of_an_experiments_budget() -> None:
    words = ["experiment=recipe_wine", "search.techniques=[l1]"]
    assert budget_of(compose_named(words).config) == 1800
    typed = compose_named([*words, "search.trials=32"])
    assert (budget_of(typed.config), typed.config.search.trials) == (None, 32)
    both = read_space(compose_named([*words, "search.trials=32", "search.budget=20s"]))
    assert lines_of(both)[0].startswith("search.budget ends the search")
    assert not any(line.startswith("search.budget") for line in lines_of(read_space(typed)))


def test_an_experiment_for_classes_searches_by_the_usual_metric_in_regression(
    tmp_path: Path,
) -> None:
    rows = "\n".join(["length,width", *(f"{at % 7},{at / 3}" for at in range(120))])
    (tmp_path / "some.csv").write_text(rows, encoding="utf-8")
    words = ["experiment=recipe_table", f"dataset.path={tmp_path}/some.csv",
             "dataset.target=width", "search.techniques=[l1]"]  # fmt: skip
    assert read_space(compose_named(words)).config.compare.metric is None
    with pytest.raises(ConfigError, match="no such metric"):
        read_space(compose_named([*words, "compare.metric=test/balanced_accuracy"]))


def test_an_arm_that_is_another_is_there_once() -> None:
    space = read_space(compose_named(SMALL))
    other = Recipe(space.default.shared | {"optimizer.lr": 0.05}, {})
    assert [*verdict.planned_arms(space, other, other)] == ["tuned", "untuned"]
    assert [*verdict.planned_arms(space, space.default, other)] == ["tuned", "recipe"]


MINE = """
# @package regularizer.mine
_target_: keyed_technique.Mine
strength: 0.1
share: 0.1
search: {{{key}: 'interval(0, 1)'}}
"""
TECHNIQUE = """
from dataclasses import dataclass
from regexp.regularizer.base import Regularizer
@dataclass(frozen=True)
class Mine(Regularizer, kind="penalty", neutral={{"strength": 0.0}}):
    strength: float
    share: float
    def penalty(self, step, view):
        return {factor} * self.strength * sum(one.sum() for one in view.parameters.values())
"""


def test_searches_whose_trials_would_be_others_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a seed, the way of a metric of one's own, the number of a range, a technique's code."""
    pytest.importorskip("optuna", minversion="4")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "regularizer"
    folder.mkdir()

    def key(*words: str, searched: str = "strength", factor: int = 1) -> str:
        (folder / "mine.yaml").write_text(MINE.format(key=searched), encoding="utf-8")
        code = TECHNIQUE.format(factor=factor)
        (tmp_path / "keyed_technique.py").write_text(code, encoding="utf-8")
        sys.modules.pop("keyed_technique", None)  # as a new process
        importlib.invalidate_caches()
        given = ["--config-dir", str(tmp_path), "dataset=iris", "model.hidden=[4]",
                 "search.techniques=[mine]", *words]  # fmt: skip
        return key_of_search(read_space(compose_named(given)))

    first = key()
    assert key("search.trials=80", "search.workers=2", "figures=false") == first
    cost = "+trainer.metrics.cost={_target_: torch.nn.functional.cross_entropy, lower_is_better: "
    others = [
        key("search.seed=1"),
        key("search.batch=4"),
        key("compare.metric=test/cost", cost + "true}"),
        key("compare.metric=test/cost", cost + "false}"),
        key(searched="share"),
        key(factor=2),
    ]
    assert len({first, *others}) == 1 + len(others)
    assert key() == first
    sys.modules.pop("keyed_technique", None)


def test_a_search_prints_no_configuration(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="leave the word search out"):
        search([*SMALL, "--cfg", "job", *sandbox.arguments])
    assert not sandbox.parents()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_trained(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "recipe"
    with pytest.raises(ConfigError, match=re.escape(f"search.folder={folder}: it cannot be writ")):
        run_search(compose_named([*SMALL, *sandbox.arguments, f"search.folder={folder}"]))
    assert not sandbox.parents()


def test_the_smaller_cocktail_of_an_earlier_recipe_goes(tmp_path: Path) -> None:
    space = read_space(compose_named([*SMALL, f"search.folder={tmp_path}"]))
    texts = [f"# @package _global_\n# Found by `regexp search`: {name}\ndefaults: []\n"
             for name in ("one", "other")]  # fmt: skip
    small = write(space, texts[0], "key").with_name("recipe_small.yaml")
    small.write_text("# Found by `regexp explain`: none\nregularizer: {}\n")
    write(space, texts[0], "key")
    assert small.exists(), "the recipe is the same"
    write(space, texts[1], "key")
    assert not small.exists()
    small.write_text("# my own\n")
    write(space, texts[0], "key")
    assert small.exists()


def test_a_dry_run_tells_the_space_and_writes_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["search", *SMALL, "dry_run=true", f"paths.mlruns={sandbox.folder / 'none'}"]) == 0
    told = capsys.readouterr().out
    assert "3 techniques to switch on or off: l1, dropout, mixup." not in told
    assert "3 techniques to switch on or off: dropout, mixup, l1." in told
    assert "dropout: hidden interval(0.05, 0.8), inputs interval(0, 0.4)" in told
    assert "8 recipes and as many configurations of none, in batches of 4" in told
    assert not [*sandbox.folder.iterdir()]


def test_a_search_ends_with_a_recipe_and_its_worth_and_the_second_time_trains_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", minversion="4")
    assert sandbox.run("search", *SMALL) == 0
    told = capsys.readouterr().out
    recipe = sandbox.folder / "recipe" / "experiment" / "recipe.yaml"
    words = recipe.read_text(encoding="utf-8").splitlines()[1].partition(": ")[2]
    assert f"The recipe: {words}\n" in told
    assert "none (tuned)" in told
    assert "8 recipes and as many of none" in told
    page = sandbox.folder / "recipe" / "search.html"
    assert page.is_file()
    assert not (page.parent / "figures").exists(), "figures=false"
    assert "experiment=recipe dataset=iris " in told
    assert " dataset.test_seed=0 " in told
    with sandbox.tracker() as tracker:
        runs = {parent: tracker.runs(parent) for parent in sandbox.parents()}
    trials, worth = sorted(runs.values(), key=lambda one: (one["stage"] == "final").all())
    assert (trials["stage"] == "tuning").all()
    assert {*trials["seed"]} == {0, 1}
    assert {*worth["seed"]} == {10_000, 10_001}
    assert {*trials["params.dataset.test_seed"], *worth["params.dataset.test_seed"]} == {"0"}
    assert {*worth["variant"]} <= {"recipe", "tuned", "untuned"}
    assert (trials.loc[trials["variant"] == words, "chosen"] == "recipe").all()
    chosen = trials[trials["chosen"] != ""]
    assert chosen["variant"].nunique() == chosen["chosen"].nunique()
    assert {*chosen["seed"]} == {0, 1}, "a trial and its run as a finalist"
    [search] = [parent for parent, one in runs.items() if one is trials]
    with sandbox.tracker() as tracker:
        assert [tracker.tags(one)[OF_SEARCH] for one in runs if one != search] == [search]
    assert regexp.open_sweep(search, sandbox.store).best in {*worth["run_id"]}
    found = worth[worth["variant"] == "recipe"]
    predicted = [f"regexp predict {one} FILE " in told for one in found["run_id"]]
    assert sum(predicted) == (len(found) > 0)
    where = [f"paths.mlruns={sandbox.store}", "figures=false"]
    assert run(["compare", search, "--folder", "again", *where]) == 0
    assert "The search: again/search.html" in capsys.readouterr().out
    again, first = (one.read_text(encoding="utf-8") for one in (Path("again/search.html"), page))
    assert again == first, "the page is made again from what is recorded"
    assert sandbox.run("search", *SMALL) == 0
    assert recipe.read_text(encoding="utf-8").splitlines()[1].partition(": ")[2] == words
    with sandbox.tracker() as tracker:
        later = {parent: tracker.runs(parent) for parent in sandbox.parents()}
    assert {key: [*one["run_id"]] for key, one in later.items()} == {
        key: [*one["run_id"]] for key, one in runs.items()
    }


def test_two_searches_with_the_same_runs_have_verdicts_of_their_own(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is tuned none in the first is the recipe of the second, whose baseline is another."""
    pytest.importorskip("optuna", minversion="4")
    chosen: list[tuple[Recipe, Recipe]] = []

    def found(arms: Sequence[Arm], *_: object) -> tuple[Recipe, Recipe, list[PlannedRun]]:
        default = arms[0].space.default
        other = Recipe(default.shared | {"optimizer.lr": 0.05}, {})
        for arm in arms:
            arm.trials = [Trial(other, {}, [{"final/val_loss": 1.0}])]
        chosen.append((other, default if chosen else other))
        return *chosen[-1], plan(arms[0].config)

    monkeypatch.setattr(lead, "_find", found)
    for seed in (0, 1):
        folder = f"search.folder={sandbox.folder / str(seed)}"
        given = (f"search.seed={seed}", "search.workers=1", folder)
        assert sandbox.run("search", *SMALL, *given) == 0
    # of both recipes, of which one is none's
    assert capsys.readouterr().out.count("Predictions for new rows") == 2
    with sandbox.tracker() as tracker:
        tags = {parent: tracker.tags(parent) for parent in sandbox.parents()}
        searches = [one for one in tags if OF_SEARCH not in tags[one]]
        worths = [one for one in tags if OF_SEARCH in tags[one]]
        runs = [tracker.runs(one).sort_values("seed") for one in worths]
    assert {tags[one][OF_SEARCH] for one in worths} == {*searches}
    assert len(searches) == len(worths) == 2
    arms = {tuple(sorted({*one["variant"]})): one for one in runs}
    assert {*arms} == {("tuned", "untuned"), ("recipe", "tuned")}
    first, second = arms["tuned", "untuned"], arms["recipe", "tuned"]
    for before, then in (("tuned", "recipe"), ("untuned", "tuned")):
        assert [*first[first["variant"] == before]["run_id"]] == [
            *second[second["variant"] == then]["run_id"]
        ], "nothing is trained twice"


def test_a_trial_that_knows_the_verdicts_rows_ends_the_search_before_it_is_trained(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a trial that split the data by itself, and so trained on test rows of others."""
    pytest.importorskip("optuna", minversion="4")

    def found(arms: Sequence[Arm], *_: object) -> tuple[Recipe, Recipe, list[PlannedRun]]:
        space = arms[0].space
        config = space.config.copy()
        config.dataset.test_seed, config.seeds = None, [1]
        return space.default, space.default, plan(config)

    monkeypatch.setattr(lead, "_find", found)
    assert sandbox.run("search", *SMALL) == 2
    assert "its test split of seed 10000" in capsys.readouterr().err
    with sandbox.tracker() as tracker:
        assert not any(len(tracker.runs(parent)) for parent in sandbox.parents())
