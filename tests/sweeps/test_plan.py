"""From configurations to runs, and from runs to stacks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from sklearn.preprocessing import StandardScaler
from torch import nn

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.config.schema import EARLIER_TRAINER
from regexp.dataset.base import Dataset, Table
from regexp.errors import ConfigError
from regexp.regularizer.base import Regularizer, blocks
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.sweeps import job as sweep_job
from regexp.sweeps import plan as planning
from regexp.sweeps.identity import DECIDES
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import from_resolved, plan
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.stacks import group_by_structure, stack_key
from regexp.sweeps.steppers import check_stepper
from regexp.tracking import Earlier
from regexp.training.device import device_of
from tests.support import tensor

SMALL = ("dataset.train_size=80", "model.hidden=[8]", "trainer.epochs=2", "trainer.batch_size=20")


SPLIT_BEFORE = ("dataset.resampling=independent", "dataset.test_rest=false")
"""How seeds split their data before they were balanced, and the rest of the rows was tested."""


def config(*overrides: str) -> DictConfig:
    return compose(parse([*SMALL, *overrides])[0]).jobs[0].config


def test_a_job_is_its_grid_times_its_seeds() -> None:
    runs = plan(
        config(
            "regularizer=[l1,dropout]", "seeds=3",
            "grid.regularizer.l1.strength=[1e-4,1e-3]", "grid.optimizer.lr=[0.1,0.2]",
        )
    )  # fmt: skip
    assert len(runs) == 12
    assert [run.seed for run in runs] == [0, 1, 2] * 4
    assert {run.technique for run in runs} == {"l1+dropout"}
    assert runs[3].name == "l1+dropout strength=0.0001, lr=0.2 seed=0"
    assert runs[3].config["regularizer"]["l1"]["strength"] == 1e-4
    assert runs[3].config["optimizer"]["lr"] == 0.2
    assert runs[3].config["seed"] == 0
    assert "grid" not in runs[3].config
    assert len({run.fingerprint for run in runs}) == 12


def test_a_run_is_the_same_whichever_seeds_are_planned_with_it() -> None:
    words = ["regularizer=[l1,dropout]", "dataset=iris", "dataset.train_size=null"]
    many = plan(config(*words, "seeds=[3,0,7]"))
    assert many == [plan(config(*words, f"seeds=[{seed}]"))[0] for seed in (3, 0, 7)]
    # as written by version 0.1, so that its runs are found
    one = many[0]
    decisive = {key: one.config[key] for key in DECIDES} | {
        "dataset": one.config["dataset"] | {"name": "iris"},
        "trainer": one.config["trainer"] | {"device": device_of("auto")},
    }
    text = json.dumps([3, decisive, one.checksum, one.code], sort_keys=True) + "l1dropout"
    assert one.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:32]


class Rates:
    """The rate of one epoch, for `LambdaLR`."""

    def __call__(self, epoch: int) -> float:
        return [1.0, 0.5][epoch]


# Torch takes these until the middle of a run, or until its first step.
REFUSED_LATE = [
    (("scheduler=one_cycle_lr", "scheduler.total_steps=7"), r"^scheduler.total_steps=7: .*8 times"),
    (
        (
            "scheduler=lambda_lr", "~scheduler.lr_lambda.warmup",
            "scheduler.lr_lambda._target_=tests.sweeps.test_plan.Rates",
        ),
        r"^scheduler: IndexError: ",
    ),
    (
        ("scheduler=one_cycle_lr", "scheduler.interval=epoch", "scheduler.total_steps=1"),
        r"^scheduler.total_steps=1: .*2 times",
    ),
    (
        ("+optimizer.capturable=true", "optimizer.fused=false", "trainer.device=cpu"),
        "^optimizer.capturable=true: .* a GPU alone.*trainer.device=cuda",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED_LATE)
def test_what_torch_refuses_in_the_middle_of_a_run_is_told_before(
    words: tuple[str, ...], message: str
) -> None:
    """Of eight steps in two epochs."""
    with pytest.raises(ConfigError, match=message):
        plan(config(*words))


def test_a_schedule_that_cannot_be_made_is_a_mistake_of_the_configuration() -> None:
    """As where a number is put into a schedule that has it not."""
    (run,) = plan(config("scheduler=step_lr"))
    scheduler = run.config["scheduler"] | {"warmup": 3}
    with pytest.raises(ConfigError, match=r"^scheduler.*: .*unexpected keyword argument 'warmup'"):
        check_stepper(run.config | {"scheduler": scheduler}, [(4, 4), (4, 4)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "WithFunction",
            "^scheduler.*'factor' in its `state_dict`.*holds a function.*leave it out",
        ),
        ("Warmup", "^scheduler.*'after' in its `state_dict`.*holds a ExponentialLR"),
        ("Bare", "^scheduler.*no attribute 'state_dict'"),
        ("WithoutRate", "^scheduler.*learning rate.*None.*expected a number"),
    ],
)
def test_own_schedulers_that_cannot_go_on_are_refused(name: str, message: str) -> None:
    (run,) = plan(config("scheduler=step_lr"))
    own = {"_target_": f"tests.sweeps.schedulers.{name}", "_partial_": True, "interval": "step"}
    with pytest.raises(ConfigError, match=message):
        check_stepper(run.config | {"scheduler": own}, [(4, 4), (4, 4)])
    numpys = own | {"_target_": "tests.sweeps.schedulers.NumpyCosine"}
    check_stepper(run.config | {"scheduler": numpys}, [(4, 4), (4, 4)])


def test_schedules_of_the_length_of_the_run_are_taken() -> None:
    for words in (["scheduler.total_steps=8"], ["scheduler.interval=epoch"], []):
        assert len(plan(config("scheduler=one_cycle_lr", *words))) == 1


def test_runs_have_the_advice_of_their_techniques() -> None:
    """Of their own numbers, and of the schedule that their optimizer would follow."""
    tail = "regularizer.swa.start"
    few = plan(config("regularizer=swa", "seeds=2", f"grid.{tail}=[0.9,0.0,1.0]"))
    assert [len(run.remarks) for run in few] == [1, 1, 0, 0, 0, 0]
    assert few[0].remarks[0].startswith("regularizer.swa: start=0.9 leaves 1 of 2 epochs")
    for schedule, told in [("cosine_annealing_lr", 1), ("swa_lr", 0), ("reduce_lr_on_plateau", 0)]:
        job = config("regularizer=swa", f"scheduler={schedule}", "trainer.epochs=40")
        (run,) = plan(job)
        assert len(run.remarks) == told, schedule
    (run,) = plan(config("regularizer=snapshot", "scheduler=cosine_annealing_warm_restarts",
                         "trainer.epochs=40"))  # fmt: skip
    assert "the learning rate has 4 cycles for 5 snapshots" in run.remarks[0]


def test_lengths_come_from_the_data() -> None:
    (run,) = plan(config("scheduler=one_cycle_lr", "trainer.batch_size=30"))
    assert run.config["lengths"] == {"epochs": 2, "steps_per_epoch": 3, "steps": 6}
    assert run.config["scheduler"]["total_steps"] == 6
    assert OmegaConf.create(run.config_yaml) == OmegaConf.create(run.config)


@dataclass(frozen=True, kw_only=True)
class Uneven(Dataset):
    """Rows of five groups of 30 to 70, which no two seeds can cut alike."""

    name: ClassVar[str] = "uneven"
    train_size: int | None = None
    split_seed: int | None = None
    label_noise: float = 0
    repeats: str = "together"

    def read(self, folder: Path) -> Table:
        groups = np.repeat(np.arange(5), (30, 40, 50, 60, 70))
        inputs = np.random.default_rng(0).normal(size=(250, 2))
        targets = inputs[:, :1]
        return Table(
            inputs, targets, ("a", "b"), (), "none", "the test", task="regression", groups=groups
        )

    def preprocessing(self, table: Table) -> StandardScaler:
        return StandardScaler()


def test_a_run_recorded_before_equal_rows_stayed_together_has_its_own_splits() -> None:
    """At seed 2 the two irises of equal measures were in training and test split."""
    asked = ("dataset=iris", "dataset.train_size=null", "seeds=[2]", *SPLIT_BEFORE)
    [apart] = plan(config(*asked, "dataset.repeats=apart"))
    [together] = plan(config(*asked))
    recorded = {
        key: value for key, value in apart.config["dataset"].items() if key not in Dataset.EARLIER
    }
    again = from_resolved(apart.config | {"dataset": recorded}, "data")
    assert again.config["dataset"] == apart.config["dataset"]
    before, now, new = (
        tensor(build_member(run).data.test.inputs) for run in (apart, again, together)
    )
    assert torch.equal(before, now)
    assert not torch.equal(before, new)


def test_a_run_recorded_before_balanced_splits_tests_the_rows_that_it_did() -> None:
    asked = ("dataset=iris", "dataset.train_size=30", "seeds=[2]")
    [before], [now] = plan(config(*asked, *SPLIT_BEFORE)), plan(config(*asked))
    later = ("resampling", "test_rest")
    recorded = {key: value for key, value in before.config["dataset"].items() if key not in later}
    again = from_resolved(before.config | {"dataset": recorded}, "data")
    assert again.fingerprint == before.fingerprint != now.fingerprint
    old, ours, new = (build_member(run).data.test for run in (before, again, now))
    assert torch.equal(tensor(old.inputs), tensor(ours.inputs))
    assert len(ours) == 30
    assert len(new) == 90


def test_a_recorded_table_without_later_settings_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text("a,y\n" + "".join(f"{row},{row % 2}\n" for row in range(50)))
    of = ("dataset=table", f"dataset.path={tmp_path}/made.csv", "dataset.target=y")
    [run] = plan(config(*of, "dataset.train_size=null", *SPLIT_BEFORE))
    recorded = {
        key: value for key, value in run.config["dataset"].items() if key not in Dataset.EARLIER
    }
    again = from_resolved(run.config | {"dataset": recorded}, "data")
    assert again.config["dataset"] == run.config["dataset"] | {"repeats": "apart"}


def test_a_run_recorded_before_losses_and_weights_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REGEXP_DATA", raising=False)
    of = ("dataset=iris", "dataset.train_size=null", "trainer.step=general", "seeds=[2]")
    [run] = plan(config(*of))
    trainer = {k: v for k, v in run.config["trainer"].items() if k not in EARLIER_TRAINER}
    assert {*run.config["trainer"]} - {*trainer} == {*EARLIER_TRAINER}
    again = from_resolved(run.config | {"trainer": trainer}, "data")
    assert again.config == run.config
    assert again.fingerprint == run.fingerprint


def test_weights_of_classes_are_one_run_however_they_are_written() -> None:
    of = ("dataset=digits", "dataset.train_size=64", "seeds=[2]")
    runs = [
        plan(config(*of, f"trainer.class_weight={text}"))[0]
        for text in ("{1: 2, 7: 3}", "{7: 3.0, 1: 2.0}", "{1: 2, 7: 4}")
    ]
    assert runs[0].fingerprint == runs[1].fingerprint != runs[2].fingerprint
    weights = build_member(runs[0]).objective.weights(build_member(runs[0]).data)
    assert weights is not None
    assert len(weights.unique()) == 3


def test_runs_of_other_losses_or_weights_do_not_share_a_stack() -> None:
    huber = "trainer.loss={_target_: torch.nn.CrossEntropyLoss, reduction: none}"
    asked = [(), ("trainer.class_weight=balanced",), (huber,)]
    runs = [plan(config("dataset=iris", "dataset.train_size=null", *one))[0] for one in asked]
    members = [build_member(run) for run in runs]
    assert len({stack_key(*pair) for pair in zip(runs, members, strict=True)}) == 3
    assert len({run.fingerprint for run in runs}) == 3


def test_lengths_are_those_of_each_seed_where_splits_differ_in_size() -> None:
    job = config("seeds=12", "scheduler=one_cycle_lr", "trainer.batch_size=4")
    job.dataset = {"_target_": f"{__name__}.Uneven", "validation": 0.2, "test": 0.2}
    rows = []
    for run in plan(job):
        rows.append(len(build_member(run).data.train))
        steps = rows[-1] // 4 + (rows[-1] % 4 > 1)
        assert run.config["lengths"] == {"epochs": 2, "steps_per_epoch": steps, "steps": 2 * steps}
        assert run.config["scheduler"]["total_steps"] == 2 * steps
    assert len(set(rows)) > 1, "the test shows nothing"


def test_lengths_follow_techniques_that_change_the_size_of_batches() -> None:
    growth = ("regularizer=batch_growth", "regularizer.batch_growth.every=1", "trainer.epochs=3")
    (run,) = plan(config("scheduler=one_cycle_lr", *growth))
    # 80 rows in batches of 20, 40 and 80
    assert run.config["lengths"] == {"epochs": 3, "steps_per_epoch": 4, "steps": 7}
    assert run.config["scheduler"]["total_steps"] == 7
    member = build_member(run)
    stack = Stack([member], 3, 20)
    assert stack.steps == 7
    sizes, ends = [], []
    for _ in range(3):
        for inputs, *_ in stack.batches():
            sizes.append(len(inputs))
            ends.append(stack.ends_epoch)
            stack.optimize()
        stack.end_epoch(torch.zeros(()))
    assert sizes == [20] * 4 + [40] * 2 + [80]
    assert ends == [False, False, False, True, False, True, True]


def test_the_range_to_tune_in_is_no_part_of_a_run() -> None:
    (run,) = plan(config("regularizer=l1"))
    assert "search" in config("regularizer=l1").regularizer.l1
    assert "search" not in run.config["regularizer"]["l1"]


def test_techniques_that_do_not_go_together_are_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"does not go .* a stopping rule"):
        config("regularizer=[early_stopping,prechelt]")
    with pytest.raises(ConfigError, match="brings soft targets"):
        config("regularizer=[mixup,focal_loss]")


@pytest.mark.parametrize(
    "override",
    ["trainer.epochs=3", "regularizer=l1", "optimizer.lr=0.5", "seeds=[7]", "dataset.train_size=60",
     "scheduler=step_lr", "stack=false", "model.activation=tanh"],
)  # fmt: skip
def test_whatever_decides_a_runs_bits_is_in_its_fingerprint(override: str) -> None:
    assert plan(config(override))[0].fingerprint != plan(config())[0].fingerprint


def test_where_it_is_recorded_is_not() -> None:
    elsewhere = config("paths.mlruns=other", "tracking.experiment=other", "debug=true", "seeds=2")
    assert plan(elsewhere)[0].fingerprint == plan(config())[0].fingerprint


def test_the_order_of_a_cocktail_is_in_the_fingerprint() -> None:
    one, other = plan(config("regularizer=[l1,l2]")), plan(config("regularizer=[l2,l1]"))
    assert one[0].fingerprint != other[0].fingerprint


def test_a_batch_larger_than_the_training_split_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer.batch_size=81: expected at most the 80 rows"):
        plan(config("trainer.batch_size=81"))


def test_a_technique_for_another_task_is_refused() -> None:
    job = config("regularizer=label_smoothing", "trainer.epochs=20", "optimizer.lr=0.02")
    job.dataset = {"_target_": f"{__name__}.Slope", "validation": 0.2, "test": 0.2}
    with pytest.raises(ConfigError, match=r"regularizer.label_smoothing: is for classification"):
        plan(job)
    job.regularizer = config("regularizer=l2").regularizer
    (outcome,) = train(job, Recorder())
    assert outcome.metrics["test/rmse"] < 0.9, "no better than the mean, whose error is 1"


def test_equal_seeds_are_paired_whatever_the_technique() -> None:
    members = [
        build_member(plan(config(f"regularizer={technique}"))[0])
        for technique in ("none", "[dropout,batch_norm]", "l1")
    ]
    reference = members[0]
    for member in members[1:]:
        assert torch.equal(tensor(member.data.train.inputs), tensor(reference.data.train.inputs))
        assert torch.equal(member.data.test.targets, reference.data.test.targets)
        own = dict(member.model.named_parameters())
        for name, value in reference.model.named_parameters():
            assert torch.equal(own[name], value), name
    other = build_member(plan(config("seeds=[1]"))[0])
    assert not torch.equal(tensor(other.data.train.inputs), tensor(reference.data.train.inputs))
    assert not torch.equal(next(other.model.parameters()), next(reference.model.parameters()))


def test_building_leaves_the_global_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    build_member(plan(config())[0])
    assert torch.equal(state, torch.random.get_rng_state())


def draws_when_made(outputs: int) -> nn.Module:
    rate = float(np.random.rand())  # noqa: NPY002
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs), nn.Dropout(rate))


def test_a_network_that_draws_from_numpy_when_it_is_made_is_refused() -> None:
    job = config(f"model._target_={__name__}.draws_when_made", "~model.hidden", "~model.activation")
    with pytest.raises(ConfigError, match="draws from NumPy's global random state when it is made"):
        build_member(plan(job)[0])


@dataclass(frozen=True, kw_only=True)
class Slope(Dataset):
    """A regression of the test's own."""

    name: ClassVar[str] = "slope"
    train_size: int | None = None
    split_seed: int | None = None
    label_noise: float = 0
    repeats: str = "together"

    def read(self, folder: Path) -> Table:
        inputs = np.random.default_rng(0).normal(size=(300, 2))
        targets = inputs[:, :1]
        return Table(inputs, targets, ("a", "b"), (), "none", "the test", task="regression")

    def preprocessing(self, table: Table) -> StandardScaler:
        return StandardScaler()


class OwnNetwork(nn.Module):
    """A user's module, with dropout of torch's and no slots."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.drop(self.first(x.flatten(1)).relu()))


class Branching(OwnNetwork):
    """A module whose way depends on its input, which `vmap` cannot follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if x.sum() > -1e9 else x.flatten(1)[:, :10]


def own(name: str, *overrides: str) -> DictConfig:
    """A job with a module of this file as its model, as a user would choose it by `_target_`."""
    job = config(*overrides)
    job.model = {"_target_": f"{__name__}.{name}", "width": 12}
    return job


class Recorder:
    """Stands in for the tracker and for the records of its runs, and remembers."""

    def __init__(self) -> None:
        self.id = "id"
        self.lost = False
        self.done: dict[str, Earlier] = {}
        self.curves: list[dict[str, float]] = []
        self.ends: list[tuple[str, str]] = []
        self.files: list[str] = []
        self.stack = ""
        self.texts: list[str] = []

    def tries(self, tags: dict[str, str], sweep_id: str | None = None) -> list[Earlier]:
        return [*self.done.values()]

    def reuse(self, sweep_id: str, run_ids: list[str]) -> None:
        assert not run_ids

    def start(self, sweep_id: str, **what: object) -> Recorder:
        return self

    def metrics(self, values: dict[str, float], step: int, time: int) -> None:
        self.curves.append(values)

    def tags(self, values: dict[str, object]) -> None:
        pass

    def summary(self, values: dict[str, float]) -> None:
        self.curves.append(values)

    def text(self, content: str, name: str) -> None:
        self.texts.append(name)

    def artifact(self, path, folder: str = "") -> None:
        assert path.stat().st_size > 0
        self.files.append(path.name)

    def finish(self, status: str, reason: str = "") -> None:
        self.ends.append((status, reason))


def train(config: DictConfig, recorder: Recorder) -> list[Outcome]:
    """Train the runs of a job."""
    return sweep_job.train(plan(config), config, recorder, "sweep")  # type: ignore[arg-type]


def test_a_users_module_trains_stacked_and_alone() -> None:
    stacked, alone = Recorder(), Recorder()
    one = train(own("OwnNetwork", "seeds=3"), stacked)
    other = train(own("OwnNetwork", "seeds=3", "stack=false"), alone)
    assert stacked.ends == alone.ends == [("FINISHED", "")] * 3
    assert (
        sorted(stacked.files)
        == ["best.pt"] * 3 + ["last.pt"] * 3 + ["model"] * 3 + ["test_outputs.npz"] * 3
    )
    assert stacked.texts == ["diagnostics.json"] * 3
    for ours, theirs in zip(one, other, strict=True):
        assert ours.metrics["test/loss"] == pytest.approx(theirs.metrics["test/loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("technique", "told"), [("logit_adjustment", 1), ("class_balanced_loss", 1), ("focal_loss", 0)]
)
def test_classes_that_are_balanced_twice_are_told_of(technique: str, told: int) -> None:
    words = ["dataset=iris", f"regularizer={technique}", "seeds=1"]
    for weights, expected in (("balanced", told), ("null", 0)):
        [job] = compose(parse([*words, f"trainer.class_weight={weights}"])[0]).jobs
        [run] = plan(job.config)
        assert sum("balances the classes as well" in line for line in run.remarks) == expected


def test_a_module_that_cannot_be_lifted_trains_alone_and_the_remark_says_why() -> None:
    runs = plan(own("Branching", "seeds=2"))
    [remark] = {run.remarks for run in runs}
    assert remark == (
        "Branching cannot train as a stack of runs (it decides by the values of tensors; numbers "
        "that differ from run to run are tensors too); "
        "its runs train one after another.",
    )
    asked = plan(own("Branching", "seeds=2", "stack=false"))
    assert not any(run.remarks for run in asked)
    assert [run.fingerprint for run in runs] == [run.fingerprint for run in asked]
    recorder = Recorder()
    outcomes = train(own("Branching", "seeds=2"), recorder)
    assert [outcome.status for outcome in outcomes] == ["FINISHED", "FINISHED"]
    assert recorder.ends == [("FINISHED", "")] * 2


class Late(OwnNetwork):
    """A module that fails after some batches."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        if self.calls > 3:
            raise KeyError("late")
        return super().forward(x)


def test_what_a_module_raises_in_training_is_its_runs_reason(capsys) -> None:
    recorder = Recorder()
    (outcome,) = train(own("Late", "debug=true", "trainer.batch_size=32"), recorder)
    assert outcome.reason.startswith("training raised KeyError: 'late'")
    assert recorder.ends == [("FAILED", outcome.reason)]
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [("Narrow", r"gives outputs of shape \[9\].*expected \[10\]"), ("Broken", "KeyError: 'boom'")],
)
def test_a_module_that_does_not_fit_ends_before_anything_is_written(
    name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"model: {name} .*{message}"):
        plan(own(name))


class Narrow(OwnNetwork):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :9]


class Broken(OwnNetwork):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("boom")


class Sloped(OwnNetwork):
    """A module with a number that its repr does not show."""

    def __init__(self, width: int, slope: float) -> None:
        super().__init__(width)
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.slope


def test_runs_whose_networks_differ_in_a_plain_number_do_not_share_a_stack() -> None:
    job = own("Sloped")
    job.model = {**job.model, "slope": 1.0}
    job.grid = {"model": {"slope": [0.5, 2.0]}}
    runs = plan(job)
    assert group_by_structure(runs, [build_member(run) for run in runs], stack=True) == [[0], [1]]


@dataclass(frozen=True)
class RandomLayer(Regularizer):
    """A technique that adds a layer with an initialisation of its own."""

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            block.dropout.append(nn.Linear(block.features, block.features))
        return model


def test_a_technique_leaves_what_another_draws_alone() -> None:
    def layers(*names: str) -> list[nn.Module]:
        job = config()
        job.regularizer = {name: {"_target_": f"{__name__}.RandomLayer"} for name in names}
        model = build_member(plan(job)[0]).model
        return list(next(iter(blocks(model).values())).dropout)

    (alone,), both = layers("b"), layers("a", "b")
    assert torch.equal(alone.weight, both[1].weight)  # type: ignore[arg-type]
    assert not torch.equal(both[0].weight, both[1].weight)  # type: ignore[arg-type]


def test_a_technique_without_a_place_for_its_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"OwnNetwork has no hidden regexp.model.layers.Block"):
        train(own("OwnNetwork", "regularizer=batch_norm"), Recorder())


def test_a_model_that_does_not_fit_the_data_is_refused() -> None:
    job = config("dataset=breast_cancer", "model=cnn", "model.hidden=8")
    with pytest.raises(ConfigError, match="cnn expects images"):
        train(job, Recorder())
    job = own("OwnNetwork")
    job.dataset = config("dataset=breast_cancer").dataset
    with pytest.raises(ConfigError, match="cannot take the rows of breast_cancer"):
        train(job, Recorder())


def test_finished_runs_are_skipped() -> None:
    job, recorder = config("seeds=3"), Recorder()
    runs = plan(job)
    finished = Earlier(
        "id",
        runs[1].fingerprint,
        "FINISHED",
        "",
        ended=True,
        arithmetic="",
        metrics={},
        sweep_id="sweep",
        sweeps=frozenset({"sweep"}),
    )
    recorder.done = {finished.fingerprint: finished}
    outcomes = train(job, recorder)
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
    assert outcomes[1].metrics == {}
    assert len(recorder.ends) == 2


def test_runs_of_different_structure_are_trained_in_stacks_of_their_own() -> None:
    runs = plan(config("seeds=2", "grid.dataset.train_size=[60,80]", "grid.optimizer.lr=[0.1,0.2]"))
    members = [build_member(run) for run in runs]
    assert group_by_structure(runs, members, stack=True) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert group_by_structure(runs, members, stack=False) == [[index] for index in range(8)]
    runs = plan(config("grid.trainer.batch_size=[20,40]"))
    assert len(group_by_structure(runs, [build_member(run) for run in runs], stack=True)) == 2


@pytest.mark.parametrize("place", ["rows.csv", "tables/rows.csv"])
def test_a_file_that_is_elsewhere_now_is_found_in_the_folder_of_data(
    tmp_path: Path, place: str
) -> None:
    there, here = tmp_path / "there" / "tables" / "rows.csv", tmp_path / "here" / place
    there.parent.mkdir(parents=True)
    rows = [f"{at % 7},{at % 5},{'ab'[at % 2]}" for at in range(60)]
    there.write_text("\n".join(["one,two,kind", *rows]) + "\n")
    one = config("dataset=table", f"dataset.path={there}", "dataset.target=kind",
                 "dataset.train_size=null")  # fmt: skip
    [run] = plan(one)
    here.parent.mkdir(parents=True)
    there.rename(here)
    again = from_resolved(run.config, str(tmp_path / "here"))
    assert (again.fingerprint, again.checksum) == (run.fingerprint, run.checksum)
    assert again.source == str(here)
    with pytest.raises(ConfigError, match=r"no 'rows.csv' in .* nor in .*nowhere"):
        from_resolved(run.config, str(tmp_path / "nowhere"))


# --- many jobs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "built"),
    [
        (["optimizer.lr=1e-3,1e-2,1e-1"], 1),
        (["optimizer=adam,sgd"], 2),
        (["regularizer=l1", "regularizer.l1.strength=1e-3,1e-2"], 2),
        (["model.hidden=[3],[4]"], 2),
    ],
)
def test_what_fits_together_is_built_once_for_jobs_that_differ_in_rates(
    words: list[str], built: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And planning leaves a configuration as it was, its lengths open."""
    made: list[int] = []

    def noting(run: PlannedRun) -> Member:
        made.append(run.seed)
        return build_member(run)

    monkeypatch.setattr(planning, "build_member", noting)
    jobs = compose(parse(["-m", "dataset=iris", "seeds=2", *words])[0]).jobs
    before = [OmegaConf.to_yaml(job.config) for job in jobs]
    planned, _ = planning.plan_all(jobs)
    assert len(made) == built
    assert [OmegaConf.to_yaml(job.config) for job in jobs] == before
    assert "steps: ???" in before[0]
    assert all(len(runs) == 2 for runs in planned)
