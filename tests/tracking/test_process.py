import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from regexp.tracking import process


@pytest.fixture(scope="module")
def dead() -> dict[str, str]:
    """The tags of a process that has ended."""
    script = "import json; from regexp.tracking import process; print(json.dumps(process.tags()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_this_process_lives() -> None:
    assert process.alive(process.tags()) is True


def test_an_ended_process_is_dead(dead: dict[str, str]) -> None:
    assert process.alive(dead) is False


def test_a_process_id_that_was_used_again_is_not_taken_for_the_same(dead: dict[str, str]) -> None:
    assert process.alive(dead | {"pid": str(os.getpid())}) is False


def installation(monkeypatch: pytest.MonkeyPatch, identifier: str) -> None:
    """Make this machine one with an identifier of its own, or with none."""
    monkeypatch.setattr(process, "_identifier", lambda: identifier)
    monkeypatch.setattr(process, "_machine", lambda: f"{identifier} pid:[1]".strip())


def earlier_boot() -> dict[str, str]:
    """The tags of a process before this machine was started again."""
    identity = json.loads(process.tags()["process"]) | {"boot": "earlier"}
    return process.tags() | {"process": json.dumps(identity)}


def test_another_boot_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    installation(monkeypatch, "ab12")
    assert process.alive(earlier_boot()) is False


@pytest.mark.parametrize(
    ("identifier", "host"),
    [
        pytest.param("", None, id="containers of one name, without an identifier"),
        pytest.param("ab12", "its copy", id="copies of one installation"),
    ],
)
def test_another_boot_may_be_another_machine(
    identifier: str, host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation(monkeypatch, identifier)
    assert process.alive(earlier_boot() | ({"host": host} if host else {})) is None


@pytest.mark.parametrize("identifier", ["", "ab12"])
def test_where_the_system_tells_no_boot_the_identifier_tells_machines_apart(
    identifier: str, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS."""
    installation(monkeypatch, identifier)
    monkeypatch.setattr(process, "_boot", lambda: "")
    here = process.tags()
    gone = here | {"pid": dead["pid"]}
    known = (True, False) if identifier else (None, None)
    assert (process.alive(here), process.alive(gone)) == known


def test_a_machine_that_gets_another_name_knows_its_processes(
    dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    this = process.tags()
    monkeypatch.setattr(process, "_host", lambda: "renamed")
    assert process.alive(this) is True
    assert process.alive(dead) is False


def test_a_process_has_one_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process.tags()
    monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
    assert process.tags() == before


def test_a_process_that_the_system_hides_may_live(
    dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user's where /proc is mounted with hidepid."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    theirs = process.tags(child.pid)

    def invisible(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    def denied(pid: int) -> psutil.Process:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", denied)
    assert process.alive(theirs) is None
    monkeypatch.setattr(psutil, "Process", invisible)
    assert process.alive(theirs) is None
    child.communicate()
    assert process.alive(theirs) is False
    assert process.alive(dead) is False


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    tags = process.tags(child.pid)
    assert process.alive(tags) is True
    assert child.stdin is not None
    child.stdin.close()
    # It has ended, and nobody has asked for its status yet.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.alive(tags) is False
    child.wait()


@pytest.mark.parametrize(
    "changes",
    [
        {"process": json.dumps({"machine": "another", "boot": "", "start": "1"})},
        {"process": "not json"},
        {"pid": ""},
    ],
)
def test_of_others_nothing_is_known(changes: dict[str, str], dead: dict[str, str]) -> None:
    assert process.alive(dead | changes) is None


def test_without_tags_nothing_is_known() -> None:
    assert process.alive({}) is None
