"""Training where tensors are not on the CPU, on machines without a GPU; in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from tests.support import NAMES


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_every_technique_trains_on_another_device_as_on_the_cpu() -> None:
    done = python("-m", "tests.on_other_device")
    assert (done.returncode, done.stdout) == (0, f"{len(NAMES)} techniques agree\n"), done.stderr


MIXED = """
import torch
from tests.other_device import DEVICE
there, here = torch.ones(3, device=DEVICE), torch.ones(3)
assert (there + torch.tensor(1.0)).tolist() == [2, 2, 2]
assert there[torch.tensor([0])].device == DEVICE
assert torch.func.grad(lambda x: (x * x).sum())(there).cpu().tolist() == [2, 2, 2]
for mix in (lambda: there + here, lambda: torch.stack([there[0], torch.tensor(1.0)]), there.numpy):
    try:
        mix()
    except (RuntimeError, TypeError):
        continue
    raise SystemExit("nothing is told of what is on the CPU")
"""


def test_what_is_on_the_cpu_is_told_there() -> None:
    done = python("-c", MIXED)
    assert done.returncode == 0, done.stderr


KEPT = """
import sys, pathlib, torch
from tests.other_device import DEVICE
from regexp.training import checkpoint
weight = torch.arange(3.0, device=DEVICE)
checkpoint.save(pathlib.Path(sys.argv[1]), {"weights": {"w": weight, "more": weight[:2]}})
"""


def test_a_checkpoint_is_read_where_the_device_is_not(tmp_path: Path) -> None:
    done = python("-c", KEPT, str(tmp_path / "one.pt"))
    assert done.returncode == 0, done.stderr
    weights = torch.load(tmp_path / "one.pt", weights_only=True)["weights"]
    assert {name: one.tolist() for name, one in weights.items()} == {"w": [0, 1, 2], "more": [0, 1]}


COUNTS = """
import torch
from regexp.model.mlp import MLP
from regexp.regularizer.base import TrainingSplit
from regexp.training.own_loop import Regularized
from tests.other_device import DEVICE
from tests.support import technique
for name, number in (("class_balanced_loss", "beta"), ("logit_adjustment", "tau")):
    techniques = {name: technique(name, **{number: {"from": 0.5, "to": 0.9}})}
    ours = Regularized(
        MLP((5,), 3, [4], "relu").to(DEVICE), techniques, lambda p: torch.optim.SGD(p, lr=0.1),
        example=torch.zeros(1, 5), classes=3, epochs=1, steps_per_epoch=1,
        split=TrainingSplit(6, torch.tensor([3, 2, 1])),
    )
    rows = torch.arange(6, device=DEVICE)
    ours.train_batch(torch.ones(6, 5, device=DEVICE), rows % 3, rows=rows)
"""


def test_counts_of_classes_of_a_loop_of_ones_own_go_to_its_device() -> None:
    done = python("-c", COUNTS)
    assert done.returncode == 0, done.stderr
