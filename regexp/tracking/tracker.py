"""The tracker: one process's connection to the store of runs."""

import atexit
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock

from regexp.addresses import is_server
from regexp.metrics.names import ACCURACY
from regexp.tracking import delivery, environment, names, process, query, store, stored, view
from regexp.tracking.error import StoreAwayError
from regexp.tracking.experiments import find_or_make
from regexp.tracking.outbox import Left, Outbox
from regexp.tracking.patience import Patience
from regexp.tracking.query import Earlier
from regexp.tracking.quiet import quiet
from regexp.tracking.record import WALL_SECONDS, RunRecord, Status, now
from regexp.tracking.redelivery import farewell, spool_of
from regexp.tracking.signals import Terminated

if TYPE_CHECKING:
    import pandas as pd

_logger = logging.getLogger(__name__)


class Tracker:
    """Records sweeps and their runs; use it as a context manager, so that none stays RUNNING.

    Opening it creates the store where needed, delivers what earlier processes could not, and marks
    runs as FAILED whose process died without a word.

    Args:
        uri: `tracking.uri`; None is the SQLite file in `folder`.
        experiment: the name of the MLflow experiment, made when absent.
        folder: `paths.mlruns`.
        wait: `tracking.wait`, for how many seconds a run that starts waits for a store which does
            not answer; opening it waits for none.

    Attributes:
        client: MLflow's, of the store.
        left: after `close`, what could not be delivered.

    Raises:
        StoreAwayError: the store does not answer.
        TrackingError: the store cannot be used.
    """

    left: Left = Left()

    def __init__(
        self, uri: str | None, experiment: str, folder: Path | str, *, wait: float = 0.0
    ) -> None:
        self._given = uri
        self.folder = Path(folder)
        self.uri = store.resolve(uri, self.folder)
        self._patience = Patience(wait)
        store.check_folders(self.folder)
        self.client = store.open_client(self.uri, self.folder)
        with store.explained(self.uri):
            self.experiment_id = find_or_make(self.client, experiment, self.uri, self.folder)
        self._outbox = Outbox(delivery.sender(self.client), spool_of(self.uri, self.folder))
        self._open: dict[str, RunRecord] = {}  # in the order of their start: a parent comes first
        self._read: dict[str, list[Any]] = {}  # of sweeps, while `reading_once`
        self._closed = False
        # All the while: each of its calls of MLflow would make all loggers forget what they know.
        quiet.__enter__()
        # A process that forgets to close must not lose its last metrics.
        atexit.register(self.close)
        try:
            if delivered := self._outbox.redeliver():
                _logger.info("Delivered what was kept on disk for %d run(s).", delivered)
            # Only now: what was kept on disk may say how a run ended.
            with store.explained(self.uri):
                query.reap(self.client)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
        elif isinstance(error, KeyboardInterrupt | Terminated):
            self.close("KILLED", str(error) or "interrupted from the keyboard (Ctrl-C)")
        else:
            self.close("FAILED", f"{type(error).__name__}: {error}")

    def sweep(
        self, key: str, name: str, config: Mapping[str, object], *, afresh: bool = False
    ) -> RunRecord:
        """Find the parent run with this key and continue it, or make one.

        Args:
            key: tells sweeps apart; the same command gives the same key.
            config: the sweep's settings, kept as params and as the artifact `sweep.yaml`.
            afresh: whether one that has finished is left alone, and another made.

        Raises:
            TrackingError: the store cannot be used.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".sweep.lock"), store.explained(self.uri):
            run, made = self._parent(key, name, afresh)
            record = self._record(run.info.run_id, name)
            record.spent = float(run.data.tags.get(WALL_SECONDS, 0))
            if not made:
                self._continue(run)
        values, notes = names.params(config)
        missing = values.keys() - run.data.params.keys()
        if made or missing:  # whoever made it may have been killed
            import yaml

            record.text(yaml.safe_dump(names.built_in(config), sort_keys=False), "sweep.yaml")
            if diff := environment.kept_diff():
                record.text(diff, "code.diff")
            record.tags(notes)
            for param in sorted(missing):  # the last: they tell that all of it is there
                self._outbox.put(record.id, delivery.param(param, values[param]))
        return record

    def joined(self, run_id: str, name: str) -> RunRecord:
        """A run or sweep of another process, to record more with it; how it ends is not changed."""
        return self._record(run_id, name, owned=False)

    def start(
        self,
        sweep_id: str,
        *,
        name: str,
        fingerprint: str,
        params: Mapping[str, object],
        tags: Mapping[str, object],
        artifacts: Mapping[str, str],
        dataset: Mapping[str, str],
        resume: str | None = None,
    ) -> RunRecord:
        """Begin a run as the child of a sweep, or go on with one that was broken off.

        Args:
            fingerprint: of the resolved config, the data and the code.
            params: nested or flat; see `names.params` for what becomes of odd ones.
            tags: `technique`, `seed`, `dataset`; `variant` holds the numbers of a grid, such as
                "strength=0.001", and `setting` whatever else the sweep varies.
            artifacts: small texts by name, such as the resolved config as `config.yaml`.
            dataset: `name`, `checksum`, `source`.
            resume: the id of the run to go on with, of the same fingerprint. What it recorded is
                kept, and metrics that it has are not recorded again.

        Raises:
            TrackingError: the store cannot be used.
        """
        values, notes = names.params(params)
        all_tags = {key: names.text(value) for key, value in tags.items() if value != ""}
        all_tags |= process.tags() | environment.common_tags() | notes | view.grouping(tags)
        all_tags |= {
            "mlflow.parentRunId": sweep_id, "sweep": sweep_id, "fingerprint": fingerprint,
            names.member_of(sweep_id): names.TRAINED,
        }  # fmt: skip
        if resume is None:
            record = self._record(self._new(name, all_tags).info.run_id, name)
        else:
            run, known = self._patience(lambda: self._resumed(resume))
            record = self._record(resume, name)
            record.known = known
            record.tags({"resumed": int(run.data.tags.get("resumed", 0)) + 1})
        for param, value in values.items():
            self._outbox.put(record.id, delivery.param(param, value))
        self._outbox.put(record.id, delivery.dataset(dataset))
        for artifact, content in artifacts.items():
            record.text(content, artifact)
        record.text(json.dumps(environment.environment(), indent=2), "environment.json")
        return record

    def tries(self, tags: Mapping[str, str], sweep_id: str | None = None) -> list[Earlier]:
        """What became of the runs that have these tags, oldest first.

        Args:
            tags: by which they are searched.
            sweep_id: of the sweep that they were trained for; None for those of all sweeps.
        """

        def found() -> list[Any]:
            self._outbox.catch_up()
            with store.explained(self.uri):
                asked = self.client, self.experiment_id
                if sweep_id is None:
                    return query.tagged(*asked, tags, params=False)
                return query.trained(*asked, sweep_id, tags, params=False)

        return [Earlier.of(run) for run in self._patience(found)]

    @contextmanager
    def asking_once(self) -> Iterator[None]:
        """Wait for no store that is away, for what the next command can do as well."""
        patience, self._patience = self._patience, Patience(0.0)
        try:
            yield
        finally:
            self._patience = patience

    def reuse(self, sweep_id: str, runs: Mapping[str, Mapping[str, str]]) -> None:
        """Make runs of other sweeps runs of this one as well.

        Args:
            sweep_id: of this sweep.
            runs: by id, what tags such as `setting` are of it in this sweep: what sweeps vary is
                not the same. Tags that are not named are those that the run has.
        """
        for run_id, labels in runs.items():
            text = json.dumps(dict(labels), ensure_ascii=False)
            self._outbox.put(run_id, delivery.tag(names.labels_in(sweep_id), text))
            self._outbox.put(run_id, delivery.tag(names.member_of(sweep_id), names.REUSED))

    def runs(self, sweep_id: str) -> "pd.DataFrame":
        """One row a run of a sweep, oldest first; see `query.frame` for the columns."""
        return query.frame(self._children(sweep_id))

    def run_count(self, sweep_id: str) -> int:
        """How many runs a sweep has."""
        return len(self._children(sweep_id))

    @contextmanager
    def reading_once(self, sweep_id: str) -> Iterator[None]:
        """Read the runs of a sweep once for all that asks for them: all of them have ended."""
        self._read = {sweep_id: self._children(sweep_id)}
        try:
            yield
        finally:
            self._read = {}

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The values of a metric by step, for every run that has it; see `query.histories`."""
        self._outbox.drain()
        with store.explained(self.uri):
            return query.histories(self.client, run_ids, names.safe(name))

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""
        self._outbox.drain()
        return stored.text_artifact(self.client, self.uri, run_id, name)

    def link(
        self,
        sweep_id: str,
        *,
        metric: str = ACCURACY,
        charts: bool = False,
        address: str = "http://127.0.0.1:5000",
    ) -> str:
        """Address in the UI of the sweep's runs, grouped by technique and averaged over seeds.

        The view is written into the store; once more at a sweep's end, it knows all techniques.

        Args:
            metric: the first column, by which rows are ordered.
            charts: land on the curves instead of the table.
            address: of the UI; a tracking server shows its own.
        """
        if is_server(self.uri):
            address = self.uri.rstrip("/")
        tags = [run.data.tags for run in self._children(sweep_id)]
        key, state = view.shared_state(sweep_id, metric, tags)
        with store.explained(self.uri):
            self.client.set_experiment_tag(self.experiment_id, key, state)
        return view.address(address, self.experiment_id, sweep_id, charts=charts)

    def close(self, status: Status = "FAILED", reason: str = "its run was not finished") -> None:
        """Send what is queued and end runs that are still open, with `status` and `reason`.

        What cannot be delivered stays on disk for the next tracker, and is told of: see `left`.
        """
        if self._closed:
            return
        for record in reversed(list(self._open.values())):
            record.finish(status, reason)
        self._closed = True
        atexit.unregister(self.close)
        try:
            self.left = self._outbox.close()
        finally:
            quiet.__exit__()
        for line in farewell(self.left, self._given, self.folder):
            _logger.warning(line)

    def _record(self, run_id: str, name: str, *, owned: bool = True) -> RunRecord:
        def forget(record: RunRecord) -> None:
            self._open.pop(record.id, None)

        self._open[run_id] = RunRecord(run_id, self._outbox, forget, name=name, owned=owned)
        return self._open[run_id]

    def _new(self, name: str, tags: Mapping[str, str]) -> Any:
        """Make a run of a sweep; where only the answer was lost, find the one that was made."""

        def create() -> Any:
            with store.explained(self.uri):
                return self._create(name, tags)

        def find() -> Any:
            mine = {
                key: tags[key] for key in ("mlflow.parentRunId", "fingerprint", "process", "pid")
            }
            with store.explained(self.uri):
                for run in query.tagged(self.client, self.experiment_id, mine):
                    if not run.data.params and run.info.run_id not in self._open:
                        return run
            return create()

        try:
            return create()
        except StoreAwayError:
            return self._patience(find)

    def _resumed(self, run_id: str) -> tuple[Any, set[tuple[str, int]]]:
        """Set a run RUNNING again; the run as it was, and (name, step) of what it recorded."""
        with store.explained(self.uri):
            run = self.client.get_run(run_id)
            self._continue(run)
            curves = query.curves_of(self.client, run)
            return run, {(name, step) for name, steps in curves.items() for step in steps}

    def _create(self, name: str, tags: Mapping[str, str]) -> Any:
        cut = {names.safe(key): names.cut(value, names.TAG_LENGTH) for key, value in tags.items()}
        short, whole = names.of_run(name)
        return self.client.create_run(self.experiment_id, now(), tags=cut | whole, run_name=short)

    def _children(self, sweep_id: str) -> list[Any]:
        if sweep_id in self._read:
            return self._read[sweep_id]
        self._outbox.catch_up()
        with store.explained(self.uri):
            return query.children(self.client, self.experiment_id, sweep_id)

    def _parent(self, key: str, name: str, afresh: bool) -> tuple[Any, bool]:
        """(run, made): the oldest parent with this key; another machine may make one as well."""
        wanted = {"sweep.key": key}

        def parents() -> list[Any]:
            found = query.tagged(self.client, self.experiment_id, wanted)
            return [run for run in found if not (afresh and run.info.status == "FINISHED")]

        if known := parents():
            return known[0], False
        mine = self._create(name, process.tags() | environment.common_tags() | wanted)
        first = parents()[0]
        if first.info.run_id != mine.info.run_id:
            self.client.delete_run(mine.info.run_id)
            return first, False
        return mine, True

    def _continue(self, run: Any) -> None:
        from mlflow.entities import RunTag

        run_id = run.info.run_id
        self.client.update_run(run_id, status="RUNNING")
        if "reason" in run.data.tags:
            self.client.delete_tag(run_id, "reason")
        tags = [RunTag(key, value) for key, value in process.tags().items()]
        self.client.log_batch(run_id, tags=tags)
