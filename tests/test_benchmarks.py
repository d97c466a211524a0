"""Benchmarks still run: small, and of their numbers only that there are some."""

import re

import pytest

first_step = pytest.importorskip("benchmarks.first_step")


def test_the_first_step_of_a_command_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    first_step.main(["--rounds", "1", "--jobs", "1"])
    assert re.fullmatch(r" +1 jobs: +\d+\.\d s, 1\.00 x 1 job\n", capsys.readouterr().out)


def test_a_command_that_trains_nothing_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="trained no step:\nregexp: regularizer=l7"):
        first_step.seconds_to_first_step(["regularizer=l7"])
