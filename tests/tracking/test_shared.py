"""What the runs of a stack share: read of each as if it had it for itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from regexp.metrics.names import DIAGNOSTICS
from regexp.tracking import RunRecord, Tracker
from regexp.tracking.shared import (
    ENVIRONMENT,
    FOLDER,
    MEMBERS,
    NAMES,
    Shared,
    diagnostics_of,
    part_of,
    where,
)
from regexp.tracking.stored import Reader
from regexp.tracking.sweeps import delete, plan_deletion
from tests.tracking.runs import start

YAML = "members: []\n"


def stack(tracker: Tracker, sweep_id: str, runs: int = 3) -> list[RunRecord]:
    """Runs of a stack, each of which leaves its own position behind."""
    records: list[RunRecord] = []
    for position in range(runs):
        part = Shared(position, YAML, records[0].id if records else "")
        of = {"fingerprint": f"f{position}", "artifacts": {"config.yaml": f"seed: {position}\n"}}
        records.append(start(tracker, sweep_id, shared=part, **of))
    found = {one.id: left(position) for position, one in enumerate(records)}
    records[0].text(diagnostics_of(found), where(DIAGNOSTICS))
    return records


def left(position: int) -> str:
    return json.dumps({"position": position})


def check(reader: Reader, records: Sequence[RunRecord]) -> None:
    """Each run has all of its own."""
    for position, record in enumerate(records):
        assert reader.text(record.id, "config.yaml") == f"seed: {position}\n".encode()
        assert reader.text(record.id, MEMBERS) == f"position: {position}\n{YAML}".encode()
        assert "torch" in json.loads(reader.text(record.id, ENVIRONMENT) or "")["packages"]
        assert reader.text(record.id, DIAGNOSTICS) == left(position).encode()


@pytest.mark.parametrize("listed", [False, True])
def test_is_read_of_each_run_and_kept_once(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, listed: bool
) -> None:
    records = stack(tracker, sweep.id)
    for record in records:
        record.finish()
    reader = Reader(None, fresh_store)
    if listed:  # what the search of a sweep's runs tells is not asked for again
        assert len(reader.runs(sweep.id)) == 3
    check(reader, records)
    files = {one.id: reader.files(one.id) for one in records}
    shared = [f"{FOLDER}/{name}" for name in sorted(NAMES)]
    assert files == {one.id: ["config.yaml", *shared * (one is records[0])] for one in records}


def test_those_that_are_gone_on_with_share_as_before(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path
) -> None:
    """The first may have been killed before anything of it was sent, or have ended."""
    records = stack(tracker, sweep.id)
    for record in records:
        record.finish("KILLED")
    for position in (0, 2):
        before = records[position]
        again = start(
            tracker, sweep.id, fingerprint=f"f{position}", resume=before.id,
            artifacts={"config.yaml": f"seed: {position}\n"}, shared=Shared(position, YAML),
        )  # fmt: skip
        assert again.stack == records[0].id
        again.finish()
    reader = Reader(None, fresh_store)
    check(reader, records)
    assert reader.files(records[2].id) == ["config.yaml"]


def test_by_itself_or_of_an_earlier_version_a_run_has_its_own(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path
) -> None:
    record = start(tracker, sweep.id, shared=Shared(3, YAML))
    record.text(left(3), DIAGNOSTICS)
    record.finish("KILLED")
    again = start(tracker, sweep.id, resume=record.id, shared=Shared(3, YAML, ""))
    again.finish()
    assert (record.stack, again.stack) == ("", "")
    reader = Reader(None, fresh_store)
    assert set(reader.files(record.id)) == {"config.yaml", *NAMES}
    assert reader.text(record.id, MEMBERS) == f"position: 3\n{YAML}".encode()
    assert reader.text(record.id, DIAGNOSTICS) == left(3).encode()


def test_one_that_stays_when_the_first_is_deleted_gets_its_own(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path
) -> None:
    records = stack(tracker, sweep.id)
    for record in records:
        record.finish()
    other = tracker.sweep("other", "other", {})
    tracker.reuse(other.id, {records[2].id: {}})
    other.finish()
    plan = plan_deletion(tracker, sweep.id)
    assert {run.info.run_id for run in plan.runs} == {one.id for one in records[:2]}
    delete(tracker, plan)
    reader = Reader(None, fresh_store)
    assert [one.run_id for one in reader.children(other.id)] == [records[2].id]
    assert reader.text(records[2].id, MEMBERS) == f"position: 2\n{YAML}".encode()
    assert reader.text(records[2].id, DIAGNOSTICS) == left(2).encode()
    assert reader.text(records[2].id, ENVIRONMENT)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"another": {}}', b'{"run": '])
def test_diagnostics_that_are_none_are_missing(content: bytes) -> None:
    assert part_of(content, DIAGNOSTICS, "run", "0") is None
