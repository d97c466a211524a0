"""Weights of rows and classes in training, against torch, scikit-learn and repeated rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from regexp.dataset.base import Data, Split
from regexp.errors import ConfigError, NotApplicable
from regexp.metrics.loss import LOSSES
from regexp.regularizer.base import Batch, PenaltyView, Regularizer, Step, Tensors, TrainingSplit
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.common import mixed_targets
from regexp.stack.member import Member
from regexp.stack.objective import Objective, OwnLoss
from regexp.training.own_loop import Regularized
from regexp.training.state import Result
from tests.support import NAMES, NETWORKS, make_data, make_member, make_step, run, technique, tensor
from tests.technique_runs import Mix, assert_same_bits, before, beside, home, mix, neutral

SGD = partial(torch.optim.SGD, lr=0.1)
TASKS = ("classification", "multilabel", "regression")


def linear(outputs: int = 3) -> nn.Module:
    return nn.Linear(5, outputs)


def weighted(data: Data, weights: Tensor) -> Data:
    return replace(data, train=replace(data.train, weights=weights))


def drawn(data: Data) -> Tensor:
    """A weight for each training row, from 0 to 4."""
    return torch.randint(5, (len(data.train),), generator=torch.Generator().manual_seed(3)).float()


def member(data: Data, objective: Objective | None = None, **options: Any) -> Member:
    made = make_member(data=data, **options)
    return replace(made, objective=objective or Objective())


def trained(data: Data, objective: Objective | None = None, **options: Any) -> dict[str, Tensor]:
    """Final weights after three steps, each on all rows."""
    outputs = len(data.classes) or 1
    one = member(data, objective, optimizer=SGD, model=partial(linear, outputs), **options)
    [result], _ = run([one], 3, len(data.train), precision="float64")
    weights: dict[str, Tensor] = result.last["weights"]
    return weights


def by_hand(data: Data, loss: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Tensor]:
    """The same by torch alone."""
    network = member(data, model=partial(linear, len(data.classes) or 1)).model.double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        targets = data.train.targets
        targets = targets.double() if targets.is_floating_point() else targets
        loss(network(tensor(data.train.inputs).double()), targets).backward()
        optimizer.step()
    return network.state_dict()


def assert_close(ours: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in other.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-11)


def unbalanced() -> Data:
    data = make_data()
    common = torch.arange(len(data.train)) % 5 > 0
    return replace(
        data, train=replace(data.train, targets=data.train.targets.masked_fill(common, 0))
    )


def test_balanced_classes_are_scikit_learns_in_torchs_cross_entropy() -> None:
    data = unbalanced()
    each = compute_class_weight("balanced", classes=np.arange(3), y=data.train.targets.numpy())
    assert max(each) > 5 * min(each)
    # torch divides by the sum of the weights, which is that of the rows for balanced ones
    expected = by_hand(data, nn.CrossEntropyLoss(weight=torch.from_numpy(each)))
    assert_close(trained(data, Objective(class_weight="balanced")), expected)
    plain = trained(data)
    assert not torch.allclose(plain["weight"], expected["weight"], rtol=1e-3)


def test_weights_of_named_classes_are_scaled_to_a_mean_of_one() -> None:
    data = unbalanced()
    each = torch.tensor([1.0, 4.0, 0.5]).double()
    expected = by_hand(data, nn.CrossEntropyLoss(weight=each))  # a mean by weights
    assert_close(trained(data, Objective(class_weight={"b": 4, "C": 0.5})), expected)


@pytest.mark.parametrize("task", TASKS)
def test_a_row_of_weight_three_is_three_rows(task: str) -> None:
    data = make_data(task=task)
    weights = drawn(data)
    rows = torch.arange(len(data.train)).repeat_interleave(weights.long())
    repeated = Split(tensor(data.train.inputs)[rows], data.train.targets[rows])
    expected = by_hand(
        replace(data, train=repeated),
        lambda outputs, targets: LOSSES[task](outputs, targets).mean(),
    )
    assert_close(trained(weighted(data, weights)), expected)


def test_rows_and_classes_weigh_together() -> None:
    data = unbalanced()
    weights = drawn(data)
    each = torch.from_numpy(
        compute_class_weight("balanced", classes=np.arange(3), y=data.train.targets.numpy())
    )
    counted = weights * each[data.train.targets]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        rows = F.cross_entropy(outputs, targets, reduction="none")
        return (counted * rows).sum() / counted.sum()

    ours = trained(weighted(data, weights), Objective(class_weight="balanced"))
    assert_close(ours, by_hand(data, loss))


def test_equal_weights_are_no_weights_to_the_bit() -> None:
    data = make_data()
    even = weighted(data, torch.full((len(data.train),), 2.5))
    techniques = {"mixup": technique("mixup"), "fgsm": technique("fgsm")}
    (plain,), _ = run([make_member(0, techniques, data=data)])
    (ours,), _ = run([make_member(0, techniques, data=even)])
    assert ours.metrics["test/loss"] == pytest.approx(plain.metrics["test/loss"], rel=1e-5)
    (plain,), _ = run([make_member(data=data)])
    (ours,), _ = run([make_member(data=even)])
    assert_same_bits(ours.last["weights"], plain.last["weights"])


def test_scores_count_every_row_once() -> None:
    data = weighted(make_data(), drawn(make_data()))
    [result], _ = run([member(data, Objective(class_weight={"a": 9}))])
    for split, outputs in (
        (data.test, result.outputs),
        (data.validation, result.validation_outputs),
    ):
        prefix = "test/" if split is data.test else "final/val_"
        loss = F.cross_entropy(outputs, split.targets)
        assert result.metrics[f"{prefix}loss"] == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("names", [(), ("mixup",), ("sam", "dropout"), ("batch_ensemble",)])
def test_a_run_in_a_stack_weighs_its_own_rows(names: tuple[str, ...]) -> None:
    def make(seed: int) -> Member:
        data = make_data(seed)
        techniques = {name: technique(name) for name in names}
        return replace(
            make_member(seed, techniques, SGD, data=weighted(data, drawn(data) + seed)),
            objective=Objective(class_weight={"a": 2.0}),
        )

    seeds = [1, 2, 5]
    together, histories = run([make(seed) for seed in seeds], precision="float64")
    for position, seed in enumerate(seeds):
        (alone,), history = run([make(seed)], precision="float64")
        for name, value in alone.last["weights"].items():
            ours = together[position].last["weights"][name]
            torch.testing.assert_close(ours, value, rtol=0, atol=1e-10)
        assert histories[position][-1]["train/loss"] == pytest.approx(history[0][-1]["train/loss"])


def test_a_loop_of_ones_own_takes_weights() -> None:
    data = make_data()
    weights = drawn(data).double()
    network = member(data, model=linear).model.double()
    ours = Regularized(
        network, {}, SGD, example=torch.zeros(1, 5), classes=3, epochs=3, steps_per_epoch=1
    )
    inputs = tensor(data.train.inputs).double()
    for _ in range(3):
        ours.train_batch(inputs, data.train.targets, weights / weights.mean())
    assert_close(dict(ours.model.state_dict()), trained(weighted(data, weights.float())))


# --- techniques beside weights ----------------------------------------------------------------


def test_mixed_rows_count_as_the_two_that_they_are_made_of() -> None:
    """Both losses by hand: cross-entropy as it is, squared error but for a constant."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, 3, generator=generator).double().requires_grad_()
    weights = torch.tensor([0.0, 1, 2, 0.5, 3, 0]).double()
    other = torch.tensor([5, 0, 1, 2, 3, 4])
    share = torch.tensor(0.3).double()
    classes = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2])].double()
    values = torch.randn(6, 3, generator=generator).double()
    for task, targets in (("classification", classes), ("regression", values)):
        loss = LOSSES[task]
        ours = mixed_targets(Batch(outputs, targets, weights), share, other)
        assert ours.weights is not None
        both = share * weights * loss(outputs, targets)
        both = both + (1 - share) * weights[other] * loss(outputs, targets[other])
        [expected] = torch.autograd.grad(both.mean(), outputs)
        [gradient] = torch.autograd.grad(ours.mean(loss(outputs, ours.targets)), outputs)
        torch.testing.assert_close(gradient, expected)
        assert ours.weights[0] == 0


@pytest.mark.parametrize("name", ["mixup", "cutmix", "manifold_mixup", "c_mixup", "row_cutmix"])
def test_techniques_that_mix_rows_mix_their_weights(name: str) -> None:
    images, eye = torch.rand(8, 1, 6, 6), torch.eye(8)
    weights = torch.arange(8.0)
    mixing = technique(name, **({"p": 1.0} if "cutmix" in name else {}))
    for index in range(5):
        plain = mixing.batch(make_step(index), Batch(images, eye))
        ours = mixing.batch(make_step(index), Batch(images, eye, weights))
        assert plain.weights is None
        # targets of a batch without weights are the shares of the rows
        torch.testing.assert_close(ours.weights, plain.targets @ weights)
        counted = plain.targets * weights
        torch.testing.assert_close(ours.targets * ours.weights[:, None], counted)


@pytest.mark.parametrize(
    "name",
    ["focal_loss", "bootstrapping", "fgsm", "poly_loss", "generalized_cross_entropy",
     "logit_adjustment", "symmetric_cross_entropy", "input_gradient"],
)  # fmt: skip
def test_changes_of_the_loss_count_rows_as_the_loss_does(name: str) -> None:
    """Its gradient with whole weights is that of repeated rows."""
    generator = torch.Generator().manual_seed(1)
    network = nn.Linear(5, 3).double()
    nn.init.normal_(network.weight, generator=generator)
    nn.init.zeros_(network.bias)
    inputs = torch.randn(6, 5, generator=generator).double()
    classes = torch.arange(6) % 3
    weights = torch.tensor([0.0, 1, 2, 1, 2, 0]).double()
    rows = torch.arange(6).repeat_interleave(weights.long())

    def added(batch: Batch) -> float:
        parameters: Tensors = dict(network.named_parameters())
        call = lambda x, at=parameters: torch.func.functional_call(network, at, (x,))
        view = PenaltyView(
            parameters, call(batch.inputs), batch, call, LOSSES["classification"], {}
        )
        split = TrainingSplit(6, torch.tensor([3.0, 2, 1]).double())
        penalty: Tensor = technique(name).penalty(replace(make_step(), split=split), view)
        return float(penalty.detach())

    eye = torch.eye(3).double()[classes]
    expected = added(Batch(inputs[rows], eye[rows]))
    assert added(Batch(inputs, eye, weights)) == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(added(Batch(inputs, eye)), rel=1e-3)


def beside_weights(network: str, techniques: Mix) -> Result:
    shape, task, model = NETWORKS[network]
    data = make_data(shape=shape, task=task)
    data = weighted(data, drawn(data))
    return run([make_member(0, dict(techniques), model=model, data=data)], 2)[0][0]


@cache
def without(network: str, names: tuple[str, ...]) -> Result:
    """With no other techniques than these."""
    return beside_weights(network, mix(*names))


@pytest.mark.parametrize("name", NAMES)
def test_every_technique_trains_beside_weights(name: str) -> None:
    """And those with neutral numbers change nothing at them, to the bit."""
    active = beside_weights(home(name), beside(name))
    assert active.status == "FINISHED"
    if technique(name).neutral is None:
        return
    plain = without(home(name), before(name))
    found = beside_weights(home(name), neutral(name)).last["weights"]
    for key, value in plain.last["weights"].items():
        if key in found:
            assert torch.equal(found[key], value), key


@dataclass(frozen=True)
class Halved(Regularizer):
    """Leaves out every second row."""

    def batch(self, step: Step, batch: Batch) -> Batch:
        return Batch(batch.inputs[::2], batch.targets[::2])


@dataclass(frozen=True)
class Turned(Regularizer):
    """Changes inputs, and knows nothing of weights."""

    def batch(self, step: Step, batch: Batch) -> Batch:
        return Batch(-batch.inputs, batch.targets)


def test_a_technique_that_knows_no_weights_keeps_them_if_it_keeps_the_rows() -> None:
    batch = Batch(torch.randn(4, 2), torch.eye(4), torch.arange(4.0))
    step = make_step(memory={"one": {}})
    ours = Cocktail({"one": Turned()}).batch(step, batch)
    assert ours.weights is batch.weights
    assert len(Cocktail({"one": Halved()}).batch(step, batch._replace(weights=None)).targets) == 2
    with pytest.raises(NotApplicable, match=r"^regularizer.one: changes the number of rows"):
        Cocktail({"one": Halved()}).batch(step, batch)


# --- what cannot be weighed -------------------------------------------------------------------


def test_weights_that_fit_no_class_are_refused() -> None:
    data = make_data()
    with pytest.raises(ConfigError, match=r"^trainer.class_weight: made has no class 'd'"):
        Objective(class_weight={"d": 2}).weights(data)
    for task in ("regression", "multilabel"):
        with pytest.raises(ConfigError, match="whose rows have no class"):
            Objective(class_weight="balanced").weights(make_data(task=task))
    with pytest.raises(ConfigError, match=r"^trainer.class_weight: no row .* counts anything"):
        Objective(class_weight={"a": 0, "b": 0, "c": 0}).weights(data)
    with pytest.raises(ConfigError, match=r"^dataset.weight: no row"):
        Objective().weights(weighted(data, torch.zeros(len(data.train))))


def test_balanced_counts_the_training_rows_alone() -> None:
    data = unbalanced()
    other = replace(data, validation=data.train, test=data.train)
    weights = Objective(class_weight="balanced").weights(other)
    assert weights is not None
    assert float(weights.double().mean()) == pytest.approx(1)
    sums = torch.zeros(3).double().index_add(0, data.train.targets, weights)
    torch.testing.assert_close(
        sums, torch.full((3,), len(data.train) / 3).double()
    )  # each class alike
    absent = replace(data.train, targets=data.train.targets.clamp(max=1))
    weights = Objective(class_weight="balanced").weights(replace(data, train=absent))
    assert weights is not None
    each = compute_class_weight("balanced", classes=np.arange(2), y=absent.targets.numpy())
    np.testing.assert_allclose(weights, each[absent.targets], rtol=1e-6)


def test_a_loss_that_is_a_module_of_the_users_stays_as_it_is() -> None:
    loss = nn.SmoothL1Loss(reduction="none")
    loss.register_buffer("scale", torch.ones(2))
    moved = OwnLoss(loss).to(torch.device("cpu"), torch.float64)
    assert isinstance(moved.function, nn.Module)
    assert moved.function.scale.dtype == torch.float64
    assert loss.scale.dtype == torch.float32
