"""What the runs of a stack have alike, kept once: among the artifacts of its first run.

Each run has the tag `stack.position`, its place in the stack, and all but the first `stack.of`, the
id of the first. The folder `stack` of the first has `environment.json`, `stack.yaml` (of each run,
but for its position), and `diagnostics.json` with those of each run under its id. A run that is
recorded by itself has these files of its own, and neither tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from regexp.metrics.names import DIAGNOSTICS

if TYPE_CHECKING:
    from regexp.tracking.record import RunRecord

STACK, POSITION = "stack.of", "stack.position"
OWN = "own"
"""In the place of a run's id: a run that has all files of its own."""

FOLDER = "stack"
ENVIRONMENT, MEMBERS = "environment.json", "stack.yaml"
NAMES = (ENVIRONMENT, MEMBERS, DIAGNOSTICS)
"""Artifacts that runs of a stack share, as they are called where a run has its own."""


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
        """The part of MLflow's run that is gone on with: it stays what it was."""
        first, _ = first_of(run)
        return replace(self, first="" if first == run.info.run_id else first or None)

    def texts(self, record: RunRecord, environment: str) -> dict[str, str]:
        """The texts that a run has to record, by artifact."""
        if self.first is None:
            return {ENVIRONMENT: environment, MEMBERS: f"position: {self.position}\n{self.members}"}
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
    return f"{FOLDER}/{name}" if name in NAMES else ""


def part_of(content: bytes, name: str, run_id: str, position: str) -> bytes | None:
    """A run's artifact out of its stack's; None where it has no part of the run.

    Args:
        content: of the artifact `where` says.
        name: of the run's.
        run_id: of the run.
        position: of the run in the stack.
    """
    match name:
        case "stack.yaml":
            return f"position: {position}\n".encode() + content
        case "diagnostics.json":
            try:
                return json.dumps(json.loads(content)[run_id]).encode()
            except (ValueError, LookupError, TypeError):
                return None
    return content


def diagnostics_of(runs: Mapping[str, str]) -> str:
    """The text that has the diagnostics of several runs: run -> its `diagnostics.json`."""
    return json.dumps({run_id: json.loads(text) for run_id, text in runs.items()})
