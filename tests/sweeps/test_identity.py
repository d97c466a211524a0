"""What makes two runs one; the oracles are what was trained, and the files that the test writes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from regexp.commands.arguments import parse
from regexp.config.declared import as_declared
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from regexp.sweeps import launched
from regexp.sweeps.identity import DECIDES, code, shared_code
from regexp.sweeps.ingredients import build_member, forget_data
from regexp.sweeps.job import train
from regexp.sweeps.plan import from_resolved, plan, plan_all
from regexp.sweeps.planned_run import PlannedRun, key_of
from regexp.sweeps.stacks import run_stack
from tests.dataset.made import made_files
from tests.sandbox import Sandbox

SMALL = ("dataset.train_size=60", "model.hidden=[8]", "trainer.epochs=2", "trainer.batch_size=20")


def planned(*overrides: str) -> PlannedRun:
    jobs = compose(parse([*SMALL, *overrides])[0]).jobs
    return plan_all(jobs)[0][0][0]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table in `tables/` of the working directory; `b` and `3` are columns."""
    lines = [f"{row},{row % 7},{(row * 5) % 11},{row % 2}" for row in range(120)]
    (tmp_path / "tables").mkdir()
    file = tmp_path / "tables" / "made.csv"
    file.write_text("\n".join(["a,b,3,y", *lines]))
    monkeypatch.chdir(tmp_path)
    return file


# --- spelling --------------------------------------------------------------------------------

FLOATS = {  # key -> (spellings of one value, another value)
    "optimizer.lr": (["1", "1.0", "1e0", "1.00", "10e-1"], "0.5"),
    "regularizer.l1.strength": (["0.001", "1e-3", "1.0e-3", "0.10E-2"], "0.002"),
    "optimizer.betas": (["[0,0.9]", "[0.0,0.9]", "[-0.0,9e-1]", "[0e3,0.90]"], "[0.1,0.9]"),
    "optimizer.eps": (["1e-8", "0.00000001", "1.0e-08"], "1e-7"),
    "dataset.label_noise": (["0", "0.0", "-0.0", "0e0"], "0.1"),
    "trainer.device": (["auto", "cpu"] if not torch.cuda.is_available() else ["auto", "cuda:0"],
                       "cpu" if torch.cuda.is_available() else ""),
    "regularizer": (["l1", "[l1]"], "[l1,l2]"),
    "seeds": (["1", "[0]"], "[1]"),
}  # fmt: skip


@settings(
    max_examples=4,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_spelling_makes_no_other_run(data: st.DataObject) -> None:
    first, second = (
        [f"{key}={data.draw(st.sampled_from(values), key)}" for key, (values, _) in FLOATS.items()]
        for _ in range(2)
    )
    one, other = planned(*first), planned(*data.draw(st.permutations(second)))
    assert one.fingerprint == other.fingerprint
    assert key_of([[one]], []) == key_of([[other]], [])
    key = data.draw(st.sampled_from([key for key, (_, another) in FLOATS.items() if another]))
    changed = [f"{key}={FLOATS[key][1]}" if word.startswith(f"{key}=") else word for word in first]
    assert planned(*changed).fingerprint != one.fingerprint


def test_a_sweep_is_its_runs_and_what_trains_together_and_is_called_so() -> None:
    one, other = planned("optimizer.lr=0.1"), planned("optimizer.lr=0.2")
    key = key_of([[one], [other]], [], ["lr=0.1", "lr=0.2"])
    assert key_of([[other], [one]], [], ["lr=0.2", "lr=0.1"]) == key, "in any order of the jobs"
    assert key_of([[one], [other], [one]], [], ["lr=0.1", "lr=0.2", "lr=0.1"]) == key
    called = [replace(run, variant=name) for run, name in ((one, "lr=0.1"), (other, "lr=0.2"))]
    others = {
        key_of([[one, other]], [], [""]), key_of([[one], [other]], []), key_of([called], []),
        key_of([[run] for run in called], []),
    }  # fmt: skip
    assert len(others - {key}) == 4


def test_what_shares_a_fingerprint_has_the_same_bits() -> None:
    """What is used is the value as it is declared, not as it was written."""
    words = ["regularizer=[l1,dropout]", "regularizer.dropout.hidden={zero}", "optimizer.lr={one}",
             "regularizer.l1.strength={one}", "optimizer.betas=[{zero},0.9]"]  # fmt: skip
    values = [{"zero": "0", "one": "1"}, {"zero": "-0.0", "one": "1.0"}]
    runs = [planned(*(word.format(**each) for word in words)) for each in values]
    assert runs[0].fingerprint == runs[1].fingerprint
    assert runs[0].config_yaml == runs[1].config_yaml
    assert isinstance(runs[0].config["optimizer"]["lr"], float)
    results = [run_stack([run], lambda *_: None)[0] for run in runs]
    for name, weights in results[0].last["weights"].items():
        assert torch.equal(weights, results[1].last["weights"][name])
    assert results[0].metrics.keys() == results[1].metrics.keys()


def test_numbers_that_no_float_stands_for_are_left_as_they_are() -> None:
    module = f"{__name__}."
    nodes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "Both": ({"either": 1, "some": [1, 2]}, {"either": 1, "some": [1.0, 2.0]}),
        "Untyped": ({"width": 8, "zero": -0.0}, {"width": 8, "zero": 0.0}),
        "Mapped": ({"shares": {"a": 1}, "pair": [1, 1]}, {"shares": {"a": 1.0}, "pair": [1, 1.0]}),
        "Optional": ({"p": None, "flag": True}, {"p": None, "flag": True}),
    }
    for name, (written, meant) in nodes.items():
        got = as_declared("x", {"_target_": module + name, **written})
        assert got.pop("_target_") == module + name
        assert repr(got) == repr(meant), name
    huge = {"_target_": module + "Optional", "p": 10**400, "flag": False}
    assert as_declared("x", huge) == huge
    inner = {"_target_": f"{module}Mapped", "shares": {"b": 2}, "pair": [0, 0]}
    [got] = as_declared("x", [{"_target_": f"{module}Untyped", "width": inner}])
    assert repr(got["width"]["shares"]) == "{'b': 2.0}"


class Both:
    def __init__(self, either: int | float, some: list[float]) -> None: ...


class Untyped:
    def __init__(self, width, zero) -> None: ...


class Mapped:
    def __init__(self, shares: dict[str, float], pair: tuple[int, float]) -> None: ...


class Optional:
    def __init__(self, p: float | None, flag: float | bool) -> None: ...


@pytest.mark.parametrize("name", ["idx", "image_folder", "ts"])
def test_where_other_files_lie_makes_no_other_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = made_files(name, tmp_path)
    if name == "ts":
        given["test_path"] = given["path"]

    def fingerprint(places: dict[str, Any]) -> str:
        words = [f"dataset.{key}={value}" for key, value in places.items()]
        return planned(f"dataset={name}", "dataset.train_size=20", *words).fingerprint

    first = fingerprint(given)
    for folder in ("./", f"{tmp_path}/", f"../{tmp_path.name}/"):
        elsewhere = {key: f"{folder}{given[key]}" for key in given if key.endswith("path")}
        assert fingerprint(given | elsewhere) == first, folder
    more = {"pad": "end"} if name == "ts" else {"size": 2}
    assert fingerprint(given | more) != first


def test_where_a_table_lies_and_how_its_columns_are_given_makes_no_other_run(table: Path) -> None:
    def fingerprint(*words: str) -> str:
        return planned("dataset=table", "dataset.train_size=null", *words).fingerprint

    names = ("dataset.target=y", "dataset.drop=b", "dataset.categorical=[3]")
    first = fingerprint("dataset.path=tables/made.csv", *names)
    for path in (str(table), "./tables/made.csv", "tables/../tables/made.csv"):
        assert fingerprint(f"dataset.path={path}", *names) == first, path
    assert fingerprint("dataset.path=made.csv", "paths.data=tables", *names) == first
    listed = ("dataset.target=[y]", "dataset.drop=[b]", "dataset.categorical=3")
    assert fingerprint("dataset.path=tables/made.csv", *listed) == first
    others = ("dataset.target=y", "dataset.drop=a", "dataset.categorical=[3]")
    assert fingerprint("dataset.path=tables/made.csv", *others) != first
    table.with_name("other.csv").write_text(table.read_text())
    assert fingerprint("dataset.path=tables/other.csv", *names) != first, "tables say its name"
    table.write_text(table.read_text() + "\n120,1,1,0")
    assert fingerprint("dataset.path=tables/made.csv", *names) != first


def test_a_run_that_is_planned_again_from_its_record_is_the_same() -> None:
    run = planned("optimizer.lr=1", "trainer.device=auto")
    assert from_resolved(run.config, run.config["paths"]["data"]) == run


# --- data and code that are changed meanwhile ------------------------------------------------


def test_data_that_changed_after_the_plan_are_refused(table: Path) -> None:
    run = planned("dataset=table", "dataset.train_size=null", f"dataset.path={table}",
                  "dataset.target=y")  # fmt: skip
    build_member(run)
    table.write_text(table.read_text().replace("119,0", "119,1"))
    forget_data()  # as another process
    with pytest.raises(ConfigError, match="the data made were changed since this run was planned"):
        build_member(run)


NETWORK = """
from own_helper import width
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 10))
"""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "own_network.py").write_text(NETWORK)
    (tmp_path / "own_helper.py").write_text("width = 8\n")
    (tmp_path / "own_stranger.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    load_anew()


def load_anew() -> None:
    """As a new process would."""
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def of_own_network() -> DictConfig:
    [job] = compose(parse(list(SMALL))[0]).jobs
    job.config.model = {"_target_": "own_network.Net"}
    return job.config


def test_a_users_code_and_all_that_it_imports_is_in_the_fingerprint(own_code: Path) -> None:
    [first] = plan(of_own_network())
    assert first.code.keys() == {"regexp", "own_network", "own_helper"}
    importlib.import_module("own_stranger")
    (own_code / "own_stranger.py").write_text("x = 2\n")
    load_anew()
    assert plan(of_own_network()) == [first], "of code that it does not call"
    (own_code / "own_helper.py").write_text("width = 9\n")
    load_anew()
    [second] = plan(of_own_network())
    assert second.fingerprint != first.fingerprint
    assert replace(second, fingerprint=first.fingerprint, code=first.code) == first


def test_the_order_of_a_mapping_that_own_code_is_given_is_in_the_fingerprint(
    own_code: Path,
) -> None:
    """As it builds its layers in that order; of named arguments it says nothing."""

    (own_code / "own_layers.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width, layers):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, 10))\n"
    )

    def printed(**arguments: Any) -> str:
        config = of_own_network()
        config.model = {"_target_": "own_layers.Net", **arguments}
        return next(iter(plan(config))).fingerprint

    ahead = printed(width=1, layers={"narrow": 4, "wide": [{"b": 1, "c": 2}]})
    assert printed(width=1, layers={"wide": [{"b": 1, "c": 2}], "narrow": 4}) != ahead
    assert printed(width=1, layers={"narrow": 4, "wide": [{"c": 2, "b": 1}]}) != ahead
    assert printed(layers={"narrow": 4, "wide": [{"b": 1, "c": 2}]}, width=1) == ahead


def test_code_that_hydra_looks_up_is_in_the_fingerprint(own_code: Path) -> None:
    (own_code / "own_rates.py").write_text("def decay(step):\n    return 1.0\n")
    looked_up = {"_target_": "hydra.utils.get_method", "path": "own_rates.decay"}
    assert code({key: {} for key in DECIDES} | {"scheduler": {"lr_lambda": looked_up}}).keys() == {
        "regexp", "hydra-core", "own_rates"
    }  # fmt: skip


def test_a_job_whose_code_was_edited_after_the_plan_is_refused(own_code: Path) -> None:
    """It waited in a queue while its technique was edited: that is what would be trained."""
    config = of_own_network()
    runs = [run.as_plain() for run in plan(config)]
    (own_code / "own_helper.py").write_text("width = 9\n")
    load_anew()  # as the process that begins now
    of_job, order = {"runs": runs, "known": []}, launched.Order("", 1, [], "")
    with pytest.raises(ConfigError, match="own_helper was changed since this sweep was planned"):
        launched._train(config, of_job, order, "", print)


def test_what_runs_call_whatever_their_technique_is_recorded(
    own_code: Path, sandbox: Sandbox
) -> None:
    """By it a comparison tells sweeps apart between which it was edited."""
    recorded = []
    for number, width in enumerate((8, 9, 8)):
        (own_code / "own_helper.py").write_text(f"width = {width}\n")
        load_anew()
        config = of_own_network()
        with sandbox.tracker() as tracker:
            sweep = tracker.sweep(f"sweep {number}", "a sweep", {})
            train(plan(config), config, tracker, sweep.id)
            [told] = set(tracker.runs(sweep.id)["code.checksum"])
            sweep.finish()
        recorded.append(told)
    assert recorded[0] == recorded[2] != recorded[1]
    [job] = compose(parse(list(SMALL))[0]).jobs
    assert shared_code(plan(job.config)[0].config) == "", "all is the project's"
    technique = {"mine": {"_target_": "own_stranger.Technique"}}
    assert shared_code(plan(job.config)[0].config | {"regularizer": technique}) == ""
