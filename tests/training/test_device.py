"""Threads are set for a while, and never so many that the process would die of them."""

import pytest
import torch

from regexp.training.device import device_settings


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
