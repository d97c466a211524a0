"""What a sweep's own comparison is asked: refused before training, or answered by its table."""

import re
from pathlib import Path

import pytest

from regexp.commands.arguments import parse
from regexp.compare import Question
from regexp.config.jobs import compose
from regexp.config.schema import conf_folder
from regexp.errors import ConfigError
from regexp.metrics import names
from regexp.sweeps.final_metrics import names_of
from regexp.sweeps.plan import plan_all
from regexp.sweeps.question import check_question
from regexp.sweeps.tuning import choose_configuration
from tests.sandbox import Sandbox
from tests.support import make_data

SMALL = ("model.hidden=[4]", "trainer.epochs=1", "dataset=iris")


def check(*overrides: str) -> None:
    sweep = compose(parse(["-m", *SMALL, *overrides])[0])
    check_question(sweep, plan_all(sweep.jobs)[0])


def test_two_techniques_of_one_name_are_refused(tmp_path: Path) -> None:
    """Of which the table would show one."""
    (tmp_path / "regularizer").mkdir()
    own = (conf_folder() / "regularizer" / "dropout.yaml").read_text(encoding="utf-8")
    strong = own.replace("hidden: 0.5", "hidden: 0.9")
    assert strong != own
    assert "@package regularizer.dropout\n" in strong
    (tmp_path / "regularizer" / "strong.yaml").write_text(strong, encoding="utf-8")
    words = ["regularizer=dropout,strong", f"--config-dir={tmp_path}"]
    with pytest.raises(
        ConfigError, match=r"regularizer=dropout .*and .*regularizer=strong.* differ"
    ):
        check(*words)
    check(words[0].replace("dropout,", "none,"), words[1])
    check("regularizer=dropout,[dropout]")  # the same twice
    check("dataset=iris,wine", "regularizer=none,dropout", "trainer.epochs=1,2")


@pytest.mark.parametrize(
    "words", ["seeds=2,4", "grid.optimizer.lr=[0.1,0.2],[0.2,0.3]"], ids=["seeds", "grids"]
)
def test_jobs_that_share_a_part_of_their_runs_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match=r"^.* and .* have none .*seed=0 in common, which is one"):
        check(words)
    check("seeds=[0,1],[2,3]")
    check("trainer.threads=1,2")  # all of them: the second job trains nothing
    check("regularizer=none,l1", "regularizer.l1.strength=1e-4,1e-3")


@pytest.mark.parametrize(
    "asked",
    [
        ["compare.metric=test/balanced_accuracy"],
        ["compare.metric=test/recall/setosa"],
        ["compare.metric=final/val_loss"],
        ["compare.metric=test/log_loss"],
        ["compare.metric=test/log_loss",
         "trainer.loss=null,{_target_: torch.nn.CrossEntropyLoss, reduction: none}"],
        ["compare.metric=seconds"],
        ["compare.baseline=l1", "regularizer=l1,l2"],
        ["compare.baseline='l1 (strength=0.01)'", "regularizer=l1,none",
         "grid.regularizer.l1.strength=[0.01,0.1]"],
        ["compare.factor=optimizer", "optimizer=sgd,adam"],
        ["compare.factor=trainer.batch_size", "trainer.batch_size=16,32"],
        ["compare.metric=test/macro_f1", "tune.budget=2", "dataset.split_seed=0"],
        ["study.claims={it: {paper: p, metric: final/train_accuracy, arm: {regularizer: l1}, "
         "against: {regularizer: none, optimizer.lr: 1e-3}, expected: higher}}",
         "regularizer=none,l1", "seeds=2"],
    ],
)  # fmt: skip
def test_what_can_be_answered_is_taken(asked: list[str]) -> None:
    check(*asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["compare.metric=test/balancd_accuracy"],
         "compare.metric=test/balancd_accuracy: runs on iris have no such metric. "
         "Did you mean test/balanced_accuracy?"),
        (["compare.metric=test/rmse"], "runs on iris have no such metric"),
        (["compare.metric=test/accuracy", "dataset=iris,diabetes"],
         "runs on diabetes have no such metric"),
        (["compare.metric=test/recall/setosa", "tune.budget=2", "dataset.split_seed=0"],
         "a search chooses by the validation split, which has no such metric"),
        (["compare.baseline=l3", "regularizer=l1,l2"],
         "compare.baseline=l3: no run of this sweep has it"),
        (["study.claims={it: {paper: p, metric: test/accuracy, arm: {regularizer: l2}, "
          "against: 90, expected: higher}}", "regularizer=none,l1"],
         "study.claims.it.arm={'regularizer': 'l2'}: no run of this sweep has it"),
        (["study.claims={it: {paper: p, metric: test/accuracy, arm: {regularizer: l1}, "
          "against: {trainer.batch_size: 64}, expected: higher}}", "regularizer=none,l1"],
         "study.claims.it.against={'trainer.batch_size': 64}: several runs of a seed have it"),
        (["study.claims={it: {paper: p, metric: test/acuracy, arm: {regularizer: l1}, "
          "against: 90, expected: higher}}", "regularizer=none,l1"],
         "study.claims.it.metric=test/acuracy: runs on iris have no such metric"),
        (["compare.factor=optimiser", "optimizer=sgd,adam"],
         "compare.factor=optimiser: no such key or group is varied. Did you mean optimizer?"),
        (["compare.factor=optimizer", "compare.baseline=sdg", "optimizer=sgd,adam"],
         "compare.baseline=sdg: no run of this sweep has it. Did you mean sgd?"),
    ],
)  # fmt: skip
def test_what_no_run_will_have_is_refused_before_training(asked: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check(*asked)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_names_are_those_that_predictions_are_scored_by(task: str) -> None:
    there = names_of(make_data(task=task))
    assert len(there) == len(set(there))
    known = {names.LOSS, names.VALIDATION_LOSS, names.SECONDS}
    known |= {names.RMSE} if task == "regression" else {names.ACCURACY, f"{names.TEST}roc_auc"}
    assert known <= set(there)


def test_a_search_chooses_by_the_like_of_the_metric_on_validation_rows() -> None:
    trials: list[list[dict[str, float] | None]] = [
        [{"final/val_accuracy": 0.9, "final/val_loss": 1.0, "final/val_macro_f1": 0.5,
          "test/macro_f1": 1.0}],
        [{"final/val_accuracy": 0.8, "final/val_loss": 0.5, "final/val_macro_f1": 0.7,
          "test/macro_f1": 0.0}],
    ]  # fmt: skip
    assert choose_configuration(trials) == 0
    assert choose_configuration(trials, "test/macro_f1") == 1
    assert choose_configuration(trials, "test/loss") == 1  # the lower one


def test_a_question_is_filled_from_that_of_the_sweep() -> None:
    own = Question("test/macro_f1", "optimizer", "sgd")
    assert Question().filled(own) == own
    assert Question(metric="test/loss").filled(own) == Question("test/loss", "optimizer", "sgd")
    # the level of one factor is none of another
    assert Question(factor="model").filled(own) == Question("test/macro_f1", "model")
    assert own.options == ["--metric", "test/macro_f1", "--factor", "optimizer", "--baseline",
                           "sgd"]  # fmt: skip


def test_the_metric_is_that_of_every_line_and_changes_no_run(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("-m", "regularizer=none,l1", "seeds=2", *SMALL)
    assert sandbox.run(*command) == 0
    assert "test accuracy" in capsys.readouterr().out
    asked = "compare.metric=test/balanced_accuracy"
    assert sandbox.run(*command, asked) == 0
    told = capsys.readouterr().out
    assert re.search(r"^technique +runs +test/balanced_accuracy ", told, re.MULTILINE)
    assert told.count("finished before") == 2  # no run is another
    assert len(sandbox.children()) == 4
    assert sandbox.run(*command, "compare.metric=test/balanced") == 2
    assert "Did you mean test/balanced_accuracy" in capsys.readouterr().err
