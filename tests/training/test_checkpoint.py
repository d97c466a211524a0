"""Checkpoints are whole or absent, and reading one executes nothing."""

from __future__ import annotations

import io
import pickle
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from regexp.stack.stack import Stack
from regexp.training.checkpoint import load, save, write
from regexp.training.loop import train
from regexp.training.state import TrainingState
from tests.support import make_member, run


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    (result,), _ = run([make_member(0)])
    for name, content in (("best", result.best), ("last", result.last)):
        save(tmp_path / f"{name}.pt", content)
        loaded = load(tmp_path / f"{name}.pt")
        assert loaded.keys() == content.keys()
        for key, value in content["weights"].items():
            assert torch.equal(loaded["weights"][key], value)
    member = make_member(0)
    member.model.load_state_dict(loaded["weights"])
    optimizer = member.stepper.optimizer(member.model.parameters())
    optimizer.load_state_dict(loaded["optimizer"])
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


@pytest.mark.parametrize("optimizer", [torch.optim.NAdam, torch.optim.ASGD, torch.optim.Adam])
@pytest.mark.parametrize("runs", [1, 2])
def test_what_an_optimizer_keeps_has_its_type_again(optimizer: Any, runs: int) -> None:
    """NAdam's product of momenta is in single precision beside parameters in double."""

    def stack() -> Stack:
        members = [make_member(seed, {}, partial(optimizer, lr=0.01)) for seed in range(runs)]
        return Stack(members, 6, 32, precision="float64")

    saved: list[dict[str, Any]] = []
    silent = lambda run, epoch, metrics: None
    whole = train(stack(), 6, silent, lambda epoch, content: saved.append(deepcopy(content())))
    again = stack()
    resumed = train(again, 6, silent, state=TrainingState.resumed(again, saved[2]))
    for one, other in zip(resumed, whole, strict=True):
        assert_close(one.last, other.last, rtol=0, atol=0)


def test_numbers_of_numpy_become_pythons(tmp_path: Path) -> None:
    """As own schedules leave them in the groups of an optimizer."""
    kept = {"weights": {}, "lr": [np.float64(0.1), np.int64(3), np.bool_(True), 0.25]}
    save(tmp_path / "last.pt", kept)
    loaded = load(tmp_path / "last.pt")["lr"]
    assert loaded == kept["lr"]
    assert [*map(type, loaded)] == [float, int, bool, float]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "last.pt"
    save(path, {"weights": {}, "epoch": 1})

    def full(content, partial):
        partial.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, {"weights": {}, "epoch": 2})
    assert load(path)["epoch"] == load(str(path))["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_ctrl_c_in_the_middle_of_a_write_is_ctrl_c() -> None:
    class Pressed(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 100:
                raise KeyboardInterrupt
            return super().write(data)

    content = {"weights": {"a": torch.ones(1000)}}
    with pytest.raises(RuntimeError, match="unexpected pos"):
        torch.save(content, Pressed())  # else nothing has to be done
    with pytest.raises(KeyboardInterrupt):
        write(content, Pressed())


def test_bad_files_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "best.pt"
    save(path, {"weights": {"a": torch.ones(1000)}})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text", pickle.dumps(Malicious())):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"best.pt: expected a checkpoint written by regexp"):
            load(path)
    torch.save({"other": 1}, path)
    with pytest.raises(ValueError, match="with 'weights'"):
        load(path)
    assert not (tmp_path / "executed").exists()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")
