"""What the runs of a stack share: read of each as if it had it for itself."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from regexp.metrics.names import DIAGNOSTICS, TEST_OUTPUTS
from regexp.tracking import RunRecord, Tracker, shared
from regexp.tracking.artifacts import Places
from regexp.tracking.shared import (
    ENVIRONMENT,
    FOLDER,
    MEMBERS,
    NAMES,
    OUTPUTS,
    Shared,
    diagnostics_of,
    packed,
    part_of,
    where,
)
from regexp.tracking.stored import Reader
from regexp.tracking.sweeps import delete, plan_deletion
from tests.tracking.runs import start

YAML = "members: []\n"


def stack(tracker: Tracker, sweep_id: str, folder: Path, runs: int = 3) -> list[RunRecord]:
    """Runs of a stack, each of which leaves its own position behind; files are made in a folder."""
    records: list[RunRecord] = []
    for position in range(runs):
        part = Shared(position, YAML, records[0].id if records else "")
        of = {"fingerprint": f"f{position}", "artifacts": {"config.yaml": f"seed: {position}\n"}}
        records.append(start(tracker, sweep_id, shared=part, **of))
    found = {one.id: left(position) for position, one in enumerate(records)}
    records[0].text(diagnostics_of(found), where(DIAGNOSTICS))
    for position, record in enumerate(records):
        write(folder / record.id, position)
    archive = packed(folder)
    assert archive is not None
    records[0].artifact(archive, FOLDER)
    return records


def write(folder: Path, position: int) -> None:
    """The test outputs of a run, which are any text here."""
    folder.mkdir(parents=True)
    (folder / TEST_OUTPUTS).write_text(f"outputs of {position}")


def empty_zip() -> bytes:
    with zipfile.ZipFile(content := io.BytesIO(), "w"):
        pass
    return content.getvalue()


def left(position: int) -> str:
    return json.dumps({"position": position})


def check(reader: Reader, records: Sequence[RunRecord]) -> None:
    """Each run has all of its own."""
    for position, record in enumerate(records):
        assert reader.text(record.id, "config.yaml") == f"seed: {position}\n".encode()
        assert reader.text(record.id, MEMBERS) == f"position: {position}\n{YAML}".encode()
        assert "torch" in json.loads(reader.text(record.id, ENVIRONMENT) or "")["packages"]
        assert reader.text(record.id, DIAGNOSTICS) == left(position).encode()
        assert reader.text(record.id, TEST_OUTPUTS) == f"outputs of {position}".encode()


@pytest.mark.parametrize("listed", [False, True])
def test_is_read_of_each_run_and_kept_once(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, tmp_path: Path, listed: bool
) -> None:
    records = stack(tracker, sweep.id, tmp_path)
    for record in records:
        record.finish()
    reader = Reader(None, fresh_store)
    if listed:  # what the search of a sweep's runs tells is not asked for again
        assert len(reader.runs(sweep.id)) == 3
    check(reader, records)
    files = {one.id: reader.files(one.id) for one in records}
    kept_once = sorted({where(name) for name in NAMES})
    assert files == {one.id: ["config.yaml", *kept_once * (one is records[0])] for one in records}


def test_runs_that_are_read_in_turn_are_asked_for_once_a_stack(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    stacks = [stack(tracker, sweep.id, tmp_path / name) for name in ("one", "other")]
    for record in [*stacks[0], *stacks[1]]:
        record.finish()
    asked: list[str] = []
    bring = Places._bring

    def noting(places: Places, run_id: str, *given: Any) -> bool:
        asked.append(run_id)
        return bring(places, run_id, *given)

    monkeypatch.setattr(Places, "_bring", noting)
    reader = Reader(None, fresh_store)
    for pair in zip(*stacks, strict=True):
        for record in pair:
            assert reader.text(record.id, TEST_OUTPUTS)
    assert asked == [records[0].id for records in stacks]


def test_those_that_are_gone_on_with_share_as_before(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, tmp_path: Path
) -> None:
    """The first may have been killed before anything of it was sent."""
    records = stack(tracker, sweep.id, tmp_path)
    for record in records:
        record.finish("KILLED")
    first = ""
    for position in (0, 2):
        before = records[position]
        again = start(
            tracker, sweep.id, fingerprint=f"f{position}", resume=before.id,
            artifacts={"config.yaml": f"seed: {position}\n"},
            shared=Shared(position, YAML, first),
        )  # fmt: skip
        first = again.stack
        assert first == records[0].id
        again.finish()
    reader = Reader(None, fresh_store)
    check(reader, records)
    assert reader.files(records[2].id) == ["config.yaml"]


def test_one_that_is_gone_on_with_when_the_first_has_ended_has_its_own(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, tmp_path: Path
) -> None:
    """What the first has of it may not be what it comes to on another machine."""
    records = stack(tracker, sweep.id, tmp_path)
    records[0].finish()
    for record in records[1:]:
        record.finish("KILLED")
    again = start(
        tracker,
        sweep.id,
        resume=records[1].id,
        shared=Shared(1, "members: [1]\n", ""),
    )
    assert again.stack == ""
    (tmp_path / TEST_OUTPUTS).write_text("others")
    again.artifact(tmp_path / TEST_OUTPUTS)
    again.finish()
    for reader in (tracker, Reader(None, fresh_store)):
        assert reader.text(again.id, MEMBERS) == b"position: 1\nmembers: [1]\n"
        assert reader.text(again.id, TEST_OUTPUTS) == b"others"
        assert reader.text(again.id, DIAGNOSTICS) is None
        assert reader.text(records[2].id, TEST_OUTPUTS) == b"outputs of 2"


def test_equal_files_are_equal_archives(tmp_path: Path) -> None:
    for name in ("one", "other"):
        for position in (1, 0):
            write(tmp_path / name / str(position), position)
    one, other = (packed(tmp_path / name) for name in ("one", "other"))
    assert one is not None
    assert other is not None
    assert one.name == OUTPUTS
    assert one.read_bytes() == other.read_bytes()


def test_large_files_are_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed(tmp_path) is None
    for position in range(3):
        write(tmp_path / str(position), position)
    size = 3 * len("outputs of 0")
    monkeypatch.setattr(shared, "PACKED_BYTES", size - 1)
    assert packed(tmp_path) is None
    monkeypatch.setattr(shared, "PACKED_BYTES", size)
    assert packed(tmp_path) is not None


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
    assert set(reader.files(record.id)) == {"config.yaml", ENVIRONMENT, MEMBERS, DIAGNOSTICS}
    assert reader.text(record.id, MEMBERS) == f"position: 3\n{YAML}".encode()
    assert reader.text(record.id, DIAGNOSTICS) == left(3).encode()


def test_one_that_stays_when_the_first_is_deleted_gets_its_own(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path, tmp_path: Path
) -> None:
    records = stack(tracker, sweep.id, tmp_path)
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
    assert reader.files(records[2].id) == sorted(["config.yaml", *NAMES])
    assert reader.text(records[2].id, TEST_OUTPUTS) == b"outputs of 2"


@pytest.mark.parametrize("content", [b"", b"PK", empty_zip()])
def test_files_that_are_in_no_archive_are_missing(content: bytes) -> None:
    assert part_of(content, TEST_OUTPUTS, "run", "0") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"another": {}}', b'{"run": '])
def test_diagnostics_that_are_none_are_missing(content: bytes) -> None:
    assert part_of(content, DIAGNOSTICS, "run", "0") is None
