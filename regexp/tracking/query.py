"""Ask the store for runs."""

import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from regexp.addresses import public
from regexp.metrics.names import TUNING_STAGE, column, parameter
from regexp.tracking import database, names, process, view
from regexp.tracking.error import is_denied

if TYPE_CHECKING:
    import pandas as pd

DIVERGED = "diverged"
"""Tag of a run whose loss became NaN: training it again would give the same."""

_PAGE = 1000
_AT_ONCE = 100  # runs whose metrics a database is asked for in one query
_REQUESTS = 8  # to a server, side by side
_UNEXPLAINED = "its process ended without saying why"
_TAGS = (
    "technique", "variant", "setting", "label", "dataset", "split", "stage", "tuned",
    "chosen", "fingerprint", "data.checksum", "code.checksum", "training.rows", "reason",
    "remarks",
)  # fmt: skip


_OF_FRAMES = (*_TAGS, "seed", names.WHOLE_NAME, *names.OF_SWEEPS)
"""The tags that a `frame` is made of, and what the UI groups runs by."""

_SETS = ("sweeps", "reused_by")
_TELLING = (
    "fingerprint", "reason", DIVERGED, "arithmetic", "mlflow.parentRunId", "stage",
    *names.OF_SWEEPS,
)  # fmt: skip
"""The tags that an `Earlier` is made of, a quarter of those of a run; as `database.tagged` takes
them."""


@dataclass(frozen=True)
class Earlier:
    """What an earlier try at a run came to.

    Attributes:
        status: `FINISHED`, `FAILED`, `KILLED`, `SCHEDULED`, or `RUNNING` elsewhere.
        ended: whether there is nothing left to do: it finished, or its loss became NaN.
        arithmetic: what its bits depend on beside configuration, data and code.
        sweep_id: of the sweep that it was trained for.
        sweeps: the ids of all that it belongs to.
        reused_by: of those that did not train it, though one of them may have inherited it since.
        is_trial: whether it was to choose numbers, so that its weights are not kept.
    """

    id: str
    fingerprint: str
    status: str
    reason: str
    ended: bool
    arithmetic: str
    metrics: Mapping[str, float]
    sweep_id: str = ""
    sweeps: frozenset[str] = frozenset()
    reused_by: frozenset[str] = frozenset()
    is_trial: bool = False

    @classmethod
    def of(cls, run: Any) -> Self:
        """Of MLflow's run."""
        tags, status = run.data.tags, run.info.status
        return cls(
            run.info.run_id,
            tags.get("fingerprint", ""),  # a person may have made a child run as well
            status,
            tags.get("reason", ""),
            status == "FINISHED" or tags.get(DIVERGED) == "true",
            tags.get("arithmetic", ""),
            {name: number(value) for name, value in run.data.metrics.items()},
            tags.get("mlflow.parentRunId", ""),
            names.sweeps_of(tags),
            names.labelled_in(tags),
            tags.get("stage") == TUNING_STAGE,
        )

    def as_plain(self) -> dict[str, Any]:
        """As plain containers, for a file."""
        sets = {name: sorted(getattr(self, name)) for name in _SETS}
        return vars(self) | {"metrics": dict(self.metrics), **sets}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> Self:
        """What `as_plain` wrote."""
        return cls(**(dict(content) | {name: frozenset(content[name]) for name in _SETS}))


def search(client: Any, experiments: Sequence[str], condition: str) -> list[Any]:
    """All active runs that match, oldest first."""
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            list(experiments),
            condition,
            max_results=_PAGE,
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            page_token=token,
        )
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def quoted(value: str) -> str:
    """A string in MLflow's filter language, which knows no escapes but has two quotes."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise ValueError(f"cannot search for {value!r}: it holds both kinds of quotes")


def tagged(
    client: Any,
    experiment: str,
    tags: Mapping[str, str],
    *,
    params: bool = True,
    telling: Sequence[str] = (),
) -> list[Any]:
    """The runs of an experiment that have all these tags, oldest first.

    Args:
        client: MLflow's, of the store.
        experiment: its id.
        tags: of the runs.
        params: whether anybody looks at their parameters, which a server gives in any case.
        telling: the tags that anybody looks at, of which the same is true; see `database.tagged`.
    """
    found = database.tagged(client, experiment, tags, params=params, telling=telling)
    if found is not None:
        return found
    condition = " and ".join(f"tags.`{key}` = {quoted(value)}" for key, value in tags.items())
    return search(client, [experiment], condition)


def tries(client: Any, experiment: str, tags: Mapping[str, str]) -> list[Any]:
    """As `tagged`, with what `Earlier.of` looks at."""
    return tagged(client, experiment, tags, params=False, telling=_TELLING)


def tags_of(client: Any, run_id: str) -> dict[str, str]:
    """The tags of a run or sweep, as the store has them now."""
    found = database.tags_of(client, run_id)
    return dict(client.get_run(run_id).data.tags) if found is None else found


def trained(
    client: Any, experiment: str, sweep_id: str, tags: Mapping[str, str], **read: Any
) -> list[Any]:
    """The runs that were trained for a sweep and have these tags, oldest first; see `tagged`."""
    return tagged(client, experiment, {"mlflow.parentRunId": sweep_id, **tags}, **read)


def children(client: Any, experiment: str, sweep_id: str, *, params: bool = True) -> list[Any]:
    """The runs of a sweep, those that it reuses of others too, oldest first; see `tagged`.

    Args:
        params: without them, of the tags too only those are read that a `frame` is made of.
    """
    read: dict[str, Any] = {"params": params, "telling": () if params else _OF_FRAMES}
    reused = tagged(client, experiment, {names.member_of(sweep_id): names.REUSED}, **read)
    own = trained(client, experiment, sweep_id, {}, **read)
    known = {run.info.run_id for run in own}
    runs = [*own, *(run for run in reused if run.info.run_id not in known)]
    for run in runs:
        run.data.tags.update(_labels(run.data.tags, sweep_id))
    return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def _labels(tags: Mapping[str, str], sweep_id: str) -> dict[str, str]:
    """The tags that a run has in a sweep which reuses it, in the place of its own."""
    try:
        labels = json.loads(tags.get(names.labels_in(sweep_id), "{}"))
        told = {str(name): str(value) for name, value in labels.items()}
    except (ValueError, AttributeError):  # it was too long for a tag, or is by other hands
        return {}
    return told | (view.grouping({**tags, **told}) if told else {})


def reap(client: Any) -> list[str]:
    """End RUNNING runs whose process on this machine is dead as FAILED; return their ids.

    Those of others, which this user may not write, stay as they are.
    """
    from mlflow.entities import RunTag
    from mlflow.exceptions import MlflowException

    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    here = f"tags.process LIKE {quoted(process.beginning() + '%')}"
    dead = []
    for run in search(client, experiments, f"attributes.status = 'RUNNING' and {here}"):
        # asked again: it may have been taken up since
        if process.alive(run.data.tags) is False and _is_lost(client, run.info.run_id):
            try:
                # set_tag fails where another command, which reaps as well, sets it at that moment
                client.log_batch(run.info.run_id, tags=[RunTag("reason", _UNEXPLAINED)])
                client.set_terminated(run.info.run_id, "FAILED")
            except MlflowException as error:
                if not is_denied(error):
                    raise
                continue
            dead.append(run.info.run_id)
    return dead


def _is_lost(client: Any, run_id: str) -> bool:
    run = client.get_run(run_id)
    return run.info.status == "RUNNING" and process.alive(run.data.tags) is False


def curves_of(client: Any, run: Any) -> dict[str, dict[int, float]]:
    """Every metric of a run: name -> step -> value, as `histories` of each."""
    run_id = run.info.run_id
    return {
        name: histories(client, [run_id], name).get(run_id, {}) for name in sorted(run.data.metrics)
    }


def histories(client: Any, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
    """The values of a metric by step, for every run that has it.

    Where a step was recorded twice, the later value counts.
    """
    points: dict[str, list[Any]] = defaultdict(list)
    # A database is asked for many runs at once; MLflow's client of a server knows one at a time.
    bulk = getattr(client._tracking_client.store, "get_metric_history_bulk", None)
    if len(run_ids) == 1:
        points[run_ids[0]] = client.get_metric_history(run_ids[0], name)
    elif bulk is not None:
        for first in range(0, len(run_ids), _AT_ONCE):
            for metric in bulk(run_ids[first : first + _AT_ONCE], name, sys.maxsize):
                points[metric.run_id].append(metric)
    else:
        with ThreadPoolExecutor(_REQUESTS) as threads:
            answers = threads.map(lambda run_id: client.get_metric_history(run_id, name), run_ids)
            points |= dict(zip(run_ids, answers, strict=True))
    return {
        run_id: {
            metric.step: number(metric.value)
            for metric in sorted(metrics, key=lambda metric: (metric.step, metric.timestamp))
        }
        for run_id, metrics in points.items()
        if metrics
    }


def frame(runs: Sequence[Any]) -> "pd.DataFrame":
    """A table of runs.

    Columns: run_id, name, status, start_time (milliseconds), seed (integer, -1 where there is
    none), the tags technique, variant, setting, label, dataset, split, stage, tuned, chosen,
    fingerprint, data.checksum, code.checksum, training.rows, reason and remarks ("" where absent),
    the ids of all sweeps that it belongs to (with spaces between), then `params.*` and the last
    value of every metric as `metrics.*`.
    """
    import pandas as pd

    rows = []
    for run in runs:
        tags = run.data.tags
        row = {
            "run_id": run.info.run_id,
            "name": public(tags.get(names.WHOLE_NAME) or run.info.run_name or ""),
            "status": run.info.status,
            "start_time": run.info.start_time,
            "seed": _seed(tags.get("seed", "")),
        }
        # older versions recorded passwords
        row |= {name: public(tags.get(name, "")) for name in _TAGS}
        row["sweeps"] = " ".join(sorted(names.sweeps_of(tags)))
        row |= {parameter(name): public(value) for name, value in run.data.params.items()}
        row |= {column(name): number(value) for name, value in run.data.metrics.items()}
        rows.append(row)
    first = ["run_id", "name", "status", "start_time", "seed", *_TAGS, "sweeps"]
    table = pd.DataFrame(rows, columns=None if rows else first)
    rest = sorted(set(table.columns) - set(first))
    return table[first + rest]


def _seed(text: str) -> int:
    """A seed; -1 for what is none: a person may have made a child run as well."""
    return int(text) if re.fullmatch(r"\d{1,4000}", text, re.ASCII) else -1


def number(value: float) -> float:
    """Turn MLflow's stand-in for an infinity, the largest float, back into one."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value
