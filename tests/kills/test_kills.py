"""A sweep that SIGKILL ends again and again is the undisturbed one: experiment.py, small."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from regexp.__main__ import run
from tests.kills import experiment as kills
from tests.kills import victim
from tests.kills.moments import BEHIND, KINDS, SEARCH_KINDS, Moment, draw
from tests.kills.stored import Stored, folder_of, left_over, stored
from tests.kills.ways import WAYS
from tests.processes import Forked

# In the first job a run leaves the stack after epoch 4, the other trains to the end.
COMMAND = [*kills.sweep(["[dropout,pruning,prechelt]", "swag"], every=2), "figures=false"]
KILLS = [
    ("before a text", -1, 0, 0),
    ("half written", 0, 2, 0),
    ("between two steps", 0, 6, 3),
    ("kept on disk", 0, 7, 0),
    ("when that is delivered", 0, 7, 0),
    ("after the status", 0, 8, 0),
    ("between two starts", 1, 0, 0),
    ("half of a batch", 1, 3, 0),
    ("file half copied", 1, 8, 2),
    ("before the checkpoint is removed", 1, 8, 0),
]  # fmt: skip
KIND_OF = {way: kind for kind, turns in KINDS.items() for ways in turns for way in ways}


def forked(arguments: Sequence[str]) -> int:
    """Launch a victim that need not import everything."""
    return Forked(victim.main, list(arguments)).wait()


@pytest.mark.slow
def test_a_killed_sweep_ends_as_if_nothing_had_happened(tmp_path: Path, empty_store: Path) -> None:
    whole, broken = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (whole, broken):
        folder.mkdir()
        shutil.copy(empty_store, folder)
    assert run([*COMMAND, f"paths.mlruns={whole}"]) == 0
    moments = [Moment(KIND_OF[way], way, *when) for way, *when in KILLS]
    done, last = kills.kill(moments, [*COMMAND, f"paths.mlruns={broken}"], tmp_path, forked)

    expected, found = stored(whole), stored(broken)
    assert kills.differing(expected, found) == []
    assert left_over(broken) == []
    counts = Counter(key[0] for key in expected)
    assert counts["status"] == 4
    assert counts["metric"] > 4 * 8 * 4
    assert counts["tensor"] > 4 * 2 * 4

    rows = kills.table(done, last).splitlines()[2:]
    assert "2 of dropout+pruning+prechelt resumed at the beginning" in rows[1]
    assert "2 of dropout+pruning+prechelt resumed after epoch 4" in rows[2]
    assert "killed before it could look" in rows[3]
    assert "1 runs skipped; 1 of dropout+pruning+prechelt resumed after epoch 6" in rows[5]
    assert "2 runs skipped; 1 of swag resumed at the beginning; 1 of swag begun" in rows[6]
    assert "2 of swag resumed after epoch 2" in rows[7]
    assert "4 runs skipped" in rows[9]

    spoil(broken)
    assert sorted(line.partition(":")[0] for line in kills.differing(expected, stored(broken))) == [
        "metric swag seed=0 val/loss 3",
        "tensor swag seed=0 checkpoints/last.pt ['weights']['hidden.0.layer.weight']",
    ]


SMALLER = ("trainer.epochs=3", "search.trials=8", "search.techniques=[dropout,mixup]",
           "search.finalists=1")  # fmt: skip
"""A search of few processes' seconds: four stacks of trials, which have a rung after an epoch."""


@pytest.mark.slow
def test_a_killed_search_has_the_same_trials_and_the_same_choice(
    tmp_path: Path, empty_store: Path
) -> None:
    pytest.importorskip("optuna", minversion="4")
    whole, broken = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (whole, broken):
        folder.mkdir()
        shutil.copy(empty_store, folder)
    command = [*kills.SEARCH, *SMALLER]
    _, events = kills.kill([], [*command, *kills.places(whole)], whole, forked)
    epochs, behind = kills.course(events)
    assert epochs[:2] == [3, 3]
    assert behind["before a draw"] == [1, 1]
    chosen = behind["before the recipe is written"][0]
    later = next(job for job in range(2, len(epochs)) if epochs[job] == 3)  # has runs in full
    moments = [
        Moment("between jobs", "before a draw", 1, BEHIND),
        Moment("inside an epoch", "between two steps", later, 2),
        Moment("inside a flush", "after the status", later, 3, 1),
        Moment("between jobs", "before the recipe is written", chosen, BEHIND),
    ]
    done, last = kills.kill(moments, [*command, *kills.places(broken)], tmp_path, forked)

    expected, found = stored(whole), stored(broken)
    assert kills.differing(expected, found) == []
    assert left_over(broken) == []
    assert kills.recipe(broken) == kills.recipe(whole)
    ended = Counter(texts[0] for key, texts in expected.items() if key[2:3] == ("epochs",))
    assert ended.keys() == {(1.0).hex(), (3.0).hex()}  # at the rung, and in full
    rows = kills.table(done, last).splitlines()[2:]
    assert "8 runs skipped; 4 of" in rows[0]
    assert "resumed after epoch 1" in rows[1]


def spoil(mlruns: Path) -> None:
    """Record a metric twice, and change a bit of a weight."""
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    [one] = client.search_runs(["1"], "tags.technique = 'swag' and tags.seed = '0'")
    old = client.get_metric_history(one.info.run_id, "val/loss")[2]
    client.log_metric(one.info.run_id, "val/loss", old.value, old.timestamp + 1, old.step)
    path = folder_of(one) / "checkpoints" / "last.pt"
    content = torch.load(path, weights_only=True)
    weights = content["weights"]["hidden.0.layer.weight"].view(-1)
    weights[0] = torch.nextafter(weights[0], weights[0] + 1)
    torch.save(content, path)


def arm(ways: Sequence[str], log: str) -> None:
    for way in ways:
        WAYS[way](victim.Victim(None, Path(log)))


def test_every_way_finds_what_it_wraps(tmp_path: Path) -> None:
    """`around` raises where a function has gone or is called otherwise."""
    status, printed = Forked(arm, [*WAYS], str(tmp_path / "log")).end()
    assert status == 0, printed


# --- the moments -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_moments_are_of_all_kinds_and_in_order(seed: int) -> None:
    epochs = [8, 4, *[8] * 13]
    moments = draw(20, epochs, {}, seed)
    assert moments == draw(20, epochs, {}, seed)
    assert moments != draw(20, epochs, {}, seed + 1)
    assert Counter(moment.kind for moment in moments) == dict.fromkeys(KINDS, 5)
    assert [m.job for m in moments] == sorted(m.job for m in moments)
    assert {m.job for m in moments if m.kind != "between jobs"} == set(range(1, 15))
    assert all(m.epoch <= epochs[m.job] for m in moments if m.way != "after the last job")
    ways = [moment.way for moment in moments]
    assert ways.index("when that is delivered") == ways.index("kept on disk") + 1


def test_every_way_is_drawn_and_known() -> None:
    of_searches = {way for turns in SEARCH_KINDS.values() for ways in turns for way in ways}
    assert KIND_OF.keys() | of_searches == WAYS.keys()


def test_moments_of_a_search_are_in_the_order_in_which_they_can_happen() -> None:
    behind = {"before a draw": [1, 3], "before the recipe is written": [7]}
    moments = draw(20, [9, 9, 9, 1, 9, 3, 9, 9, 9, 9], behind, 0)
    assert Counter(moment.kind for moment in moments) == dict.fromkeys(KINDS, 5)
    places = [(moment.job, moment.epoch) for moment in moments]
    assert places == sorted(places)
    for way, jobs in behind.items():
        assert {m.job for m in moments if m.way == way} <= {*jobs}
        assert {m.epoch for m in moments if m.way == way} == {BEHIND}


def test_techniques_with_memory_are_found() -> None:
    found = kills.with_memory()
    assert {"ema", "early_stopping", "swag", "snapshot", "budget"} <= set(found)
    assert not {"dropout", "l1", "none"} & set(found)


@pytest.mark.parametrize(
    ("expected", "found", "different"),
    [
        (["1"], ["1"], 0),
        (["1"], ["2"], 1),
        (["1"], ["1", "1"], 1),
        (["1"], [], 1),
        (["1", "1"], ["1", "1"], 1),
    ],
)
def test_what_differs_or_is_there_twice_is_seen(
    expected: list[str], found: list[str], different: int
) -> None:
    key = ("metric", "a run", "val/loss", "1")

    def of(texts: list[str]) -> Stored:
        return {key: texts} if texts else {}

    assert len(kills.differing(of(expected), of(found))) == different
    assert len(kills.differing(of(found), of(expected))) == different
