"""Folders that several machines may see: an SQLite file there loses what two of them write."""

import re
from pathlib import Path

import psutil

from regexp.tracking import store
from regexp.tracking.error import TrackingError
from regexp.tracking.places import sqlite_file

# Of https://man7.org/linux/man-pages/man5/proc.5.html, the types whose files come over a network,
# and those of macOS.
_NETWORK = re.compile(
    r"nfs4?|cifs|smb\d?|smbfs|lustre|beegfs|gpfs|ceph|9p|afs|ncpfs|ocfs2|gfs2|pvfs2|orangefs"
    r"|panfs|vboxsf|afpfs|webdav"
    r"|fuse\.(sshfs|glusterfs|ceph|s3fs|gcsfuse|rclone|juicefs|beegfs|lustre|smb.*)"
)


def check_one_machine(uri: str | None, folder: Path, others: str = "") -> None:
    """Check that the store takes what all machines write that will.

    Args:
        uri: `tracking.uri`.
        folder: `paths.mlruns`.
        others: why jobs run on other machines too; empty if they do not.

    Raises:
        TrackingError: it is an SQLite file, and jobs run on other machines or a network has it.
    """
    file = sqlite_file(store.resolve(uri, folder))
    if file is None:
        return
    kind = "" if others else network(file)
    if others or kind:
        why = others or f"a network has its folder ({kind})"
        raise TrackingError(
            f"the runs would be recorded in the SQLite file {file}, and {why}: over a network two "
            "machines that write at once lose rows, and neither is told. Give the address of a "
            "server, tracking.uri=http://HOST:PORT (docs/server.md leads to one)"
            + " or, for this machine alone, paths.mlruns=FOLDER on a disk of its own" * bool(kind)
            + "."
        )


def network(file: Path) -> str:
    """The type of the mount that a file is on, if its files come over a network; else empty.

    What is mounted at / is this machine's own, whatever its type: sandboxes have odd ones there.
    """
    try:
        mounted = psutil.disk_partitions(all=True)
    except OSError:  # the system does not tell
        return ""
    file, deepest, kind = file.resolve(), 0, ""
    for mount in mounted:
        point = Path(mount.mountpoint)
        depth = len(point.parts)
        # of several at one place the last is what one sees
        if file.is_relative_to(point) and depth >= deepest:
            deepest, kind = depth, mount.fstype
    return kind if deepest > 1 and _NETWORK.fullmatch(kind) else ""
