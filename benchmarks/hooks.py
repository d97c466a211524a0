"""Techniques whose hooks work in every step: steps replayed against the same steps called.

`python -m benchmarks.hooks` trains stacks of the network of `problem.py` in turn, with the steps of
`regexp.training.replay` and with `train_step`, and prints how many times faster the first are, in
processor time. Both give the same bits, which is looked at. See README.md beside this file.
"""

from __future__ import annotations

from benchmarks.harness import interleaved, make_parser, one_thread, ratios

one_thread()

import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402

import torch  # noqa: E402
from hydra.utils import instantiate  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.ours import make_stack  # noqa: E402
from benchmarks.problem import BATCH, Problem  # noqa: E402
from regexp.config.schema import conf_folder  # noqa: E402
from regexp.regularizer.base import Regularizer  # noqa: E402
from regexp.stack.stack import Stack  # noqa: E402
from regexp.training.replay import Replay  # noqa: E402
from regexp.training.train_step import train_step  # noqa: E402

NAMES = ("none", "sam", "mixup", "jacobian", "vat", "ema", "weight_decay", "l1", "r_drop", "asam")
STACKS = (1, 8)


def technique(name: str) -> dict[str, Regularizer]:
    """By name, with the numbers of its YAML."""
    if name == "none":
        return {}
    node = OmegaConf.load(conf_folder() / "regularizer" / f"{name}.yaml")
    node.pop("search", None)  # type: ignore[call-arg, arg-type]
    return {name: instantiate(node)}


def epoch(stack: Stack, step: Callable[..., Tensor]) -> float:
    """Seconds of the processor for an epoch."""
    began = time.process_time()
    for batch in stack.batches():
        step(*batch)
    stack.end_epoch(torch.zeros(len(stack.runs)))
    return time.process_time() - began


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--only", nargs="+", default=NAMES, help="names of techniques")
    parser.add_argument("--stacks", type=int, nargs="+", default=STACKS, help="runs of a stack")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    rows = 10 * BATCH
    if options.smoke:
        options.only, options.stacks, options.rounds, rows = ["sam"], [2], 1, 4 * BATCH
    torch.set_num_threads(1)
    print("technique           runs  faster (quartiles)")
    for name in options.only:
        for runs in options.stacks:
            called, replayed = (
                make_stack(Problem(rows=rows, fused=True), runs, technique(name)) for _ in range(2)
            )
            ways = {
                "called": partial(epoch, called, partial(train_step, called)),
                "replayed": partial(epoch, replayed, Replay(replayed)),
            }
            interleaved(ways, 1)  # in which steps are recorded
            found = interleaved(ways, options.rounds)
            states = called.state(), replayed.state()
            assert all(torch.equal(states[0][n], states[1][n]) for n in states[0]), name
            low, middle, high = ratios(found["called"], found["replayed"])
            print(f"{name:18}  {runs:4}  {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main()
