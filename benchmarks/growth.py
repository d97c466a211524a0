"""How commands grow with the runs of a sweep: `python -m benchmarks.growth`.

A store of each size is filled: of each technique one job is trained, and its rows and files are put
there once more for every other job. Timed are, each as a user starts it in a new process, the dry
run of the whole sweep; the sweep, which finds that nothing is left to do; and its comparison with
all pictures. Told are seconds, the most memory, and the exponent with which seconds of the
processor grow between sizes: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from benchmarks.harness import Times, inside, make_parser, timed
from regexp.tracking.shared import FOLDER

if TYPE_CHECKING:
    from regexp.sweeps.planned_run import PlannedRun

SIZES = (1250, 2500, 5000, 10_000)
TECHNIQUES = ("none", "l1", "l2", "dropout", "label_smoothing")
SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=10", "yardsticks=false")
KINDS = ("dry run", "start and skip", "compare")


@dataclass(frozen=True)
class Size:
    """Of a sweep: techniques, each with so many learning rates, each with so many seeds."""

    rates: int
    seeds: int = 10
    techniques: Sequence[str] = TECHNIQUES

    @property
    def runs(self) -> int:
        """A job has one for each seed."""
        return len(self.techniques) * self.rates * self.seeds

    @property
    def words(self) -> list[str]:
        """The sweep in the words after `regexp`."""
        rates = ",".join(f"{1 + index / 100:.2f}e-3" for index in range(self.rates))
        techniques = f"regularizer={','.join(self.techniques)}"
        return ["-m", techniques, f"optimizer.lr={rates}", f"seeds={self.seeds}", *SMALL]


def fill(folder: Path, size: Size) -> str:
    """Record the runs of a sweep as finished, in a new store; the sweep's id."""
    from regexp.commands.arguments import parse
    from regexp.config.jobs import compose
    from regexp.sweeps.execute import settings_of
    from regexp.sweeps.job import train
    from regexp.sweeps.plan import plan_all
    from regexp.sweeps.planned_run import key_of
    from regexp.tracking import Tracker

    sweep = compose(parse([*size.words, f"paths.mlruns={folder}"])[0])
    planned, _ = plan_all(sweep.jobs)
    with Tracker(None, sweep.config.tracking.experiment, folder) as tracker:
        parent = tracker.sweep(key_of(planned, sweep.command), sweep.name, settings_of(sweep))
        trained: dict[str, Sequence[PlannedRun]] = {}
        for runs, job in zip(planned, sweep.jobs, strict=True):
            if runs[0].technique not in trained:
                train(runs, job.config, tracker, parent.id, job.setting, [])
                trained[runs[0].technique] = runs
        parent.finish()
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        ids = dict(connection.execute("SELECT value, run_uuid FROM tags WHERE key = 'fingerprint'"))
        copies = _Copies(
            connection, [ids[run.fingerprint] for runs in trained.values() for run in runs]
        )
        for runs, job in zip(planned, sweep.jobs, strict=True):
            if runs[0].fingerprint not in ids:
                originals = [ids[run.fingerprint] for run in trained[runs[0].technique]]
                copies.add(dict(zip(originals, runs, strict=True)), job.setting)
    return parent.id


class _Copies:
    """Puts the rows and files of recorded runs there once more, for other runs.

    Args:
        connection: to the database.
        originals: ids of the runs.
    """

    def __init__(self, connection: sqlite3.Connection, originals: Sequence[str]) -> None:
        self._connection = connection
        self._rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            self._rows[table] = {one: list(self._read(table, one)) for one in originals}

    def _read(self, table: str, run_id: str) -> Iterator[dict[str, Any]]:
        cursor = self._connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run_id])
        columns = [column[0] for column in cursor.description]
        return (dict(zip(columns, row, strict=True)) for row in cursor)

    def add(self, runs: Mapping[str, PlannedRun], setting: str) -> None:
        """Add runs of a job.

        Args:
            runs: by the id of that which each is a copy of; all of one stack. Their own ids are
                their fingerprints.
            setting: of the job.
        """
        ids = {original: run.fingerprint for original, run in runs.items()}
        for table, rows in self._rows.items():
            new = [
                _as_of(row, table, run, setting, ids)
                for original, run in runs.items()
                for row in rows[original]
            ]
            places = ", ".join(f":{column}" for column in new[0])
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", new)
        for original, run in runs.items():
            address = self._rows["runs"][original][0]["artifact_uri"]
            source = Path(unquote(urlsplit(address).path))
            target = Path(str(source).replace(original, run.fingerprint))
            target.mkdir(parents=True)
            if (shared := source / FOLDER).is_dir():
                shutil.copytree(shared, target / FOLDER, copy_function=partial(_copy, ids))


def _copy(ids: Mapping[str, str], source: str, target: str) -> None:
    """Copy a file that runs of a stack share, in which they have other ids."""
    if not zipfile.is_zipfile(source):
        text = Path(source).read_text()
        for one, other in ids.items():
            text = text.replace(one, other)
        Path(target).write_text(text)
        return
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(target, "w") as written:
        for name in read.namelist():
            run_id, _, file = name.partition("/")
            written.writestr(zipfile.ZipInfo(f"{ids[run_id]}/{file}"), read.read(name))


def _as_of(
    row: dict[str, Any], table: str, run: PlannedRun, setting: str, ids: Mapping[str, str]
) -> dict[str, Any]:
    """A row of a table as another run would have it."""
    new: dict[str, Any] = {"run_uuid": run.fingerprint}
    if table == "runs":
        place = row["artifact_uri"].replace(row["run_uuid"], run.fingerprint)
        new |= {"name": run.name, "artifact_uri": place}
    elif table in ("tags", "params"):
        own = {
            "fingerprint": run.fingerprint, "mlflow.runName": run.name, "setting": setting,
            "optimizer.lr": str(run.config["optimizer"]["lr"]),
        }  # fmt: skip
        new["value"] = own.get(row["key"], ids.get(row["value"], row["value"]))
    return row | new


def exponents(sizes: Sequence[int], seconds: Sequence[float]) -> list[float]:
    """Of the growth from each size to the next."""
    return [
        math.log(seconds[at + 1] / seconds[at]) / math.log(sizes[at + 1] / sizes[at])
        for at in range(len(sizes) - 1)
    ]


def commands(folder: Path, size: Size, sweep_id: str) -> dict[str, list[str]]:
    """The timed commands by their kind, in the words after `python`."""
    place = f"paths.mlruns={folder}"
    sweep = ["-m", "regexp", *size.words, place]
    compared = ["compare", sweep_id, "--folder", str(folder / "compared"), "--no-record", place]
    kinds = [*sweep, "dry_run=true"], [*sweep, "figures=false"], ["-m", "regexp", *compared]
    return dict(zip(KINDS, kinds, strict=True))


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="runs")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args(arguments)
    sizes = [Size(runs // len(TECHNIQUES) // Size.seeds) for runs in options.sizes]
    time: Callable[..., Times] = timed
    more: list[str] = []
    if options.smoke:
        sizes = [Size(rates, 2, TECHNIQUES[:2]) for rates in (1, 2)]
        time, more = inside, ["figures=false"]
    os.environ["REGEXP_DATA"] = os.environ.get("REGEXP_DATA") or tempfile.gettempdir()
    found: dict[str, list[Times]] = {kind: [] for kind in options.only}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            mlruns = folder / str(size.runs)
            if options.smoke:
                sweep_id = fill(mlruns, size)
            else:  # what this process has in memory would count as its children's
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    sweep_id = pool.apply(fill, (mlruns, size))
            for kind, command in commands(mlruns, size, sweep_id).items():
                if kind in found:
                    found[kind].append(times := time([*command, *more], folder))
                    print(
                        f"{size.runs:6} runs, {kind:<14} {times.wall:6.1f} s, {times.cpu:6.1f} s "
                        f"of the processor, {times.peak:4.2f} GiB",
                        flush=True,
                    )
    for kind, each in found.items():
        told = ", ".join(
            f"{one:.2f}" for one in exponents([one.runs for one in sizes], [t.cpu for t in each])
        )
        print(f"{kind}: grows with the exponent {told}")


if __name__ == "__main__":
    main()
