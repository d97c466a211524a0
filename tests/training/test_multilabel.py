"""Several labels a row: every technique either trains on them or says that it does not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regexp.errors import NotApplicable
from regexp.regularizer.base import Batch
from regexp.regularizer.conflicts import check_data
from regexp.stack.member import Member
from tests.support import (
    ADAM,
    NAMES,
    NETWORKS,
    make_data,
    make_member,
    make_step,
    run,
    technique,
    tensor,
)
from tests.technique_runs import assert_same_bits, before, home, neutral

TASK = "multilabel"
REFUSE_LABELS = {
    "aug_mix", "bootstrapping", "c_mixup", "class_balanced_loss", "confidence_penalty", "elr",
    "focal_loss", "generalized_cross_entropy", "label_noise", "label_smoothing", "logit_adjustment",
    "logit_penalty", "poly_loss", "r_drop", "self_distillation", "symmetric_cross_entropy",
    "temperature_scaling", "vat",
}  # fmt: skip
"""What is written for one class a row, by a softmax, or for values."""


def member(name: str, techniques: Any, seed: int = 0) -> Member:
    """On the network and rows that a technique is at home with, but with labels."""
    return member_of(home(name), techniques, seed)


def member_of(network: str, techniques: Any, seed: int = 0) -> Member:
    shape, task, build = NETWORKS[network]
    data = make_data(seed, 60, shape, TASK)
    targets = 3 if task == "classification" else 1
    for split in ("train", "validation", "test"):
        part = getattr(data, split)
        data = replace(data, **{split: replace(part, targets=part.targets[:, :targets])})
    return make_member(seed, dict(techniques), model=build, data=data)


def mix_of(name: str) -> dict[str, Any]:
    return {one: technique(one) for one in (*before(name), name)}


@cache
def without(names: tuple[str, ...], network: str) -> dict[str, Tensor]:
    """Final weights on a network with no other techniques than these."""
    [result], _ = run([member_of(network, {one: technique(one) for one in names})], 2)
    weights: dict[str, Tensor] = result.last["weights"]
    return weights


@cache
def refused(name: str) -> bool:
    try:
        check_data(mix_of(name), "made", TASK, NETWORKS[home(name)][0])
    except NotApplicable:
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_every_technique_trains_on_labels_or_refuses_them(name: str) -> None:
    assert refused(name) == (name in REFUSE_LABELS)
    if refused(name):
        return
    results, history = run([member(name, mix_of(name), seed) for seed in (0, 1)], 2)
    for position, result in enumerate(results):
        assert result.status == "FINISHED", result.reason
        assert 0 < result.metrics["test/loss"] < 10
        assert 0 <= result.metrics["test/accuracy"] <= 1
        assert history[position][-1]["train/loss"] < 10
    if technique(name).neutral is not None:
        (ours,), _ = run([member(name, neutral(name))], 2)
        found = ours.last["weights"]
        plain = without(before(name), home(name))
        shared = {key: value for key, value in plain.items() if key in found}
        assert shared
        assert_same_bits({key: found[key] for key in shared}, shared)


def test_a_run_on_labels_is_that_of_torchs_loop() -> None:
    data = make_data(task=TASK)
    one = make_member(data=data)
    network = make_member(data=data).model.train()
    optimizer = ADAM(network.parameters())
    for _ in range(4):
        optimizer.zero_grad()
        logits = network(tensor(data.train.inputs))
        F.binary_cross_entropy_with_logits(logits, data.train.targets).backward()
        optimizer.step()
    [result], _ = run([one], 4, len(data.train))
    for name, value in network.state_dict().items():  # but for the order of the rows in sums
        torch.testing.assert_close(result.last["weights"][name], value, rtol=1e-4, atol=1e-5)


def test_labels_learn_what_rows_tell() -> None:
    """Each label is a noisy linear function of the row, which most of them say."""
    options: Any = {"data": make_data(0, 300, task=TASK), "model": lambda: nn.Linear(5, 3)}
    [result], _ = run([make_member(**options)], 40)
    common = options["data"].test.targets.mean(0)
    guess = float(torch.maximum(common, 1 - common).mean())
    assert result.metrics["test/accuracy"] > guess + 0.1


@pytest.mark.parametrize("name", ["mixup", "cutmix", "manifold_mixup"])
def test_labels_of_mixed_rows_are_mixed(name: str) -> None:
    images, eye = torch.rand(8, 1, 6, 6), torch.eye(8)
    labels = (torch.rand(8, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    mixing = technique(name, **({"p": 1.0} if name == "cutmix" else {}))
    for index in range(5):
        shares = mixing.batch(make_step(index), Batch(images, eye)).targets
        ours = mixing.batch(make_step(index), Batch(images, labels)).targets
        torch.testing.assert_close(ours, shares @ labels)


@pytest.mark.parametrize("name", ["mc_dropout", "swag", "snapshot"])
def test_averaged_predictions_are_mean_probabilities(name: str) -> None:
    """The logits of a mean lie between those of the members."""
    [result], _ = run([member(name, mix_of(name))], 4)
    assert result.status == "FINISHED"
    assert bool(torch.isfinite(result.outputs).all())
    shares = result.outputs.sigmoid()
    loss = F.binary_cross_entropy(shares, member(name, mix_of(name)).data.test.targets)
    assert result.metrics["test/loss"] == pytest.approx(float(loss), rel=1e-4)
