"""What every technique must keep, for every YAML of conf/regularizer that is there.

Nothing here names the technique it tests: a new one is covered when its YAML appears. The runs are
those of small networks on small made data: of those that the technique applies to, all that tell
something new of it (`sample`). Tests of one technique stand together, so that they share its runs.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import importlib
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from torch import Tensor

from regexp.config.nodes import check_node
from regexp.config.schema import conf_folder, register
from regexp.config.values import flat
from regexp.errors import ConfigError
from regexp.metrics.evaluate import metrics
from regexp.regularizer.base import (
    HOOKS,
    KINDS,
    Batch,
    Evaluation,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Schedule,
    TrainingSplit,
    overrides,
)
from regexp.regularizer.ranges import declared
from regexp.stack.stack import Stack
from regexp.training import checkpoint
from regexp.training.loop import train
from regexp.training.state import Result, TrainingState
from regexp.training.steps import AUTO
from tests import support
from tests.support import (
    FOLDER,
    NAMES,
    NETWORKS,
    History,
    make_data,
    make_evaluation,
    make_step,
)
from tests.technique_runs import (
    BATCH_SIZE,
    EPOCHS,
    SMOOTH,
    WILD,
    alone,
    applies,
    assert_close,
    assert_same_bits,
    assert_same_tree,
    before,
    beside,
    floats,
    go_together,
    home,
    member,
    mix,
    neutral,
    sample,
    technique,
    train_stack,
    trained,
    within,
)

ROOT = Path(__file__).parents[1]

# Those without (batch normalization) have no strength at which they change nothing.
NEUTRAL = [name for name in NAMES if technique(name).neutral is not None]
# Those with a float among their neutral values, so that it may differ from run to run.
NEUTRAL_NUMBERS = {
    name: key
    for name in NEUTRAL
    for key, value in technique(name).neutral.items()
    if isinstance(value, float) and key in floats(name)
}

every_technique = pytest.mark.parametrize("name", NAMES, scope="module")


# --- neutral and active --------------------------------------------------------------------


@pytest.mark.parametrize("name", NEUTRAL, scope="module")
def test_neutral_is_bit_equal_to_none(name: str) -> None:
    """Alone; in a stack those here that have no number which may differ, the others below."""
    for network in sample(name):
        stacks = network == home(name) and name not in NEUTRAL_NUMBERS
        for seeds in [(0,), (0, 1)] if stacks else [(0,)]:
            ours, _ = trained(network, *((seed, neutral(name)) for seed in seeds))
            none, _ = trained(network, *((seed, mix(*before(name))) for seed in seeds))
            for mine, other in zip(ours, none, strict=True):
                assert_nothing_changed(mine, other)


def assert_nothing_changed(ours: Result, other: Result) -> None:
    plain = other.last["weights"]
    # a layer that does nothing may have numbers
    assert_same_bits(within(ours.last["weights"], plain), plain)
    assert ours.epochs == other.epochs
    assert ours.metrics | {"seconds": 0} == other.metrics | {"seconds": 0}


@pytest.mark.parametrize("name", NEUTRAL, scope="module")
def test_neutral_changes_nothing_in_a_cocktail(name: str) -> None:
    """Noise, running statistics and gradients of other techniques stay as they are."""
    names = before(name)
    for added in ("batch_norm", "dropout", "gradient_clipping", "mixup"):
        new = added not in (name, *names) and go_together(name, *names, added)
        if new and applies(home(name), mix(*names, added)):
            names = (*names, added)
    assert len(names) > len(before(name)), "the test shows nothing"
    wilder = partial(torch.optim.Adam, lr=0.1)
    ours, without = (
        trained(home(name), (0, techniques), (1, techniques), optimizer=wilder)[0]
        for techniques in ((*mix(*names), neutral(name)[-1]), mix(*names))
    )
    for mine, other in zip(ours, without, strict=True):
        # What training stands at; averaged weights get running statistics of their own.
        plain = other.last["state"]
        assert_same_bits(within(mine.last["state"], plain), plain)


@every_technique
def test_default_changes_something(name: str) -> None:
    for epochs in (EPOCHS, 25, 100):  # what waits for a limit or for a worse loss needs some time
        options = {"optimizer": WILD, "epochs": epochs}
        ours = alone(home(name), 0, beside(name), **options)
        none = alone(home(name), 0, mix(*before(name)), **options)
        mine, plain = ours.last["weights"], none.last["weights"]
        assert all(value.isfinite().all() for value in mine.values())
        changed = any(not torch.equal(mine[key], plain[key]) for key in mine.keys() & plain.keys())
        predicts = overrides(technique(name), "predict")
        if changed or (predicts and ours.metrics["test/loss"] != none.metrics["test/loss"]):
            return
    pytest.fail("nothing is changed")


@every_technique
def test_of_a_batch_only_its_side_is_changed(name: str) -> None:
    """Labels change targets alone, and inputs change inputs alone unless they mix rows."""
    shape, task, _ = NETWORKS[home(name)]
    inputs = make_data(shape=shape, task=task).train.inputs
    batch = Batch(support.tensor(inputs), torch.eye(3)[torch.arange(len(inputs)) % 3])
    step = replace(make_step(), split=TrainingSplit(len(inputs), torch.arange(3.0).double()))
    changed = technique(name).batch(step, batch)
    if technique(name).kind == "label":
        assert changed.inputs is batch.inputs
    if technique(name).kind == "input" and "soft targets" not in technique(name).provides:
        assert changed.targets is batch.targets


@every_technique
def test_memory_is_a_copy(name: str) -> None:
    """The usual mistake: to remember the very tensors that training goes on to change."""
    made, state = technique(name), {"0.weight": torch.ones(2, 3), "1.weight": torch.ones(3, 2)}
    last = make_step(99, memory=made.init(state, support.BY_NAME), ends_epoch=True)
    scores = {key: torch.tensor(0.5) for key in ("loss", "train_loss", "seconds")}
    after = made.keep(replace(last, memory=made.track(last, state)), state)
    memory = made.observe(after, make_evaluation(scores, state))
    before = copy.deepcopy((last.memory, memory))
    for value in state.values():
        value.add_(1)
    assert_same_tree((last.memory, memory), before)


# --- numbers over time ---------------------------------------------------------------------


@every_technique
def test_numbers_follow_a_schedule_or_say_that_they_do_not(name: str) -> None:
    """Ones that are off at first are those of a run without; alone as beside another schedule."""
    made, network = technique(name), home(name)
    changing = {key for key in floats(name) if key not in made.constant}
    for key in floats(name).keys() - changing:
        with pytest.raises(ConfigError, match="expected one value for the whole run"):
            replace(made, **{key: Schedule(0.9 * getattr(made, key) + 0.01, getattr(made, key))})
    if not changing:
        return
    cocktails = []
    for factor in (0.9, 0.95):
        values = {key: getattr(made, key) for key in changing}
        schedules = {key: Schedule(factor * value, value) for key, value in values.items()}
        cocktails.append((*mix(*before(name)), (name, replace(made, **schedules))))
    options = {"optimizer": SMOOTH, "precision": "float64"}
    (first, *_), _ = trained(network, *enumerate(cocktails), **options)
    own = alone(network, 0, cocktails[0], **options)
    assert_close(first, own, 1e-11)


def is_alternative(name: str) -> bool:
    """Whether it lets techniques take turns, which not all can."""
    return bool(technique(name).alternatives(("one", "other")))


# --- stacks --------------------------------------------------------------------------------


@every_technique
def test_stacked_agrees_with_alone(name: str) -> None:
    """The second run, which is not what it should be where it is given what the first one is. In
    double precision, as what is rounded more in a stack than alone shows there and not in single.

    On the first network a stack is held against single runs where it loses some (below), unless
    none may leave it.
    """
    options = {"optimizer": SMOOTH, "precision": "float64"}
    networks = sample(name)
    for network in networks if is_alternative(name) or len(networks) == 1 else networks[1:]:
        stacked, _ = trained(network, (0, beside(name)), (5, beside(name)), **options)
        assert_close(stacked[1], alone(network, 5, beside(name), **options), 1e-11)


@every_technique
def test_stacked_agrees_with_alone_on_single_numbers_frozen_and_shared_weights(name: str) -> None:
    """Of those that see buffers, make layers or may call the network, which changes its buffers:
    of parameters the network of everything has these as well, and it has no such buffers.
    """
    if not applies("odd", beside(name)):
        pytest.skip("is for other data or layers")
    hooks = {hook for hook in HOOKS if overrides(technique(name), hook)}
    if "mixed" in sample(name) and hooks <= {"advise", "batch", "batch_size", "constrain"}:
        pytest.skip("sees no buffers")
    options: Any = {"optimizer": SMOOTH, "precision": "float64"}
    stacked, _ = trained("odd", (0, beside(name)), (5, beside(name)), **options)
    assert_close(stacked[1], alone("odd", 5, beside(name), **options), 1e-11)


@every_technique
def test_trains_alone_what_no_stack_can_follow(name: str) -> None:
    if not applies("branching", beside(name)):
        pytest.skip("is for other data or layers")
    result, again = (
        train_stack("branching", (0, beside(name)), precision="float64")[0][0] for _ in range(2)
    )
    assert result.status == "FINISHED"
    assert_same_bits(result.last["weights"], again.last["weights"])


@dataclass(frozen=True)
class StopAfter(Regularizer):
    """Stop after some epochs."""

    epochs: Annotated[float, Range(1)]

    def init(self, state: dict[str, Tensor], kinds: ParameterKinds) -> Memory:
        return {"epochs": torch.zeros(())}

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        return {"epochs": memory["epochs"] + 1}

    def stop(self, memory: Memory) -> Tensor:
        return memory["epochs"] >= self.epochs


@every_technique
def test_runs_that_end_early_leave_the_others_alone(name: str) -> None:
    if is_alternative(name):
        pytest.skip("what stops the runs takes no turns")
    options: Any = {"optimizer": SMOOTH, "precision": "float64"}
    first, second, third = (
        (seed, (*beside(name), ("stop", StopAfter(epochs))))
        for seed, epochs in ((4, 1.0), (5, EPOCHS), (6, 2.0))
    )
    stacked, _ = trained(home(name), first, second, third, **options)
    # the one between goes on to the end, as if there were no others nor anything that stops
    assert_close(stacked[1], alone(home(name), 5, beside(name), **options), 1e-10)
    assert_close(stacked[2], alone(home(name), *third, **options), 1e-10)
    assert {result.epochs for result in stacked} != {EPOCHS}, "the test shows nothing"


class Broken(Exception):  # noqa: N818, no error
    """Breaks a training off."""


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["alone", "stacked"])
@every_technique
def test_rerun_has_the_same_bits_though_it_is_broken_off(
    name: str, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    runs = [(seed, beside(name, "dropout")) for seed in seeds]
    first, history = trained(home(name), *runs, way=AUTO)
    last = max(result.epochs for result in first) - 1  # some stop early
    path = tmp_path / "training.pt"
    again: History = {}

    def new() -> Stack:
        members = [member(home(name), seed, techniques) for seed, techniques in runs]
        return Stack(members, EPOCHS, BATCH_SIZE)

    def report(run: int, epoch: int, scores: dict[str, float]) -> None:
        again.setdefault(run, []).append({"epoch": epoch, **scores})

    def break_off(epoch: int, content: Any) -> None:
        if epoch == min(2, last):
            checkpoint.save(path, content())
            raise Broken

    with pytest.raises(Broken):
        train(new(), EPOCHS, report, break_off)
    stack = new()
    state = TrainingState.resumed(stack, checkpoint.load(path, holds="stack"))
    second = train(stack, EPOCHS, report, state=state)
    assert again == history
    for whole, resumed in zip(first, sorted(second, key=lambda result: result.run), strict=True):
        assert whole.run == resumed.run
        for part in ("best", "last"):
            assert_same_tree(getattr(whole, part), getattr(resumed, part))
        assert_same_bits({"outputs": whole.outputs}, {"outputs": resumed.outputs})


# --- numbers -------------------------------------------------------------------------------


@every_technique
def test_numbers_may_differ_from_run_to_run(name: str) -> None:
    """All of them at once, so that a number which is taken from another run is of no use."""
    options = {"optimizer": SMOOTH, "precision": "float64"}
    structure = member(home(name), 5, beside(name)).structure()
    others = {key: default / 2 if default else 0.01 for key, default in floats(name).items()}
    stackable = {  # and not those of layers that no stack has with several settings
        key: value
        for key, value in others.items()
        if member(home(name), 5, beside(name, **{key: value})).structure() == structure
    }
    if not stackable:
        return
    runs = [(5, beside(name)), (5, beside(name, **stackable))]
    stacked, _ = trained(home(name), *runs, **options)
    for mine, (seed, techniques) in zip(stacked, runs, strict=True):
        assert_close(mine, alone(home(name), seed, techniques, **options), 1e-11)


@pytest.mark.parametrize("name", NEUTRAL_NUMBERS, scope="module")
def test_neutral_is_bit_equal_in_a_stack_of_other_numbers(name: str) -> None:
    """Numbers are tensors in a stack where they differ; neutral ones must be exact there too."""
    key, silent = NEUTRAL_NUMBERS[name], technique(name).neutral
    active = beside(name, **silent | {key: floats(name)[key]})
    ours, _ = trained(home(name), (0, neutral(name)), (0, active))
    plain, _ = trained(home(name), *[(0, mix(*before(name)))] * 2)  # a stack of two as well
    assert_nothing_changed(ours[0], plain[0])


@every_technique
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    node = dict(composed().regularizer[name])
    node.pop("search", None)
    for key, value in node.items():
        if type(value) in (int, float):
            # mypy takes the class for one of its instances
            allowed = declared(type(technique(name)))[key].allowed  # type: ignore[arg-type]
            below = allowed.low - 1 if isinstance(allowed, Range) else -1  # else `check` refuses it
            with pytest.raises(ConfigError, match=rf"^regularizer\.{name}\.{key}\b"):
                check_node(f"regularizer.{name}", {**node, key: below}, build=True)


@every_technique
def test_integers_stand_for_floats(name: str) -> None:
    """Only floats may differ across a stack, and YAML's 0 and 1 are integers."""
    for key in floats(name):
        for whole in (0, 1):
            try:
                other = replace(technique(name), **{key: whole})
            except ConfigError:
                continue  # out of range
            assert type(getattr(other, key)) is float


# --- saved and loaded ----------------------------------------------------------------------


@every_technique
def test_survives_save_and_load(name: str, tmp_path: Path) -> None:
    """Weights that are read back into a new network give the metrics that were reported."""
    runs = [(seed, beside(name, "dropout")) for seed in (0, 1)]
    results, _ = trained(home(name), *runs, way=AUTO)
    for (seed, techniques), result in zip(runs, results, strict=True):
        path = tmp_path / "last.pt"
        checkpoint.save(path, result.last)
        loaded = checkpoint.load(path)
        assert_same_tree(loaded, result.last)
        new = member(home(name), seed, techniques)
        new.model.load_state_dict(loaded["weights"])
        stack = Stack([new], EPOCHS, BATCH_SIZE)  # for techniques that average predictions
        stack.memory = loaded["memory"]
        state = stack.state() | loaded["weights"]
        scores = metrics(*stack.predict("test", state), new.data.task)
        assert float(scores["loss"]) == pytest.approx(result.metrics["test/loss"], rel=1e-5)


# --- files ---------------------------------------------------------------------------------


@cache
def composed(choice: str = f"[{','.join(NAMES)}]") -> Any:
    """The configuration of a choice of techniques; of all of them."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", [f"regularizer={choice}"])


def test_choices_of_techniques_fill_their_group_and_nothing_else() -> None:
    none = composed("none")
    assert none.regularizer == {}
    assert list(composed("[none,l1]").regularizer) == ["l1"]
    assert list(composed("[dropout,l1]").regularizer) == ["dropout", "l1"]  # as it is written
    assert list(composed().regularizer) == NAMES
    assert {**composed(), "regularizer": {}} == {**none, "regularizer": {}}


@every_technique
def test_yaml_says_where_it_goes_and_what_it_is(name: str) -> None:
    assert not {"_group_", "_name_"} & {f"_{part}_" for part in name.split("_")[1:-1]}, "Hydra's"
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == f"# @package regularizer.{name}"
    assert lines[1].startswith("# ")
    node = composed().regularizer[name]
    assert node["_target_"].startswith("regexp.regularizer.")
    fields = {field.name for field in dataclasses.fields(technique(name))}
    assert set(node) - {"_target_", "search"} == fields
    ranges = node.get("search", {})
    assert set(ranges) <= fields
    for key, text in flat(ranges):
        parsed = OverridesParser.create().parse_override(f"{key}={text}")
        assert parsed.is_sweep_override(), f"{key}: {text}"


@every_technique
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
