"""The shared view of a sweep in MLflow's UI, as far as it can be told without a browser."""

import json

from regexp.tracking import RunRecord, Tracker, view
from regexp.tracking.names import EXPERIMENT_TAG_LENGTH
from tests.tracking.runs import start


def test_link_sets_the_shared_view(tracker: Tracker, sweep: RunRecord) -> None:
    start(tracker, sweep.id)
    link = tracker.link(sweep.id, metric="test/rmse")
    assert link.startswith(f"http://127.0.0.1:5000/#/experiments/{tracker.experiment_id}/runs?")
    assert f"viewStateShareKey={sweep.id}" in link
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    state = json.loads(tags[f"mlflow.sharedViewState.{sweep.id}"])
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "label"}]
    assert state["selectedColumns"][0] == "metrics.`test/rmse`"
    assert state["orderByAsc"] is True
    assert state["groupsExpanded"] == {"tag.label.l1": False}
    found = tracker.client.search_runs([tracker.experiment_id], state["searchFilter"])
    assert len(found) == 1


def test_view_of_several_datasets_does_not_mix_them() -> None:
    runs = [
        {"label": "l1", "dataset": "digits", "row": "l1, digits"},
        {"label": "l1", "dataset": "wine", "row": "l1, wine"},
    ]
    _, state = view.shared_state("sweep", "test/accuracy", runs)
    groups = json.loads(state)["groupBy"]["groupByKeys"]
    assert [group["groupByData"] for group in groups] == ["row"]
    assert json.loads(state)["groupsExpanded"] == {
        "tag.row.l1, digits": False,
        "tag.row.l1, wine": False,
    }


def test_a_sweep_of_more_runs_than_the_ui_loads_is_not_ordered_by_its_results() -> None:
    """The UI averages the runs it has loaded: the best 100 would flatter every technique."""
    runs = [{"label": "l1"}] * view.UI_PAGE
    _, state = view.shared_state("sweep", "test/accuracy", runs)
    assert json.loads(state)["orderByKey"] == "metrics.`test/accuracy`"
    _, state = view.shared_state("sweep", "test/accuracy", [*runs, {"label": "none"}])
    assert json.loads(state)["orderByKey"] == "params.`seed`"
    assert json.loads(state)["orderByAsc"] is True


def test_rows_are_ordered_as_a_metric_of_ones_own_says() -> None:
    for said, ascending in ((True, True), (False, False), (None, False)):
        _, state = view.shared_state("sweep", "test/worth", [{"label": "l1"}], said)
        assert json.loads(state)["orderByAsc"] is ascending


def test_trials_of_a_search_are_not_in_the_view() -> None:
    runs = [
        {"label": "l1 (strength=0.1)", "row": "l1 (strength=0.1)", "stage": "tuning"},
        {"label": "l1", "row": "l1", "stage": "final"},
    ]
    _, text = view.shared_state("id", "test/accuracy", runs)
    state = json.loads(text)
    assert state["searchFilter"].endswith("and tags.stage = 'final'")
    assert state["groupsExpanded"] == {"tag.label.l1": False}


def test_the_view_of_many_groups_is_no_longer_than_servers_take() -> None:
    runs = [{"label": f"technique (strength={number / 1000})"} for number in range(900)]
    _, text = view.shared_state("ab" * 16, "test/accuracy", runs)
    assert len(text) <= EXPERIMENT_TAG_LENGTH
    assert 0 < len(json.loads(text)["groupsExpanded"]) < 900
