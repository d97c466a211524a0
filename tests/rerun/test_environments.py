"""What differs between environments, in order, and which of it is the likely cause."""

import copy
from typing import Any

import pytest

from regexp.rerun.causes import likely_cause
from regexp.rerun.environments import (
    UNKNOWN,
    EnvironmentDifference,
    device,
    environment_differences,
    kernels_of,
)
from regexp.rerun.verify import BitVerdict, MetricDifference, StateDifference
from regexp.tracking.environment import environment

GPU = {"arithmetic": {"gpus": "NVIDIA A, NVIDIA B"}}


def changed(*path: str, value: Any = "other") -> dict[str, Any]:
    """The present environment with one value changed."""
    changed = copy.deepcopy(environment())
    node: Any = changed
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = value
    return changed


def test_an_environment_equals_itself():
    data = ("iris", "ab", "ab")
    assert environment_differences(environment(), copy.deepcopy(environment()), data=data) == []


@pytest.mark.parametrize(
    ("path", "what", "kind"),
    [
        (("code",), "the code of regexp", "code"),
        (("own_code", "tests.support"), "the code of tests.support", "code"),
        (("packages", "torch"), "torch", "library"),
        (("packages", "numpy"), "numpy", "library"),
        (("packages", "scikit-learn"), "scikit-learn", "library"),
        (("arithmetic", "processor"), "processor", "arithmetic"),
        (("arithmetic", "capability"), "capability", "arithmetic"),
        (("variables", "MKL_CBWR"), "MKL_CBWR", "arithmetic"),
        (("git", "commit"), "git commit", "other"),
        (("python",), "python", "other"),
        (("packages", "tqdm"), "tqdm", "other"),
    ],
)
def test_a_change_is_named(path, what, kind):
    import tests.support  # noqa: F401, a module of the user's own

    [found] = environment_differences(changed(*path), environment())
    assert (found.what, found.then, found.kind) == (what, "other", kind)


def test_a_kernel_that_was_changed_counts_for_networks_that_have_it():
    then = {"code": "a"}
    now = {"code": "b", "kernels": {"lstm": "torch's LSTM by oneDNN"}}
    config: dict[str, Any] = {"model": {"kind": "lstm", "features": [3]}}
    first, code = environment_differences(then, now, kernels=kernels_of(config))
    assert (first.what, first.then, first.kind) == ("the kernel of lstm", UNKNOWN, "kernel")
    assert code.kind == "code"
    for model in ({"kind": "gru"}, {"hidden": [4]}, None):
        assert environment_differences(then, now, kernels=kernels_of({"model": model})) == [code]


def test_the_kernel_of_an_optimizer_counts_where_steps_are_made_in_the_fastest_way():
    then, now = {"code": "a"}, {"code": "a", "kernels": environment()["kernels"]}
    config = {"optimizer": {"_target_": "torch.optim.Adam"}, "trainer": {"step": "auto"}}
    [found] = environment_differences(then, now, kernels=kernels_of(config))
    assert (found.what, found.kind) == ("the kernel of adam", "kernel")
    for other in ({"trainer": {"step": "general"}}, {"optimizer": {"_target_": "torch.optim.SGD"}}):
        assert not environment_differences(then, now, kernels=kernels_of(config | other))


def test_the_likeliest_comes_first():
    then = environment() | {"code": "x", "python": "2.7"}
    then |= {"packages": {**environment()["packages"], "torch": "1.0", "tqdm": "1", "scipy": "1"}}
    then |= {"arithmetic": {**environment()["arithmetic"], "processor": "Z80"}}
    found = environment_differences(then, environment(), data=("iris", "ab", "cd"))
    assert [one.what for one in found] == [
        "the data iris", "the code of regexp", "torch", "scipy", "processor", "python", "tqdm",
    ]  # fmt: skip


def test_what_was_not_recorded_is_said_to_be_so():
    then = {key: value for key, value in environment().items() if key != "code"}
    [found] = environment_differences(then, environment(), data=("iris", "", ""))
    assert (found.what, found.then) == ("the code of regexp", "(not recorded)")
    packages = {k: v for k, v in environment()["packages"].items() if k != "scipy"}
    [found] = environment_differences(environment() | {"packages": packages}, environment())
    assert (found.what, found.then) == ("scipy", "(none)")


@pytest.mark.parametrize(
    ("name", "recorded", "expected"),
    [
        ("cpu", GPU, "cpu"),
        ("auto", {}, "cpu"),
        ("auto", GPU, "NVIDIA A"),
        ("cuda", GPU, "NVIDIA A"),
        ("cuda:1", GPU, "NVIDIA B"),
        ("cuda:7", GPU, "cuda:7"),
        ("auto", {"arithmetic": 3}, "cpu"),
    ],
)
def test_the_device_follows_from_the_key_and_the_gpus(name, recorded, expected):
    assert device(name, recorded) == expected


def verdict(step: int, then: float, now: float, weights: bool = True) -> BitVerdict:
    state = [StateDifference("weights.a", "1 of 1 values")] if weights else []
    first = [MetricDifference("train/loss", step, then, now)] if then != now else []
    return BitVerdict("", first, state, 10, 3, 4, True)


LARGE, SMALL = verdict(1, 0.5, 0.6), verdict(1, 0.5, 0.5 * (1 + 1e-7))
DATA = EnvironmentDifference("the data iris", "ab", "cd", "data")
CODE = EnvironmentDifference("the code of regexp", "x", "y", "code")
TORCH = EnvironmentDifference("torch", "2.12", "2.13", "library")
PROCESSOR = EnvironmentDifference("processor", "Z80", "6502", "arithmetic")
KERNEL = EnvironmentDifference("the kernel of lstm", "a", "b", "kernel")
TQDM = EnvironmentDifference("tqdm", "1", "2", "other")


@pytest.mark.parametrize(
    ("verdict", "differences", "named"),
    [
        (LARGE, [DATA, CODE, TORCH, PROCESSOR], "the data iris"),
        (LARGE, [CODE, TORCH, PROCESSOR], "the code of regexp"),
        (LARGE, [TORCH, PROCESSOR, TQDM], "torch"),
        (LARGE, [PROCESSOR, TQDM], "processor"),
        (SMALL, [DATA, PROCESSOR], "the data iris"),
        (SMALL, [CODE, TORCH, PROCESSOR], "processor"),
        (SMALL, [CODE, TORCH], "torch"),
        (SMALL, [CODE], "the code of regexp"),
        (SMALL, [CODE, TORCH, KERNEL], "what was changed on purpose: the kernel of lstm"),
        (LARGE, [CODE, TORCH, KERNEL], "what was changed on purpose: the kernel of lstm"),
        (LARGE, [TQDM], "nothing that is recorded"),
        (LARGE, [], "too large for rounding"),
        (SMALL, [], "of the size of rounding"),
        (verdict(2, 0.5, 0.6, weights=False), [], "a recorded value was probably changed"),
        (verdict(1, 0.5, 0.5), [], "the recorded weights were probably changed"),
    ],
)
def test_the_likely_cause(verdict, differences, named):
    assert named in likely_cause(verdict, differences)


def test_no_cause_is_sought_where_nothing_differs():
    assert likely_cause(verdict(1, 0.5, 0.5, weights=False), [DATA]) == ""
