"""SQLite files that several machines see are refused."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from regexp.tracking import TrackingError
from regexp.tracking.mounts import check_one_machine, network

MOUNTS = r"""
none / 9p rw 0 0
/dev/sda1 /home ext4 rw 0 0
server:/home /home/me nfs4 rw,relatime,vers=4.2 0 0
me@host: /home/me/far\040away fuse.sshfs rw 0 0
/dev/sdb1 /home/me/scratch xfs rw 0 0
over /work nfs rw 0 0
/dev/sdc1 /work ext4 rw 0 0
//server/share /mnt/share cifs rw 0 0
""".lstrip()


@pytest.fixture(autouse=True)
def _mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mounts").write_text(MOUNTS)
    (tmp_path / "filesystems").touch()
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/home/you/mlruns/mlflow.db", ""),
        ("/home/me/mlruns/mlflow.db", "nfs4"),
        ("/home/mechanic/mlflow.db", ""),
        ("/home/me/far away/mlflow.db", "fuse.sshfs"),
        ("/home/me/scratch/mlflow.db", ""),
        ("/work/mlflow.db", ""),
        ("/mnt/share/a/b/mlflow.db", "cifs"),
        ("/opt/mlflow.db", ""),
    ],
)
def test_the_deepest_mount_counts_and_the_last_of_several(file: str, kind: str) -> None:
    assert network(Path(file)) == kind


def test_without_a_list_of_mounts_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "none"))
    assert network(Path("/home/me/mlflow.db")) == ""


@pytest.mark.parametrize("uri", [None, "sqlite:////mnt/share/runs.db"])
def test_sqlite_in_a_folder_of_the_network_is_refused(uri: str | None) -> None:
    told = r"SQLite file .+\.db, and a network has its folder \((nfs4|cifs)\).+docs/server\.md.+or,"
    with pytest.raises(TrackingError, match=told):
        check_one_machine(uri, Path("/home/me/mlruns"))


def test_sqlite_is_refused_where_jobs_run_on_other_machines(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=re.escape("and Slurm runs jobs on b: over")):
        check_one_machine(None, tmp_path, "Slurm runs jobs on b")


@pytest.mark.parametrize("uri", ["http://host:5000", "postgresql://host/runs"])
def test_a_server_is_not(uri: str) -> None:
    check_one_machine(uri, Path("/home/me/mlruns"), "Slurm runs jobs on b")
