"""Ask the store for runs."""

import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regexp.tracking import process

if TYPE_CHECKING:
    import pandas as pd

_PAGE = 1000
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


def frame(runs: Sequence[Any]) -> "pd.DataFrame":
    """A table of runs.

    Columns: run_id, name, status, start_time (milliseconds), seed (integer, -1 where there is
    none), the tags technique, variant, setting, label, dataset, split, stage, tuned, fingerprint
    and reason ("" where absent), then `params.*` and the last value of every metric as `metrics.*`.
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
