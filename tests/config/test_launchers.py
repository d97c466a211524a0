"""The launchers that come with the project: what they are, and what is said where one is not."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from regexp.commands.arguments import parse
from regexp.config import composition
from regexp.config.composition import fit_to_launcher
from regexp.config.jobs import compose
from regexp.config.schema import conf_folder
from regexp.config.searched import compose_search
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


SLURM = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"


@pytest.mark.parametrize(
    ("launcher", "given", "device"),
    [
        ({"_target_": SLURM, "gpus_per_node": None}, "auto", "cpu"),
        ({"_target_": SLURM, "gpus_per_node": 1}, "auto", "cuda"),
        ({"_target_": SLURM, "gres": "gpu:1"}, "auto", "cuda"),
        ({"_target_": SLURM, "gres": "lscratch:50,gpu"}, "auto", "cuda"),
        ({"_target_": SLURM, "gres": "lscratch:50"}, "auto", "cpu"),
        ({"_target_": SLURM, "gres": "gpu:a100:0"}, "auto", "cpu"),
        ({"_target_": SLURM, "additional_parameters": {"gpus": "a100:1"}}, "auto", "cuda"),
        ({"_target_": SLURM, "additional_parameters": {"requeue": True}}, "auto", "cpu"),
        ({"_target_": SLURM}, "cuda:1", "cuda:1"),
        ({"_target_": RAY, "ray": {"remote": {}, "init": {}}}, "auto", "cpu"),
        ({"_target_": RAY, "ray": {"remote": {"num_gpus": 0.5}, "init": {}}}, "auto", "cuda"),
        ({"_target_": f"{SLURM.rpartition('.')[0]}.LocalLauncher"}, "auto", None),
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, "auto", None),
    ],
)
def test_a_job_trains_on_what_its_launcher_asks_for(
    launcher: dict[str, Any], given: str, device: str | None
) -> None:
    """A run's fingerprint names its device, which the machine of the command may not have."""
    config = OmegaConf.create({"launch": {"elsewhere": False}, "trainer": {"device": given}})
    fit_to_launcher(config, OmegaConf.create(launcher))
    assert config.launch.elsewhere == (device is not None)
    assert config.trainer.device == (device or "auto")


def test_a_ray_of_this_machine_alone_has_its_cores_and_gpus() -> None:
    config = OmegaConf.create({"launch": {"elsewhere": False}, "trainer": {"device": "auto"}})
    ray = {"remote": {"num_gpus": None}, "init": {"address": "local"}}
    fit_to_launcher(config, OmegaConf.create({"_target_": RAY, "ray": ray}))
    assert not config.launch.elsewhere
    assert config.trainer.device == "cpu"  # Ray hides what is not asked for


def test_what_a_job_needs_may_be_on_another_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "find_spec", lambda name: name)
    index, threads = torch.cuda.device_count(), (os.cpu_count() or 1) + 1
    words = [f"trainer.device=cuda:{index}", f"trainer.threads={threads}", "regularizer=none,l1"]
    cluster = ["hydra/launcher=ray", "hydra.launcher.ray.init.address=auto"]
    jobs = compose(parse(["-m", *cluster, *words])[0]).jobs
    assert [job.config.trainer.device for job in jobs] == [f"cuda:{index}"] * 2
    for word in words[:2]:
        with pytest.raises(ConfigError, match="this machine"):
            compose(parse(["-m", word])[0])
    searched = compose_search(parse([*cluster, *words[:2]])[0])
    assert searched.config.launch.elsewhere
    assert searched.config.trainer.threads == threads


@pytest.mark.parametrize(("key", "value"), [("retries", "-1"), ("jobs_per_task", "0")])
def test_numbers_of_launching_are_checked(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"launch.{key}={value}: expected an integer >="):
        compose(parse([f"launch.{key}={value}"])[0])
