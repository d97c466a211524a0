"""The loop on a GPU; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from regexp.__main__ import run as run_command
from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.regularizer.early_stopping import EarlyStopping
from regexp.regularizer.ema import EMA
from regexp.regularizer.mixup import Mixup
from regexp.regularizer.r_drop import RDrop
from regexp.regularizer.sam import SAM
from regexp.stack.member import Member
from regexp.stack.objective import Objective, OwnLoss
from regexp.stack.stack import Stack
from regexp.training import checkpoint
from regexp.training.device import device_settings
from regexp.training.loop import train
from regexp.training.state import Result, TrainingState
from tests.sandbox import SMALL, Sandbox
from tests.support import make_data, make_member, run
from tests.training.test_loop import Everything, NormDropout

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def _deterministic(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def member(seed: int, **options):
    techniques = {
        "layers": NormDropout(0.2),
        "mixup": Mixup(0.2),
        "all": Everything(0.05),
        "sam": SAM(0.05),
        "ema": EMA(0.9),
        "early_stopping": EarlyStopping(
            patience=3, min_delta=0.0, start_from_epoch=0, restore_best=True
        ),
    }
    optimizer = partial(torch.optim.Adam, lr=1e-2, fused=True)
    return make_member(seed, techniques, optimizer, **options)


def test_a_stack_agrees_with_its_runs_alone() -> None:
    stacked, _ = run([member(s) for s in range(3)], 4, device="cuda", precision="float64")
    for seed in range(3):
        (alone,), _ = run([member(seed)], 4, device="cuda", precision="float64")
        assert_close(stacked[seed].last["weights"], alone.last["weights"], rtol=1e-4, atol=1e-5)


def test_a_rerun_gives_the_same_bits() -> None:
    first, _ = run([member(s) for s in range(3)], 4, device="cuda")
    second, _ = run([member(s) for s in range(3)], 4, device="cuda")
    for one, other in zip(first, second, strict=True):
        assert one.metrics | {"seconds": 0} == other.metrics | {"seconds": 0}
        assert_close(one.last["weights"], other.last["weights"], rtol=0, atol=0)


def test_without_noise_the_device_does_not_matter() -> None:
    on_cpu, _ = run([make_member(s) for s in range(2)], 4, precision="float64")
    on_gpu, _ = run([make_member(s) for s in range(2)], 4, device="cuda", precision="float64")
    for one, other in zip(on_cpu, on_gpu, strict=True):
        assert_close(other.last["weights"], one.last["weights"], check_device=False)


def test_half_precision_is_near_single_precision() -> None:
    def losses(device: str, precision: str) -> list[float]:
        members = [
            make_member(
                s,
                model=lambda: CNN((1, 8, 8), 3, [4, 8], 16, "relu"),
                data=make_data(s, shape=(1, 8, 8)),
            )
            for s in range(3)
        ]
        results, _ = run(members, 5, device=device, precision=precision)
        return [result.metrics["final/train_loss"] for result in results]

    single = losses("cpu", "float32")
    assert losses("cuda", "bfloat16") == pytest.approx(single, abs=0.03)
    assert losses("cuda", "float32") == pytest.approx(single, abs=1e-3)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_weights_and_a_loss_of_ones_own_do_not_depend_on_the_device(task: str) -> None:
    def trained(device: str) -> list[Result]:
        classes = torch.nn.CrossEntropyLoss(torch.arange(1.0, 4), reduction="none")
        loss = OwnLoss(classes if task == "classification" else torch.nn.HuberLoss("none"))
        outputs = 1 if task == "regression" else 3
        members = []
        for seed in range(2):
            data = make_data(seed, task=task)
            weights = torch.arange(len(data.train)).float() % 4
            data = replace(data, train=replace(data.train, weights=weights))
            one = make_member(seed, data=data, model=lambda: MLP((5,), outputs, [8], "relu"))
            members.append(replace(one, objective=Objective(loss, name="own")))
        return run(members, 4, device=device, precision="float64")[0]

    for one, other in zip(trained("cpu"), trained("cuda"), strict=True):
        assert_close(other.last["weights"], one.last["weights"], check_device=False)
        assert other.metrics["test/loss"] == pytest.approx(one.metrics["test/loss"])


def test_a_loss_with_tensors_of_its_own_scores_an_ensemble(tmp_path: Path) -> None:
    """It trains on the GPU, and what runs ended with is scored on the CPU."""
    sandbox = Sandbox(tmp_path, tmp_path / "mlruns", "cuda")
    weight = "{_target_: torch.tensor, data: [1, 2, 1, 1, 1, 1, 1, 1, 1, 1.0]}"
    loss = f"{{_target_: torch.nn.CrossEntropyLoss, reduction: none, weight: {weight}}}"
    words = [*SMALL, "trainer.device=cuda", "dataset.split_seed=0", f"trainer.loss={loss}"]
    words += ["trainer.class_weight=balanced"]
    assert sandbox.run("regularizer=mixup", *words) == 0
    assert (sandbox.children()["metrics.ensemble/loss"] > 0).all()


@pytest.mark.parametrize("stack", ["true", "false"])
def test_a_sweep_is_recorded_and_made_again(stack: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, tmp_path / "mlruns", "cuda")
    words = [*SMALL, "trainer.device=cuda", "dataset.split_seed=0", f"stack={stack}"]
    assert sandbox.run("-m", "regularizer=none,swag,spectral_norm,mixup", *words) == 0
    [sweep_id] = sandbox.parents()
    assert run_command(["rerun", "--sweep", sweep_id, f"paths.mlruns={sandbox.store}"]) == 0


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    whole, _ = run([member(s) for s in range(3)], 4, device="cuda")
    path = tmp_path / "training.pt"

    def break_off(epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        checkpoint.save(path, content())
        if epoch == 2:
            raise KeyboardInterrupt

    def stack() -> Stack:
        return Stack([member(s) for s in range(3)], 4, 32, device="cuda")

    with pytest.raises(KeyboardInterrupt):
        train(stack(), 4, lambda *_: None, break_off)
    new = stack()
    state = TrainingState.resumed(new, checkpoint.load(path, holds="stack"))
    resumed = train(new, 4, lambda *_: None, state=state)
    for one, other in zip(whole, sorted(resumed, key=lambda result: result.run), strict=True):
        assert one.metrics | {"seconds": 0} == other.metrics | {"seconds": 0}
        assert_close(one.last["weights"], other.last["weights"], rtol=0, atol=0)


def test_layers_numbers_may_differ_from_run_to_run() -> None:
    def one(strength: float) -> Member:
        return make_member(0, {"r_drop": RDrop(strength=1.0, dropout=strength)})

    stacked, _ = run([one(0.1), one(0.3)], 3, device="cuda", precision="float64")
    for result, strength in zip(stacked, (0.1, 0.3), strict=True):
        (alone,), _ = run([one(strength)], 3, device="cuda", precision="float64")
        assert_close(result.last["weights"], alone.last["weights"], rtol=1e-6, atol=1e-9)


def test_single_precision_is_not_rounded_to_less() -> None:
    inputs = torch.randn(64, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    kernels = torch.randn(32, 16, 3, 3, generator=torch.Generator().manual_seed(1))
    exact = torch.nn.functional.conv2d(inputs.double(), kernels.double())
    with device_settings({"device": "cuda", "threads": 1}) as device:
        ours = torch.nn.functional.conv2d(inputs.to(device), kernels.to(device))
    assert_close(ours.cpu().double(), exact, rtol=0, atol=2e-4)  # TF32: 2e-2
