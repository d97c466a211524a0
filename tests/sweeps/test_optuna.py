"""A sweep by Optuna, through Hydra's plugin of the extra `optuna`."""

from __future__ import annotations

import importlib.util
import re

import pytest

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from tests.sandbox import Sandbox

SMALL = ("dataset=iris", "dataset.split_seed=0", "model.hidden=[4]", "trainer.epochs=2")
OPTUNA = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4")
STRENGTH = "regularizer.l1.strength=tag(log, interval(1e-6, 1e-2))"


@pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins") is not None
    and importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is not None,
    reason="the plugin is installed",
)
def test_without_the_plugin_the_message_names_the_extra() -> None:
    with pytest.raises(ConfigError, match=r"hydra/sweeper=optuna: not installed; .*regexp\[optuna"):
        compose(parse([*OPTUNA, "regularizer=l1", STRENGTH])[0])


@pytest.fixture
def optuna() -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")


# Optuna 2 uses names that SQLAlchemy has moved since, and marks what it calls experimental.
old = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*experimental")


@old
@pytest.mark.usefixtures("optuna")
def test_it_minimises_the_validation_loss_and_the_same_command_goes_on(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (*OPTUNA, "regularizer=l1", STRENGTH, "optimizer.lr=interval(0.001,0.1)", "seeds=2")
    assert sandbox.run(*command, *SMALL) == 0
    said = capsys.readouterr().out
    runs = sandbox.children()
    assert len(runs) == 8
    assert set(runs["seed"]) == {0, 1}
    losses = runs.groupby("params.optimizer.lr")["metrics.final/val_loss"].mean()
    assert len(losses) == 4
    told = re.search(r"The least validation loss is (\S+), with (.*)", said)
    assert told
    assert float(told[1]) == pytest.approx(losses.min(), abs=1e-4)
    assert f"optimizer.lr={losses.idxmin()}" in told[2]
    assert "regularizer.l1.strength=" in told[2]

    assert sandbox.run(*command, *SMALL) == 0  # the sampler is seeded: it draws the same
    again = capsys.readouterr().out
    assert again.count("finished before") == 4
    assert told[0] in again
    assert len(sandbox.children()) == 8


@old
@pytest.mark.usefixtures("optuna")
def test_jobs_that_fail_are_the_worst_and_do_not_end_the_search(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run(*OPTUNA, "optimizer.lr=choice(0.01,1e30)", *SMALL) == 1
    said = capsys.readouterr().out
    assert said.count("FAILED") >= 1
    assert re.search(r"The least validation loss is \d\.\d+, with optimizer.lr=0.01", said)
    assert set(sandbox.children()["status"]) == {"FINISHED", "FAILED"}


@pytest.mark.usefixtures("optuna")
def test_its_database_is_refused_and_a_seed_of_the_users_is_kept() -> None:
    with pytest.raises(ConfigError, match=r"storage=sqlite:///x.db: .* leave it out"):
        compose(parse([*OPTUNA, STRENGTH, "hydra.sweeper.storage=sqlite:///x.db"])[0])
    assert compose(parse([*OPTUNA, STRENGTH])[0]).seeding == ("hydra.sweeper.sampler.seed=0",)
    assert compose(parse([*OPTUNA, STRENGTH, "hydra.sweeper.sampler.seed=7"])[0]).seeding == ()
    assert compose(parse([*OPTUNA, STRENGTH, "hydra/sweeper/sampler=grid"])[0]).seeding == ()
    assert compose(parse(["-m", "regularizer=l1"])[0]).seeding == ()
