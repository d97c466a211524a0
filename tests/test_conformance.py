"""What every technique must keep, for every YAML of conf/regularizer that is there.

Nothing here names a technique: a new one is covered when its YAML appears. The runs are real ones
of small networks on small parts of real data, made from composed configurations as a job makes
them.
"""

from __future__ import annotations

import dataclasses
import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from regexp import checkpoint
from regexp.config import ConfigError, conf_folder, register
from regexp.evaluate import metrics
from regexp.job import stacks
from regexp.plan import build_member, plan
from regexp.regularizer.base import Regularizer
from regexp.regularizer.cocktail import Cocktail
from regexp.stack import Stack
from regexp.train import Result, train
from regexp.validation import validate

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "conf" / "regularizer"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "none")


def technique(name: str) -> Regularizer:
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"))


# Those without (batch normalization) have no strength at which they change nothing.
NEUTRAL = [name for name in NAMES if type(technique(name)).neutral is not None]
# Those with a float among their neutral values, so that it may differ from run to run.
NEUTRAL_NUMBERS = {
    name: key
    for name in NEUTRAL
    for key, value in (type(technique(name)).neutral or {}).items()
    if isinstance(value, float)
}
COCKTAILS = [
    (name, others)
    for name in NEUTRAL
    for others in (("batch_norm", "dropout"), ("gradient_clipping", "mixup"))
    if name not in others
]

MLP = ("dataset=breast_cancer", "dataset.train_size=90", "model=mlp", "model.hidden=[8,6]")
CNN = ("dataset=digits", "dataset.train_size=90", "model=cnn", "model.channels=[3]",
       "model.hidden=8")  # fmt: skip
NETWORKS = {"mlp": MLP, "cnn": CNN}
GENTLE = ("trainer.epochs=4", "optimizer.lr=0.01")
# Where runs are compared but for rounding: Adam would blow up the rounding of gradients that are
# zero (of a bias before batch normalization) to whole steps.
SMOOTH = ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9")
# Steps so large that limits are reached and validation losses rise.
WILD = ("trainer.epochs=25", "optimizer.lr=0.5")


GROUPS = ("dataset", "model", "optimizer", "regularizer")


@lru_cache(maxsize=64)
def composed(*choices: str) -> Any:
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", ["trainer.batch_size=32", "trainer.device=cpu", *choices])


def config(*overrides: str) -> Any:
    """A job's configuration: choices of groups by Hydra, and then other keys' values."""
    choices = [override for override in overrides if override.partition("=")[0] in GROUPS]
    values = [override for override in overrides if override not in choices]
    job = composed(*choices).copy()
    OmegaConf.set_struct(job, False)
    return OmegaConf.merge(job, OmegaConf.from_dotlist(values))


def choice(*names: str) -> str:
    return f"regularizer=[{','.join(names)}]" if names else "regularizer=none"


@lru_cache(maxsize=64)
def results(*overrides: str) -> tuple[list[Result], int]:
    """The results of a job's runs, in the order of its plan, and the number of its stacks."""
    job = config(*overrides)
    runs = plan(job)
    members = [build_member(run) for run in runs]
    ordered: dict[int, Result] = {}
    parts = stacks(runs, members, job.stack)
    for part in parts:
        stack = Stack(
            [members[index] for index in part], job.trainer.epochs, job.trainer.batch_size,
            precision=job.trainer.precision,
        )  # fmt: skip
        for result in train(stack, job.trainer.epochs, lambda run, epoch, own: None):
            ordered[part[result.run]] = result
    return [ordered[index] for index in range(len(runs))], len(parts)


def run_all(*overrides: str) -> list[Result]:
    return results(*overrides)[0]


def neutral(name: str) -> list[str]:
    """The overrides that make a technique the identity."""
    values = type(technique(name)).neutral or {}
    return [f"regularizer.{name}.{key}={written(value)}" for key, value in values.items()]


def written(value: Any) -> str:
    """As in YAML."""
    words = {"None": "null", "True": "true", "False": "false", "inf": ".inf"}
    return words.get(str(value), str(value))


def floats(name: str) -> dict[str, float]:
    return Cocktail({name: technique(name)}).numbers()[name]


def assert_same_bits(ours: Any, others: Any) -> None:
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        assert torch.equal(value, others[name]), name


def assert_close(ours: Result, other: Result, tolerance: float) -> None:
    assert (ours.status, ours.epochs) == (other.status, other.epochs) == ("FINISHED", ours.epochs)
    for name, value in ours.last["weights"].items():
        torch.testing.assert_close(value, other.last["weights"][name], rtol=0, atol=tolerance)
    for key in ("test/loss", "final/val_loss", "final/train_loss"):
        assert ours.metrics[key] == pytest.approx(other.metrics[key], abs=tolerance, rel=tolerance)


# --- neutral and active --------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_is_bit_equal_to_none(name: str, seeds: int, network: str) -> None:
    common = (*NETWORKS[network], *GENTLE, f"seeds={seeds}")
    ours = run_all(*common, choice(name), *neutral(name))
    for mine, none in zip(ours, run_all(*common, choice()), strict=True):
        assert_same_bits(mine.last["weights"], none.last["weights"])
        assert mine.epochs == none.epochs
        assert {k: v for k, v in mine.metrics.items() if k != "seconds"} == {
            k: v for k, v in none.metrics.items() if k != "seconds"
        }


@pytest.mark.parametrize(("name", "others"), COCKTAILS)
def test_neutral_changes_nothing_in_a_cocktail(name: str, others: tuple[str, ...]) -> None:
    """Noise, running statistics and gradients of other techniques stay as they are."""
    common = (*MLP, *GENTLE, "optimizer.lr=0.1", "seeds=2")
    ours = run_all(*common, choice(*others, name), *neutral(name))
    for mine, without in zip(ours, run_all(*common, choice(*others)), strict=True):
        # What training stands at; averaged weights get running statistics of their own.
        assert_same_bits(mine.last["state"], without.last["state"])


@pytest.mark.parametrize("name", NAMES)
def test_default_changes_something(name: str) -> None:
    (ours,), (none,) = run_all(*MLP, *WILD, choice(name)), run_all(*MLP, *WILD, choice())
    mine, plain = ours.last["weights"], none.last["weights"]
    assert any(not torch.equal(value, plain[key]) for key, value in mine.items() if key in plain)
    assert all(value.isfinite().all() for value in mine.values())


# --- stacks --------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("name", NAMES)
def test_stacked_agrees_with_alone(
    name: str, precision: str, tolerance: float, network: str
) -> None:
    common = (*NETWORKS[network], *SMOOTH, "trainer.epochs=4", choice(name),
              f"trainer.precision={precision}")  # fmt: skip
    stacked, parts = results(*common, "seeds=[0,5]")
    assert parts == 1
    for mine, seed in zip(stacked, (0, 5), strict=True):
        (alone,) = run_all(*common, f"seeds=[{seed}]")
        assert_close(mine, alone, tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_runs_that_end_early_leave_the_others_alone(name: str) -> None:
    early = ("regularizer.early_stopping.patience=1", "regularizer.early_stopping.min_delta=0.01")
    names = (name, "early_stopping") if name != "early_stopping" else (name,)
    common = (*MLP, *SMOOTH, "trainer.epochs=15", "trainer.precision=float64", choice(*names),
              *early)  # fmt: skip
    stacked = run_all(*common, "seeds=4")
    for mine, seed in zip(stacked, range(4), strict=True):
        (alone,) = run_all(*common, f"seeds=[{seed}]")
        assert_close(mine, alone, 1e-10)
    if len(names) == 1:
        assert len({result.epochs for result in stacked}) > 1, "the test shows nothing"


@pytest.mark.parametrize("name", NAMES)
def test_rerun_has_the_same_bits(name: str) -> None:
    job = (*MLP, *GENTLE, choice(name, "dropout") if name != "dropout" else choice(name))
    for seeds in ("seeds=1", "seeds=3"):
        first = results.__wrapped__(*job, seeds)[0]
        second = results.__wrapped__(*job, seeds)[0]
        for one, other in zip(first, second, strict=True):
            assert_same_bits(one.last["weights"], other.last["weights"])
            assert_same_bits(one.last["state"], other.last["state"])


# --- numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_numbers_may_differ_from_run_to_run(name: str) -> None:
    common = (*MLP, *SMOOTH, "trainer.epochs=5", choice(name))
    for precision, tolerance in (("float64", 1e-11), ("float32", 1e-4)):
        job = (*common, f"trainer.precision={precision}")
        for key, default in floats(name).items():
            values = (default, default / 2 if default else 0.01)
            stacked = run_all(*job, f"grid.regularizer.{name}.{key}=[{values[0]},{values[1]}]")
            for value, mine in zip(values, stacked, strict=True):
                (alone,) = run_all(*job, f"regularizer.{name}.{key}={value}")
                assert_close(mine, alone, tolerance)


@pytest.mark.parametrize("name", NEUTRAL_NUMBERS)
def test_neutral_is_bit_equal_within_a_grid(name: str) -> None:
    """Numbers are tensors in a stack where they differ; neutral ones must be exact there too."""
    key = NEUTRAL_NUMBERS[name]
    value = (type(technique(name)).neutral or {})[key]
    grid = f"grid.regularizer.{name}.{key}=[{written(value)},{floats(name)[key]}]"
    ours, parts = results(*MLP, *GENTLE, choice(name), *neutral(name), grid)
    plain = run_all(*MLP, *GENTLE, choice(), "seeds=2")  # a stack of two as well
    assert parts == 1
    assert_same_bits(ours[0].last["weights"], plain[0].last["weights"])


@pytest.mark.parametrize("name", NAMES)
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    numeric = {
        field.name
        for field in dataclasses.fields(technique(name))  # type: ignore[arg-type]
        if isinstance(getattr(technique(name), field.name), int | float)
        and not isinstance(getattr(technique(name), field.name), bool)
    }
    for key in numeric:
        bad = [f"regularizer.{name}.{key}=-1"]
        if key in floats(name):
            bad += [f"regularizer.{name}.{key}=.nan", f"grid.regularizer.{name}.{key}=[0.1,-1]"]
        for override in bad:
            with pytest.raises(ConfigError, match=rf"regularizer\.{name}\.{key}"):
                validate(config(choice(name), override))


@pytest.mark.parametrize("name", NAMES)
def test_integers_stand_for_floats(name: str) -> None:
    """Only floats may differ across a stack, and YAML's 0 and 1 are integers."""
    made = technique(name)
    for key, value in floats(name).items():
        for whole in (0, 1):
            try:
                other = dataclasses.replace(made, **{key: whole})  # type: ignore[type-var]
            except ValueError:
                continue  # out of range
            assert type(getattr(other, key)) is type(value) is float


# --- saved and loaded ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_survives_save_and_load(name: str, tmp_path: Path) -> None:
    """Weights that are read back into a new network give the metrics that were reported."""
    job = (*MLP, *GENTLE, choice(name), "seeds=2")
    for run, result in zip(plan(config(*job)), run_all(*job), strict=True):
        path = tmp_path / "last.pt"
        checkpoint.save(path, result.last)
        loaded = checkpoint.load(path)
        assert_same_tree(loaded, result.last)
        member = build_member(run)
        missing = member.model.load_state_dict(loaded["weights"], strict=False)
        assert not missing.unexpected_keys
        assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
        test = member.data.test
        with torch.no_grad():
            outputs = member.model.eval()(test.inputs)
        scores = metrics(outputs, test.targets, member.data.task)
        assert float(scores["loss"]) == pytest.approx(result.metrics["test/loss"], rel=1e-5)


def assert_same_tree(ours: Any, other: Any) -> None:
    if isinstance(ours, Tensor):
        assert ours.dtype == other.dtype
        assert torch.equal(ours, other)
    elif isinstance(ours, dict):
        assert list(ours) == list(other)
        for key, value in ours.items():
            assert_same_tree(value, other[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(other)
        for one, another in zip(ours, other, strict=True):
            assert_same_tree(one, another)
    else:
        assert ours == other


# --- files ---------------------------------------------------------------------------------


def test_none_is_an_empty_mapping_and_choices_make_a_cocktail() -> None:
    assert config("regularizer=none").regularizer == {}
    assert list(config("regularizer=[none,l1]").regularizer) == ["l1"]
    both = config("regularizer=[dropout,l1]").regularizer
    assert list(both) == ["dropout", "l1"]  # in the order that is written


@pytest.mark.parametrize("name", NAMES)
def test_yaml_says_where_it_goes_and_what_it_is(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == f"# @package regularizer.{name}"
    assert lines[1].startswith("# ")
    node = config(choice(name)).regularizer
    assert list(node) == [name]
    target = node[name]["_target_"]
    assert target.startswith(f"regexp.regularizer.{name}.")
    kind = type(technique(name))
    assert set(node[name]) - {"_target_"} == {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_class_is_final_documented_and_has_no_numbers_of_its_own(name: str) -> None:
    kind = type(technique(name))
    assert kind.__bases__ == (Regularizer,)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        assert field.default is field.default_factory is dataclasses.MISSING, field.name
    documentation = kind.__doc__ or ""
    for part in ("Args:", "Raises:", "Reference:", "https://"):
        assert part in documentation, part
    module = importlib.import_module(kind.__module__)
    assert module.__doc__
    assert (ROOT / "tests" / "regularizer" / f"test_{name}.py").is_file()
