"""What every technique must keep, for every YAML of conf/regularizer that is there.

Nothing here names the technique it tests: a new one is covered when its YAML appears. The runs are
real ones of small networks on small parts of real data, made from composed configurations as a job
makes them, on every network that the technique applies to.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from torch import Tensor

from regexp.config.schema import conf_folder, register
from regexp.config.validation import validate
from regexp.errors import ConfigError, NotApplicable
from regexp.metrics.evaluate import metrics
from regexp.regularizer.base import KINDS, overrides
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.stack import Stack
from regexp.sweep.job import stacks
from regexp.sweep.plan import build_member, plan
from regexp.training import checkpoint
from regexp.training.loop import train
from regexp.training.state import Result, TrainingState
from tests import support
from tests.support import FOLDER, NAMES

ROOT = Path(__file__).parents[1]
technique = cache(support.technique)


def go_together(*names: str) -> bool:
    try:
        Cocktail({name: technique(name) for name in names})
    except ValueError:
        return False
    return True


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
    if name not in others and go_together(name, *others)
]

MLP = ("dataset=breast_cancer", "dataset.train_size=90", "model=mlp", "model.hidden=[8,6]")
CNN = ("dataset=digits", "dataset.train_size=90", "model=cnn", "model.channels=[3]",
       "model.hidden=8")  # fmt: skip
LSTM = ("dataset=series", "dataset.train_size=60", "dataset.window=6", "model=lstm",
        "model.features=[5]", "model.hidden=[4]")  # fmt: skip
RESNET = ("dataset=breast_cancer", "dataset.train_size=90", "model=resnet_mlp", "model.width=8",
          "model.hidden=6", "model.depth=2")  # fmt: skip
NETWORKS = {"mlp": MLP, "cnn": CNN, "lstm": LSTM, "resnet_mlp": RESNET}
SELU = (*MLP, "model.activation=selu")
GENTLE = ("trainer.epochs=3", "optimizer.lr=0.01")
# Where runs are compared but for rounding: Adam would blow up the rounding of gradients that are
# zero (of a bias before batch normalization) to whole steps.
SMOOTH = ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.momentum=0.9")
# Steps so large that limits are reached and validation losses rise.
WILD = ("trainer.epochs=25", "optimizer.lr=0.5")


GROUPS = ("dataset", "model", "optimizer", "regularizer")


@cache
def composed(*choices: str) -> Any:
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", ["trainer.batch_size=32", "trainer.device=cpu", *choices])


def config(*overrides: str) -> Any:
    """A job's configuration: choices of groups by Hydra, and then other keys' values.

    Every technique and every network is composed once, and not every pair of them: a choice of
    `regularizer` fills `regularizer.<name>` and nothing else, which another test here makes sure.
    """
    choices = [override for override in overrides if override.partition("=")[0] in GROUPS]
    values = [override for override in overrides if override not in choices]
    chosen = [override for override in choices if override.startswith("regularizer=")]
    job = composed(*(override for override in choices if override not in chosen)).copy()
    OmegaConf.set_struct(job, False)
    for name in (name for one in chosen for name in one.partition("=")[2].strip("[]").split(",")):
        job.regularizer.update(composed(f"regularizer={name}").regularizer)
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


@cache
def fitting(name: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """(techniques that it does not work without, the networks that it applies to)."""
    ordinary = tuple(NETWORKS.values())
    for before, networks in (((), ordinary), (("dropout",), ordinary), ((), (SELU,))):
        found = []
        for network in networks:
            try:
                plan(config(*network, choice(*before, name)))
            except NotApplicable:
                continue
            found.append(network)
        if found:
            return before, tuple(found)
    raise AssertionError(f"{name} applies to none of {', '.join(NETWORKS)}")


def home(name: str) -> tuple[str, ...]:
    """The first of the networks that the technique applies to."""
    return fitting(name)[1][0]


def before(name: str) -> tuple[str, ...]:
    """Techniques that it does not work without."""
    return fitting(name)[0]


def beside(name: str, *others: str) -> str:
    """The choice of the technique, with the others if they go together."""
    names = (*before(name), name)
    more = tuple(other for other in others if other not in names and go_together(*names, other))
    return choice(*names, *more)


def written(value: Any) -> str:
    """As in YAML."""
    words = {"None": "null", "True": "true", "False": "false", "inf": ".inf"}
    return words.get(str(value), str(value))


def floats(name: str) -> dict[str, float]:
    return Cocktail({name: technique(name)}).numbers()[name]


def within(ours: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """What both have, by the names of `plain`: a weight that is computed goes by its original."""
    named = {re.sub(r"\.parametrizations\.(\w+)\.original$", r".\1", k): v for k, v in ours.items()}
    return {key: value for key, value in named.items() if key in plain}


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


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_is_bit_equal_to_none(name: str) -> None:
    jobs = [(network, 1) for network in fitting(name)[1]] + [(home(name), 2)]
    for network, seeds in jobs:
        common = (*network, *GENTLE, f"seeds={seeds}")
        ours = run_all(*common, beside(name), *neutral(name))
        for mine, none in zip(ours, run_all(*common, choice(*before(name))), strict=True):
            plain = none.last["weights"]
            # a layer that does nothing may have numbers
            assert_same_bits(within(mine.last["weights"], plain), plain)
            assert mine.epochs == none.epochs
            assert {k: v for k, v in mine.metrics.items() if k != "seconds"} == {
                k: v for k, v in none.metrics.items() if k != "seconds"
            }


@pytest.mark.parametrize(("name", "others"), COCKTAILS)
def test_neutral_changes_nothing_in_a_cocktail(name: str, others: tuple[str, ...]) -> None:
    """Noise, running statistics and gradients of other techniques stay as they are."""
    names = tuple(other for other in others if other not in before(name))
    common = (*home(name), *GENTLE, "optimizer.lr=0.1", "seeds=2")
    try:
        without = run_all(*common, choice(*before(name), *names))
    except NotApplicable:
        pytest.skip(f"{' and '.join(others)} do not apply where {name} does")
    ours = run_all(*common, choice(*before(name), *names, name), *neutral(name))
    for mine, other in zip(ours, without, strict=True):
        # What training stands at; averaged weights get running statistics of their own.
        plain = other.last["state"]
        assert_same_bits(within(mine.last["state"], plain), plain)


@pytest.mark.parametrize("name", NAMES)
def test_default_changes_something(name: str) -> None:
    (ours,) = run_all(*home(name), *WILD, beside(name))
    (none,) = run_all(*home(name), *WILD, choice(*before(name)))
    mine, plain = ours.last["weights"], none.last["weights"]
    changed = any(not torch.equal(value, plain[key]) for key, value in mine.items() if key in plain)
    predicts = overrides(technique(name), "predict")
    assert changed or (predicts and ours.metrics["test/loss"] != none.metrics["test/loss"])
    assert all(value.isfinite().all() for value in mine.values())


# --- stacks --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_stacked_agrees_with_alone(name: str) -> None:
    jobs = [(network, "float64", 1e-11) for network in fitting(name)[1]]
    for network, precision, tolerance in [*jobs, (home(name), "float32", 2e-4)]:
        common = (*network, *SMOOTH, "trainer.epochs=3", beside(name),
                  f"trainer.precision={precision}")  # fmt: skip
        stacked, parts = results(*common, "seeds=[0,5]")
        assert parts == 1
        for place, seed in enumerate((0, 5)):
            if seed == 5 or network == home(name):  # elsewhere one of the two is enough
                (alone,) = run_all(*common, f"seeds=[{seed}]")
                assert_close(stacked[place], alone, tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_runs_that_end_early_leave_the_others_alone(name: str) -> None:
    early = ("regularizer.early_stopping.patience=1", "regularizer.early_stopping.min_delta=0.01")
    stopped = beside(name, "early_stopping")
    if "early_stopping" not in stopped:
        pytest.skip("has a rule of its own for stopping")
    common = (*home(name), *SMOOTH, "trainer.epochs=15", "trainer.precision=float64", stopped,
              *early)  # fmt: skip
    stacked = run_all(*common, "seeds=3")
    for mine, seed in zip(stacked, range(3), strict=True):
        (alone,) = run_all(*common, f"seeds=[{seed}]")
        assert_close(mine, alone, 1e-10)
    if name == "early_stopping":
        assert len({result.epochs for result in stacked}) > 1, "the test shows nothing"


class Broken(Exception):  # noqa: N818, no error
    """Breaks a training off."""


@pytest.mark.parametrize("seeds", ["seeds=1", "seeds=3"])
@pytest.mark.parametrize("name", NAMES)
def test_rerun_has_the_same_bits_though_it_is_broken_off(
    name: str, seeds: str, tmp_path: Path
) -> None:
    runs = plan(config(*home(name), *GENTLE, beside(name, "dropout"), seeds))
    epochs, batch_size = (runs[0].config["trainer"][key] for key in ("epochs", "batch_size"))
    path = tmp_path / "training.pt"
    curves: list[tuple[Any, ...]] = []
    again: list[tuple[Any, ...]] = []

    def new() -> Stack:
        return Stack([build_member(run) for run in runs], epochs, batch_size)

    def break_off(epoch: int, content: Any) -> None:
        if epoch == min(2, last):
            checkpoint.save(path, content())
            raise Broken

    first = train(new(), epochs, lambda *point: curves.append(point))
    last = max(result.epochs for result in first) - 1  # some stop early
    with pytest.raises(Broken):
        train(new(), epochs, lambda *point: again.append(point), break_off)
    stack = new()
    state = TrainingState.resumed(stack, checkpoint.load(path, holds="stack"))
    second = train(stack, epochs, lambda *point: again.append(point), state=state)
    assert again == curves
    for one, other in zip(first, second, strict=True):
        assert one.run == other.run
        for part in ("best", "last"):
            assert_same_tree(getattr(one, part), getattr(other, part))
        assert_same_bits({"outputs": one.outputs}, {"outputs": other.outputs})


# --- numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_numbers_may_differ_from_run_to_run(name: str) -> None:
    job = (*home(name), *SMOOTH, "trainer.epochs=4", "trainer.precision=float64", beside(name))
    for key, default in floats(name).items():
        values = (default, default / 2 if default else 0.01)
        points = ",".join(written(value) for value in values)
        stacked = run_all(*job, f"grid.regularizer.{name}.{key}=[{points}]")
        for value, mine in zip(values, stacked, strict=True):
            (alone,) = run_all(*job, f"regularizer.{name}.{key}={written(value)}")
            assert_close(mine, alone, 1e-11)


@pytest.mark.parametrize("name", NEUTRAL_NUMBERS)
def test_neutral_is_bit_equal_within_a_grid(name: str) -> None:
    """Numbers are tensors in a stack where they differ; neutral ones must be exact there too."""
    key = NEUTRAL_NUMBERS[name]
    value = (type(technique(name)).neutral or {})[key]
    grid = f"grid.regularizer.{name}.{key}=[{written(value)},{floats(name)[key]}]"
    common = (*home(name), *GENTLE)
    ours, parts = results(*common, beside(name), *neutral(name), grid)
    together = not overrides(technique(name), "batch_size")  # else each has batches of its own
    assert parts == (1 if together else 2)
    # a stack of two as well
    plain = run_all(*common, choice(*before(name)), "seeds=2" if together else "seeds=1")
    same = plain[0].last["weights"]
    assert_same_bits(within(ours[0].last["weights"], same), same)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    numeric = {
        field.name
        for field in dataclasses.fields(technique(name))
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
                other = dataclasses.replace(made, **{key: whole})
            except ValueError:
                continue  # out of range
            assert type(getattr(other, key)) is type(value) is float


# --- saved and loaded ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_survives_save_and_load(name: str, tmp_path: Path) -> None:
    """Weights that are read back into a new network give the metrics that were reported."""
    job = (*home(name), *GENTLE, beside(name), "seeds=2")
    for run, result in zip(plan(config(*job)), run_all(*job), strict=True):
        path = tmp_path / "last.pt"
        checkpoint.save(path, result.last)
        loaded = checkpoint.load(path)
        assert_same_tree(loaded, result.last)
        member = build_member(run)
        member.model.load_state_dict(loaded["weights"])
        epochs, batch_size = run.config["trainer"]["epochs"], run.config["trainer"]["batch_size"]
        stack = Stack([member], epochs, batch_size)  # for techniques that average predictions
        stack.memory = loaded["memory"]
        state = stack.state() | loaded["weights"]
        scores = metrics(*stack.predict("test", state), member.data.task)
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
    assert composed("regularizer=none").regularizer == {}
    assert list(composed("regularizer=[none,l1]").regularizer) == ["l1"]
    both = composed("regularizer=[dropout,l1]").regularizer
    assert list(both) == ["dropout", "l1"]  # in the order that is written
    assert list(both.items()) == list(config("regularizer=[dropout,l1]").regularizer.items())


@pytest.mark.parametrize("name", NAMES)
def test_yaml_says_where_it_goes_and_what_it_is(name: str) -> None:
    assert not {"_group_", "_name_"} & {f"_{part}_" for part in name.split("_")[1:-1]}, "Hydra's"
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == f"# @package regularizer.{name}"
    assert lines[1].startswith("# ")
    whole, none = composed(choice(name)), composed()
    node = whole.regularizer
    assert list(node) == [name]
    assert {**whole, "regularizer": {}} == {**none, "regularizer": {}}, "it changes nothing else"
    assert node[name]["_target_"].startswith("regexp.regularizer.")
    fields = {field.name for field in dataclasses.fields(technique(name))}
    assert set(node[name]) - {"_target_", "search"} == fields
    ranges = node[name].get("search", {})
    assert set(ranges) <= fields
    for key, text in ranges.items():
        parsed = OverridesParser.create().parse_override(f"{key}={text}")
        assert parsed.is_sweep_override(), f"{key}: {text}"


@pytest.mark.parametrize("name", NAMES)
def test_class_is_final_documented_and_has_no_numbers_of_its_own(name: str) -> None:
    kind = type(technique(name))
    assert kind.kind in KINDS
    assert kind.__dataclass_params__.frozen
    for field in dataclasses.fields(kind):
        assert field.default is field.default_factory is dataclasses.MISSING, field.name
    documentation = kind.__doc__ or ""
    parts = ["Helps:", "Costs:", "Reference:", "https://"]
    parts += ["Args:", "Raises:"] if dataclasses.fields(kind) else []
    for part in parts:
        assert part in documentation, part
    module = importlib.import_module(kind.__module__)
    assert module.__doc__
    test = ROOT / "tests" / "regularizer" / f"test_{kind.__module__.rpartition('.')[2]}.py"
    assert ast.get_docstring(ast.parse(test.read_text())), "say which oracle it is held against"
