"""A loop of the user's own against the loop of the project: the same weights, to the bit."""

from __future__ import annotations

import copy
import io
import math
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from regexp.errors import ConfigError, NotApplicable
from regexp.model.cnn import CNN
from regexp.model.layers import Block, Inputs
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng, derive
from regexp.regularizer.base import (
    Memory,
    PenaltyView,
    PredictionView,
    Regularizer,
    Step,
    TrainingSplit,
)
from regexp.regularizer.batch_norm import BatchNorm
from regexp.regularizer.dropout import Dropout
from regexp.regularizer.early_stopping import EarlyStopping
from regexp.regularizer.ema import EMA
from regexp.regularizer.l1 import L1
from regexp.regularizer.mixup import Mixup
from regexp.regularizer.sam import SAM
from regexp.regularizer.snapshot import Snapshot
from regexp.regularizer.weight_decay import WeightDecay
from regexp.stack.stack import Stack
from regexp.training.own_loop import Regularized
from tests.support import ADAM, NAMES, make_data, make_member, run, technique, tensor

COCKTAILS = {
    "penalty and batch": {"l1": L1(strength=1e-3, include="weights"), "mixup": Mixup(alpha=0.2)},
    "layers and gradient": {
        "dropout": Dropout(hidden=0.3, inputs=0.1), "batch_norm": BatchNorm(momentum=0.1, eps=1e-5),
        "sam": SAM(rho=0.05),
    },
    "memory": {
        "ema": EMA(decay=0.9), "batch_norm": BatchNorm(momentum=0.1, eps=1e-5),
        "early_stopping": EarlyStopping(
            patience=2, min_delta=0.0, start_from_epoch=0, restore_best=True
        ),
    },
}  # fmt: skip


def mlp(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        return MLP((5,), 3, [8, 8], "relu")


def batches(count: int = 5) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of 16 rows of five numbers in three classes."""
    draws = torch.Generator().manual_seed(0)
    return [
        (torch.randn(16, 5, generator=draws), torch.randint(3, (16,), generator=draws))
        for _ in range(count)
    ]


def plain(frozen: bool = False) -> nn.Sequential:
    """A head on one hidden layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].requires_grad_(not frozen)
    return model


def regularized(model: nn.Module, techniques: dict[str, Any], **options: Any) -> Regularized:
    """By Adam on rows of five numbers in three classes, for one epoch of one step."""
    given = {"example": torch.zeros(1, 5), "classes": 3, "epochs": 1, "steps_per_epoch": 1}
    return Regularized(model, techniques, **{"optimizer": ADAM, **given, **options})


def test_what_is_no_dict_of_techniques_and_no_maker_is_told() -> None:
    model = mlp()
    with pytest.raises(
        ValueError, match=r"techniques: expected a dict of them by name.+got a list"
    ):
        regularized(model, [technique("l1")])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"optimizer: give what makes one.+got a Adam"):
        regularized(model, {}, optimizer=torch.optim.Adam(model.parameters()))


@pytest.mark.parametrize("techniques", COCKTAILS.values(), ids=COCKTAILS)
def test_same_bits_as_a_run(techniques):
    data, epochs, batch_size = make_data(), 12, 32
    ((result,), _) = run([make_member(0, techniques)], epochs, batch_size)
    batches = Stack([make_member(0, {})], epochs, batch_size)  # the run's order of rows
    ours = regularized(mlp(), techniques, epochs=epochs, steps_per_epoch=3)
    for _ in range(epochs):
        for inputs, targets, *_ in batches.batches():
            ours.train_batch(inputs, targets)
        batches.epoch += 1
        order = Rng(0, "statistics").permutation(90)
        chunks = tensor(data.train.inputs)[order].split(batch_size)
        ours.end_epoch(tensor(data.validation.inputs), data.validation.targets, chunks)
        if ours.stopped:
            break
    assert ours.epoch == result.epochs
    model = ours.finish(chunks)
    assert_close(dict(model.state_dict()), result.last["weights"], rtol=0, atol=0)
    with torch.no_grad():
        outputs = model(tensor(data.test.inputs))
    accuracy = (outputs.argmax(1) == data.test.targets).double().mean()
    assert float(accuracy) == pytest.approx(result.metrics["test/accuracy"], abs=1e-6)


def test_snapshots_of_averages_are_those_of_a_run():
    """With statistics of the batches that were given last."""
    data, norm = make_data(), BatchNorm(momentum=0.1, eps=1e-5)
    techniques = {"norm": norm, "ema": EMA(decay=0.9), "snapshot": Snapshot(snapshots=2)}
    ((result,), _) = run([make_member(0, techniques)], 4, 32)
    batches = Stack([make_member(0, {})], 4, 32)
    ours = regularized(mlp(), techniques, epochs=4, steps_per_epoch=3)
    chunks = tensor(data.train.inputs)[Rng(0, "statistics").permutation(90)].split(32)
    for _ in range(4):
        for inputs, targets, *_ in batches.batches():
            ours.train_batch(inputs, targets)
        batches.epoch += 1
        ours.end_epoch(tensor(data.validation.inputs), data.validation.targets, chunks)
    assert len(ours.memory["snapshot"]) == 2
    assert_close(ours.memory["snapshot"], result.last["memory"]["snapshot"], rtol=0, atol=0)
    loss = nn.functional.cross_entropy(ours.predict(tensor(data.test.inputs)), data.test.targets)
    assert float(loss) == pytest.approx(result.metrics["test/loss"], rel=1e-6)


def test_tells_of_numbers_that_do_not_suit_the_run():
    [line] = regularized(mlp(), {"mean": EMA(decay=0.9)}, epochs=3, steps_per_epoch=3).advice
    assert line.startswith("regularizer.mean: decay=0.9 would average over 10 steps")
    assert not regularized(mlp(), {"mean": EMA(decay=0.9)}, epochs=4, steps_per_epoch=3).advice


def test_tells_of_several_learning_rates_of_which_techniques_know_the_first() -> None:
    def two(rate: float, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        first, *rest = parameters
        groups: list[dict[str, Any]] = [{"params": [first], "lr": rate}, {"params": rest}]
        return torch.optim.SGD(groups, lr=0.1)

    techniques = {"weight_decay": WeightDecay(strength=0.1, mode="decoupled", include="weights")}
    [line] = regularized(mlp(), techniques, optimizer=partial(two, 0.01)).advice
    assert line.startswith("optimizer: its groups of parameters have several learning rates")
    assert not regularized(mlp(), techniques, optimizer=partial(two, 0.1)).advice
    assert not regularized(mlp(), {}, optimizer=partial(two, 0.01)).advice


def test_a_plain_loop_by_hand():
    """Without techniques it is what anybody would write."""
    data, model = make_data(), mlp()
    other = copy.deepcopy(model)
    sgd = partial(torch.optim.SGD, lr=0.1)
    ours = regularized(model, {}, optimizer=sgd, epochs=2, steps_per_epoch=2)
    optimizer = sgd(other.parameters())
    for _ in range(2):
        for part in (slice(0, 45), slice(45, 90)):
            loss = ours.train_batch(tensor(data.train.inputs)[part], data.train.targets[part])
            optimizer.zero_grad()
            by_hand = nn.functional.cross_entropy(
                other(tensor(data.train.inputs)[part]), data.train.targets[part]
            )
            by_hand.backward()
            optimizer.step()
            assert_close(loss, by_hand.detach())
    assert_close(list(ours.model.parameters()), list(other.parameters()), rtol=0, atol=0)


def test_a_model_of_the_users_own_with_slots():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inputs = Inputs()
            self.hidden = Block(nn.Linear(5, 7), nn.ReLU())
            self.output = nn.Linear(7, 3)

        def forward(self, x):
            return self.output(self.hidden(self.inputs(x)))

    data = make_data()
    ours = regularized(Net(), {"dropout": Dropout(hidden=0.5, inputs=None)})
    first = ours.train_batch(tensor(data.train.inputs), data.train.targets)
    scores = ours.end_epoch(tensor(data.validation.inputs), data.validation.targets)
    assert first.isfinite()
    assert set(scores) == {"loss", "accuracy"}
    assert torch.equal(
        ours.predict(tensor(data.test.inputs)), ours.predict(tensor(data.test.inputs))
    )


def test_says_what_a_technique_misses():
    with pytest.raises(NotApplicable, match="Block"):
        regularized(nn.Linear(5, 3), {"dropout": Dropout(hidden=0.5, inputs=None)})


def test_predicts_with_what_the_run_ended_with():
    data, batches = make_data(), [tensor(make_data().train.inputs)]
    techniques = {"ema": EMA(decay=0.5), "batch_norm": BatchNorm(momentum=0.1, eps=1e-5)}
    ours = regularized(mlp(), techniques, steps_per_epoch=3)
    for first in (0, 30, 60):
        part = slice(first, first + 30)
        ours.train_batch(batches[0][part], data.train.targets[part])
    ours.end_epoch(tensor(data.validation.inputs), data.validation.targets, batches)
    model, test = ours.finish(batches), tensor(data.test.inputs)
    with torch.no_grad():
        assert torch.equal(ours.predict(test), model(test))
    assert not model.training


def test_says_that_averages_lack_statistics_of_their_own():
    data = make_data()
    techniques = {"ema": EMA(decay=0.5), "batch_norm": BatchNorm(momentum=0.1, eps=1e-5)}
    ours = regularized(mlp(), techniques, steps_per_epoch=3)
    for part in torch.arange(90).split(30):
        ours.train_batch(tensor(data.train.inputs)[part], data.train.targets[part])
    with pytest.warns(UserWarning, match=r"running statistics .* end_epoch .* \(batches=\)"):
        ours.end_epoch(tensor(data.validation.inputs), data.validation.targets)


@pytest.mark.parametrize("techniques", [{}, {"mixup": Mixup(alpha=0.2)}])
def test_classes_out_of_range_are_refused(techniques):
    ours = regularized(mlp(), techniques)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=rf"expected classes 0 to 2, got .*{wrong}"):
            ours.train_batch(torch.randn(4, 5), torch.tensor([0, 1, wrong, 0]))


def test_values_without_a_second_axis_are_refused():
    ours = regularized(nn.Linear(5, 1), {}, classes=0)
    with pytest.raises(ValueError, match=r"targets\.unsqueeze\(1\)"):
        ours.train_batch(torch.zeros(4, 5), torch.zeros(4))
    with pytest.raises(ValueError, match="steps_per_epoch=1: this epoch had 0"):
        ours.end_epoch(torch.zeros(4, 5), torch.zeros(4, 1))


DRAWS = {
    "Python": random.random,
    "NumPy": np.random.rand,
    "torch": lambda: float(torch.rand(())),
}


@pytest.mark.parametrize("whose", DRAWS)
def test_a_technique_that_draws_from_a_global_state_is_refused(whose, monkeypatch):
    ours = regularized(mlp(), {"mixup": Mixup(alpha=0.2)})
    draw, plain = DRAWS[whose], Mixup.batch

    def batch(self, step, batch):
        return plain(self, step, batch._replace(inputs=batch.inputs * draw()))

    monkeypatch.setattr(Mixup, "batch", batch)
    data = make_data()
    with pytest.raises(ConfigError, match=f"{whose}'s global random state.*step.rng"):
        ours.train_batch(tensor(data.train.inputs), data.train.targets)


class Words(nn.Module):
    """Reads numbers of words."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.output = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.table(x).mean(1))


WORDS, CLASSES = torch.arange(60).view(10, 6) % 20, torch.arange(10) % 3


@pytest.mark.parametrize("name", ["none", "sam", "ema", "swag", "weight_noise"])
def test_words_are_predicted_as_the_model_does(name):
    techniques = {} if name == "none" else {name: technique(name)}
    ours = regularized(Words(), techniques, example=WORDS[:1])
    ours.train_batch(WORDS, CLASSES)
    loss = ours.end_epoch(WORDS, CLASSES)["loss"]
    model = ours.finish()
    with torch.no_grad():
        outputs = model(WORDS)
    if name != "swag":  # which predicts by other weights too
        assert_close(ours.predict(WORDS), outputs)
        assert loss == pytest.approx(float(nn.functional.cross_entropy(outputs, CLASSES)), rel=1e-5)
    assert ours.predict(WORDS).is_floating_point()


def test_words_are_not_mixed():
    ours = regularized(Words(), {"mixup": Mixup(alpha=0.2)}, example=WORDS[:1])
    with pytest.raises(NotApplicable, match=r"int64 cannot be mixed; take manifold_mixup"):
        ours.train_batch(WORDS, CLASSES)


def test_layers_are_of_the_models_type():
    data = make_data()
    ours = regularized(mlp().double(), {"batch_norm": BatchNorm(momentum=0.1, eps=1e-5)})
    assert ours.train_batch(tensor(data.train.inputs).double(), data.train.targets).isfinite()


# Shapes of a row, and networks of everyday parts.
PLACES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "table": ((5,), lambda: MLP((5,), 3, [6], "relu")),
    "deep": ((5,), lambda: MLP((5,), 3, [6, 6], "relu")),
    "selu": ((5,), lambda: MLP((5,), 3, [6], "selu")),
    "residual": ((5,), lambda: ResNetMLP((5,), 3, width=6, hidden=8, depth=2, activation="relu")),
    "images": ((1, 8, 8), lambda: CNN((1, 8, 8), 3, [4], 6, "relu")),
    "series": ((6, 2), lambda: RecurrentNetwork((6, 2), 3, "lstm", [4], [], "relu")),
}  # fmt: skip


def started(name: str) -> tuple[Regularized, tuple[int, ...]] | str:
    """A run with the technique where it applies and its shape of rows, or why there can be none."""
    own = {name: technique(name)}
    dropout = Dropout(hidden=0.5, inputs=None)
    both = {"dropout": dropout, "input_noise": technique("input_noise")}
    for before in ({}, {"dropout": dropout}, both):
        for shape, model in PLACES.values():
            try:
                example = torch.zeros(1, *shape)
                options = {"example": example, "epochs": 2, "steps_per_epoch": 2}
                if "classification" not in own[name].tasks:
                    options["classes"] = 0
                if own[name].uses_rows:
                    options["split"] = TrainingSplit(90, torch.full((3,), 30.0).double())
                return regularized(model(), before | own, **options), shape
            except NotApplicable:
                continue
            except ValueError as error:
                return str(error)
    raise AssertionError(f"{name} applies nowhere")


def test_techniques_that_look_at_rows_are_given_them() -> None:
    own = {"elr": technique("elr")}
    with pytest.raises(ValueError, match=r"give split=TrainingSplit\(rows, class_counts\)"):
        regularized(MLP((5,), 3, [6], "relu"), own)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_counts_of_classes_may_be_of_any_kind(kind: Any) -> None:
    data = make_data()
    losses, model = [], MLP((5,), 3, [6], "relu")
    for counts in (torch.tensor([30.0, 40, 20]).double(), kind([30, 40, 20])):
        split = TrainingSplit(90, counts)
        own = {"logit_adjustment": technique("logit_adjustment")}
        ours = regularized(copy.deepcopy(model), own, split=split)
        losses.append(ours.train_batch(tensor(data.train.inputs), data.train.targets))
    assert torch.equal(*losses)
    with pytest.raises(ValueError, match=r"class_counts \[classes\], got \[1, 3\]"):
        regularized(MLP((5,), 3, [6], "relu"), own, split=TrainingSplit(90, kind([[30, 40, 20]])))


@pytest.mark.parametrize("second", ["lookahead", "layerwise_lr_decay", "cautious_updates"])
def test_a_parameter_of_no_dimension_keeps_its_type_beside_numbers_of_the_step(second: str) -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(5, 3)
            self.hidden, self.scale = nn.Linear(5, 5), nn.Parameter(torch.tensor(2.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.hidden(x).relu()) * self.scale

    decay = technique("weight_decay", strength={"from": 0.1, "to": 0.0}, include="all")
    techniques = {"weight_decay": decay, second: technique(second)}
    model = Scaled()
    ours = regularized(model, techniques)
    for x, y in batches():
        ours.train_batch(x, y)
    assert model.scale.dtype == torch.float32
    assert 0 < model.scale.item() != 2


@pytest.mark.parametrize("kind", [tuple, np.array])
def test_what_is_no_tensor_is_told(kind: Any) -> None:
    rows = [[0.0] * 5, [1.0] * 5]
    with pytest.raises(
        ValueError, match=f"example: expected a tensor .* got .*{kind.__name__[:5]}"
    ):
        Regularized(
            MLP((5,), 3, [6], "relu"), {}, lambda parameters: torch.optim.SGD(parameters, lr=0.1),
            example=kind(rows), classes=3, epochs=1, steps_per_epoch=1,
        )  # fmt: skip
    ours = regularized(MLP((5,), 3, [6], "relu"), {})
    with pytest.raises(ValueError, match=r"inputs: expected a tensor .* of several inputs by"):
        ours.train_batch(kind(rows), torch.tensor([0, 1]))


def test_rows_that_nobody_tells_are_asked_for() -> None:
    split = TrainingSplit(90, torch.full((3,), 30.0).double())
    ours = regularized(MLP((5,), 3, [6], "relu"), {"elr": technique("elr")}, split=split)
    data = make_data()
    with pytest.raises(NotApplicable, match=r"give train_batch\(..., rows=numbers\)"):
        ours.train_batch(tensor(data.train.inputs), data.train.targets)


@pytest.mark.parametrize(
    ("layers", "classes", "expected"),
    [
        ([nn.Linear(5, 3)], 10, r"gives outputs of shape \[3\] for a row; expected \[10\]"),
        ([nn.Linear(5, 1), nn.Flatten(0)], 0, r"outputs of shape \[\] for a row; expected \[outp"),
        ([nn.Linear(5, 9), nn.Unflatten(1, (3, 3))], 3, r"outputs of shape \[3, 3\] for a row"),
        ([nn.Flatten()], 5, "has no parameters"),
    ],
    ids=["classes", "squeezed", "words", "nothing"],
)
def test_outputs_that_targets_would_be_spread_over_are_refused(
    layers: list[nn.Module], classes: int, expected: str
) -> None:
    """Losses of such shapes are broadcast, and train something else without a word."""
    with pytest.raises(ValueError, match=f"^model: .*{expected}"):
        regularized(nn.Sequential(*layers), {}, classes=classes)


@pytest.mark.parametrize(
    ("classes", "targets", "expected"),
    [
        (0, torch.zeros(4, 1), r"expected values \[4, 3\].* got \[4, 1\]"),
        (0, torch.zeros(2, 3), r"expected values \[4, 3\].* got \[2, 3\]"),
        (0, torch.zeros(4, 3, dtype=torch.int64), r"expected values .* got torch.int64 \[4, 3\]"),
        (3, torch.zeros(4), r"expected classes, torch.int64 \[4\], got torch.float32 \[4\]"),
        (
            3,
            torch.zeros(4, dtype=torch.int32),
            r"expected classes, torch.int64 \[4\], got torch.int32",
        ),
        (3, torch.zeros(4, 1, dtype=torch.int64), r"expected classes, .* got torch.int64 \[4, 1\]"),
    ],
)
def test_targets_of_another_shape_or_type_are_refused(
    classes: int, targets: torch.Tensor, expected: str
) -> None:
    ours = regularized(nn.Linear(5, 3), {}, classes=classes)
    with pytest.raises(ValueError, match=f"^targets: {expected}"):
        ours.train_batch(torch.zeros(4, 5), targets)


def test_a_loss_of_the_mean_of_rows_is_refused() -> None:
    expected = r"^loss: expected the loss of each row, of shape \[6\] for 6 rows, got \[\]"
    with pytest.raises(ValueError, match=expected):
        regularized(mlp(), {}, loss=nn.CrossEntropyLoss())
    ours = regularized(nn.Linear(5, 1), {}, classes=0, loss=nn.MSELoss())
    with pytest.raises(ValueError, match=expected):
        ours.train_batch(torch.zeros(4, 5), torch.zeros(4, 1))


def test_a_loss_in_which_rows_meet_is_refused() -> None:
    """Values [rows, 1] against outputs [rows] are differences of all rows with all others."""
    ours = regularized(nn.Linear(5, 1), {}, classes=0, loss=lambda o, t: (o[:, 0] - t).square())
    with pytest.raises(ValueError, match=r"^loss: the loss of a row differs with the rows beside"):
        ours.train_batch(torch.randn(8, 5), torch.randn(8, 1))


def test_a_loss_that_is_written_for_classes_is_given_classes() -> None:
    """Whatever techniques make of the batch; those that soften targets are refused."""
    seen = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets.dtype)
        return -outputs.log_softmax(-1)[torch.arange(len(outputs)), targets]

    draws = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(16, 5, generator=draws), torch.arange(16) % 3
    ends = []
    for given in (loss, None):
        run = regularized(mlp(), {"input_noise": technique("input_noise")}, loss=given)
        run.train_batch(inputs, targets)
        ends.append(run.end_epoch(inputs, targets)["loss"])
    assert ends[0] == pytest.approx(ends[1])
    assert seen[-1] == torch.int64
    with pytest.raises(ValueError, match=r"mixup: makes probabilities of classes, which the loss"):
        regularized(mlp(), {"mixup": technique("mixup")}, loss=loss)


def test_hooks_of_another_shape_name_their_technique() -> None:
    class ByRow(Regularizer, kind="penalty"):
        def penalty(self, step: Step, view: PenaltyView) -> torch.Tensor:
            return view.outputs.square().mean(-1)

    class NoMembers(Regularizer, kind="ensemble"):
        def predict(self, memory: Memory, view: PredictionView) -> torch.Tensor:
            return view.network(view.inputs)

    inputs, targets = batches(1)[0]
    run = regularized(mlp(), {"mine": ByRow()})
    message = r"^regularizer\.mine: its penalty has the shape \[16\], expected one number; take the"
    with pytest.raises(ConfigError, match=message):
        run.train_batch(inputs, targets)
    run = regularized(mlp(), {"mine": NoMembers()})
    run.train_batch(inputs, targets)
    message = r"^regularizer\.mine: its predict gives outputs of shape \[16, 3\], expected \[mem"
    with pytest.raises(ConfigError, match=message):
        run.end_epoch(inputs, targets)


def test_parameters_of_several_types_are_refused() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3).double())
    with pytest.raises(ValueError, match=r"^model: .* of torch.float32 and torch.float64; .*one"):
        regularized(model, {})


def test_a_network_that_is_spread_over_devices_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model: .* one device, got DataParallel; .*model\.mod"):
        regularized(nn.DataParallel(mlp()), {})


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_weights_that_hooks_compute_are_refused(kind: str) -> None:
    model = nn.Sequential(getattr(nn.utils, kind)(nn.Linear(5, 4)), nn.Linear(4, 3))
    model(torch.randn(6, 5))
    message = rf"^model: 0 has its weight by torch.nn.utils.{kind}, .*parametrizations.{kind}"
    with pytest.raises(ValueError, match=message):
        regularized(model, {})
    made = getattr(nn.utils.parametrizations, kind)(nn.Linear(5, 3))
    ours = regularized(made, {})
    assert ours.train_batch(torch.randn(6, 5), torch.arange(6) % 3).isfinite()


def test_an_optimizer_whose_step_needs_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^optimizer: the step of LBFGS needs a closure"):
        regularized(mlp(), {}, optimizer=torch.optim.LBFGS)


def test_probabilities_of_classes_are_trained_on() -> None:
    """As a loader makes them that mixes rows; to evaluate by, there have to be classes."""
    model, chances = mlp(), torch.randn(4, 3).softmax(1)
    inputs = torch.randn(4, 5)
    expected = nn.functional.cross_entropy(model(inputs), chances)
    ours = regularized(model, {})
    assert_close(ours.train_batch(inputs, chances), expected.detach())
    with pytest.raises(ValueError, match=r"expected classes, .* got torch.float32 \[4, 3\]"):
        ours.end_epoch(inputs, chances)


RESUMED = {
    **COCKTAILS,
    "averages": {"swa": technique("swa", start=0.5)},
    "swag": {"swag": technique("swag", start=0.5)},
    "snapshots": {"ema": EMA(decay=0.9), "snapshot": Snapshot(snapshots=2)},
    "slow weights": {"lookahead": technique("lookahead"), "mixup": Mixup(alpha=0.2)},
    "scheduled": {
        "dropout": technique("dropout", hidden={"from": 0.0, "to": 0.5}),
        "gradient_noise": technique("gradient_noise"),
    },
}


class Loop:
    """A loop of a user's, with a schedule, that may be left and gone on with after any step."""

    def __init__(self, techniques: dict[str, Any], data: Any) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            first = nn.Sequential(Inputs(), Block(nn.Linear(5, 8), nn.ReLU()), nn.Dropout(0.2))
            model = nn.Sequential(first, nn.BatchNorm1d(8), nn.Linear(8, 3))
        self.run = regularized(model, techniques, epochs=4, steps_per_epoch=3)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.run.optimizer, 1, 0.7)
        self.data = data
        self.inputs = tensor(data.train.inputs)
        self.told: list[Any] = []

    def train(self, first: int, last: int) -> None:
        """Make the steps from `first` to before `last` of the run's twelve."""
        validation = tensor(self.data.validation.inputs), self.data.validation.targets
        for step in range(first, last):
            order = torch.randperm(90, generator=torch.Generator().manual_seed(step // 3))
            part = order.split(30)[step % 3]
            loss = self.run.train_batch(self.inputs[part], self.data.train.targets[part])
            self.told.append(float(loss))
            if step % 3 == 2:
                self.told.append(self.run.end_epoch(*validation, self.inputs.split(30)))
                self.schedule.step()

    def saved(self) -> io.BytesIO:
        file = io.BytesIO()
        torch.save({"run": self.run.state_dict(), "schedule": self.schedule.state_dict()}, file)
        file.seek(0)
        return file

    def resume(self, file: io.BytesIO) -> None:
        content = torch.load(file)  # executes nothing
        self.run.load_state_dict(content["run"], self.inputs.split(30))
        self.schedule.load_state_dict(content["schedule"])


@pytest.mark.parametrize("step", [3, 7])
@pytest.mark.parametrize("techniques", RESUMED.values(), ids=RESUMED)
def test_a_resumed_loop_makes_the_same_bits(techniques: dict[str, Any], step: int) -> None:
    """After an epoch, and in the middle of one."""
    data = make_data()
    whole, before, after = (Loop(techniques, data) for _ in range(3))
    whole.train(0, step)
    before.train(0, step)
    file = before.saved()
    before.train(step, 12)  # what was saved stays as it was
    after.resume(file)
    test = tensor(data.test.inputs)
    assert torch.equal(after.run.predict(test), whole.run.predict(test))
    whole.told.clear()
    whole.train(step, 12)
    after.train(step, 12)
    assert after.told == whole.told
    for one, other in (
        (after.run.memory, whole.run.memory),
        (after.run.model.state_dict(), whole.run.model.state_dict()),
        (after.run.optimizer.state_dict(), whole.run.optimizer.state_dict()),
    ):
        assert_close(one, other, rtol=0, atol=0)
    assert (after.run.epoch, after.run.stopped) == (whole.run.epoch, whole.run.stopped)
    batches = whole.inputs.split(30)
    ends = whole.run.finish(batches).state_dict(), after.run.finish(batches).state_dict()
    assert_close(*ends, rtol=0, atol=0)


def test_a_resumed_loop_keeps_the_types_of_its_optimizer() -> None:
    """NAdam's product of momenta is in single precision beside parameters in double."""
    whole, after = (
        regularized(mlp().double(), {}, optimizer=partial(torch.optim.NAdam, lr=0.01),
                    example=torch.zeros(1, 5, dtype=torch.float64), steps_per_epoch=5)
        for _ in range(2)
    )  # fmt: skip
    for step, (inputs, targets) in enumerate(batches()):
        if step == 2:
            after.load_state_dict(whole.state_dict())
        for one in (whole, after) if step >= 2 else (whole,):
            one.train_batch(inputs.double(), targets)
    ends = [(one.model.state_dict(), one.optimizer.state_dict()) for one in (whole, after)]
    assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_technique_trains_in_a_loop_of_ones_own_and_goes_on_from_its_state(
    name: str,
) -> None:
    """Of a network with other initial weights, after three steps of four."""
    if isinstance(found := started(name), str):
        assert "changes the size of batches" in found or "other initial weights" in found
        pytest.skip(found)
    ours, shape = found
    again = started(name)
    assert not isinstance(again, str)
    data = make_data(shape=shape, task=ours.task)
    inputs, targets = tensor(data.train.inputs), data.train.targets
    validation = tensor(data.validation.inputs), data.validation.targets
    if ours.task == "regression":  # as many values as the networks have outputs
        targets, validation = targets.expand(-1, 3), (validation[0], validation[1].expand(-1, 3))

    def train(run: Regularized, parts: list[int]) -> float:
        for part in parts:
            rows = torch.arange(45) + 45 * part
            given = rows if run.split else None
            loss = run.train_batch(inputs[rows], targets[rows], rows=given)
            assert loss.isfinite()
        return float(loss)

    before = {key: value.clone() for key, value in ours.state().items()}
    train(ours, [0, 1])
    ours.end_epoch(*validation, [inputs])
    train(ours, [0])
    again[0].load_state_dict(ours.state_dict(), [inputs])
    assert train(again[0], [1]) == train(ours, [1])
    ends = [run.end_epoch(*validation, [inputs]) for run in (again[0], ours)]
    assert ends[0] == ends[1]
    assert all(math.isfinite(score) for score in ends[1].values())
    test = tensor(data.test.inputs)
    assert torch.equal(again[0].predict(test), ours.predict(test))
    finals = [run.finish([inputs]).state_dict() for run in (again[0], ours)]
    assert_close(*finals, rtol=0, atol=0)
    assert ours.predict(test).shape == (30, 3)
    assert any(not torch.equal(value, finals[1][key]) for key, value in before.items())


def test_a_state_of_another_run_is_refused() -> None:
    state = regularized(mlp(), {"l1": L1(strength=1e-3, include="weights")}).state_dict()
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"techniques": {}}, r"techniques=\['l1'\], and this one has \[\]"),
        ({"seed": 1}, "seed=0, and this one has 1"),
        ({"steps_per_epoch": 2}, "steps_per_epoch=1, and this one has 2"),
        ({"model": MLP((5,), 3, [7], "relu")}, "another network: .*size mismatch"),
    )
    for options, what in changes:
        made = {"model": mlp(), "techniques": {"l1": L1(strength=1e-3, include="weights")}}
        other = regularized(**{**made, **options})
        with pytest.raises(ValueError, match=f"(?s)^load_state_dict: .*{what}"):
            other.load_state_dict(state)
    ours = regularized(mlp(), {})
    with pytest.raises(ValueError, match=r"^load_state_dict: there is no seed in the state; give"):
        ours.load_state_dict(ours.model.state_dict())


def test_a_finished_run_has_no_state_to_go_on_from() -> None:
    ours = regularized(mlp(), {})
    state = ours.state_dict()
    ours.finish()
    with pytest.raises(ValueError, match=r"^state_dict: the run is finished"):
        ours.state_dict()
    with pytest.raises(ValueError, match=r"^load_state_dict: the run is finished"):
        ours.load_state_dict(state)


class Pretrained(nn.Sequential):
    """A network with statistics of other data, of which its own `train` may keep the first."""

    def __init__(self, *, keeps: bool) -> None:
        norms = nn.BatchNorm1d(8), nn.BatchNorm1d(8)
        self.keeps = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            super().__init__(nn.Linear(5, 8), norms[0], nn.ReLU(), norms[1], nn.Linear(8, 3))
            self(torch.randn(50, 5) * 3 + 1)
        self.keeps = keeps

    def train(self, mode: bool = True) -> Pretrained:
        super().train(mode)
        if self.keeps:
            self[1].eval()
        return self


def test_what_a_models_own_train_keeps_in_evaluation_mode_stays_so() -> None:
    """As in a loop of plain torch."""
    data, model, other = make_data(), Pretrained(keeps=True), Pretrained(keeps=True)
    frozen = copy.deepcopy(model[1].state_dict())
    sgd = partial(torch.optim.SGD, lr=0.1)
    ours = regularized(model, {}, optimizer=sgd, epochs=2, steps_per_epoch=3)
    optimizer = sgd(other.parameters())
    x = tensor(data.train.inputs)
    for _ in range(2):
        other.train()
        for part in torch.arange(90).split(30):
            ours.train_batch(x[part], data.train.targets[part])
            optimizer.zero_grad()
            nn.functional.cross_entropy(other(x[part]), data.train.targets[part]).backward()
            optimizer.step()
            ours.predict(x)
            assert [name for name, one in model.named_children() if not one.training] == ["1"]
            model.eval()  # to look at it
        ours.end_epoch(tensor(data.validation.inputs), data.validation.targets)
    assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    assert torch.equal(model[1].get_buffer("running_mean"), frozen["running_mean"])


SGD = partial(torch.optim.SGD, lr=0.1)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "name", ["weight_decay", "max_norm", "pruning", "unit_norm", "shrink_and_perturb", "sam"]
)
def test_what_the_optimizer_does_not_hold_stays_as_it_is(name: str, frozen: bool) -> None:
    """As a backbone below a head that is trained alone; what torch's own weight decay does."""
    model = plain(frozen)
    before = copy.deepcopy(model.state_dict())
    run = regularized(
        model, {name: technique(name)}, epochs=5,
        optimizer=SGD if frozen else lambda _: SGD(model[2].parameters()),
    )  # fmt: skip
    for inputs, targets in batches():
        run.train_batch(inputs, targets)
        run.end_epoch(inputs, targets)
    stayed = [key for key, value in model.state_dict().items() if torch.equal(value, before[key])]
    assert stayed == ["0.weight", "0.bias"]


def test_a_loss_of_other_outputs_than_targets_is_the_only_score() -> None:
    """A mean and the logarithm of a variance for each value."""

    def likelihood(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        mean, spread = outputs.chunk(2, -1)
        return ((targets - mean).square() * (-spread).exp() + spread).mean(-1) / 2

    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(16, 5, generator=draws)
    for values in (1, 2):
        run = regularized(nn.Linear(5, 2 * values), {}, classes=0, loss=likelihood)
        targets = torch.randn(16, values, generator=draws)
        run.train_batch(inputs, targets)
        expected = likelihood(run.predict(inputs), targets).mean()
        assert run.end_epoch(inputs, targets) == {"loss": pytest.approx(float(expected))}


def test_no_rows_are_refused() -> None:
    run = regularized(mlp(), {})
    nothing = torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)
    for give in (run.train_batch, run.end_epoch):
        with pytest.raises(ValueError, match=r"inputs: expected .* of one row or more, got none"):
            give(*nothing)


def test_clipping_takes_the_norm_of_what_is_trained() -> None:
    ends = []
    for frozen in (True, False):
        model = plain(frozen)
        run = regularized(
            model, {"gradient_clipping": technique("gradient_clipping", limit=0.05)}, epochs=5,
            optimizer=lambda _, head=model[2]: SGD(head.parameters()),
        )  # fmt: skip
        for inputs, targets in batches():
            run.train_batch(inputs, targets)
        ends.append(model.state_dict())
    assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["weight_norm", "batch_norm", "tabm"])
def test_an_optimizer_of_other_parameters_is_refused(name: str) -> None:
    """Such as a list that was made first: what techniques gave the model would not be trained."""
    model = mlp()
    before = list(model.parameters())
    with pytest.raises(ValueError, match=r"optimizer: it lacks \S+, which a technique gave the"):
        regularized(model, {name: technique(name)}, optimizer=lambda _: ADAM(before))
    with pytest.raises(ValueError, match="optimizer: it holds parameters that the model has not"):
        regularized(mlp(), {}, optimizer=lambda given: ADAM([*given, nn.Parameter(torch.ones(2))]))


@pytest.mark.parametrize(
    "weights",
    [torch.ones(16, 1), torch.ones(1), torch.ones(1, 16), torch.tensor(1.0), torch.ones(16).long()],
    ids=lambda weights: str(list(weights.shape)),
)
def test_weights_of_another_shape_or_type_are_refused(weights: torch.Tensor) -> None:
    """Of a column [rows, 1] each weight would count for all rows."""
    run, [(inputs, targets)] = regularized(mlp(), {}), batches(1)
    with pytest.raises(ValueError, match=r"weights: expected floating point \[16\], .*got"):
        run.train_batch(inputs, targets, weights)
    with pytest.raises(ValueError, match=r"rows: expected torch.int64 \[16\], .*got"):
        run.train_batch(inputs, targets, rows=torch.arange(16).float())


def test_several_runs_go_on_from_one_state() -> None:
    first = regularized(mlp(), {}, epochs=10)
    for inputs, targets in batches():
        first.train_batch(inputs, targets)
    state, ends = first.state_dict(), []
    for _ in range(2):
        run = regularized(mlp(1), {}, epochs=10)
        run.load_state_dict(state)
        for inputs, targets in batches():
            run.train_batch(inputs, targets)
        ends.append(run.model.state_dict())
    assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["dropout", "batch_norm", "weight_norm", "r_drop"])
def test_a_model_that_has_the_layers_of_a_technique_is_refused(name: str) -> None:
    """As of a cell of a notebook that is run again: two masks would be the same."""
    model = mlp()
    regularized(model, {name: technique(name)})
    with pytest.raises(ValueError, match=f"model: it has the layers of {name} already, from"):
        regularized(model, {name: technique(name)})
    regularized(model, {"l1": technique("l1")})  # goes on with them


def test_a_finished_run_trains_no_further() -> None:
    run, [(inputs, targets)] = regularized(mlp(), {"ema": EMA(decay=0.5)}), batches(1)
    run.train_batch(inputs, targets)
    run.end_epoch(inputs, targets, [inputs])
    run.finish()
    with pytest.raises(ValueError, match="train_batch: the run is finished"):
        run.train_batch(inputs, targets)
    with pytest.raises(ValueError, match="end_epoch: the run is finished"):
        run.end_epoch(inputs, targets)


class Thrice(nn.Module):
    """Calls one block three times."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.last = Block(nn.Linear(5, 5), nn.Tanh()), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.block(self.block(self.block(x))))


def test_every_call_of_a_hidden_block_is_penalized() -> None:
    model, strength = Thrice(), 0.3
    other = copy.deepcopy(model)
    [(inputs, targets)] = batches(1)
    run = regularized(
        model, {"activity_l2": technique("activity_l2", strength=strength)}, optimizer=SGD
    )
    run.train_batch(inputs, targets)
    hidden = [inputs]
    for _ in range(3):
        hidden.append(other.block(hidden[-1]))
    penalty = sum(strength * h.square().sum() / len(h) for h in hidden[1:])
    (nn.functional.cross_entropy(other.last(hidden[-1]), targets) + penalty).backward()
    SGD(other.parameters()).step()
    assert_close(model.state_dict(), other.state_dict())


def test_averaged_weights_have_no_new_statistics_where_these_are_kept() -> None:
    data, model = make_data(), Pretrained(keeps=True)
    before = {name: value.clone() for name, value in model.named_buffers()}
    ours = regularized(model, {"ema": EMA(decay=0.5)}, steps_per_epoch=3)
    x = tensor(data.train.inputs)
    for part in torch.arange(90).split(30):
        ours.train_batch(x[part], data.train.targets[part])
    for look in (model.train, model.eval):
        look()
        state = ours.evaluated(x.split(30))
        assert torch.equal(state["1.running_mean"], before["1.running_mean"])
        assert not torch.equal(state["3.running_mean"], before["3.running_mean"])


def test_a_part_in_evaluation_mode_is_refused() -> None:
    """Training would put it back, so that statistics move that were to stay."""
    message = r"^model: 1 of Pretrained is in evaluation mode .*; call 1.train\(\), or keep it so"
    model = Pretrained(keeps=False)
    model[1].eval()
    with pytest.raises(ValueError, match=message):
        regularized(model, {})
    data, model = make_data(), Pretrained(keeps=False)
    ours = regularized(model, {})
    model[1].eval()
    with pytest.raises(ValueError, match=message):
        ours.train_batch(tensor(data.train.inputs), data.train.targets)
    model[1].train()
    ours.train_batch(tensor(data.train.inputs), data.train.targets)


def test_a_model_in_evaluation_mode_is_trained_as_a_whole() -> None:
    model = Pretrained(keeps=False).eval()
    before = model[1].get_buffer("running_mean").clone()
    ours = regularized(model, {})
    data = make_data()
    ours.train_batch(tensor(data.train.inputs), data.train.targets)
    assert not torch.equal(model[1].get_buffer("running_mean"), before)
