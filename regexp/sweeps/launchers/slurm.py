"""What Slurm's own commands are asked; they know all tasks that have not ended.

Also where Slurm keeps no accounts: submitit asks `sacct`, and without accounts would wait for a
dead task for ever.
"""

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from regexp.sweeps.launchers.collect import CannotAsk

_SECONDS = 60  # for Slurm to answer
_LARGEST = 1001  # of MaxArraySize, unless an administrator says otherwise


def queue(field: str) -> list[tuple[str, str]]:
    """(id, a field) of each task of this user that has not ended.

    Args:
        field: as of `squeue --format`.

    Raises:
        CannotAsk: Slurm does not answer.
    """
    command = ["squeue", "--me", "--noheader", "--array", f"--format=%i|{field}"]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        raise CannotAsk(error.stderr.strip()) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotAsk(str(error)) from error
    pairs = [line.strip().partition("|") for line in asked.stdout.splitlines()]
    return [(task, value) for task, _, value in pairs]


def largest_array() -> int:
    """How many tasks an array may have; 1 where there are to be none (`MaxArraySize=0`)."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _told("scontrol", "show", "config"))
    return max(1, int(found[1])) if found else _LARGEST


def end_of(task: str) -> str:
    """How a task ended, for people, as far as it is known."""
    told = _told("scontrol", "--oneliner", "show", "job", task)
    fields = dict(word.split("=", 1) for word in told.split() if "=" in word)
    state = fields.get("JobState", "it is gone from the queue")
    if (code := fields.get("ExitCode", "0:0")) != "0:0":
        state += f", exit code {code}"
    return state


def arrays(tasks: Sequence[str]) -> list[str]:
    """The ids of the arrays that tasks are of."""
    return list(dict.fromkeys(task.partition("_")[0] for task in tasks))


def _told(*command: str) -> str:
    """What a command prints; "" where it cannot be given."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        ).stdout
    return ""
