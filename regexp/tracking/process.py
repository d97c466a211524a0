"""Who a process is, so that a later one can tell whether it still lives.

A process id alone is not enough: ids are used again, containers count their own, and a store may
be shared by machines. A run is therefore tagged with its host, process id, and an identity that
holds the machine, its namespaces, the boot and the start time of the process. Names of machines
are not enough either: they change, as a laptop's with its network, and several may have the same.
"""

import json
import os
import platform
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil


def tags(pid: int | None = None) -> dict[str, str]:
    """Tags that name a process, this one if no other is given.

    `host`, `pid`, `process` (JSON: machine, boot, start).
    """
    pid = os.getpid() if pid is None else pid
    identity = {"machine": _machine(), "boot": _boot(), "start": _start(pid)}
    return {"host": _host(), "pid": str(pid), "process": json.dumps(identity)}


def beginning() -> str:
    """How the tag `process` begins of every process of this machine, whatever it was called."""
    return json.dumps({"machine": _machine()})[:-1]


def identity(tags: Mapping[str, str]) -> str:
    """The process that `tags` names, as one text; empty if they name none."""
    return " ".join(tags[key] for key in ("host", "pid", "process") if tags.get(key))


def alive(tags: Mapping[str, str]) -> bool | None:
    """Say whether the process that `tags` names still runs.

    Returns:
        True or False; None where it cannot be known, because the process ran on another machine,
        in another container, is hidden from this user, or did not say who it was.
    """
    try:
        identity = json.loads(tags["process"])
        pid = int(tags["pid"])
        machine, boot, start = identity["machine"], identity["boot"], identity["start"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    if pid <= 0 or machine != _machine():
        return None
    if not boot or boot != _boot():
        # Copies of an installation share its identifier, and containers may have none.
        if not _identifier() or tags.get("host") != _host():
            return None
        if boot != _boot():
            return False
    try:
        return bool(start == _start(pid))
    except PermissionError:
        return None


@lru_cache(maxsize=1)
def _host() -> str:
    """The name of this machine when it was first asked for: a process keeps one."""
    return socket.gethostname()


@lru_cache(maxsize=1)
def _identifier() -> str:
    """What tells this machine from others, whatever they are called; empty if nothing does."""
    if identifier := _read("/etc/machine-id"):
        return identifier
    if platform.system() == "Linux":  # a container: its network's address is made up
        return ""
    node = uuid.getnode()
    is_drawn = bool(node >> 40 & 1)  # where no hardware address is found, another each time
    return "" if is_drawn else f"{node:012x}"


@lru_cache(maxsize=1)
def _machine() -> str:
    """The installation, and the namespaces of process ids and names, as far as the system tells."""
    told = [_identifier()]
    for kind in ("pid", "uts"):
        with suppress(OSError):
            told.append(str(Path(f"/proc/self/ns/{kind}").readlink()))
    return " ".join(filter(None, told))


@lru_cache(maxsize=1)
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _start(pid: int) -> str | None:
    """Start time of a process; None when there is none, or only a zombie.

    Raises:
        PermissionError: there is one, which the system hides from this user.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if platform.system() == "Linux":
            # Ticks since boot: unlike a time of day they do not move when the clock is set.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return repr(process.create_time())
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        if _exists(pid):
            raise PermissionError(f"process {pid} is hidden") from None
        return None


def _exists(pid: int) -> bool:
    """Whether there is a process, or a zombie, also where /proc shows none of other users.

    `psutil.pid_exists` looks there as well, and finds no hidden one.
    """
    if os.name != "posix":  # there a signal of 0 would end it
        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
