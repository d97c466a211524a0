"""A password in an address: every byte that commands write or print is searched for it."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from regexp.__main__ import run
from regexp.sweeps import job, recording
from regexp.tracking import Tracker
from tests.sandbox import SMALL
from tests.tracking.mlflow_server import Server

USER, PASSWORD = "agent.m4ry", "pl4nted/s@cret:42"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRET = re.compile(f"m4ry|pl4nted|cret:42|cret%3A|{re.escape(BASIC)}".encode(), re.IGNORECASE)
QUICK = (*SMALL, "trainer.epochs=1", "figures=false", "tracking.experiment=secrets")


@pytest.fixture
def server(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It lets one user in."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    monkeypatch.chdir(tmp_path)
    server = Server(folder, monkeypatch, login=f"Basic {BASIC}")
    yield server
    server.stop()


def with_login(uri: str, password: str = PASSWORD) -> str:
    return uri.replace("//", f"//{USER}:{quote(password, safe='')}@")


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(where it stands, bytes) of everything below a folder, as it is and unpacked."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield str(path), str(path).encode() + path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    yield f"{path}/{member.filename}", archive.read(member)
        elif path.suffix == ".gz":
            yield f"{path}, unpacked", gzip.decompress(path.read_bytes())
        elif path.suffix == ".db":  # long texts are cut into pages
            with closing(sqlite3.connect(path)) as database:
                yield f"{path}, as text", "\n".join(database.iterdump()).encode()


def leaks(folder: Path, printed: str = "") -> list[str]:
    """Where a part of the secret stands, with what is around it."""
    places = [*contents(folder), ("printed", printed.encode())]
    return [
        f"{place}: {content[max(found.start() - 60, 0) : found.end() + 20]!r}"
        for place, content in places
        if (found := SECRET.search(content))
    ]


def lose(server: Server, patch: pytest.MonkeyPatch) -> None:
    """Lose the server when the first run is over."""
    whole = recording.record_result

    def lost(*arguments: Any) -> Any:
        server.stop()
        return whole(*arguments)

    patch.setattr(job, "record_result", lost)


def test_no_command_writes_or_prints_a_password(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address = f"tracking.uri={with_login(server.uri)}"
    sweep = ["-m", "regularizer=none,l1", *QUICK]
    with monkeypatch.context() as patch:
        lose(server, patch)
        lost = ["regularizer=none", "debug=true", "tracking.wait=0", address]
        assert run([*sweep, *lost]) == 1
    server.start()
    assert any((tmp_path / "mlruns" / "undelivered").glob("*.jsonl"))
    assert run(["deliver", address]) == 0
    assert run([*sweep, address, "dry_run=true"]) == 0
    assert run([*sweep, address]) == 0
    printed = capfd.readouterr()
    told = printed.out + printed.err
    assert "MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD regexp deliver" in told
    with closing(sqlite3.connect(tmp_path / "server" / "mlflow.db")) as database:
        rows = database.execute("SELECT run_uuid FROM tags WHERE key = 'sweep.key'").fetchall()
        [run_id] = database.execute(
            "SELECT run_uuid FROM tags WHERE key = 'technique' AND value = 'l1' LIMIT 1"
        ).fetchone()
    sweep_id = rows[-1][0]
    assert run(["compare", sweep_id, "figures=false", address]) == 0
    assert run(["export", sweep_id, "sweep.zip", address]) == 0
    assert run(["rerun", run_id, address]) == 0
    assert run(["diff", run_id, run_id, address]) == 0
    assert run(["--cfg", "job", address]) == 0
    assert run(["ui", address]) == 2
    assert run(["rerun", run_id, "trackin.uri=" + with_login(server.uri)]) == 2
    assert run(["-m", f"tracking.uri=[{with_login(server.uri)}]", *QUICK]) == 2
    printed = capfd.readouterr()
    told += printed.out + printed.err
    assert leaks(tmp_path, told) == []


def test_what_older_versions_recorded_is_not_passed_on(
    fresh_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    address = with_login("https://host/a.csv")
    config = {"dataset": {"url": address}, "seed": 0, "regularizer": {}, "trainer": {"epochs": 1}}
    stack = {"position": 0, "members": [{"dataset.url": address}], "variants": [address]}
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", f"dataset.url={address}", {"command": address})
        one = tracker.start(
            sweep.id, name=f"none {address}", fingerprint="0", params=config,
            tags={"technique": "none", "seed": "0", "setting": address, "dataset": address},
            artifacts={"config.yaml": yaml.safe_dump(config), "stack.yaml": yaml.safe_dump(stack)},
            dataset={"name": "a", "checksum": "0", "source": address},
        )  # fmt: skip
        one.summary({"test/accuracy": 0.5})
        one.finish("FINISHED", f"for {address}")
        sweep.finish()
    out = tmp_path / "out"
    out.mkdir()
    paths = f"paths.mlruns={fresh_store}"
    assert run(["compare", sweep.id, "--folder", str(out), "--no-record", paths]) == 0
    assert run(["export", sweep.id, str(out / "sweep.zip"), paths]) == 0
    assert run(["diff", one.id, one.id, paths]) == 0
    assert run(["rerun", one.id, paths]) == 2
    assert run(["rerun", str(out / "sweep.zip"), paths]) == 2
    printed = capfd.readouterr()
    assert leaks(fresh_store), "the store itself has it"
    assert leaks(out, printed.out + printed.err) == []


@pytest.mark.slow
def test_workers_of_a_launcher_log_in_by_an_address_out_of_the_environment(
    server: Server,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The file of the user's own names the variable, or has the address as it is."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    own = tmp_path_factory.mktemp("own") / "experiment"
    own.mkdir()
    text = "# @package _global_\ntracking:\n  uri: {}\n"
    (own / "variable.yaml").write_text(text.format("http://${oc.env:LOGIN}@" + server.uri[7:]))
    (own / "address.yaml").write_text(text.format(with_login(server.uri)))
    monkeypatch.setenv("LOGIN", with_login("//").strip("/@"))
    sweep = ["--config-dir", str(own.parent), "-m", "regularizer=none,l1", *QUICK]
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert run([*sweep, "experiment=variable", *parallel]) == 0
    assert run([*sweep, "experiment=address"]) == 0
    assert run([*sweep[:2], "experiment=address", "--cfg", "job"]) == 0
    printed = capfd.readouterr()
    assert printed.out.count("test accuracy") == 2
    assert printed.out.count("finished before") == 2
    assert leaks(tmp_path, printed.out + printed.err) == []


@pytest.mark.parametrize("debug", ["false", "true"])
def test_who_is_not_let_in_is_told_of_the_variables(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], debug: str
) -> None:
    address = with_login(server.uri, f"{PASSWORD}!")
    for uri in (address, server.uri):
        assert run([*QUICK, f"tracking.uri={uri}", f"debug={debug}"]) == 2
    printed = capfd.readouterr()
    assert printed.err.count(
        f"regexp: tracking.uri={server.uri} cannot be used: the server refuses the login (401); "
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in "
        "the environment of the command\n"
    ) == 2  # fmt: skip
    assert ("Traceback" in printed.err) is (debug == "true")
    assert leaks(tmp_path, printed.out + printed.err) == []


def test_the_variables_of_mlflow_are_enough(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert run(["deliver", f"tracking.uri={server.uri}"]) == 0


def test_the_address_in_mlflows_own_variable(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_login(server.uri))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the environment")
    command = [*SMALL, "trainer.epochs=1", "figures=false"]
    assert run(command) == 0
    with closing(sqlite3.connect(tmp_path / "server" / "mlflow.db")) as database:
        [sweep_id] = database.execute(
            "SELECT run_uuid FROM tags JOIN runs USING (run_uuid) JOIN experiments "
            "USING (experiment_id) WHERE key = 'sweep.key' AND experiments.name = ?",
            ("of the environment",),
        ).fetchone()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_login(server.uri))
    assert run(["compare", sweep_id, "figures=false"]) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_login(server.uri, "pl4nted other"))
    assert run([*command, "debug=true"]) == 2
    printed = capfd.readouterr()
    assert leaks(tmp_path, printed.out + printed.err) == []
