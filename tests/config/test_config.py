"""Every mistake in a configuration ends with one message that names the key and the cure."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from regexp.__main__ import USAGE_ERROR, run
from regexp.commands.arguments import parse
from regexp.config.jobs import Sweep, compose
from regexp.config.nodes import fits
from regexp.config.schema import conf_folder
from regexp.config.searched import budget_of, compose_search
from regexp.config.values import grid_of, seeds_of
from regexp.errors import ConfigError
from regexp.sweeps.plan import plan


def composed(*arguments: str) -> Sweep:
    """What a command line would run."""
    return compose(parse(arguments)[0])


def message(*arguments: str) -> str:
    """What a command line is refused with."""
    with pytest.raises(ConfigError) as caught:
        composed(*arguments)
    return str(caught.value)


# Each: the command, the beginning of the message (the key), and what else must be in it.
MISTAKES = [
    # keys
    ("trainer.epochz=1", "trainer.epochz:", "Did you mean trainer.epochs?"),
    ("+trainer.epochz=1", "trainer.epochz:", "Did you mean trainer.epochs?"),
    ("+sedes=3", "sedes:", "Did you mean seeds?"),
    ("model.hiden=[3]", "model.hiden:", "Did you mean model.hidden?"),
    ("~trainer", "trainer:", "expected a value"),
    # groups and their choices
    ("regularizr=l1", "regularizr:", "Did you mean regularizer?"),
    ("regularizer=dropuot", "regularizer=dropuot:", "Did you mean dropout?"),
    ("dataset=diggits", "dataset=diggits:", "Did you mean digits?"),
    ("experiment=digit_mlp", "experiment=digit_mlp:", "Did you mean digits_mlp?"),
    ("regularizer=[l1,dropuot]", "regularizer=dropuot:", "Did you mean dropout?"),
    ("~dataset", "dataset:", "expected a choice"),
    # types
    ("trainer.epochs=ten", "trainer.epochs=ten:", "expected an integer"),
    ("trainer.epochs=1.5", "trainer.epochs=1.5:", "expected an integer"),
    ("search.rungs=null", "search.rungs=null:", "expected a value, not null"),
    ("stack=maybe", "stack=maybe:", "expected true or false"),
    ("model.hidden=64", "model.hidden=64:", "expected a list of integers"),
    ("model.hidden=[a]", "model.hidden=['a']:", "expected a list of integers"),
    # numbers out of range
    ("trainer.epochs=-1", "trainer.epochs=-1:", ">= 1"),
    ("trainer.batch_size=0", "trainer.batch_size=0:", ">= 1"),
    ("trainer.threads=0", "trainer.threads=0:", ">= 1"),
    ("tracking.port=70000", "tracking.port=70000:", "65535"),
    ("optimizer.lr=-0.5", "optimizer.lr=-0.5:", "Invalid learning rate"),
    ("scheduler.factor=5", "scheduler", "between 0 and 1"),
    ("dataset.validation=1.5", "dataset.validation", "between 0 and 1"),
    # names
    ("trainer.device=gpu", "trainer.device=gpu:", "cuda"),
    ("trainer.device=cuda:99", "trainer.device=cuda:99:", "this machine has"),
    ("trainer.precision=float16", "trainer.precision=float16:", "float32, float64, bfloat16"),
    ("trainer.step=fast", "trainer.step=fast:", "auto, general"),
    ("scheduler.interval=batch", "scheduler.interval=batch:", "epoch or step"),
    # seeds
    ("seeds=0", "seeds=0:", "seeds=10"),
    ("seeds=[1,1]", "seeds=[1, 1]:", "different"),
    ("seeds=[-1]", "seeds=[-1]:", ">= 0"),
    ("seeds=true", "seeds=True:", "seeds=10"),
    ("seeds=many", "seeds=many:", "seeds=10"),
    # targets
    ("model._target_=regexp.model.mlp.MLPP", "model._target_=", "Did you mean MLP?"),
    ("model._target_=no_such_package.Net", "model._target_=", "PYTHONPATH"),
    ("model._target_=regexp.model.mlp", "model._target_=", "expected a class or function"),
    ("+model.drop=0.5", "model.drop:", "no such argument"),
    ("+optimizer.betass=[0.9,0.99]", "optimizer.betass:", "Did you mean betas?"),
    # Hydra's grammar
    ("regularizer=none,l1", "regularizer=none,l1:", "Add -m"),
    ("epochs", "epochs:", "expected key=value"),
    ("regularizer=[l1", "regularizer=[l1:", "expected key=value"),
]


@pytest.mark.parametrize(("argument", "key", "cure"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistakes_are_named(argument: str, key: str, cure: str) -> None:
    text = message(argument)
    assert text.startswith(key)
    assert cure in text


def test_a_glob_that_matches_nothing_is_no_success() -> None:
    assert "a glob that matches no choice" in message("-m", "regularizer=glob(xyz*)")


def test_a_range_is_for_a_sweeper_that_draws_from_it() -> None:
    text = message("-m", "regularizer=l1", "regularizer.l1.strength=interval(0.1,1)")
    assert "regularizer.l1.strength=interval(0.1,1): a range is for a sweeper" in text


@pytest.mark.parametrize("key", ["tune.search.optimizer.lr", "regularizer.l1.search.strength"])
@pytest.mark.parametrize("more", [(), ("-m",)])
def test_a_range_that_is_tuned_in_is_quoted(key: str, more: tuple[str, ...]) -> None:
    text = message(*more, "regularizer=l1", "tune.budget=4", f"{key}=interval(0.001,0.1)")
    assert text.startswith(f"{key}=interval(0.001,0.1): a range is a text here and no sweep")
    assert "quotes inside quotes: 'tune.search.optimizer.lr=\"interval(" in text


def test_options_may_stand_between_overrides(tmp_path: Path) -> None:
    arguments = [
        "regularizer=none,l1",
        "-m",
        "seeds=2",
        "--config-dir",
        str(tmp_path),
        "debug=true",
    ]
    options, rewritten = parse(arguments)
    assert rewritten == [
        "-m",
        "--config-dir",
        str(tmp_path),
        *arguments[:1],
        "seeds=2",
        "debug=true",
    ]
    assert [job.technique for job in compose(options).jobs] == ["none", "l1"]


# The same, inside techniques; `regularizer=l1` and its like stand before them.
IN_TECHNIQUES = [
    ("l1", "regularizer.l1.strenght=1", "regularizer.l1.strenght:", "Did you mean strength?"),
    ("l1", "regularizer.l1.strength=-1", "regularizer.l1.strength", ">= 0"),
    ("l1", "regularizer.l1.strength=strong", "regularizer.l1.strength=strong:", "a number"),
    ("l1", "regularizer.l2.strength=1", "regularizer.l2:", "regularizer=l2"),
    ("early_stopping", "regularizer.early_stopping.patience=-1", "regularizer.", "patience"),
    ("early_stopping", "regularizer.early_stopping.patience=1.5", "regularizer.", "an integer"),
    ("l1", "grid.regularizer.l1.strenght=[1]", "grid.", "Did you mean regularizer.l1.strength?"),
    ("l1", "grid.l1.strength=[1]", "grid.", "Did you mean regularizer.l1.strength?"),
    ("l1", "grid.regularizer.l1.strength=0.1", "grid.", "in brackets"),
    ("l1", "grid.regularizer.l1.strength=[]", "grid.", "one or more numbers"),
    ("l1", "grid.regularizer.l1.strength=[0.1,a]", "grid.", "one or more numbers"),
    (
        "l1",
        "grid.regularizer.l1.strength=[0.1,0.1]",
        "grid.",
        "differ, numbers in six digits",
    ),
    (
        "l1",
        "grid.regularizer.l1.strength=[0.1,0.10000001]",
        "grid.",
        "differ, numbers in six digits",
    ),
    (
        "l1",
        "grid.regularizer.l1.strength=[1,1.0]",
        "grid.",
        "differ, numbers in six digits",
    ),
    ("l1", "grid.regularizer.l1.strength=[0.1,-0.2]", "grid.regularizer.l1.strength", ">= 0"),
    ("l1", "grid.regularizer.l1.include=[1]", "grid.", "one or more words or flags"),
    (
        "l1",
        "grid.regularizer.l1.include=[all,bias]",
        "grid.regularizer.l1.include",
        "'weights', 'all'",
    ),
    ("l1", "grid.regularizer.l1._target_=[a,b]", "grid.", "word or flag of a technique"),
    ("l1", "grid.regularizer.l1.strength=[all]", "grid.", "one or more numbers"),
    ("l1", "grid.model.activation=[relu,tanh]", "grid.", "number of this job"),
]


@pytest.mark.parametrize(
    ("choice", "argument", "key", "cure"), IN_TECHNIQUES, ids=[m[1] for m in IN_TECHNIQUES]
)
def test_mistakes_in_techniques_are_named(choice: str, argument: str, key: str, cure: str) -> None:
    text = message(f"regularizer={choice}", argument)
    assert text.startswith(key)
    assert cure in text


def test_a_mistake_in_one_job_of_a_sweep_names_the_job() -> None:
    text = message("-m", "trainer.epochs=3,0", "regularizer=none,l1")
    assert text.startswith("trainer.epochs=0:")
    assert "in the job trainer.epochs=0 regularizer=none" in text


def test_a_mistake_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["-m", "regularizer=none,l3"]) == USAGE_ERROR
    printed = capsys.readouterr()
    assert printed.err.startswith("regexp: regularizer=l3: expected a choice of regularizer")
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trainer.epochs=0", "debug=true"]) == USAGE_ERROR
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.splitlines()[-1].startswith("regexp: trainer.epochs=0:")


# Of `regularizer` the experiment wine_mlp has every choice.
@pytest.mark.parametrize("group", ["dataset", "model", "optimizer", "scheduler", "experiment"])
def test_every_choice_of_every_group_is_valid(group: str) -> None:
    given = {"path": "mine.csv", "target": "price", "id": 31}  # what only the user knows
    complete = []
    for path in sorted((conf_folder() / group).glob("*.yaml")):
        node: Any = OmegaConf.to_container(OmegaConf.load(path))
        asked = [
            f"{group}.{key}={given[str(key)]}" for key, value in node.items() if value == "???"
        ]
        if path.stem in SEARCHES:  # which have a test of their own
            continue
        if group == "experiment" and (numbers := list(node.get("regularizer", ()))):
            asked = [f"regularizer=[{','.join(numbers)}]"]  # those that it has numbers for
        if group == "experiment" or asked:  # an experiment sweeps by itself
            [job] = composed(f"{group}={path.stem}", *asked).jobs
            assert job.config.trainer.epochs >= 1, path
        else:
            complete.append(path.stem)
    if complete:
        jobs = composed("-m", f"{group}={','.join(complete)}").jobs
        assert len(jobs) == len(complete)
        assert all(job.config.trainer.epochs >= 1 for job in jobs)


EXPERIMENTS = sorted(path.stem for path in (conf_folder() / "experiment").iterdir())
RECIPES = [name for name in EXPERIMENTS if name.startswith("recipe_")]
SEARCHES = [*RECIPES, "portfolio"]
"""Experiments of `regexp search`; all others are sweeps."""


def test_a_search_by_the_portfolio_tries_it_and_nothing_else() -> None:
    search = compose_search(parse(["experiment=portfolio", "dataset=iris"])[0]).config.search
    assert search.trials == 1 + len(search.portfolio)
    assert 2 <= len(search.portfolio) <= search.batch
    assert any(entry.regularizer for entry in search.portfolio)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_searched_on_its_table_by_balanced_accuracy(name: str) -> None:
    words = ["dataset.path=mine.csv", "dataset.target=price"] if name == "recipe_table" else []
    config = compose_search(parse([f"experiment={name}", *words])[0]).config
    assert config.compare.metric == "test/balanced_accuracy"
    assert budget_of(config) == 1800
    table = name.removeprefix("recipe_")
    if config.dataset.get("path") is None:
        assert config.dataset._target_ == composed(f"dataset={table}").config.dataset._target_
    else:
        assert config.dataset.path == (words[0].partition("=")[2] if words else f"{table}.csv")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in SEARCHES])
def test_every_experiment_has_a_baseline_and_several_seeds(name: str) -> None:
    """All of its techniques, and all of what else it sweeps, but not their whole product."""
    node = OmegaConf.load(conf_folder() / "experiment" / f"{name}.yaml")
    swept = node.hydra.sweeper.params
    others = {key: str(choices) for key, choices in swept.items() if key != "regularizer"}
    firsts = [  # up to the first comma outside brackets
        f"{key}={re.split(r',(?![^[]*[]])', choices)[0]}" for key, choices in others.items()
    ]
    if swept.regularizer == "glob(*)" and name != "wine_mlp":  # once is enough
        firsts.append("regularizer=glob([none,dro*])")
    jobs = composed("-m", f"experiment={name}", *firsts).jobs
    techniques = {job.technique for job in jobs}
    assert "none" in techniques
    if name == "wine_mlp":
        assert techniques == {path.stem for path in (conf_folder() / "regularizer").glob("*.yaml")}
    if others:
        # of a paper, which has numbers for its techniques, all
        alone = () if "claims" in node.study else ("regularizer=none",)
        jobs += composed("-m", f"experiment={name}", *alone).jobs
        assert len(jobs) > len(techniques) + 1
    assert all(len(seeds_of(job.config)) > 1 for job in jobs)


def test_seeds() -> None:
    assert seeds_of(composed("seeds=3").config) == [0, 1, 2]
    assert seeds_of(composed("seeds=[7,5]").config) == [7, 5]


def test_lengths_are_held_against_the_run_when_it_is_planned() -> None:
    """Only the data tell how many steps it has."""
    words = ["scheduler=swa_lr", "dataset=digits"]
    [job] = composed(*words, "scheduler.lr_lambda.start=700").jobs
    assert len(plan(job.config)) == 1
    [job] = composed(*words, "scheduler.lr_lambda.start=70000").jobs
    with pytest.raises(ConfigError, match="start must lie within the run of 850 steps, got 70000"):
        plan(job.config)


def test_an_experiment_names_techniques_that_there_are(tmp_path: Path) -> None:
    """One that no job has may rest."""
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    text = "# @package _global_\nregularizer:\n  {}:\n    strength: 0.3\n"
    file.write_text(text.format("l2"))
    words = ["--config-dir", str(tmp_path), "-m", "experiment=mine", "regularizer=none,l1"]
    assert len(composed(*words).jobs) == 2
    file.write_text(text.format("l22"))
    assert message(*words).startswith(
        "regularizer.l22: there is no such technique. Did you mean l2"
    )


def test_experiments_that_are_swept_have_no_sweeps_of_their_own() -> None:
    told = message("-m", "experiment=digits_mlp,flatness")
    assert "it has a sweep of its own" in told


def test_a_grid_needs_no_plus() -> None:
    config = composed(
        "regularizer=l1", "grid.regularizer.l1.strength=[1e-4,1e-3]", "grid.optimizer.lr=[0.01]"
    ).config
    assert grid_of(config) == {
        "regularizer.l1.strength": [1e-4, 1e-3],
        "optimizer.lr": [0.01],
    }


def test_a_cocktail_keeps_its_order() -> None:
    jobs = composed("-m", "regularizer=none,[l1,dropout],[dropout,l1]").jobs
    assert [job.technique for job in jobs] == ["none", "l1+dropout", "dropout+l1"]


def test_a_number_of_a_technique_goes_to_the_jobs_that_have_it() -> None:
    none, l1 = composed("-m", "regularizer=none,l1", "regularizer.l1.strength=0.5").jobs
    assert none.config.regularizer == {}
    assert l1.config.regularizer.l1.strength == 0.5


def test_sweeps_are_split_as_hydra_does(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nseeds: 2\n"
        "hydra:\n  sweeper:\n    params:\n      regularizer: none,l1\n      trainer.epochs: 3,5\n"
    )
    sweep = composed("--config-dir", str(tmp_path), "-m", "experiment=mine", "trainer.epochs=7")
    assert [(job.technique, job.config.trainer.epochs) for job in sweep.jobs] == [
        ("none", 7),
        ("l1", 7),
    ]
    assert sweep.name == "mine"
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n"
        "      regularizer: none,l1\n      regularizer.l1.strength: 0.1,0.2\n"
    )
    words = ["--config-dir", str(tmp_path), "-m", "experiment=mine"]
    strengths = [job.config.regularizer.l1.strength for job in composed(*words).jobs[2:]]
    assert strengths == [0.1, 0.2], "as on the command line"
    [_, last] = composed(*words, "regularizer.l1.strength=0.3").jobs
    assert last.config.regularizer.l1.strength == 0.3
    several = "regularizer=glob(l*,exclude=[l0,l2_sp,la*,lo*])"
    sweep = composed("-m", several, "trainer.epochs=range(1,3)")
    assert [job.technique for job in sweep.jobs] == ["l1", "l1", "l2", "l2"]


def test_data_folder_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGEXP_DATA", "/somewhere")
    assert composed().config.paths.data == "/somewhere"
    monkeypatch.delenv("REGEXP_DATA")
    assert composed().config.paths.data == "data"


def test_values_fit_annotations() -> None:
    assert fits(1, float)
    assert not fits(True, float)
    assert not fits(1.0, int)
    assert fits(None, int | None)
    assert not fits("1", int | None)
    assert fits([1, 2], tuple[int, ...])
    assert not fits([1, 2, 3], tuple[int, int])
    assert fits({"_target_": "torch.nn.ReLU"}, int)


# Choices that YAML reads as something else than text, and values that the shell has taken apart.
UNREADABLE = [
    (("regularizer=1",), "regularizer=1:", "Did you mean l1?"),
    (("regularizer=[1]",), "regularizer=[1]:", "Did you mean l1?"),
    (("model=nan",), "model=nan:", "expected a choice of model"),
    (("model=null",), "model=null:", "Valid: cnn, deep_cnn, "),
    (("model=",), "model=:", "Valid: cnn, deep_cnn, "),
    (("optimizer=true",), "optimizer=true:", "Valid: adadelta"),
    (("optimizer=null",), "optimizer=null:", "Valid: adadelta"),
    (("experiment=null",), "experiment=null:", "Valid: balestriero2022_per_class"),
    (("hydra/launcher=1",), "hydra/launcher=1:", "basic"),
    (("dataset=[digits,wine_quality]",), "dataset=[", "-m dataset=digits,wine_quality"),
    (("-m", "regularizer=none,1"), "regularizer=1:", "Did you mean l1?"),
    (("-m", "regularizer=none,[l1,null]"), "regularizer=[l1,null]:", "expected a choice"),
    (("regularizer=[l1,",), "regularizer=[l1,:", "its brackets do not match"),
    (("model.activation='relu",), "model.activation='relu:", "a quote is not closed"),
    (("seeds=a$(b",), "seeds=a$(b:", "in quotes"),
    (("trainer.epochs=f(1)",), "trainer.epochs=f(1):", "Unknown function"),
    (("=1",), "=1:", "expected key=value"),
    (("hydra.job.chdir=true",), "hydra.job.chdir=true:", "leave it out"),
    (("trainer.class_weight={très bien: 3}",), "trainer.class_weight={", "YAML of an experiment"),
    (('trainer.class_weight={"<18": 3}',), "trainer.class_weight={", "YAML of an experiment"),
    (("search.space={model: {width: 1}}",), "search.space.model.width:", "+search.space.model.wid"),
    (("hydra.sweeper.foo=1",), "hydra.sweeper.foo:", "hydra.sweeper.params"),
    (("+experimnt=digits_mlp",), "experimnt:", "Did you mean experiment?"),
]


@pytest.mark.parametrize(
    ("arguments", "key", "cure"), UNREADABLE, ids=[" ".join(one[0]) for one in UNREADABLE]
)
def test_unreadable_overrides_are_named(arguments: tuple[str, ...], key: str, cure: str) -> None:
    text = message(*arguments)
    assert text.startswith(key)
    assert cure in text
    for jargon in ("EOF", "Lexer", "viable", "dataset.train_size"):
        assert jargon not in text


# Torch's constructors take all of these; the first step, or none, would fail.
UNUSABLE = [
    (("scheduler=step_lr", "scheduler.step_size=0"), "scheduler.step_size=0:", "zero"),
    (("scheduler._target_=torch.optim.Adam",), "scheduler._target_=", "expected a scheduler"),
    (
        ("optimizer._target_=torch.optim.lr_scheduler.StepLR",),
        "optimizer._target_=torch.optim.lr_scheduler.StepLR:",
        "expected an optimizer",
    ),
    (
        (
            "optimizer=sgd",
            *(f"~optimizer.{key}" for key in ("momentum", "dampening", "nesterov", "fused")),
            "optimizer._target_=torch.optim.LBFGS",
        ),
        "optimizer._target_=torch.optim.LBFGS:",
        "only first-order",
    ),
    (("optimizer.lr=high",), "optimizer.lr=high:", "expected a number"),
    (("trainer.threads=1000000",), "trainer.threads=1000000:", str(os.cpu_count())),
]


@pytest.mark.parametrize(
    ("arguments", "key", "cure"), UNUSABLE, ids=[one[0][-1] for one in UNUSABLE]
)
def test_what_could_never_run_is_named(arguments: tuple[str, ...], key: str, cure: str) -> None:
    text = message(*arguments)
    assert text.startswith(key)
    assert cure in text
    assert "Tensor" not in text


def test_the_trial_step_is_silent_where_all_is_well() -> None:
    for scheduler in ("constant", "reduce_lr_on_plateau", "one_cycle_lr"):
        assert len(composed(f"scheduler={scheduler}").jobs) == 1
    assert len(composed("+optimizer.capturable=true").jobs) == 1  # for a GPU


@pytest.mark.parametrize("arguments", [("ui", "tracking.port=80000"), ("--cfg", "job", "+x=1")])
def test_commands_that_start_no_job_are_checked(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == USAGE_ERROR
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert printed.startswith(("regexp: tracking.port=80000: expected 1 to 65535", "regexp: x:"))


def test_version_and_usage_are_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"regexp .+, Hydra \d\S*\n", capsys.readouterr().out)
    assert run(["-x"]) == USAGE_ERROR
    assert capsys.readouterr().err.startswith("regexp: -x: there is no such option; keys are giv")
