"""What tables came to, in two files beside the page: a study may be made table by table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.recipes.worth import ARMS, Arm, Gain, Worth

SCORES, GAINS = "results.csv", "gains.csv"
OF_SCORES = ("table", "budget", "arm", "trials", "seed", "test/balanced_accuracy", "chosen")
POINTS = ("points", "low", "high")
OF_GAINS = ("table", "over", *POINTS, "outcome")


def store(folder: Path, found: Sequence[Worth]) -> None:
    """Write both files.

    Raises:
        OSError: the folder cannot be written.
    """
    _write(folder / SCORES, OF_SCORES, (
        (one.table, one.budget, name, arm.trials, seed, score, arm.words)
        for one in found for name, arm in one.arms.items() for seed, score in arm.scores.items()
    ))  # fmt: skip
    _write(folder / GAINS, OF_GAINS, (
        (one.table, over, gain.points, gain.low, gain.high, gain.outcome)
        for one in found for over, gain in one.gains.items()
    ))  # fmt: skip


def stored(folder: Path) -> list[Worth]:
    """What `store` has written; nothing where there is nothing."""
    if not (folder / SCORES).exists():
        return []
    rows, gains = _read(folder / SCORES), _read(folder / GAINS)
    found = []
    for table in dict.fromkeys(row["table"] for row in rows):
        ours = [row for row in rows if row["table"] == table]
        arms = {}
        for name in ARMS:
            of_arm = [row for row in ours if row["arm"] == name]
            scores = {int(row["seed"]): float(row["test/balanced_accuracy"]) for row in of_arm}
            arms[name] = Arm(scores, of_arm[0]["chosen"], int(of_arm[0]["trials"]))
        over = {row["over"]: _gain(row) for row in gains if row["table"] == table}
        found.append(Worth(table, arms, over, ours[0]["budget"]))
    return found


def _gain(row: dict[str, str]) -> Gain:
    points, low, high = (float(row[key]) for key in POINTS)
    return Gain(points, low, high, row["outcome"])


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(names)
        lines.writerows(rows)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
