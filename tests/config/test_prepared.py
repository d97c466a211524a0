"""One prepared Hydra composes jobs as Hydra itself does, and reads every file once."""

import copy
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import OmegaConf

from regexp.__main__ import run
from regexp.config import plan_file
from regexp.config.composition import load_config, without_hydra
from regexp.config.prepared import PreparedLoader, prepared_hydra, with_hydra
from regexp.config.schema import register


@pytest.fixture
def hydra() -> Iterator[Hydra]:
    register()
    with prepared_hydra(None, None) as hydra:
        yield hydra


def loader(hydra: Hydra) -> PreparedLoader:
    assert isinstance(hydra.config_loader, PreparedLoader)
    return hydra.config_loader


JOBS = [
    [],
    ["regularizer=[l1,dropout]", "++regularizer.l1.strength=0.5", "seeds=3"],
    ["experiment=galaxies_mlp", "model.hidden=[8,8]", "hydra/launcher=joblib"],
    ["experiment=tuned_ablation", "regularizer=max_norm"],
    ["dataset=series", "model=lstm", "++grid.optimizer.lr=[0.1,0.2]", "hydra.job.name=other"],
    ["scheduler=warmup_cosine", "optimizer=muon"],
]


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_a_job_is_composed_as_hydra_composes_it(hydra: Hydra, overrides: list[str]) -> None:
    config, choices = loader(hydra).compose_job("config", overrides)
    own = Hydra("regexp", ConfigLoaderImpl(loader(hydra).config_search_path))
    whole = load_config(own, "config", overrides, RunMode.RUN)
    assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(without_hydra(whole))
    of_groups = {k: v for k, v in whole.hydra.runtime.choices.items() if "hydra/" not in str(k)}
    assert choices == of_groups


def test_composing_one_job_leaves_no_trace_in_the_next(hydra: Hydra) -> None:
    plain, _ = loader(hydra).compose_job("config", [])
    loader(hydra).compose_job("config", ["model.hidden=[1]", "++regularizer.l1.strength=9"])
    again, _ = loader(hydra).compose_job("config", [])
    assert OmegaConf.to_yaml(plain) == OmegaConf.to_yaml(again)


def test_every_file_is_read_once(hydra: Hydra, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    read = ConfigRepository.load_config

    def counting(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
        reads[config_path] += 1
        return read(repository, config_path)

    monkeypatch.setattr(ConfigRepository, "load_config", counting)
    for overrides in [*JOBS, *JOBS]:
        loader(hydra).compose_job("config", overrides)
    assert reads["config"] == 1
    assert set(reads.values()) == {1}


def test_a_planned_job_has_hydras_node_as_if_hydra_had_composed_it(hydra: Hydra) -> None:
    overrides = ["regularizer=l1", "seeds=2"]
    config, choices = loader(hydra).compose_job("config", overrides)
    plan = {"overrides": overrides, "choices": choices, "config": OmegaConf.to_container(config)}
    master = load_config(hydra, "config", ["regularizer=none,l1", "seeds=2"], RunMode.MULTIRUN)
    job = with_hydra(copy.deepcopy(master.hydra), plan)
    own = load_config(hydra, "config", overrides, RunMode.RUN)
    assert job.hydra.overrides.task == own.hydra.overrides.task
    assert job.hydra.job.override_dirname == own.hydra.job.override_dirname
    assert job.hydra.runtime.choices == own.hydra.runtime.choices
    assert OmegaConf.to_yaml(without_hydra(job)) == OmegaConf.to_yaml(without_hydra(own))


def test_a_loader_travels_to_other_processes_without_what_it_has_read(hydra: Hydra) -> None:
    before = len(pickle.dumps(loader(hydra)))
    expected, _ = loader(hydra).compose_job("config", [])
    sent = pickle.dumps(loader(hydra))
    assert len(sent) < 1.1 * before
    assert pickle.loads(sent).compose_job("config", [])[0] == expected


@pytest.mark.parametrize("path", ["/a b/c", "/it's/here", "/a\\b", "/a=b,[c]"])
def test_a_path_travels_in_an_override(hydra: Hydra, path: str) -> None:
    override = plan_file.override(Path(path))
    assert plan_file.path_in(["seeds=2", override]) == Path(path)
    assert loader(hydra).compose_job("config", [override])[0].launch.plan == path


def test_what_the_command_fills_in_is_not_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["launch.plan=other.yaml"]) == 2
    assert "launch.plan=other.yaml: the command fills it in" in capsys.readouterr().err
