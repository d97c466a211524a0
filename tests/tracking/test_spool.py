"""Records on disk: whole or not at all, one writer a file, and nothing of them is trusted."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regexp.tracking import delivery, process
from regexp.tracking.outbox import Left, Outbox
from regexp.tracking.record import Status
from regexp.tracking.spool import UNREADABLE, Spool
from regexp.tracking.untrusted import fault
from tests.hostile.support import searching
from tests.tracking.fakes import Store, left_behind

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "undelivered", "mlflow.db")


def metric(step: int = 0) -> dict[str, Any]:
    return delivery.metric("loss", 1.0, step, 0)


def header(**changes: str) -> str:
    return json.dumps({"kind": "header", "store": "mlflow.db"} | process.tags() | changes)


def dead() -> str:
    identity = json.loads(process.tags()["process"]) | {"start": "-1"}
    return header(process=json.dumps(identity))


def foreign() -> str:
    identity = json.loads(process.tags()["process"]) | {"machine": "another"}
    return header(host="another", process=json.dumps(identity))


def left(spool: Spool, *lines: str, name: str = "run.jsonl") -> Path:
    """Put a file into the spool's folder, as another process does."""
    spool.folder.mkdir(exist_ok=True)
    path = spool.folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def claimed(spool: Spool) -> list[str]:
    with spool.claim() as found:
        return found


def test_living_processes_and_other_stores_are_left_alone(spool: Spool) -> None:
    left(spool, header(), json.dumps(metric()), name="living.jsonl")
    left(spool, header(store="http://elsewhere"), '{"kind": "closed"}', name="other.jsonl")
    left(spool, json.dumps(metric()), name="headless.jsonl")
    left(spool, dead(), name="not a run.jsonl")
    assert claimed(spool) == []
    owners = {path.name: owner for path, owner in spool.owners().items()}
    pid = process.tags()["pid"]
    assert "still records it" in str(owners["living.jsonl"])
    assert f"process {pid} on " in str(owners["living.jsonl"])
    assert owners["other.jsonl"] == "for another store, http://elsewhere"
    assert owners["headless.jsonl"] == "a file without a beginning"


def test_a_dead_process_file_is_taken_over(spool: Spool) -> None:
    # The last line is half: its writer was killed.
    left(spool, dead(), json.dumps(metric()), '{"kind": "metr')
    assert claimed(spool) == ["run"]
    writer = process.identity(json.loads(dead()))
    assert spool.read("run") == [metric() | {"owner": writer}]
    assert claimed(Spool(spool.folder, spool.store)) == [], "it belongs to this process now"


@pytest.mark.parametrize(("age", "expected"), [(0, []), (3700, ["run"]), (-3700, ["run"])])
def test_an_unknown_process_has_an_hour_whichever_way_the_clock_was_set(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, age: float, expected: list[str]
) -> None:
    written = left(spool, foreign(), json.dumps(metric())).stat().st_mtime
    monkeypatch.setattr("time.time", lambda: written + age)
    assert claimed(spool) == expected


def test_an_empty_file_whose_writer_was_killed_goes_after_an_hour(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = left(spool).stat().st_mtime
    assert claimed(spool) == []
    monkeypatch.setattr("time.time", lambda: written + 3700)
    assert claimed(spool) == ["run"]


def test_a_file_that_cannot_be_read_is_told_and_keeps_nothing_else_back(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of another user."""
    theirs = left(spool, dead(), json.dumps(metric()), name="theirs.jsonl")
    left(spool, dead(), json.dumps(metric()))
    read = Path.read_text

    def read_text(path: Path, *given: Any, **named: Any) -> str:
        if path == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return read(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert claimed(spool) == ["run"]
    assert spool.owner(theirs) == "it cannot be read (Permission denied)"


def test_a_living_process_gives_a_sign_to_other_machines(spool: Spool) -> None:
    spool.append("run", [metric()])
    (path,) = spool.folder.glob("*.jsonl")
    os.utime(path, (0, 0))
    spool.touch("run")
    assert path.stat().st_mtime > 0


def test_two_processes_keep_records_of_one_run_in_two_files(spool: Spool) -> None:
    other = Spool(spool.folder, spool.store)
    spool.append("run", [metric(0)])
    other.append("run", [metric(1)])
    spool.append("run", [metric(2)])
    spool.remove("run")
    assert [record["step"] for record in other.read("run")] == [1]
    other.release()
    assert left_behind(spool) == [1]


def test_half_a_line_hides_no_later_one(spool: Spool) -> None:
    spool.append("run", [metric(0)])
    with (spool.folder / "run.jsonl").open("a") as file:
        file.write('{"kind": "metr')
    spool.append("run", [metric(1)])
    assert [record["step"] for record in spool.read("run")] == [0, 1]


def test_infinities_survive_the_disk(spool: Spool) -> None:
    spool.append("run", [delivery.metric("loss", float("-inf"), 0, 0)])
    assert spool.read("run")[0]["value"] == float("-inf")


def test_folder_that_somebody_cleared_is_made_again(spool: Spool) -> None:
    spool.append("run", [metric(0)])
    (spool.folder / "run.jsonl").unlink()
    assert spool.read("run") == []
    spool.append("run", [metric(1)])
    spool.release()
    assert left_behind(spool) == [1]


def test_however_a_file_is_cut_no_part_of_a_record_is_read(spool: Spool) -> None:
    writer = {"owner": process.identity(process.tags())}
    records = [metric(1) | writer, delivery.tag("a", "b") | writer, delivery.status("FINISHED", 3)]
    for record in records:
        spool.append("run", [record])
    path = spool.folder / "run.jsonl"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        found = spool.read("run")
        assert found == records[: len(found)]


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from regexp.tracking import delivery
from regexp.tracking.spool import Spool
spool = Spool(Path(sys.argv[1]), "mlflow.db")
records = [delivery.metric("loss", 1.0, step, 0) for step in range(100)]
spool.append("run", records)
whole = (spool.folder / "run.jsonl").stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 30, resource.RLIM_INFINITY))
try:
    spool.append("run", records)
    print("written")
except OSError as error:
    print(error.errno, (spool.folder / "run.jsonl").stat().st_size == whole)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append("run", [delivery.metric("loss", 1.0, 100, 0)])
print([record["step"] for record in spool.read("run")] == list(range(101)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit of file sizes")
def test_a_write_that_the_disk_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    import errno
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "undelivered")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [f"{errno.EFBIG} True", "True"]


def outside(spool: Spool, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Records that name what is not theirs."""
    secret = tmp_path / "secret"
    secret.write_text("password")
    files = spool.folder / "run.files"
    (files / "0").mkdir(parents=True)
    (files / "0" / "link").symlink_to(secret)
    (files / "0" / "good").write_text("weights")
    os.mkfifo(files / "0" / "fifo")
    return {
        "absolute": {"kind": "file", "path": str(secret), "folder": ""},
        "upwards": {"kind": "file", "path": "../../secret", "folder": ""},
        "link": {"kind": "file", "path": "0/link", "folder": ""},
        "fifo": {"kind": "file", "path": "0/fifo", "folder": ""},
        "all of it": {"kind": "file", "path": "", "folder": ""},
        "gone": {"kind": "file", "path": "0/gone", "folder": ""},
        "folder": {"kind": "file", "path": "0/good", "folder": "../.."},
        "root": {"kind": "file", "path": "0/good", "folder": "/etc"},
        "text": {"kind": "text", "content": "", "name": "../other/config.yaml"},
        "removal": {"kind": "removal", "folder": "checkpoints"},
        "no name": {"kind": "text", "content": "", "name": ""},
    }


def test_files_of_others_and_places_outside_the_run_are_refused(
    spool: Spool, tmp_path: Path
) -> None:
    bad = outside(spool, tmp_path)
    good = {"kind": "file", "path": "0/good", "folder": "checkpoints"}
    left(spool, dead(), *map(json.dumps, [*bad.values(), good]))
    claimed(spool)
    *refused, kept = spool.read("run")
    assert [record["kind"] for record in refused] == [UNREADABLE] * len(bad)
    assert Path(kept["path"]).read_text() == "weights"

    store = Store()
    outbox = Outbox(store, Spool(spool.folder, spool.store), interval=None)
    spool.release()
    assert outbox.redeliver() == 1
    ((run_id, why),) = outbox.close().refused
    assert run_id == "run"
    assert "not its own" in why
    assert store.files == ["weights"]
    assert (spool.folder / "refused" / "run.jsonl").read_text().count("\n{") == len(bad)


@pytest.mark.parametrize("make", [lambda: delivery.text("", "../a"), lambda: delivery.text("", ""),
                                  lambda: delivery.file(Path("a"), "/a")])  # fmt: skip
def test_artifacts_of_ones_own_stay_in_the_run_too(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_of_a_run_is_delivered_later(status: Status, tmp_path: Path) -> None:
    assert fault(delivery.status(status, 0), tmp_path) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3)
    ),
    max_leaves=6,
)
KINDS = [
    "metric",
    "param",
    "tag",
    "text",
    "file",
    "dataset",
    "status",
    "removal",
    "header",
    "closed",
    "x",
]
FIELDS = ["name", "value", "step", "time", "content", "path", "folder", "status", "store", "pid",
          "process", "host", "owner"]  # fmt: skip
RECORDS = st.builds(
    lambda kind, fields: json.dumps({"kind": kind} | fields),
    st.sampled_from(KINDS) | JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON | st.sampled_from(["a", "0/x", "../x"])),
)
LINES = RECORDS | JSON.map(json.dumps) | st.text(max_size=40) | st.just(dead())


@searching(4)
@given(st.lists(LINES, max_size=6).map("\n".join).map(lambda text: text.encode(errors="replace"))
       | st.binary(max_size=200))  # fmt: skip
def test_whatever_lies_in_the_folder_is_read_or_left(tmp_path: Path, content: bytes) -> None:
    """Nothing but records of the right types reaches the store, and nothing is raised."""
    spool = Spool(tmp_path / "undelivered", "mlflow.db")
    spool.folder.mkdir(exist_ok=True)
    (spool.folder / "run.jsonl").write_bytes(dead().encode() + b"\n" + content)
    store = Store()
    outbox = Outbox(store, spool, interval=None)
    outbox.redeliver()
    assert outbox.close().lost == Left().lost
    for record in store.taken.get("run", []):
        assert record["kind"] in KINDS[:8]
        if record["kind"] == "metric":
            assert isinstance(record["value"], int | float)
            assert isinstance(record["name"], str)
