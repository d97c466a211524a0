import json
import os
import subprocess
import sys

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


def test_another_boot_is_dead() -> None:
    identity = json.loads(process.tags()["process"]) | {"boot": "earlier"}
    assert process.alive(process.tags() | {"process": json.dumps(identity)}) is False


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
        {"host": "elsewhere"},
        {"process": json.dumps({"machine": "another", "boot": "", "start": "1"})},
        {"process": "not json"},
        {"pid": ""},
    ],
)
def test_of_others_nothing_is_known(changes: dict[str, str], dead: dict[str, str]) -> None:
    assert process.alive(dead | changes) is None


def test_without_tags_nothing_is_known() -> None:
    assert process.alive({}) is None
