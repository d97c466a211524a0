"""The tracker: one process's connection to the store of runs."""

import atexit
import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from regexp.addresses import is_server
from regexp.tracking import delivery, environment, lifecycle, names, process, query, store, view
from regexp.tracking.artifacts import Places
from regexp.tracking.claims import Claims, Waits
from regexp.tracking.error import StoreAwayError
from regexp.tracking.experiments import find_or_make
from regexp.tracking.outbox import SECONDS, SECONDS_OF_SERVER, Left, Outbox
from regexp.tracking.patience import Patience
from regexp.tracking.quiet import quiet
from regexp.tracking.reading import Reading
from regexp.tracking.record import WALL_SECONDS, RunRecord, Status
from regexp.tracking.redelivery import farewell, spool_of
from regexp.tracking.shared import ENVIRONMENT, OWN, STACK, Shared

_logger = logging.getLogger(__name__)


class Tracker(Reading):
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
        queue: takes a run's id and a record of it, see `regexp.tracking.delivery`.
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
        address = store.resolve(uri, self.folder)
        store.check_folders(self.folder)
        client = store.open_client(address, self.folder)
        store.make_private(self.folder)
        with store.explained(address):
            experiment_id = find_or_make(client, experiment, address, self.folder)
        self._claims = Claims(client, address, self.folder, lambda asked: self._patience(asked))
        places = Places(client)
        send = delivery.sender(client, places, self._claims.sure, self._claims.has)
        interval = SECONDS_OF_SERVER if is_server(address) else SECONDS
        outbox = Outbox(send, spool_of(address, self.folder), interval=interval)
        super().__init__(client, address, experiment_id, outbox, Patience(wait), places)
        self._open: dict[str, RunRecord] = {}  # in the order of their start: a parent comes first
        self._closed = False
        self.queue = outbox.put
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
        self.close(*() if error is None else lifecycle.ended_by(error))

    def sweep(
        self,
        key: str,
        name: str,
        config: Mapping[str, object],
        *,
        afresh: bool = False,
        owned: bool = True,
    ) -> RunRecord:
        """Find the parent run with this key and continue it, or make one.

        Args:
            key: tells sweeps apart; the same command gives the same key.
            config: the sweep's settings, kept as params and as the artifact `sweep.yaml`.
            afresh: whether one that has finished is left alone, and another made.
            owned: whether this process decides how it ends; else it only takes part.

        Returns:
            Its record, which is not `owned` where another process has it at the same time.

        Raises:
            TrackingError: the store cannot be used.
        """
        with store.explained(self.uri):
            run, made = self._find_or_create(key, name, afresh=afresh)
            writes = made and not owned
            owned = owned and self._claims.own(run.info.run_id, None)
            self.places.note(run)
            record = self._record(run.info.run_id, name, owned=owned)
            if not made:
                self._go_on(record, run)
        values, notes = names.params(config)
        missing = values.keys() - run.data.params.keys()
        if owned or writes:  # its maker may be dead, or not its first owner
            import yaml

            # also of one that goes on: what is asked of its runs may be another question now
            record.text(yaml.safe_dump(names.built_in(config), sort_keys=False), "sweep.yaml")
            if made or missing:
                if diff := environment.kept_diff():
                    record.text(diff, "code.diff")
                record.tags(notes)
                for param in sorted(missing):  # the last: they tell that all of it is there
                    self._outbox.put(record.id, delivery.param(param, values[param]))
        return record

    def own(self, sweep: RunRecord, waits: Waits) -> None:
        """Own a sweep: one that another process owns when that has done with it.

        Args:
            sweep: from `sweep`.
            waits: told once who has it, if one has to wait.
        """
        if not sweep.owned or sweep.lost:
            self._claims.own(sweep.id, waits)
            with store.explained(self.uri):
                sweep.owned = True
                self._go_on(sweep, self.client.get_run(sweep.id))

    def alone(self, name: str, waits: Waits | None) -> AbstractContextManager[None]:
        """Let one process at a time do something, whatever machine it is on.

        Args:
            name: of what is done.
            waits: told once who does it, if one has to wait; None not to.

        Raises:
            TakenError: another process does it, and one is not to wait.
        """
        return self._claims.alone(name, waits)

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
        shared: Shared | None = None,
    ) -> RunRecord:
        """Begin a run as the child of a sweep, or go on with one that was broken off.

        Args:
            fingerprint: of the resolved config, the data and the code.
            params: nested or flat; see `names.params` for what becomes of odd ones.
            tags: `technique`, `seed`, `dataset`, the `variant` of a grid, the `setting` of a sweep.
            artifacts: small texts by name, such as the resolved config as `config.yaml`.
            dataset: `name`, `checksum`, `source`.
            resume: the id of the run to go on with, of the same fingerprint. What it recorded is
                kept, and metrics that it has are not recorded again.
            shared: its part in what its stack shares; see `Shared.going_on` of one that is resumed.

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
            run = self._create(name, all_tags | (shared.tags() if shared else {}))
            self.places.note(run)
            record = self._record(run.info.run_id, name)
            recorded = {}
        else:
            run, known = self._patience(lambda: self._resumed(resume))
            self.places.note(run)
            record = self._record(resume, name)
            record.known, recorded = known, run.data.params
            record.tags({"resumed": int(run.data.tags.get("resumed", 0)) + 1})
            shared = shared and shared.going_on(run)
            if shared and shared.first is None:
                self.places.note_own(resume)
                record.tags({STACK: OWN})
        self._claims.cover(record.id)
        for param, value in values.items():
            if param not in recorded:  # the same run may be spelled otherwise, and MLflow refuses
                self._outbox.put(record.id, delivery.param(param, value))
        self._outbox.put(record.id, delivery.dataset(dataset))
        here = json.dumps(environment.environment(), indent=2)
        texts = shared.texts(record, here) if shared else {ENVIRONMENT: here}
        for artifact, content in {**artifacts, **texts}.items():
            record.text(content, artifact)
        return record

    def reuse(self, sweep_id: str, runs: Mapping[str, Mapping[str, str]]) -> None:
        """Make runs of other sweeps runs of this one as well.

        Args:
            sweep_id: of this sweep.
            runs: by id, what tags such as `setting` are of it in this sweep: what sweeps vary is
                not the same. Tags that are not named are those that the run has.
        """
        for run_id, labels in runs.items():
            text = json.dumps(dict(labels), ensure_ascii=False)
            told = {names.labels_in(sweep_id): text, names.member_of(sweep_id): names.REUSED}
            for name, value in told.items():
                self._outbox.put(run_id, delivery.tag(name, value) | delivery.ANYBODY)

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
            self._claims.close()
        finally:
            quiet.__exit__()
        for line in farewell(self.left, self._given, self.folder):
            _logger.warning(line)

    @property
    def missing(self) -> list[str]:
        """After `close`, lines on what the store will never have of what was recorded."""
        never = replace(self.left, waiting=(), others=())
        return farewell(never, self._given, self.folder)

    def _find_or_create(self, key: str, name: str, *, afresh: bool) -> tuple[Any, bool]:
        """(run, made): the oldest parent with this key."""
        asked = self.client, self.experiment_id, key
        if run := lifecycle.find_sweep(*asked, afresh=afresh):
            return run, False
        with self.alone(f"make-{self.experiment_id}-{key}".replace(" ", "-"), lambda who: None):
            if run := lifecycle.find_sweep(*asked, afresh=afresh):
                return run, False
            return lifecycle.create_sweep(*asked, name), True

    def _go_on(self, sweep: RunRecord, run: Any) -> None:
        """Go on with a sweep that exists."""
        sweep.spent = float(run.data.tags.get(WALL_SECONDS, 0))
        if sweep.owned:
            lifecycle.set_running(self.client, run)

    def _record(self, run_id: str, name: str, *, owned: bool = True) -> RunRecord:
        def forget(record: RunRecord) -> None:
            self._open.pop(record.id, None)
            self._claims.uncover(record.id)

        has = self._claims.has
        record = RunRecord(run_id, self._outbox, forget, name=name, owned=owned, is_ours=has)
        self._open[run_id] = record
        return record

    def _create(self, name: str, tags: Mapping[str, str]) -> Any:
        """Create a run; where only the answer was lost, find the one that was. MLflow's."""
        asked = self.client, self.experiment_id

        def create(*, find: bool) -> Any:
            with store.explained(self.uri):
                found = lifecycle.find_created(*asked, tags, known=self._open) if find else None
                return found or lifecycle.create_run(*asked, name, tags)

        try:
            return create(find=False)
        except StoreAwayError:
            return self._patience(lambda: create(find=True))

    def _resumed(self, run_id: str) -> tuple[Any, set[tuple[str, int]]]:
        with store.explained(self.uri):
            return lifecycle.resume(self.client, run_id)
