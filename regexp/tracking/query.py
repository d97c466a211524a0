"""Ask the store for runs."""

import math
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from regexp.tracking import process

if TYPE_CHECKING:
    import pandas as pd

_PAGE = 1000
_AT_ONCE = 100  # runs whose metrics a database is asked for in one query
_REQUESTS = 8  # to a server, side by side
_UNEXPLAINED = "its process ended without saying why"
_TAGS = (
    "technique",
    "variant",
    "setting",
    "label",
    "dataset",
    "split",
    "stage",
    "tuned",
    "fingerprint",
    "data.checksum",
    "reason",
)


def search(client: Any, experiments: Sequence[str], condition: str) -> list[Any]:
    """All active runs that match, oldest first."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            list(experiments),
            condition,
            max_results=_PAGE,
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            page_token=token,
        )
        found.extend(page)
        token = page.token
        if not token:
            return found


def quoted(value: str) -> str:
    """A string in MLflow's filter language, which knows no escapes but has two quotes."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise ValueError(f"cannot search for {value!r}: it holds both kinds of quotes")


def reap(client: Any) -> list[str]:
    """End RUNNING runs whose process on this host is dead as FAILED; return their ids."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    host = quoted(process.tags()["host"])
    dead = []
    for run in search(client, experiments, f"attributes.status = 'RUNNING' and tags.host = {host}"):
        if process.alive(run.data.tags) is False:
            client.set_tag(run.info.run_id, "reason", _UNEXPLAINED)
            client.set_terminated(run.info.run_id, "FAILED")
            dead.append(run.info.run_id)
    return dead


def recorded(client: Any, run: Any) -> set[tuple[str, int]]:
    """(name, step) of every metric value that a run has in the store."""
    return {
        (name, metric.step)
        for name in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, name)
    }


def histories(client: Any, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
    """The values of a metric by step, for every run that has it.

    Where a step was recorded twice, the later value counts.

    Args:
        client: of the store.
        run_ids: of runs, in any number.
        name: of the metric, as the store has it.
    """
    points: dict[str, list[Any]] = defaultdict(list)
    # A database is asked for many runs at once; MLflow's client of a server knows one at a time.
    bulk = getattr(client._tracking_client.store, "get_metric_history_bulk", None)
    if len(run_ids) == 1:
        points[run_ids[0]] = client.get_metric_history(run_ids[0], name)
    elif bulk is not None:
        for first in range(0, len(run_ids), _AT_ONCE):
            for one in bulk(run_ids[first : first + _AT_ONCE], name, sys.maxsize):
                points[one.run_id].append(one)
    else:
        with ThreadPoolExecutor(_REQUESTS) as threads:
            found = threads.map(lambda run_id: client.get_metric_history(run_id, name), run_ids)
            points |= dict(zip(run_ids, found, strict=True))
    return {
        run_id: {
            metric.step: number(metric.value)
            for metric in sorted(own, key=lambda metric: (metric.step, metric.timestamp))
        }
        for run_id, own in points.items()
        if own
    }


def frame(runs: Sequence[Any]) -> "pd.DataFrame":
    """A table of runs.

    Columns: run_id, name, status, start_time (milliseconds), seed (integer, -1 where there is
    none), the tags technique, variant, setting, label, dataset, split, stage, tuned, fingerprint,
    data.checksum and reason ("" where absent), then `params.*` and the last value of every metric
    as `metrics.*`.
    """
    import pandas as pd

    rows = []
    for run in runs:
        tags = run.data.tags
        row = {
            "run_id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "start_time": run.info.start_time,
            "seed": _seed(tags.get("seed", "")),
        }
        row |= {name: tags.get(name, "") for name in _TAGS}
        row |= {f"params.{name}": value for name, value in run.data.params.items()}
        row |= {f"metrics.{name}": number(value) for name, value in run.data.metrics.items()}
        rows.append(row)
    first = ["run_id", "name", "status", "start_time", "seed", *_TAGS]
    table = pd.DataFrame(rows, columns=None if rows else first)
    rest = sorted(set(table.columns) - set(first))
    return table[first + rest]


def _seed(text: str) -> int:
    """A seed; -1 for what is none: a person may have made a child run as well."""
    return int(text) if re.fullmatch(r"\d{1,4000}", text, re.ASCII) else -1


def number(value: float) -> float:
    """Turn MLflow's stand-in for an infinity, the largest float, back into one."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value
