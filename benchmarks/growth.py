"""How commands grow with the runs of a sweep: `python -m benchmarks.growth`.

A store of each size is filled with finished runs, one of each job through the tracker and the
others as copies of its rows. The command that would train them is timed as a user starts it, in a
new process: as a dry run, and to find that nothing is left to do and compare what there is. Told is
the seconds of the processor, and the exponent with which they grow between sizes: 1 is linear, 2
quadratic.
"""

from __future__ import annotations

import math
import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Times, inside, make_parser, timed

if TYPE_CHECKING:
    from regexp.sweeps.planned_run import PlannedRun

SIZES = (500, 1000, 2000, 4000)
TECHNIQUES = ("none", "l1", "l2", "dropout", "label_smoothing")
SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=1", "yardsticks=false")
KINDS = {"dry run": ["dry_run=true"], "start and skip": ["figures=false"]}
METRICS = {
    **{f"{split}/{name}": 0.5 for split in ("test", "val") for name in ("loss", "accuracy", "f1")},
    **{f"timing/{index}": 1.0 for index in range(10)},
}


def words(runs: int) -> list[str]:
    """The sweep of so many runs, in the words after `regexp`."""
    seeds = runs // len(TECHNIQUES)
    return ["-m", f"regularizer={','.join(TECHNIQUES)}", f"seeds={seeds}", *SMALL]


def fill(folder: Path, runs: int) -> None:
    """Record the runs of a sweep as finished, in a new store."""
    from regexp.commands.arguments import parse
    from regexp.config.jobs import compose
    from regexp.sweeps.execute import settings_of
    from regexp.sweeps.plan import plan_all
    from regexp.sweeps.planned_run import key_of
    from regexp.sweeps.recording import Recorder
    from regexp.sweeps.reuse import arithmetic_of
    from regexp.tracking import Tracker

    sweep = compose(parse([*words(runs), f"paths.mlruns={folder}", *KINDS["start and skip"]])[0])
    planned, _ = plan_all(sweep.jobs)
    arithmetic = arithmetic_of(planned[0][0].config["trainer"])
    with Tracker(None, sweep.config.tracking.experiment, folder) as tracker:
        parent = tracker.sweep(key_of(planned, sweep.command), sweep.name, settings_of(sweep))
        recorder = Recorder(tracker, parent.id, "", arithmetic, {})
        for first, *others in planned:
            [record] = recorder.start([first], range(1))
            assert record is not None
            record.summary(METRICS)
            record.finish()
            copy_run(folder / "mlflow.db", record.id, others)
        parent.finish()


def copy_run(database: Path, run_id: str, runs: Sequence[PlannedRun]) -> None:
    """Put the rows of a recorded run into the tables once more for each of some others."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            cursor = connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run_id])
            columns = [column[0] for column in cursor.description]
            found = [dict(zip(columns, row, strict=True)) for row in cursor]
            copies = [_as_of(row, table, run) for run in runs for row in found]
            places = ", ".join(f":{column}" for column in columns)
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", copies)


def _as_of(row: dict[str, Any], table: str, run: PlannedRun) -> dict[str, Any]:
    """A row of a table as another run would have it, whose id is its fingerprint."""
    new: dict[str, Any] = {"run_uuid": run.fingerprint}
    if table == "runs":
        place = row["artifact_uri"].replace(row["run_uuid"], run.fingerprint)
        new |= {"name": run.name, "artifact_uri": place}
    elif table in ("tags", "params"):
        own = {"seed": str(run.seed), "fingerprint": run.fingerprint, "mlflow.runName": run.name}
        new["value"] = own.get(row["key"], row["value"])
    else:  # seeds differ, so that there is a spread to compare
        new["value"] = row["value"] + run.seed % 7 / 100
    return row | new


def exponents(sizes: Sequence[int], seconds: Sequence[float]) -> list[float]:
    """Of the growth from each size to the next."""
    return [
        math.log(seconds[at + 1] / seconds[at]) / math.log(sizes[at + 1] / sizes[at])
        for at in range(len(sizes) - 1)
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args(arguments)
    time: Callable[..., Times] = timed
    if options.smoke:
        options.sizes, time = [5, 10], inside
    os.environ["REGEXP_DATA"] = os.environ.get("REGEXP_DATA") or tempfile.gettempdir()
    found: dict[str, list[Times]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in options.sizes:
            mlruns = folder / str(size)
            fill(mlruns, size)
            for kind, more in KINDS.items():
                command = ["-m", "regexp", *words(size), f"paths.mlruns={mlruns}", *more]
                found[kind].append(time(command, folder))
                wall, cpu = found[kind][-1]
                print(f"{size:6} runs, {kind:<14} {wall:6.1f} s, {cpu:6.1f} s of the processor")
    for kind, times in found.items():
        told = ", ".join(f"{one:.2f}" for one in exponents(options.sizes, [t.cpu for t in times]))
        print(f"{kind}: grows with the exponent {told}")


if __name__ == "__main__":
    main()
