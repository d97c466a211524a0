"""The view of a sweep in MLflow's UI: a link that lands on the right table or charts.

MLflow's "Share" button stores the state of the page as an experiment tag. Neither the tag nor its
format is documented; both were read from version 3.17 and looked at in a browser.
"""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from regexp.metrics import names
from regexp.tracking.names import EXPERIMENT_TAG_LENGTH, REUSED, member_of

_TAG = "mlflow.sharedViewState."

UI_PAGE = 100
"""Runs that the UI loads at once. Its averages are of the runs loaded so far."""


def grouping(tags: Mapping[str, object]) -> dict[str, str]:
    """The tags by which the UI groups runs: `label`, and `row` where more than it varies."""
    technique, variant = str(tags.get("technique", "none")), tags.get("variant", "")
    label = f"{technique} ({variant})" if variant else technique
    row = [label, str(tags.get("dataset", "")), str(tags.get("setting", ""))]
    return {"label": label, "row": ", ".join(filter(None, row))}


def shared_state(
    sweep_id: str,
    metric: str,
    runs: Sequence[Mapping[str, str]],
    lower_is_better: bool | None = None,
) -> tuple[str, str]:
    """(experiment tag, its JSON value) of the view of a sweep, grouped by technique.

    Args:
        metric: rows are ordered by it; errors and losses ascending. A sweep of more runs than
            the UI loads at once is ordered by seed instead: the best `UI_PAGE` runs would make
            averages that flatter, while the first seeds are the same for every technique.
        runs: the tags of the runs that exist by now; their groups are shown folded, and split by
            dataset and setting where the sweep varies them.
        lower_is_better: of the metric; None where its name tells.
    """
    finals = [run for run in runs if run.get("stage") == names.FINAL_STAGE]
    runs = finals or runs
    varied = any(len({run.get(tag) for run in runs}) > 1 for tag in ("dataset", "setting"))
    # One tag: the UI cuts the names of groups by several down to a few letters.
    group = "row" if varied else "label"
    ids = {f"tag.{group}.{run.get(group) or 'null'}" for run in runs}
    further = (
        *(names.LOSS, names.VALIDATION_LOSS, names.EPOCH_VALIDATION_LOSS),
        *(names.EPOCH_TRAINING_LOSS, names.EPOCHS, names.SECONDS),
    )
    metrics = dict.fromkeys([metric, *further])
    columns = [_column("metrics", name) for name in metrics]
    whole = len(runs) <= UI_PAGE
    wanted = f"tags.`mlflow.parentRunId` = '{sweep_id}'"
    if any(run.get(member_of(sweep_id)) == REUSED for run in runs):  # they have another parent
        wanted = f"tags.`{member_of(sweep_id)}` != ''"
    if finals:  # of a search, without its trials
        wanted += f" and tags.stage = '{names.FINAL_STAGE}'"
    state = {
        "searchFilter": wanted,
        "orderByKey": _column("metrics", metric) if whole else _column("params", "seed"),
        "orderByAsc": not whole or names.lower_is_better(metric, lower_is_better),
        "selectedColumns": [*columns, _column("tags", "seed"), "attributes.`Status`"],
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": group}],
        },
        "runsExpanded": {},
        "useGroupedValuesInCharts": True,
    }
    folded = dict.fromkeys(sorted(ids), False)
    while len(text := json.dumps(state | {"groupsExpanded": folded})) > EXPERIMENT_TAG_LENGTH:
        folded = dict(list(folded.items())[: len(folded) // 2])  # the UI unfolds the others
    return _TAG + sweep_id, text


def address(ui: str, experiment: str, sweep_id: str) -> str:
    """The link to that view."""
    query = {"viewStateShareKey": sweep_id, "workflowType": "machine_learning"}
    return f"{ui}/#/experiments/{experiment}/runs?{urlencode(query)}"


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
