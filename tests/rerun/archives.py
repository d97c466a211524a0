"""What the tests of archives share: a sweep, an archive of it, and ways to change it."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from regexp.errors import ConfigError
from regexp.rerun.archive.archive import read_archive, write_archive
from regexp.rerun.original import Original, OriginalSweep
from regexp.training import checkpoint

CONFIG = "runs/00001/config.yaml"
METRICS = "runs/00001/metrics.json"
RUN = "runs/00001/run.json"
STACK = "runs/00001/stack.json"
LAST = "runs/00001/last.pt"
FILES = {
    "comparison/table.csv": b"technique,mean\nl1,0.9\n",
    "comparison/loss digits.png": b"\x89PNG",
}


def original(number: int, **changes: Any) -> Original:
    values: dict[str, Any] = {
        "run_id": f"{number:032x}",
        "sweep_id": "ab" * 16,
        "name": f"l1 seed={number}",
        "status": "FINISHED",
        "reason": "",
        "config": {
            "seed": number,
            "dataset": {"_target_": "regexp.dataset.digits.Digits", "train_size": None},
            "model": {
                "hidden": [64, 64],
                "odd": ["1e-3", "null", "", "a: b", "ü", "=", "2020-01-01"],
            },
            "optimizer": {"lr": 0.1 + 0.2, "eps": 1e-08, "least": 5e-324, "never": math.inf},
            "stack": True,
        },
        "stack": {
            "position": number,
            "members": [{"seed": 0, "model.p": math.inf}, {"seed": 1, "model.p": 1e-05}],
            "variants": ["p=inf", "p=1e-05"],
        },
        "environment": {"python": "3.12.1", "packages": {"torch": "2.13.0"}, "cores": 2},
        "tags": {"technique": "l1", "dataset": "digits", "data.checksum": "cd" * 32},
        "metrics": {
            "train/loss": {1: 0.1 + 0.2, 2: math.nan, 3: math.inf, 10: -math.inf},
            "val/loss": {1: -0.0, 2: 5e-324, 3: 1.7976931348623157e308},
            "seconds": {0: 3.0},
        },
        "weights_sha256": "ef" * 32,
        "load_last": lambda: None,
    }
    return Original(**values | changes)


def sweep(*runs: Original, **changes: Any) -> OriginalSweep:
    values: dict[str, Any] = {
        "sweep_id": "ab" * 16,
        "name": "regularizer=none,l1 seeds=2",
        "runs": list(runs) or [original(0), original(1)],
        "settings": {"command": "seeds=2", "paths": {"data": "${oc.env:REGEXP_DATA,data}"}},
        "source": "a test",
    }
    return OriginalSweep(**values | changes)


def shown(one: OriginalSweep) -> str:
    """All of a sweep but where it comes from; NaN equals NaN, and 0.0 is not -0.0."""
    runs = [
        {
            field.name: _sorted(getattr(run, field.name))
            for field in fields(run)
            if field.name != "load_last"
        }
        for run in one.runs
    ]
    return repr((one.sweep_id, one.name, one.settings, runs))


def _sorted(value: Any) -> Any:
    """Mappings in one order: metrics are kept by name and step, tags by nothing."""
    if isinstance(value, dict):
        return sorted(((key, _sorted(item)) for key, item in value.items()), key=repr)
    return value


def packed_in(tmp_path: Path) -> Path:
    """An archive of two runs, the first with its checkpoint."""
    path = tmp_path / "sweep.zip"
    last = tmp_path / "last.pt"
    checkpoint.save(last, {"weights": {"w": torch.arange(3.0)}, "epoch": 3})
    write_archive(sweep(), FILES, path, {original(0).run_id: last})
    last.unlink()
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def pack(path: Path, members: dict[str, bytes], *, listed: bool = True) -> Path:
    """Write members as they are; `listed` gives the manifest their true digests."""
    if listed:
        manifest = json.loads(members["sweep.json"])
        manifest["members"] = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in members.items()
            if name != "sweep.json"
        }
        members = members | {"sweep.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_archive(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
