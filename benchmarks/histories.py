"""Reading metrics of many runs at once against run by run: `python -m benchmarks.histories`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness import interleaved, make_parser, ratios
from regexp.tracking import Tracker
from regexp.tracking.stored import Reader

METRIC = "val/loss"
METRICS = (METRIC, "val/accuracy", "train/loss", "train/accuracy", "lr", "gradient_norm")
PARAMS = {f"param_{index}": index for index in range(45)}
SUMMARY = {f"test/metric_{index}": float(index) for index in range(20)}


def fill(folder: Path, runs: int, epochs: int) -> list[str]:
    """A store with so many runs of about the size of real ones; their ids."""
    ids = []
    with Tracker(None, "regexp", folder) as tracker:
        sweep = tracker.sweep("key", "name", {})
        for seed in range(runs):
            record = tracker.start(
                sweep.id, name=f"run {seed}", fingerprint=str(seed), params=PARAMS, artifacts={},
                tags={"technique": "none", "seed": seed, "dataset": "none"},
                dataset={"name": "none", "checksum": "00" * 32, "source": "none"},
            )  # fmt: skip
            for epoch in range(1, epochs + 1):
                record.metrics(dict.fromkeys(METRICS, 1 / epoch), epoch)
            record.summary(SUMMARY)
            record.finish()
            ids.append(record.id)
        sweep.finish()
    return ids


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    if options.smoke:
        options.runs, options.epochs, options.rounds = 3, 2, 1
    with tempfile.TemporaryDirectory() as name:
        ids = fill(Path(name), options.runs, options.epochs)
        reader = Reader(None, Path(name))
        together = reader.histories(ids, METRIC)
        assert {one: reader.histories([one], METRIC)[one] for one in ids} == together
        singly = lambda: [reader.histories([one], METRIC) for one in ids]
        ways = {"singly": singly, "together": lambda: reader.histories(ids, METRIC)}
        found = interleaved(
            {name: partial(seconds, way) for name, way in ways.items()}, options.rounds
        )
        _, ratio, _ = ratios(found["singly"], found["together"])
    print(
        f"{options.runs} runs, {options.epochs} epochs: reading {METRIC} run by run takes "
        f"{ratio:.1f} times as long as all at once"
    )


if __name__ == "__main__":
    main()
