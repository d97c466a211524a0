"""What a tracker reads of its store."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regexp.addresses import is_server, public
from regexp.metrics.names import ACCURACY
from regexp.tracking import names, query, store, view
from regexp.tracking.artifacts import Places
from regexp.tracking.outbox import Outbox
from regexp.tracking.patience import Patience
from regexp.tracking.query import Earlier

if TYPE_CHECKING:
    import pandas as pd


class Reading:
    """The part of `Tracker` that reads: what was recorded here is delivered before.

    Args:
        client: MLflow's, of the store.
        uri: of the store, absolute.
        experiment_id: of the MLflow experiment.
        outbox: what is on its way to the store.
        patience: waits for a store that is away.
        places: where runs have their artifacts.
    """

    def __init__(
        self,
        client: Any,
        uri: str,
        experiment_id: str,
        outbox: Outbox,
        patience: Patience,
        places: Places,
    ) -> None:
        self.client = client
        self.uri = uri
        self.experiment_id = experiment_id
        self._outbox = outbox
        self._patience = patience
        self.places = places
        self._once = ""  # the sweep of `reading_once`
        self._read: dict[bool, list[Any]] = {}  # its runs, by whether with parameters

    @property
    def server(self) -> str:
        """The address of the store without its password, if it is a server; else empty."""
        return public(self.uri) if is_server(self.uri) else ""

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
                    return query.tries(*asked, tags)
                return query.tries(*asked, {"mlflow.parentRunId": sweep_id, **tags})

        return [Earlier.of(run) for run in self._patience(found)]

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run or sweep, as the store has them now."""

        def found() -> dict[str, str]:
            with store.explained(self.uri):
                return query.tags_of(self.client, run_id)

        return self._patience(found)

    @contextmanager
    def asking_once(self) -> Iterator[None]:
        """Wait for no store that is away, for what the next command can do as well."""
        patience, self._patience = self._patience, Patience(0.0)
        try:
            yield
        finally:
            self._patience = patience

    def runs(self, sweep_id: str) -> "pd.DataFrame":
        """One row a run of a sweep, oldest first; see `query.frame` for the columns."""
        return query.frame(self._children(sweep_id))

    def run_count(self, sweep_id: str) -> int:
        """How many runs a sweep has."""
        return len(self._children(sweep_id, params=False))

    def state(self, sweep_id: str) -> str:
        """The SHA-256 of a sweep's runs as `runs` has them, without what never changes."""
        told = ("run_id", "run_name", "status", "end_time")
        made_of = [
            [*(getattr(run.info, name) for name in told), run.data.tags, run.data.metrics]
            for run in self._children(sweep_id, params=False)
        ]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    @contextmanager
    def reading_once(self, sweep_id: str, *, params: bool = True) -> Iterator[None]:
        """Read the runs of a sweep once for all that asks for them: all of them have ended.

        Args:
            sweep_id: of the sweep.
            params: whether their parameters, half of what there is to read, are read as well
                before anybody asks for them.
        """
        self._once = sweep_id
        try:
            self._children(sweep_id, params=params)
            yield
        finally:
            self._once, self._read = "", {}

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The values of a metric by step, for every run that has it; see `query.histories`."""
        self._outbox.drain()
        with store.explained(self.uri):
            return query.histories(self.client, run_ids, names.safe(name))

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""
        self._outbox.drain()
        return self.places.text(self.uri, run_id, name)

    def link(
        self,
        sweep_id: str,
        *,
        metric: str = ACCURACY,
        lower_is_better: bool | None = None,
    ) -> str:
        """Address in the UI of the sweep's runs, grouped by technique and averaged over seeds.

        The view is written into the store; once more at a sweep's end, it knows all techniques.

        Args:
            metric: the first column, by which rows are ordered.
            lower_is_better: of the metric; None where its name tells.
        """
        address = self.uri.rstrip("/") if is_server(self.uri) else "http://127.0.0.1:5000"
        tags = [run.data.tags for run in self._children(sweep_id, params=False)]
        key, state = view.shared_state(sweep_id, metric, tags, lower_is_better)
        with store.explained(self.uri):
            self.client.set_experiment_tag(self.experiment_id, key, state)
        return view.address(address, self.experiment_id, sweep_id)

    def _children(self, sweep_id: str, *, params: bool = True) -> list[Any]:
        if sweep_id == self._once:
            if True not in self._read and params not in self._read:
                self._read[params] = self._found(sweep_id, params=params)
            return self._read[True in self._read]
        return self._found(sweep_id, params=params)

    def _found(self, sweep_id: str, *, params: bool) -> list[Any]:
        self._outbox.catch_up()
        with store.explained(self.uri):
            runs = query.children(self.client, self.experiment_id, sweep_id, params=params)
        for run in runs:
            self.places.note(run)
        return runs
