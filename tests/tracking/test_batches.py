"""In what order and how many together records are sent. The limits are MLflow's own."""

from collections import Counter

from mlflow.utils import validation

from regexp.tracking import delivery
from regexp.tracking.batches import arranged, batches
from regexp.tracking.spool import Record


def logged() -> list[Record]:
    """What one request takes together, in an order that nobody would choose."""
    metrics = [delivery.metric("loss", 1.0, step, 0) for step in range(2500)]
    tags = [delivery.tag(f"t{index}", "") for index in range(150)]
    params = [delivery.param(f"p{index}", "") for index in range(250)]
    return [*metrics[:1200], *tags, *metrics[1200:], *params]


def test_batches_hold_what_one_call_takes() -> None:
    records = logged()
    cut = list(batches(records))
    assert [record for batch in cut for record in batch] == records
    for batch in cut:
        kinds = Counter(record["kind"] for record in batch)
        assert len(batch) <= validation.MAX_ENTITIES_PER_BATCH
        assert kinds["metric"] <= validation.MAX_METRICS_PER_BATCH
        assert kinds["param"] <= validation.MAX_PARAMS_TAGS_PER_BATCH
        assert kinds["tag"] <= validation.MAX_PARAMS_TAGS_PER_BATCH
    assert len(cut) == 6


def test_artifacts_go_one_by_one() -> None:
    texts = [delivery.text("a", "a.txt"), delivery.text("b", "b.txt")]
    tag = delivery.tag("a", "")
    assert list(batches([tag, tag, *texts, tag])) == [
        [tag, tag],
        *([text] for text in texts),
        [tag],
    ]


def test_what_goes_together_is_behind_artifacts_and_before_an_end() -> None:
    """A sweep's params say that its artifacts are there, and a status that all is."""
    param, metric, tag = (
        delivery.param("a", "1"),
        delivery.metric("b", 1.0, 0, 0),
        delivery.tag("c", ""),
    )
    text, data, ended = (
        delivery.text("d", "d.txt"),
        delivery.dataset({}),
        delivery.status("FAILED", 1),
    )
    records = [param, text, metric, data, ended, tag, text]
    assert arranged(records) == [text, data, param, metric, ended, text, tag]
