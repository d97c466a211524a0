"""Stacks of networks of many kinds and sizes, relative to a loop by hand with fused Adam.

A cell of the table is the samples a second of K runs together over those of one network in the loop
by hand: 1 where a stack costs what its runs cost one after another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import interleaved, make_parser, one_thread, ratios

one_thread()

import time  # noqa: E402

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from benchmarks.ours import MOST_EPOCHS  # noqa: E402
from regexp.dataset.base import Data, Split  # noqa: E402
from regexp.model.cnn import CNN  # noqa: E402
from regexp.model.mlp import MLP  # noqa: E402
from regexp.model.recurrent import Recurrent  # noqa: E402
from regexp.model.recurrent_network import RecurrentNetwork  # noqa: E402
from regexp.regularizer.batch_norm import BatchNorm  # noqa: E402
from regexp.regularizer.cocktail import Cocktail  # noqa: E402
from regexp.stack.at_once import runs_at_once  # noqa: E402
from regexp.stack.member import Member  # noqa: E402
from regexp.stack.optimizers import Stepper  # noqa: E402
from regexp.stack.stack import Stack  # noqa: E402
from regexp.training.device import device_settings  # noqa: E402
from regexp.training.steps import Steps  # noqa: E402

CLASSES = 10
TRAINER = {"threads": 1, "device": "cpu"}
Trainer = Callable[[int], float]
"""Trains so many epochs, and returns the seconds of the processor that they took."""


@dataclass(frozen=True)
class Cell:
    """A network, and how it is trained.

    Attributes:
        make: the network, for rows of `shape`.
        batch_size: rows a step.
        norm: whether its blocks have batch normalization.
        batches: of an epoch.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch_size: int
    norm: bool = False
    batches: int = 8

    @property
    def data(self) -> Data:
        """Random rows."""
        draws = torch.Generator().manual_seed(0)
        rows = self.batches * self.batch_size
        inputs = torch.randn(rows, *self.shape, generator=draws)
        targets = torch.randint(CLASSES, (rows,), generator=draws)
        train, few = Split(inputs, targets), Split(inputs[:2], targets[:2])
        names = tuple(map(str, range(CLASSES)))
        return Data(train, few, few, "classification", names, (), "", "benchmark", "")

    @property
    def techniques(self) -> Cocktail:
        return Cocktail({"batch_norm": BatchNorm(momentum=0.1, eps=1e-5)} if self.norm else {})

    def network(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.techniques.build(self.make())


def _cnn(side: int, channels: int = 3) -> Callable[[], nn.Module]:
    return partial(CNN, (channels, side, side), CLASSES, [16, 32], 64, "relu")


def _mlp(width: int) -> Callable[[], nn.Module]:
    return partial(MLP, (20,), CLASSES, [width, width], "relu")


def _recurrent(kind: str, features: int) -> Callable[[], nn.Module]:
    return partial(RecurrentNetwork, (40, 6), CLASSES, kind, [features], [], "relu")


CELLS = {
    "CNN 8 x 8": Cell(_cnn(8, 1), (1, 8, 8), 64),
    "CNN 32 x 32": Cell(_cnn(32), (3, 32, 32), 64),
    "CNN 64 x 64": Cell(_cnn(64), (3, 64, 64), 64, batches=2),
    "CNN 64 x 64, batch norm": Cell(_cnn(64), (3, 64, 64), 64, norm=True, batches=2),
    "MLP 64, batch 128": Cell(_mlp(64), (20,), 128, batches=50),
    "MLP 64, batch 2048": Cell(_mlp(64), (20,), 2048, norm=True),
    "MLP 1024, batch 128": Cell(_mlp(1024), (20,), 128),
    "LSTM 32": Cell(_recurrent("lstm", 32), (40, 6), 64),
    "LSTM 128": Cell(_recurrent("lstm", 128), (40, 6), 64),
    "GRU 32": Cell(_recurrent("gru", 32), (40, 6), 64),
    "GRU 128": Cell(_recurrent("gru", 128), (40, 6), 64),
}
SMOKE = {"MLP 8, batch 32": Cell(_mlp(8), (20,), 32, batches=2)}


def by_hand(cell: Cell) -> Trainer:
    """One network of torch's own layers, in a loop over tensors in memory."""
    data, network = cell.data.train, _of_torch(cell.network(0))
    assert isinstance(data.inputs, Tensor)
    inputs, targets = data.inputs, data.targets
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def train(epochs: int) -> float:
        start = time.process_time()
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(cell.batch_size):
                optimizer.zero_grad()
                outputs = network(inputs.index_select(0, rows))
                loss = nn.functional.cross_entropy(outputs, targets.index_select(0, rows))
                loss.backward()
                optimizer.step()
        return time.process_time() - start

    return train


def stacked(cell: Cell, runs: int, *, all_at_once: bool = False) -> Trainer:
    """K runs as `regexp.training.parts` has them, but for what is between epochs.

    Args:
        all_at_once: whether all train side by side, however large.
    """
    data = cell.data
    adam = partial(torch.optim.Adam, lr=1e-3, fused=True)
    constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0, total_iters=0)
    stepper = Stepper(adam, constant, "epoch")
    members = [
        Member(seed, data, cell.network(seed), cell.techniques, stepper) for seed in range(runs)
    ]
    count = runs if all_at_once else runs_at_once(members, cell.batch_size, torch.device("cpu"))
    parts = [
        Stack(members[first : first + count], MOST_EPOCHS, cell.batch_size)
        for first in range(0, runs, count)
    ]
    steps = [Steps(part) for part in parts]

    def train(epochs: int) -> float:
        start = time.process_time()
        for part, step in zip(parts, steps, strict=True):
            for _ in range(epochs):
                step.epoch()
                part.end_epoch(torch.zeros(len(part.runs)))
        return time.process_time() - start

    return train


class _LastState(nn.Module):
    """`nn.LSTM` or `nn.GRU` as it is used for one answer a sequence."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[layer.kind]
        self.recurrent = kind(layer.inputs, layer.features, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.recurrent(x)[0]
        return outputs[:, -1]


def _of_torch(network: nn.Module) -> nn.Sequential:
    """The same network of torch's layers alone, without slots."""

    def layers(module: nn.Module) -> Iterator[nn.Module]:
        if isinstance(module, Recurrent):
            yield _LastState(module)
        elif type(module).__module__.startswith("torch.") and not isinstance(module, nn.Sequential):
            yield copy.deepcopy(module)
        else:
            for child in module.children():
                yield from layers(child)

    return nn.Sequential(*layers(network))


def measure(
    cell: Cell, runs: Sequence[int], rounds: int, seconds: float, *, all_at_once: bool
) -> list[float]:
    """The median of each stack's samples a second over those by hand.

    Args:
        runs: of each stack.
        rounds: how often each trains, in turn.
        seconds: roughly how long one network trains in a round.
        all_at_once: see `stacked`.
    """
    hand = by_hand(cell)
    stacks = {count: stacked(cell, count, all_at_once=all_at_once) for count in runs}
    for train in (hand, *stacks.values()):
        train(1)  # warm up
    epochs = max(1, round(seconds / max(hand(1), 1e-9)))
    fewer = {count: max(1, round(epochs / count)) for count in runs}
    variants: dict[str, Callable[[], float]] = {"hand": lambda: epochs / hand(epochs)}
    for count, train in stacks.items():
        variants[str(count)] = partial(_rate, train, fewer[count], count)
    rates = interleaved(variants, rounds)
    return [ratios(rates[str(count)], rates["hand"])[1] for count in runs]


def _rate(train: Trainer, epochs: int, runs: int) -> float:
    return runs * epochs / train(epochs)


def _chosen(words: Iterable[str]) -> dict[str, Cell]:
    found = {name: cell for name, cell in CELLS.items() if any(word in name for word in words)}
    if not found:
        raise SystemExit(f"--only: none of {', '.join(CELLS)} has these words")
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure the cells, and print the table."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 8, 16], metavar="K")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one network in a round")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="cells by name")
    parser.add_argument(
        "--all-at-once", action="store_true", help="all runs side by side, however large"
    )
    options = parser.parse_args(arguments)
    cells = _chosen(options.only)
    if options.smoke:
        cells, options.runs, options.rounds, options.seconds = SMOKE, [1, 2], 1, 0.0
    with device_settings(TRAINER):
        print(f"{'':<26}" + "".join(f"{f'K = {count}':>9}" for count in options.runs))
        for name, cell in cells.items():
            found = measure(
                cell, options.runs, options.rounds, options.seconds, all_at_once=options.all_at_once
            )
            print(f"{name:<26}" + "".join(f"{value:9.2f}" for value in found), flush=True)


if __name__ == "__main__":
    main()
