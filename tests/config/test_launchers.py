"""The launchers that come with the project: what they are, and what is said where one is not."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from regexp.commands.arguments import parse
from regexp.config import composition
from regexp.config.jobs import compose
from regexp.config.schema import conf_folder
from regexp.errors import ConfigError

LAUNCHERS = {"joblib": "joblib", "slurm": "submitit", "ray": "ray"}


@pytest.mark.parametrize(
    ("launcher", "named", "extra"),
    [
        ("slurm", "submitit_slurm", "slurm"),
        ("ray", "ray", "ray"),
        ("joblib", "joblib", "parallel"),
    ],
)
def test_a_launcher_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, launcher: str, named: str, extra: str
) -> None:
    if launcher == "slurm" and find_spec("submitit"):
        pytest.skip("it is installed")
    monkeypatch.setattr(composition, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as refused:
        compose(parse(["-m", f"hydra/launcher={launcher}", "regularizer=none,l1"])[0])
    told = f"hydra/launcher={named}: not installed; pip install 'regexp[{extra}]' brings it"
    assert str(refused.value) == told


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_has_the_keys_of_its_plugin(launcher: str) -> None:
    """One that the plugin does not know would be refused, or given to Slurm as it is."""
    content: dict[str, Any] = yaml.safe_load(
        (conf_folder() / "hydra" / "launcher" / f"{launcher}.yaml").read_text()
    )
    if not find_spec(f"hydra_plugins.hydra_{LAUNCHERS[launcher]}_launcher"):
        pytest.skip("the plugin is not installed")
    sweep = compose(parse(["-m", f"hydra/launcher={launcher}", "regularizer=none,l1"])[0])
    chosen = sweep.master.hydra.launcher
    assert {key for key in content if key != "defaults"} <= set(chosen)


@pytest.mark.parametrize(("key", "value"), [("retries", "-1"), ("jobs_per_task", "0")])
def test_numbers_of_launching_are_checked(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"launch.{key}={value}: expected an integer >="):
        compose(parse([f"launch.{key}={value}"])[0])
