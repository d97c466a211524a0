"""Which networks are trained."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        techniques: names of `conf/regularizer`, joined by + in a cocktail; the first is the
            baseline. A name may be there more than once: its runs then have other streams.
        pools: tables; 0 for the 1,797 digits as they are, once.
        seeds: of every technique on every pool.
        rows: of a pool.
        train_size: rows that a run learns from; None for all of its training split.
        epochs, batch_size, rate, hidden: of the training.
        balanced: whether the seeds' test folds, and their training rows where they are so few, are
            disjoint in blocks of five, as `regexp` splits; else every seed splits by itself.
    """

    techniques: tuple[str, ...]
    pools: int
    seeds: int
    rows: int
    train_size: int | None
    epochs: int
    batch_size: int = 32
    rate: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    balanced: bool = True


POOLS = Setting(
    (
        "none",
        "l1",
        "l2",
        "weight_decay",
        "dropout",
        "batch_norm",
        "label_smoothing",
        "max_norm",
        "ema",
        "input_noise",
        "mixup",
    ),
    pools=150,
    seeds=10,
    rows=900,
    train_size=100,
    epochs=40,
    batch_size=20,
    rate=5e-3,
    hidden=(32,),
)
"""Sub-sampled: 100 of 540 training rows are learned from."""

FULL = replace(POOLS, seeds=6, rows=600, train_size=None, epochs=20, batch_size=32)
"""All 360 training rows are learned from."""

AGAIN = replace(POOLS, techniques=("none",) * 16, pools=30, seeds=20, balanced=False)
"""Techniques that are none with other initial weights and batches."""

DEFAULT = Setting(
    (
        "none",
        "l1",
        "l2",
        "elastic_net",
        "weight_decay",
        "dropout",
        "batch_norm",
        "early_stopping",
        "label_smoothing",
        "gradient_clipping",
        "max_norm",
        "ema",
        "input_noise",
        "mixup",
        "sam",
        "weight_decay+dropout+early_stopping",
    ),
    pools=0,
    seeds=40,
    rows=1797,
    train_size=300,
    epochs=150,
)
"""The digits as `conf/experiment/digits_mlp.yaml` has them."""


def small(setting: Setting) -> Setting:
    """Few and small networks, of which numbers say nothing."""
    size = min(setting.train_size, 30) if setting.train_size else None
    return replace(
        setting,
        techniques=setting.techniques[:1] + setting.techniques[4:7],
        pools=2,
        seeds=5,
        rows=100,
        train_size=size,
        epochs=2,
        hidden=(8,),
    )
