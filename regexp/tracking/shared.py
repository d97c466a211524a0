"""What the runs of a stack have alike, kept once: among the artifacts of its first run.

Each run has the tag `stack.position`, its place in the stack, and all but the first `stack.of`, the
id of the first. The folder `stack` of the first has `environment.json`, `stack.yaml` (of each run,
but for its position), `diagnostics.json` with those of each run under its id, and an archive with
its test outputs in a folder of its id, unless they come to much. A run that is recorded by itself
has these files of its own, and neither tag. So has one that is gone on with by itself, or when the
first has ended: its `stack.of` is `own`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.metrics.names import DIAGNOSTICS, TEST_OUTPUTS

if TYPE_CHECKING:
    from regexp.tracking.record import RunRecord

STACK, POSITION = "stack.of", "stack.position"
OWN = "own"
"""In the place of a run's id: a run that has all files of its own."""

FOLDER = "stack"
ENVIRONMENT, MEMBERS = "environment.json", "stack.yaml"
OUTPUTS = "test_outputs.zip"
"""The archive with the test outputs of each run."""

NAMES = (ENVIRONMENT, MEMBERS, DIAGNOSTICS, TEST_OUTPUTS)
"""Artifacts that runs of a stack share, as they are called where a run has its own."""

PACKED_BYTES = 8 * 2**20
"""The most that is put together: who wants one run's part reads all of it into memory."""


@dataclass(frozen=True)
class Shared:
    """A run's part in what its stack shares.

    Attributes:
        position: of the run in the stack.
        members: of the stack, as YAML.
        first: the id of the run that has the files, empty for that run itself; None of a run that
            has files of its own.
    """

    position: int
    members: str
    first: str | None = None

    def tags(self) -> dict[str, str]:
        """Of the run, from its beginning."""
        named = {STACK: self.first} if self.first else {}
        return {} if self.first is None else {POSITION: str(self.position)} | named

    def going_on(self, run: Any) -> Shared:
        """The part of MLflow's run that is gone on with.

        It stays what it was if the first run is gone on with as well. What one that has ended has
        of the others may not be what they come to now, so that they have files of their own.
        """
        first, _ = first_of(run)
        if first == run.info.run_id:
            return replace(self, first="")
        return replace(self, first=first if first and first == self.first else None)

    def texts(self, record: RunRecord, environment: str) -> dict[str, str]:
        """The texts that a run has to record, by artifact."""
        if self.first is None:
            alone = f"position: {self.position}\n{self.members}"
            return {ENVIRONMENT: environment, MEMBERS: alone}
        record.stack = self.first or record.id
        ours = {ENVIRONMENT: environment, MEMBERS: self.members}
        return {} if self.first else {where(name): text for name, text in ours.items()}


def first_of(run: Any) -> tuple[str, str]:
    """(id of the first run of the stack that MLflow's run shares with, position); empty if none."""
    position, first = (run.data.tags.get(tag, "") for tag in (POSITION, STACK))
    if not position or first == OWN:
        return "", ""
    return first or run.info.run_id, position


def where(name: str) -> str:
    """The artifact of a stack's first run that has an artifact of its runs; empty if none does."""
    if name not in NAMES:
        return ""
    return f"{FOLDER}/{OUTPUTS if name == TEST_OUTPUTS else name}"


def part_of(content: bytes, name: str, run_id: str, position: str) -> bytes | None:
    """A run's artifact out of its stack's; None where it has no part of the run.

    Args:
        content: of the artifact `where` says.
        name: of the run's.
        run_id: of the run.
        position: of the run in the stack.
    """
    try:
        if name == ENVIRONMENT:
            return content
        if name == MEMBERS:
            return f"position: {position}\n".encode() + content
        if name == DIAGNOSTICS:
            return json.dumps(json.loads(content)[run_id]).encode()
        return _archive(content).read(f"{run_id}/{name}")
    except (ValueError, LookupError, TypeError, zipfile.BadZipFile, NotImplementedError):
        return None


@lru_cache(maxsize=8)
def _archive(content: bytes) -> zipfile.ZipFile:
    """Opened once for all runs of its stack: to read what it holds takes longer than one part."""
    return zipfile.ZipFile(io.BytesIO(content))


def packed(folder: Path) -> Path | None:
    """The archive of the test outputs of a stack's runs, made in `folder`; None of none or of much.

    Args:
        folder: has the file of each run in a folder of the run's id.
    """
    files = sorted(folder.glob(f"*/{TEST_OUTPUTS}"))
    if not files or sum(path.stat().st_size for path in files) > PACKED_BYTES:
        return None
    with zipfile.ZipFile(folder / OUTPUTS, "w") as archive:
        for path in files:  # undated, so that equal files are equal archives
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            archive.writestr(entry, path.read_bytes())
    return folder / OUTPUTS


def diagnostics_of(runs: Mapping[str, str]) -> str:
    """The text that has the diagnostics of several runs: run -> its `diagnostics.json`."""
    return json.dumps({run_id: json.loads(text) for run_id, text in runs.items()})
