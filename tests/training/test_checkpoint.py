"""Checkpoints are whole or absent, and reading one executes nothing."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from regexp.training.checkpoint import load, save, write
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
