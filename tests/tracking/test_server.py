"""The UI: where it listens, and that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from regexp.tracking import TrackingError, process, serve, server, store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def options(command: list[str]) -> dict[str, str]:
    return dict(zip(command[4::2], command[5::2], strict=True))


def test_ui_is_bound_to_this_machine_with_one_worker(tmp_path: Path) -> None:
    told = options(server.server_command(tmp_path, 5001))
    assert told["--host"] == "127.0.0.1"
    assert told["--port"] == "5001"
    assert told["--workers"] == "1"


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.7", False), ("example.org", False),
])  # fmt: skip
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert server.is_loopback(host) is expected


class Stand:
    """Stands in for the server's process: ends at once."""

    def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
        self.command = command
        self.env = env
        self.pid = 2**22 + 1  # there is none of this number
        Stand.last = self

    last: Stand

    def wait(self) -> int:
        return 0


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_an_address_that_others_reach_is_told(
    fresh_store: Path, port: int, host: str, warns: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(subprocess, "Popen", Stand)
    assert serve(None, fresh_store, port, host) == 0
    assert options(Stand.last.command)["--host"] == host
    told = capsys.readouterr().err
    assert ("whoever reaches this address can read, change and delete all runs" in told) is warns


def test_only_the_servers_environment_has_the_password_of_its_store(
    fresh_store: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on the machine can read its command line."""
    monkeypatch.setattr(subprocess, "Popen", Stand)
    monkeypatch.setattr(store, "open_client", lambda uri, folder: None)
    address = "postgresql://me:secret@host/runs"
    assert serve(address, fresh_store, port) == 0
    assert "secret" not in " ".join(Stand.last.command)
    assert Stand.last.env["MLFLOW_BACKEND_STORE_URI"] == address


def test_ui_on_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"tracking.port={port} .*tracking.port=500[12]"):
            serve(None, tmp_path, port)


def test_a_host_that_is_none_is_a_clear_error(tmp_path: Path, port: int) -> None:
    with pytest.raises(TrackingError, match=r"tracking.host=256\.1\.1\.1: expected an address"):
        serve(None, tmp_path, port, "256.1.1.1")


def test_server_has_its_own_ui(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="a UI of its own"):
        serve("http://127.0.0.1:5000", tmp_path)


@pytest.fixture
def orphan() -> Iterator[psutil.Process]:
    """A process that looks like a server, with a child; nobody ends it."""
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script, "mlflow", "server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        child = psutil.Process(int(started.stdout.readline()))
        yield psutil.Process(started.pid)
        for one in (started, child):
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue


def note(folder: Path, owner: dict[str, str], served: dict[str, str], port: int = 5000) -> None:
    (folder / f".ui.{port}.json").write_text(json.dumps({"owner": owner, "server": served}))


def dead() -> dict[str, str]:
    identity = json.loads(process.tags()["process"]) | {"start": "-1"}
    return process.tags() | {"process": json.dumps(identity)}


def test_a_server_whose_ui_was_killed_is_ended_with_its_children(
    tmp_path: Path, orphan: psutil.Process
) -> None:
    family = [process.tags(relative.pid) for relative in (orphan, *orphan.children())]
    assert [process.alive(relative) for relative in family] == [True, True]
    note(tmp_path, process.tags(), process.tags(), port=5000)  # of another that lives
    note(tmp_path, dead(), family[0], port=5001)
    assert server.end_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".ui.5000.json"]
    assert [process.alive(relative) for relative in family] == [False, False]


def test_nothing_else_is_ended(tmp_path: Path, orphan: psutil.Process) -> None:
    assert not server.end_stale(tmp_path), "there is no note"
    note(tmp_path, process.tags(), process.tags(orphan.pid))
    assert not server.end_stale(tmp_path), "its regexp ui lives"
    (child,) = orphan.children()
    note(tmp_path, dead(), process.tags(child.pid))
    assert not server.end_stale(tmp_path), "it is no server"
    for text in ("", "[]", "{", '{"owner": 1, "server": {"pid": "x"}}', '{"owner": {}}'):
        (tmp_path / ".ui.5000.json").write_text(text)
        assert not server.end_stale(tmp_path)
    assert orphan.is_running()


@pytest.mark.slow
def test_ui_answers_here_alone_and_leaves_nothing_behind(fresh_store: Path, port: int) -> None:
    """A real one, ended as a service manager ends it."""
    script = (
        "import sys; from regexp.tracking import serve; serve(None, sys.argv[1], int(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, str(fresh_store), str(port)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as ui:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).close()
                break
            except OSError:
                assert ui.poll() is None
                time.sleep(0.2)
        family = psutil.Process(ui.pid).children(recursive=True)
        bound = {
            connection.laddr.ip
            for one in family
            for connection in one.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert bound == {"127.0.0.1"}
        tags = [process.tags(one.pid) for one in family]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "evil.org"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=60)
        ui.send_signal(signal.SIGTERM)
        assert ui.wait() == 128 + signal.SIGTERM
    assert not any(map(process.alive, tags))
    assert not list(fresh_store.glob(".ui*"))
