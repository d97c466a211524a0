"""Who a process is, so that a later one can tell whether it still lives.

A process id alone is not enough: ids are used again, containers count their own, and a store may
be shared by machines. A run is therefore tagged with its host, process id, and an identity that
holds the machine, the pid namespace, the boot and the start time of the process.
"""

import json
import os
import platform
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import psutil


def tags(pid: int | None = None) -> dict[str, str]:
    """Tags that name a process, this one if no other is given.

    `host`, `pid`, `process` (JSON: machine, boot, start).
    """
    pid = os.getpid() if pid is None else pid
    identity = {"machine": _machine(), "boot": _boot(), "start": _start(pid)}
    return {"host": socket.gethostname(), "pid": str(pid), "process": json.dumps(identity)}


def identity(tags: Mapping[str, str]) -> str:
    """The process that `tags` names, as one text; empty if they name none."""
    return " ".join(tags[key] for key in ("host", "pid", "process") if tags.get(key))


def alive(tags: Mapping[str, str]) -> bool | None:
    """Say whether the process that `tags` names still runs.

    Returns:
        True or False; None where it cannot be known, because the process ran on another machine,
        in another container, or did not say who it was.
    """
    try:
        identity = json.loads(tags["process"])
        pid = int(tags["pid"])
        machine, boot, start = identity["machine"], identity["boot"], identity["start"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    if pid <= 0 or tags.get("host") != socket.gethostname() or machine != _machine():
        return None
    return bool(boot == _boot() and start == _start(pid))


@lru_cache(maxsize=1)
def _machine() -> str:
    """The installation and the pid namespace, as far as the system tells them."""
    identifier = _read("/etc/machine-id")
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{identifier} {namespace}".strip()


@lru_cache(maxsize=1)
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _start(pid: int) -> str | None:
    """Start time of a process; None when there is none, or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if platform.system() == "Linux":
            # Ticks since boot: unlike a time of day they do not move when the clock is set.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return repr(process.create_time())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
