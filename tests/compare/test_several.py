"""Sweeps below each other: what differs between them is told apart."""

from typing import Any

import pandas as pd

from regexp.compare import table
from regexp.compare.several import together
from tests.compare.sources import make_runs

LR, HIDDEN = "params.optimizer.lr", "params.model.hidden"
STRENGTH = "params.regularizer.l1.strength"


def frame(**columns: Any) -> pd.DataFrame:
    rows = [
        {"technique": name, "seed": seed, "score": 0.5 + seed / 10, **columns}
        for name in ("none", "l1")
        for seed in range(2)
    ]
    if STRENGTH in columns:
        for row in rows[:2]:
            del row[STRENGTH]
    return make_runs(rows)


def test_one_sweep_stays_as_it_is() -> None:
    runs = together({"a": frame(**{LR: "0.1"})})
    assert set(runs["sweep"]) == {"a"}
    assert set(runs["setting"]) == {""}


def test_no_runs_at_all() -> None:
    from regexp.tracking.query import frame as empty

    assert together({"a": empty([]), "b": empty([])}).empty


def test_equal_sweeps_are_one_and_the_latest_finished_run_counts() -> None:
    first, second = frame(), frame()
    second["start_time"] += 100
    second["metrics.test/accuracy"] = 0.9
    second.loc[0, "status"] = "FAILED"
    compared = table(together({"a": first, "b": second}))
    assert compared["runs"].tolist() == [2, 2]
    assert compared.set_index("technique")["mean"].to_dict() == {"none": (0.5 + 0.9) / 2, "l1": 0.9}


def test_a_run_that_a_sweep_reuses_of_another_counts_once_as_it_calls_it() -> None:
    one = frame(**{LR: "0.1"})
    grid = pd.concat([one.assign(variant="lr=0.1"), frame(**{LR: "0.01", "variant": "lr=0.01"})])
    grid = grid.reset_index(drop=True)
    whole = table(together({"a": one, "b": grid}))
    assert sorted(whole["variant"]) == ["lr=0.01", "lr=0.01", "lr=0.1", "lr=0.1"]
    for other in ({"b": grid, "a": one}, {"b": grid}):
        pd.testing.assert_frame_equal(whole, table(together(other)))
    assert whole["setting"].unique().tolist() == [""]


def test_sweeps_of_other_settings_are_told_apart() -> None:
    one = frame(**{LR: "0.1", HIDDEN: "[8]", "params.trainer.threads": "1"})
    two = frame(**{LR: "0.01", HIDDEN: "[8]", "params.trainer.threads": "2"})
    runs = together({"a": one, "b": two})
    assert list(dict.fromkeys(runs["setting"])) == ["optimizer.lr=0.1", "optimizer.lr=0.01"]
    assert len(table(runs)) == 4


def test_a_sweep_from_before_losses_and_weights_has_none_and_metrics_change_no_run() -> None:
    loss, weight = "params.trainer.loss", "params.trainer.class_weight"
    metrics = "params.trainer.metrics"
    now = frame(**{LR: "0.1", loss: "null", weight: "null", metrics: "null"})
    runs = together({"a": frame(**{LR: "0.1"}), "b": now})
    assert set(runs["setting"]) == {""}
    further = frame(**{LR: "0.1", loss: "null", weight: "null", f"{metrics}.cost._target_": "f"})
    assert set(together({"a": now, "b": further})["setting"]) == {""}
    balanced = frame(**{LR: "0.1", loss: "null", weight: "balanced", metrics: "null"})
    runs = together({"a": now, "b": balanced})
    told = ["trainer.class_weight=null", "trainer.class_weight=balanced"]
    assert list(dict.fromkeys(runs["setting"])) == told


def test_other_data_of_the_same_name_are_no_repetition() -> None:
    """A file that was changed between two sweeps."""
    first, second = (frame(**{"data.checksum": text * 64}) for text in "ab")
    runs = together({"a" * 32: first, "b" * 32: second})
    assert list(dict.fromkeys(runs["setting"])) == ["sweep aaaaaaaa", "sweep bbbbbbbb"]
    apart = together({"a" * 32: first[:2], "b" * 32: second[2:]})  # none here, and l1 there
    assert apart["setting"].tolist() == ["sweep aaaaaaaa"] * 2 + ["sweep bbbbbbbb"] * 2
    same = together({"a" * 32: first, "b" * 32: first})
    assert set(same["setting"]) == {""}


def test_equal_data_elsewhere_are_the_same() -> None:
    path, data = "params.dataset.path", "data.checksum"
    first = frame(**{path: "t.csv", data: "a" * 64})
    moved = frame(**{path: "/data/t.csv", data: "a" * 64})
    assert set(together({"a" * 32: first, "b" * 32: moved})["setting"]) == {""}
    other = frame(**{path: "/data/t.csv", data: "b" * 64})
    told = ["dataset.path=t.csv", "dataset.path=/data/t.csv"]
    assert list(dict.fromkeys(together({"a" * 32: first, "b" * 32: other})["setting"])) == told


def test_other_code_of_a_network_is_no_repetition() -> None:
    """A file of the user's that was changed; older runs tell nothing of it."""
    first, second = (frame(**{"code.checksum": text * 64}) for text in "ab")
    apart = together({"a" * 32: first[:2], "b" * 32: second[2:]})
    assert apart["setting"].tolist() == ["sweep aaaaaaaa"] * 2 + ["sweep bbbbbbbb"] * 2
    for older in (frame(**{"code.checksum": ""}), frame()):
        assert set(together({"a" * 32: first, "b" * 32: older})["setting"]) == {""}


def test_what_a_sweep_varies_itself_is_told_already() -> None:
    parts = [frame(setting=f"optimizer.lr={lr}", **{LR: lr}) for lr in ("0.1", "0.01")]
    whole = pd.concat(parts, ignore_index=True)
    runs = together({"a": whole, "b": whole})
    assert set(runs["setting"]) == {"optimizer.lr=0.1", "optimizer.lr=0.01"}


def test_numbers_of_a_technique_become_variants() -> None:
    one, two = (frame(**{STRENGTH: value}) for value in ("0.1", "0.2"))
    runs = together({"a": one, "b": two})
    compared = table(runs)
    assert compared["label"].tolist() == ["none", "l1 (strength=0.1)", "l1 (strength=0.2)"]
    assert compared["pairs"].tolist() == [0, 2, 2]
    assert set(runs["label"]) == set(compared["label"])


def test_many_differences_are_named_by_the_sweep() -> None:
    names = [f"params.model.part{index}" for index in range(5)]
    one, two = (frame(**dict.fromkeys(names, value)) for value in ("1", "2"))
    settings = set(together({"a" * 32: one, "b" * 32: two})["setting"])
    assert settings == {
        f"model.part0={value}, model.part1={value}, model.part2={value}, sweep {name * 8}"
        for value, name in (("1", "a"), ("2", "b"))
    }


def test_classes_are_named_in_short() -> None:
    target = "params.model._target_"
    one, two = (frame(**{target: f"regexp.model.{name}"}) for name in ("MLP", "CNN"))
    assert set(together({"a": one, "b": two})["setting"]) == {"model=MLP", "model=CNN"}
    one, two = (frame(**{target: f"{module}.MLP"}) for module in ("mine", "yours"))
    settings = set(together({"a": one, "b": two})["setting"])
    assert settings == {"model=MLP, sweep a", "model=MLP, sweep b"}


def test_a_parameter_that_only_one_sweep_has_is_a_difference() -> None:
    one, two = frame(**{LR: "0.1"}), frame()
    settings = set(together({"a" * 32: one, "b" * 32: two})["setting"])
    assert settings == {"optimizer.lr=0.1", "sweep bbbbbbbb"}


def test_runs_of_an_older_version_did_what_the_settings_of_today_say() -> None:
    """Before rows of equal inputs stayed together, they were apart."""
    repeats, group = "params.dataset.repeats", "params.dataset.group"
    old = frame(**{LR: "0.1"})
    apart, kept = (
        frame(**{LR: "0.1", repeats: word, group: "null"}) for word in ("apart", "together")
    )
    assert set(together({"a": old, "b": apart})["setting"]) == {""}
    assert list(dict.fromkeys(together({"a": old, "b": kept})["setting"])) == [
        "dataset.repeats=apart", "dataset.repeats=together",
    ]  # fmt: skip


def test_a_run_that_has_no_parameters_yet_is_like_its_sweep() -> None:
    """Else two learning rates would pass for repetitions of one."""
    one, two = (frame(**{LR: lr, HIDDEN: "[8]"}) for lr in ("0.1", "0.01"))
    two.loc[3, [LR, HIDDEN]] = float("nan")
    two.loc[3, "status"] = "RUNNING"
    runs = together({"a": one, "b": two})
    assert runs["setting"].tolist() == ["optimizer.lr=0.1"] * 4 + ["optimizer.lr=0.01"] * 4


def test_two_searches_are_never_mixed() -> None:
    """They choose a learning rate for each technique, so that neither sweep has one of its own."""
    parts = []
    for rates in (("0.1", "0.2"), ("0.3", "0.4")):
        parts.append(frame(**{LR: "0"}))
        parts[-1][LR] = [rates[0]] * 2 + [rates[1]] * 2
    runs = together({"a" * 32: parts[0], "b" * 32: parts[1]})
    assert runs["setting"].tolist() == ["sweep aaaaaaaa"] * 4 + ["sweep bbbbbbbb"] * 4
    assert table(runs)["pairs"].tolist() == [0, 2, 0, 2]
    parts[1].loc[0, LR] = float("nan")
    parts[1].loc[0, "status"] = "RUNNING"
    parts[1].loc[1:, LR] = parts[0].loc[1:, LR]
    assert set(together({"a": parts[0], "b": parts[1]})["setting"]) == {""}
