"""One prepared Hydra composes jobs as Hydra itself does, and reads every file once."""

import copy
import os
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from regexp.__main__ import run
from regexp.commands.arguments import parse
from regexp.config import plan_file, prepared, repository
from regexp.config.composition import load_config
from regexp.config.hydra_node import with_hydra, without_hydra
from regexp.config.jobs import compose
from regexp.config.prepared import PreparedLoader, job_of, prepared_hydra
from regexp.config.schema import register
from regexp.config.variables import LAST_RESORT
from regexp.errors import ConfigError
from tests.support import NAMES


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
    [f"regularizer=[{','.join(NAMES)}]"],
]


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/joblib' is validated")  # of Hydra itself
@pytest.mark.parametrize("overrides", JOBS, ids=lambda words: " ".join(words)[:60])
def test_a_job_is_composed_as_hydra_composes_it(hydra: Hydra, overrides: list[str]) -> None:
    assert_as_hydras(hydra, overrides)


def assert_as_hydras(hydra: Hydra, overrides: list[str]) -> None:
    config, choices, _ = loader(hydra).compose_job("config", overrides)
    own = Hydra("regexp", ConfigLoaderImpl(loader(hydra).config_search_path))
    whole = load_config(own, "config", overrides, RunMode.RUN)
    whole.tracking.experiment = LAST_RESORT
    assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(without_hydra(whole))
    of_groups = {k: v for k, v in whole.hydra.runtime.choices.items() if "hydra/" not in str(k)}
    assert choices == of_groups


def test_jobs_of_the_same_choices_are_composed_of_their_files_once(
    hydra: Hydra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of the values, and in whatever order they stand with the choices."""
    made: list[object] = []
    compose_files = PreparedLoader._compose_files

    def counting(self: PreparedLoader, *args: Any) -> Any:
        made.append(args)
        return compose_files(self, *args)

    monkeypatch.setattr(PreparedLoader, "_compose_files", counting)
    for lr in (0.1, 0.2):
        for values in [
            [f"optimizer.lr={lr}"],
            ["~optimizer.lr", f"+optimizer.lr={lr}"],
            [f"optimizer={{lr: {lr}}}"],  # a dict is merged, and chooses nothing
            [f"++regularizer.l1.strength={lr}", "hydra.job.name=other"],
        ]:
            assert_as_hydras(hydra, ["regularizer=l1", "optimizer=sgd", *values])
            assert_as_hydras(hydra, ["regularizer=l1", *values, "optimizer=sgd"])
    assert len(made) == 1
    assert_as_hydras(hydra, ["regularizer=l2", "optimizer=sgd"])
    assert_as_hydras(hydra, ["optimizer=sgd", "regularizer=l2"])
    assert len(made) == 3


def test_what_is_kept_for_further_jobs_is_of_few_choices(
    hydra: Hydra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "_CHOICES", 2)
    for name in ["l1", "l2", "dropout", "l1"]:
        assert loader(hydra).compose_job("config", [f"regularizer={name}"]).choices == {
            **loader(hydra).compose_job("config", []).choices, "regularizer": name
        }  # fmt: skip
        assert len(loader(hydra)._of_files) <= 2


def test_composing_one_job_leaves_no_trace_in_the_next(hydra: Hydra) -> None:
    plain = loader(hydra).compose_job("config", [])
    loader(hydra).compose_job("config", ["model.hidden=[1]", "++regularizer.l1.strength=9"])
    again = loader(hydra).compose_job("config", [])
    assert OmegaConf.to_yaml(plain.config) == OmegaConf.to_yaml(again.config)


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_the_job_of_a_command_that_is_no_sweep_is_taken_from_it(
    hydra: Hydra, overrides: list[str]
) -> None:
    job = job_of(load_config(hydra, "config", overrides, RunMode.RUN))
    composed = loader(hydra).compose_job("config", overrides)
    assert OmegaConf.to_yaml(job.config) == OmegaConf.to_yaml(composed.config)
    assert job.choices == composed.choices
    assert OmegaConf.get_type(job.config.trainer) is OmegaConf.get_type(composed.config.trainer)
    with pytest.raises(ConfigAttributeError, match="strenght"):
        job.config.strenght = 1


def test_a_file_that_changed_between_two_commands_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    options, _ = parse(["--config-dir", str(tmp_path), "experiment=mine"])
    for seeds in (3, 4):
        path.write_text(f"# @package _global_\nseeds: {seeds}")
        os.utime(path, (1e9, 1e9))
        assert compose(options).config.seeds == seeds
    path.write_text("# @package trainer\nepochs: 7")
    assert compose(options).config.trainer.epochs == 7


def test_every_file_is_read_once(hydra: Hydra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_PARSED", {})
    reads: Counter[str] = Counter()
    read = ConfigRepository.load_config

    def counting(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        reads[config_path] += 1
        return read(self, config_path)

    monkeypatch.setattr(ConfigRepository, "load_config", counting)
    for overrides in [*JOBS, *JOBS]:
        loader(hydra).compose_job("config", overrides)
    del reads["schema"], reads["experiment/None"]  # of no file
    assert reads["config"] == 1
    assert set(reads.values()) == {1}, reads
    files = reads.copy()
    with prepared_hydra(None, None) as another:
        loader(another).compose_job("config", [])
    del reads["schema"], reads["experiment/None"]
    assert reads == files, "nor does the next command parse what is still the same"


def test_a_planned_job_has_hydras_node_as_if_hydra_had_composed_it(hydra: Hydra) -> None:
    overrides = ["regularizer=l1", "seeds=2"]
    config, choices, _ = loader(hydra).compose_job("config", overrides)
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
    expected, *_ = loader(hydra).compose_job("config", [])
    sent = pickle.dumps(loader(hydra))
    assert len(sent) < 1.1 * before
    again, *_ = pickle.loads(sent).compose_job("config", [])
    # as written: ${now:} may be another second
    assert OmegaConf.to_container(again) == OmegaConf.to_container(expected)


@pytest.mark.parametrize("path", ["/a b/c", "/it's/here", "/a\\b", "/a=b,[c]"])
def test_a_path_travels_in_an_override(hydra: Hydra, path: str) -> None:
    override = plan_file.override(Path(path))
    assert plan_file.path_in(["seeds=2", override]) == Path(path)
    assert loader(hydra).compose_job("config", [override])[0].launch.plan == path


@pytest.mark.parametrize("override", ["launch.plan=other.yaml", "launch={plan: x}", "~launch"])
def test_what_the_command_fills_in_is_not_the_users(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([override]) == 2
    assert f"{override}: the command fills it in" in capsys.readouterr().err


def write_plan(loader: PreparedLoader, path: Path, overrides: list[str]) -> str:
    """The override that names the plan of a job with these overrides."""
    config, choices, _ = loader.compose_job("config", overrides)
    content = {"overrides": overrides, "choices": choices, "config": OmegaConf.to_container(config)}
    plan_file.write(path, content)
    return plan_file.override(path)


def test_jobs_of_a_sweep_have_one_time(hydra: Hydra, tmp_path: Path) -> None:
    master = load_config(hydra, "config", ["hydra.sweep.dir=x/${now:%f}"], RunMode.MULTIRUN)
    folder = master.hydra.sweep.dir
    override = write_plan(loader(hydra), tmp_path / "plan.yaml", ["seeds=2"])
    job = loader(hydra).load_sweep_config(master, ["seeds=2", override])
    assert job.hydra.sweep.dir == folder
    assert job.seeds == 2


def test_overrides_of_hydra_and_of_the_command_are_not_the_tasks(
    hydra: Hydra, tmp_path: Path
) -> None:
    overrides = ["seeds=2", "+hydra.job.env_set.A=1", "hydra.verbose=false"]
    master = load_config(hydra, "config", overrides, RunMode.MULTIRUN)
    planned = write_plan(loader(hydra), tmp_path / "plan.yaml", overrides)
    for given in ([*overrides, planned], ["seeds=2", "launch.folder='a b'"]):  # planned, foreign
        job = loader(hydra).load_sweep_config(master, given)
        assert job.hydra.overrides.task == ["seeds=2"]
        assert job.hydra.job.override_dirname == "seeds=2"


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    """A folder of YAMLs that say something of Hydra itself."""
    for name, text in {
        "experiment/a": "# @package _global_\nhydra: {sweep: {subdir: of_a}}",
        "experiment/b": "# @package _global_\nhydra: {sweep: {subdir: of_b}}\nseeds: 3",
        "environment/here": "# @package hydra.job\nenv_set: {PLACE: here}",
        "environment/there": "# @package hydra.job\nenv_set: {PLACE: there}",
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_choices_that_are_swept_may_say_something_of_hydra(extra: Path) -> None:
    options, _ = parse(["--config-dir", str(extra), "-m", "experiment=a,b"])
    first, second = compose(options).jobs
    assert first.hydra is not None
    assert first.hydra.sweep.subdir == "of_a"
    assert second.hydra is not None
    assert second.hydra.sweep.subdir == "of_b"
    assert second.config.seeds == 3
    plan = {
        "overrides": second.overrides, "choices": second.choices,
        "config": OmegaConf.to_container(second.config),
        "hydra": OmegaConf.to_container(second.hydra, enum_to_str=True),
    }  # fmt: skip
    HydraConfig.instance().set_config(with_hydra(first.hydra, plan))  # checks its type
    assert HydraConfig.get().sweep.subdir == "of_b"
    options, _ = parse(["--config-dir", str(extra), "-m", "experiment=a", "seeds=2,3"])
    sweep = compose(options)
    assert sweep.master.hydra.sweep.subdir == "of_a"
    assert [job.hydra for job in sweep.jobs] == [None, None], "that of the sweep serves"


def test_a_group_may_lie_in_hydras_node(extra: Path) -> None:
    options, _ = parse(["--config-dir", str(extra), "+environment=here"])
    sweep = compose(options)
    assert sweep.master.hydra.job.env_set == {"PLACE": "here"}
    assert "hydra" not in sweep.jobs[0].config
    options, _ = parse(["--config-dir", str(extra), "-m", "+environment=here,there"])
    nodes = [job.hydra for job in compose(options).jobs]
    assert [node and node.job.env_set.PLACE for node in nodes] == ["here", "there"]


def test_the_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for name, epochs in (("good", "3"), ("bad", "many")):
        path = tmp_path / "experiment" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# @package _global_\ntrainer: {{epochs: {epochs}}}\n")
    named = pytest.raises(ConfigCompositionException, match=r"(?s)^In 'experiment/bad'.*'many'")
    with prepared_hydra(None, str(tmp_path)) as hydra, named:
        load_config(hydra, "config", ["experiment=[good,bad]"], RunMode.RUN)


def test_a_group_that_follows_another_is_checked_in_every_job(tmp_path: Path) -> None:
    """Groups that are alike are checked once; this one is alike only as it is written."""
    path = tmp_path / "experiment" / "follows.yaml"
    path.parent.mkdir()
    path.write_text("# @package _global_\ndataset: {validation: '${regularizer.dropout.hidden}'}")
    command = ["--config-dir", str(tmp_path), "-m", "experiment=follows", "regularizer=dropout"]
    compose(parse([*command, "regularizer.dropout.hidden=0.2,0.3"])[0])
    with pytest.raises(ConfigError, match=r"dataset\.validation.*in the job .*hidden=0\.95"):
        compose(parse([*command, "regularizer.dropout.hidden=0.2,0.95"])[0])


# --- files of one's own -----------------------------------------------------------------------

GLOBAL = "# @package _global_\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            f"{GLOBAL}trainer: {{epochs: 1e1}}",
            "trainer.epochs, in the file experiment/mine: expected",
        ),
        (f"{GLOBAL}trainer: {{epohcs: 3}}", "no such key. Did you mean trainer.epochs?"),
        ("trainer: {epochs: 3}", "its first line has to be `# @package _global_`"),
        ("", "its first line has to be `# @package _global_`"),
        (f"{GLOBAL}regularizer: l1", "`- override /regularizer: NAME`"),
        (f"{GLOBAL}dataset: wine", "`- override /dataset: NAME`"),
        (f"{GLOBAL}trainer:\n\tepochs: 3", "experiment/mine.yaml: it is no YAML (line 3: found"),
        (f"{GLOBAL}seeds: 2\nseeds: 3", "it is no YAML (line 3: found duplicate key seeds)"),
        (b"seeds: 2 # \xff", "it is no YAML ('utf-8' codec can't decode"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_line(
    content: str | bytes, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as error:
        compose(parse(["--config-dir", str(tmp_path), "experiment=mine"])[0])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_jobs_begin_with_alike_are_merged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever came before, a job is what it is alone."""
    merged: list[int] = []
    before = prepared._merge

    def told(job: prepared.ComposedJob) -> list[Any]:
        """It, with references as they are: one of them is to the time."""
        return [OmegaConf.to_container(job.config), *job[1:]]

    def noted(config: Any, parts: Any) -> Any:
        merged.append(len(parts))
        return before(config, parts)

    words = [["regularizer=l1"], ["regularizer=l2"], ["regularizer=dropout"], ["dataset=iris"],
             ["dataset=iris", "model=cnn"], ["optimizer=sgd"], ["regularizer=l1"]]  # fmt: skip
    alone = []
    for one in words:
        with prepared_hydra(None, None) as hydra:
            assert isinstance(hydra.config_loader, PreparedLoader)
            alone.append(told(hydra.config_loader.compose_job("config", one)))
    monkeypatch.setattr(prepared, "_merge", noted)
    monkeypatch.setattr(prepared, "_CHOICES", 1)
    with prepared_hydra(None, None) as hydra:
        assert isinstance(hydra.config_loader, PreparedLoader)
        assert [told(hydra.config_loader.compose_job("config", one)) for one in words] == alone
    assert merged[0] == sum(merged[1:3]), "what comes before a technique, and the rest"
    assert merged[3] == merged[2], "it was merged already"


def test_numbers_that_are_text_are_told_in_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER", "3")
    for key in ("seeds", "optimizer.lr"):
        with pytest.raises(ConfigError, match=f'^{key}="3": expected a number'):
            compose(parse([f"{key}=${{oc.env:NUMBER}}"])[0])


@pytest.mark.parametrize(
    "word",
    ['+hydra.sweeper.params.regularizer="none,l1"', "++hydra.sweeper.params={regularizer: x}"],
)
def test_what_hydras_own_node_does_not_take_is_told(word: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(word)}: Hydra cannot use it"):
        compose(parse(["-m", word])[0])


@pytest.mark.parametrize("words", [["--shell-completion"], ["-sc", "query=bash"]])
def test_completion_without_a_shell_says_how_it_gets_one(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    assert run(words) == 2
    assert "regexp -sc install=bash" in capsys.readouterr().err


def test_what_is_sent_with_every_job_has_no_compositions(hydra: Hydra) -> None:
    loader = hydra.config_loader
    assert isinstance(loader, PreparedLoader)
    job = loader.compose_job("config", ["dataset=iris"])
    sent = pickle.dumps(loader)
    other = pickle.loads(sent)
    assert len(sent) < 20_000
    assert other.compose_job("config", ["dataset=iris"]).choices == job.choices
