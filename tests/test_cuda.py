"""The loop on a GPU; skipped where there is none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from regexp.__main__ import run as run_command
from regexp.model.cnn import CNN
from regexp.regularizer.early_stopping import EarlyStopping
from regexp.regularizer.ema import EMA
from regexp.regularizer.mixup import Mixup
from regexp.regularizer.sam import SAM
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


@pytest.mark.parametrize("stack", ["true", "false"])
def test_a_sweep_is_recorded_and_made_again(stack: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, tmp_path / "mlruns", "cuda")
    words = [*SMALL, "trainer.device=cuda", "dataset.split_seed=0", f"stack={stack}"]
    assert sandbox.run("-m", "regularizer=none,swag,spectral_norm,mixup", *words) == 0
    [sweep_id] = sandbox.parents()
    assert run_command(["rerun", "--sweep", sweep_id, f"paths.mlruns={sandbox.store}"]) == 0
