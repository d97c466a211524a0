"""Threads are set for a while, and never so many that the process would die of them."""

import platform
import subprocess
import sys

import pytest
import torch

from regexp.training.device import device_name, device_settings


def test_threads_are_set_for_a_while() -> None:
    before = torch.get_num_threads()
    with device_settings({"threads": before + 1, "device": "cpu"}) as device:
        assert torch.get_num_threads() == before + 1
        assert device.type == "cpu"
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**9])
def test_a_recorded_number_of_threads_is_one_that_a_machine_has(threads: int) -> None:
    trainer = {"threads": threads, "device": "cpu"}
    with pytest.raises(ValueError, match=f"trainer.threads={threads}: "), device_settings(trainer):
        pass


def test_a_gpu_that_is_not_here_has_no_name_and_trains_nothing() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    assert device_name(torch.device(missing)) == ""
    trainer = {"threads": 1, "device": missing}
    with pytest.raises(ValueError, match=f"trainer.device={missing}: "), device_settings(trainer):
        pass


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_memory_that_is_freed_stays_for_the_next_step() -> None:
    """What a process still has of 80 MB, in five pieces as steps take them, once they are freed."""
    code = """
import psutil, torch
from regexp.training.device import device_settings
def left():
    before = psutil.Process().memory_info().rss
    parts = [torch.ones(2**22) for _ in range(5)]
    del parts
    return psutil.Process().memory_info().rss - before
print(left())
with device_settings({"threads": 1, "device": "cpu"}):
    print(left())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert usual < 40 * 2**20
    assert kept > 60 * 2**20
