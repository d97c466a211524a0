"""Networks that are really trained, on many pools of images drawn from one population.

The population is augmentation of the digits: one of the 1,797 images, turned, scaled and shifted
by less than a pixel, and blurred by noise. Its pools are independent and of the same kind, so that
over many of them one sees what a technique gains on *other rows of the same kind*.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.harness import ROOT
from benchmarks.worlds.settings import Setting
from regexp.dataset.base import Data, Split
from regexp.metrics.loss import LOSSES
from regexp.model.mlp import MLP
from regexp.random import Rng, derive
from regexp.regularizer.base import Regularizer
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import Member, add_layers
from regexp.stack.optimizers import Stepper
from regexp.stack.stack import Stack
from regexp.training.loop import train

AT_ONCE = 60
"""Runs of a stack."""

FOLDS = 5
"""Of balanced splits; each holds as many rows as a test split."""

METRICS = "accuracy", "nll"


@dataclass(frozen=True)
class Outputs:
    """Scores by row, higher is better.

    Attributes:
        scores: by metric, [pools, techniques, seeds, rows]: 0 or 1 for accuracy, the logarithm of
            the probability of the right class for nll. The test split's rows come first, then
            those of the training split that a `train_size` leaves over.
        rows: their numbers in the pool, [pools, seeds, rows].
        pool: rows of a pool.
        training, validation, test: rows of the splits; of training those that are learned from.
    """

    scores: Mapping[str, NDArray[Any]]
    rows: NDArray[np.int64]
    pool: int
    training: int
    validation: int
    test: int

    @property
    def left(self) -> int:
        """Rows of the training split that are not learned from."""
        return self.rows.shape[-1] - self.test


def trained(setting: Setting, seed: int, cache_at: Path | None = None) -> Outputs:
    """Train what the setting says, or read it back.

    Args:
        seed: of pools and runs.
        cache_at: a folder where what was trained is kept.
    """
    sizes = _sizes(setting)
    key = hashlib.sha256(json.dumps([asdict(setting), seed]).encode()).hexdigest()[:16]
    path = cache_at / f"{key}.npz" if cache_at else None
    if path and path.exists():
        with np.load(path) as kept:
            parts = {name: kept[name] for name in kept.files}
    else:
        parts = _train(setting, seed)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, allow_pickle=False, **parts)
    rows = parts.pop("rows")
    return Outputs(parts, rows, sum(sizes[:3]) + sizes[3], sizes[0], sizes[1], sizes[2])


def _sizes(setting: Setting) -> tuple[int, int, int, int]:
    """Rows that are learned from, of validation, of test, and left over."""
    validation = test = round(0.2 * setting.rows)
    rest = setting.rows - validation - test
    training = setting.train_size or rest
    return training, validation, test, rest - training


def _train(setting: Setting, seed: int) -> dict[str, NDArray[Any]]:
    tables = [pool(setting, derive(seed, "pool", number)) for number in range(setting.pools)]
    tables = tables or [digits()]
    training, validation, test, left = _sizes(setting)
    shape = len(tables), len(setting.techniques), setting.seeds
    places = [(table, run) for table in range(len(tables)) for run in range(setting.seeds)]
    orders = {place: _order(setting, seed, *place) for place in places}
    tested = {
        place: torch.cat([order[-test:], order[training : training + left]])
        for place, order in orders.items()
    }
    found = {
        "accuracy": np.empty((*shape, test + left), np.bool_),
        "nll": np.empty((*shape, test + left), np.float32),
        "rows": np.stack([tested[place].numpy() for place in places]).reshape(*shape[::2], -1),
    }
    for number, name in enumerate(setting.techniques):
        for first in range(0, len(places), AT_ONCE):
            some = places[first : first + AT_ONCE]
            members = []
            for place in some:
                inputs, targets = tables[place[0]]
                split = orders[place].split((training, left, validation, test))
                parts = split[0], split[2], tested[place]
                splits = (Split(inputs[rows], targets[rows]) for rows in parts)
                # the same initial weights and batches at equal seeds, unless it is none again
                again = setting.techniques[:number].count(name)
                key = derive(seed, "run", *place) if not again else derive(seed, again, *place)
                members.append(_member(setting, name, key % 2**62, *splits))
            for place, outputs in zip(some, _outputs(setting, members), strict=True):
                targets = tables[place[0]][1][tested[place]]
                where = (place[0], number, place[1])
                found["accuracy"][where] = (outputs.argmax(1) == targets).numpy()
                found["nll"][where] = -LOSSES["classification"](outputs, targets).numpy()
    return found


def _order(setting: Setting, seed: int, table: int, run: int) -> torch.Tensor:
    """The rows of a pool, [rows]: those to learn from first, then left over, validation, test."""
    if not setting.balanced:
        return Rng(derive(seed, "split", table, run)).permutation(setting.rows)
    block, fold = divmod(run, FOLDS)
    order = Rng(derive(seed, "split", table, block)).permutation(setting.rows)
    return order.roll(-round(fold * setting.rows / FOLDS))


def _outputs(setting: Setting, members: list[Member]) -> list[torch.Tensor]:
    """Logits of the test rows, by run."""
    stack = Stack(members, setting.epochs, setting.batch_size)
    results = train(stack, setting.epochs, report=lambda run, epoch, numbers: None)
    outputs = {result.run: result.outputs for result in results}
    return [outputs[run] for run in range(len(members))]


def _member(
    setting: Setting, name: str, seed: int, train: Split, validation: Split, test: Split
) -> Member:
    data = Data(
        train=train,
        validation=validation,
        test=test,
        task="classification",
        classes=tuple(map(str, range(10))),
        features=tuple(map(str, range(64))),
        checksum="",
        name="benchmark",
        source="",
    )
    cocktail = Cocktail({part: _technique(part) for part in name.split("+") if part != "none"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MLP((64,), 10, hidden=setting.hidden, activation="relu")
    adam = partial(torch.optim.Adam, lr=setting.rate, fused=True)
    constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0, total_iters=0)
    model = add_layers(network, cocktail, seed)
    return Member(seed, data, model, cocktail, Stepper(adam, constant, "epoch"))


@cache
def _technique(name: str) -> Regularizer:
    """With the numbers of its YAML."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    settings = dict(OmegaConf.load(ROOT / "conf" / "regularizer" / f"{name}.yaml").items())
    settings.pop("search", None)
    made: Regularizer = instantiate(settings)
    return made


@cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [1797, 64] in [0, 1] and classes."""
    from sklearn.datasets import load_digits

    images = load_digits()
    return torch.tensor(images.data / 16, dtype=torch.float32), torch.tensor(images.target)


def pool(setting: Setting, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """So many images out of the population."""
    inputs, targets = digits()
    draws = torch.Generator().manual_seed(seed % 2**62)
    chosen = torch.randint(len(inputs), (setting.rows,), generator=draws)
    turn, scale, *shift = torch.rand(4, setting.rows, generator=draws) * 2 - 1
    turn, scale = turn * 0.2, 1 + scale * 0.1
    cos, sin = scale * turn.cos(), scale * turn.sin()
    across, down = (0.2 * amount for amount in shift)
    affine = torch.stack([cos, -sin, across, sin, cos, down], 1).reshape(-1, 2, 3)
    size = [setting.rows, 1, 8, 8]
    grid = functional.affine_grid(affine, size, align_corners=False)
    images = functional.grid_sample(inputs[chosen].reshape(size), grid, align_corners=False)
    noise = 0.05 * torch.randn(setting.rows, 64, generator=draws)
    return images.reshape(-1, 64) + noise, targets[chosen]
