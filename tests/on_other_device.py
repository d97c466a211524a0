"""Train every technique on another device, and say what goes wrong; see `test_other_device`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tests import support
from tests.other_device import DEVICE, Other
from tests.support import NAMES
from tests.technique_runs import BATCH_SIZE, SMOOTH, beside, home, member


def train(name: str, **options: Any) -> list[dict[str, Tensor]]:
    """The weights of two runs after an epoch in a stack, by the general way of making steps."""
    members = [member(home(name), seed, beside(name), SMOOTH) for seed in (0, 5)]
    results, _ = support.run(members, 1, BATCH_SIZE, precision="float64", **options)
    return [result.last["weights"] for result in results]


def faults(name: str) -> Iterator[str]:
    """What is wrong with a technique on another device."""
    try:
        there = train(name, device=DEVICE)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
        return
    for one in pytree.tree_leaves(there):
        if not isinstance(one, Other):
            yield "its weights have left the device"
            return
    here = train(name)
    try:
        torch.testing.assert_close([{k: v.cpu() for k, v in run.items()} for run in there], here)
    except AssertionError as error:
        yield str(error)


def main() -> int:
    """0 if all is well."""
    found = [f"{name}: {fault}" for name in NAMES for fault in faults(name)]
    print("\n".join(found) or f"{len(NAMES)} techniques agree")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
