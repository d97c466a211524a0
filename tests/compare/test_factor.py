"""Levels of any factor are compared as techniques are: held against the same runs as techniques."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from regexp.compare.table import COLUMNS
from regexp.errors import ConfigError
from tests.compare.sources import compared, make_runs, scored

SCORES = {"sgd": (0.80, 0.82, 0.85, 0.81), "adam": (0.84, 0.85, 0.90, 0.86),
          "muon": (0.79, 0.83, 0.84, 0.82)}  # fmt: skip
TARGETS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam", "muon": "regexp.optimizer.Muon"}


def optimizers(
    technique: str = "none", rest: str = "", scores: dict[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """Runs of a sweep over optimizers, which its settings name."""
    return make_runs(
        [
            {
                "technique": technique,
                "seed": seed,
                "score": score,
                "setting": ", ".join(filter(None, (f"optimizer={name}", rest))),
                "params.optimizer._target_": TARGETS[name],
                "params.seed": str(seed),
            }
            for name, values in (scores or SCORES).items()
            for seed, score in enumerate(values)
        ]
    )


def told(frame: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    return frame[[name for name in COLUMNS if name not in names]].reset_index(drop=True)


def test_optimizers_are_compared_as_techniques_with_their_scores_are() -> None:
    found = compared(optimizers(), factor="optimizer", baseline="sgd")
    same = compared(scored({"none" if k == "sgd" else k: v for k, v in SCORES.items()}))
    named = same.table.replace({"technique": {"none": "sgd"}, "label": {"none": "sgd"}})
    pd.testing.assert_frame_equal(told(found.table), told(named))
    assert found.against.factor == "optimizer"
    assert found.runs["technique"].tolist() == ["sgd"] * 4 + ["adam"] * 4 + ["muon"] * 4


def test_differences_are_of_equal_seeds() -> None:
    table = compared(optimizers(), factor="optimizer", baseline="adam").table.set_index("label")
    for name in ("sgd", "muon"):
        by_hand = np.mean(np.subtract(SCORES[name], SCORES["adam"]))
        assert table.loc[name, "difference"] == pytest.approx(by_hand)
    assert table.loc["adam", "outcome"] == "baseline"


def test_what_alone_varies_is_compared_without_asking() -> None:
    found = compared(optimizers())
    assert found.against.factor == "optimizer"
    assert str(found.against) == "sgd"  # the first that was run
    pd.testing.assert_frame_equal(
        found.table, compared(optimizers(), factor="optimizer", baseline="sgd").table
    )


def test_where_several_things_vary_the_message_names_them() -> None:
    frames = [optimizers(rest=f"trainer.epochs={epochs}") for epochs in (5, 9)]
    found = compared(pd.concat(frames, ignore_index=True))
    [note] = {note for family in found.families for note in family.notes}
    assert "--factor, here optimizer or trainer.epochs" in note


def test_techniques_and_the_rest_become_the_setting() -> None:
    frames = [
        optimizers(technique, f"trainer.epochs={epochs}")
        for technique in ("none", "l1")
        for epochs in (5, 9)
    ]
    found = compared(pd.concat(frames, ignore_index=True), factor="optimizer")
    assert {family.setting for family in found.families} == {
        f"{technique}, trainer.epochs={epochs}" for technique in ("none", "l1") for epochs in (5, 9)
    }
    assert all(len(family.rows) == 3 for family in found.families)


def test_sweeps_of_one_optimizer_each_are_told_apart_by_their_parameters() -> None:
    """One has Adam's numbers and the other SGD's, which are no settings of their own then."""
    parts = []
    for name, values in (("sgd", SCORES["sgd"]), ("adam", SCORES["adam"])):
        part = optimizers(scores={name: values}).assign(setting="")
        part[f"params.optimizer.{'momentum' if name == 'sgd' else 'betas'}"] = "0.9"
        parts.append(part)
    found = compared(*parts, factor="optimizer")
    assert found.table["technique"].tolist() == ["SGD", "Adam"]
    assert len(found.families) == 1
    assert found.table["pairs"].tolist() == [0, 4]
    assert compared(*parts, factor="optimizer", baseline="adam").against.name == "Adam"


def test_a_number_of_a_grid_is_a_factor() -> None:
    rows = [
        {
            "technique": "l1", "seed": seed, "variant": f"strength={strength:g}",
            "score": score + strength, "params.regularizer.l1.strength": f"{strength:g}",
        }
        for strength in (0.001, 0.01) for seed, score in enumerate(SCORES["sgd"])
    ]  # fmt: skip
    runs = make_runs([*rows, {"technique": "none", "seed": 0, "score": 0.5}])
    found = compared(runs, factor="regularizer.l1.strength")
    assert found.table["label"].tolist() == ["0.001", "0.01"]
    assert found.table.loc[1, "difference"] == pytest.approx(0.009)
    alone = compared(make_runs(rows))
    assert alone.against.factor == "regularizer.l1.strength"


def test_a_number_of_the_trainer_is_a_factor() -> None:
    runs = pd.concat(
        [
            scored({"none": SCORES[name], "l1": SCORES["muon"]}, setting=f"trainer.batch_size={n}",
                   **{"params.trainer.batch_size": n})
            for name, n in (("sgd", "32"), ("adam", "64"))
        ],
        ignore_index=True,
    )  # fmt: skip
    found = compared(runs, factor="trainer.batch_size")
    assert [family.setting for family in found.families] == ["l1", "none"]
    rows = found.families[1].rows.set_index("label")
    by_hand = np.mean(np.subtract(SCORES["adam"], SCORES["sgd"]))
    assert rows.loc["64", "difference"] == pytest.approx(by_hand)
    assert found.families[0].rows["difference"].dropna().tolist() == [0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"factor": "optimiser"}, "factor=optimiser: no run has it; .*Did you mean optimizer"),
        ({"factor": "model"}, "factor=model: no run has it"),
        ({"factor": "seed"}, "factor=seed: techniques are compared on each dataset"),
        ({"factor": "optimizer", "baseline": "adm"}, "baseline=adm: no .* mean adam"),
        ({"baseline": "l1"}, "baseline=l1: no run has it"),
    ],
)
def test_what_no_run_has_is_named(asked: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compared(optimizers(), **asked)


def test_one_configuration_of_a_technique_may_be_the_baseline() -> None:
    runs = pd.concat(
        [
            scored({"l1": SCORES["sgd"]}, variant="strength=0.001", label="l1 (strength=0.001)"),
            scored({"l1": SCORES["adam"]}, variant="strength=0.01", label="l1 (strength=0.01)"),
            scored({"dropout": SCORES["muon"]}),
        ],
        ignore_index=True,
    )
    table = compared(runs, baseline="l1 (strength=0.001)").table.set_index("label")
    assert table["outcome"].to_dict()["l1 (strength=0.001)"] == "baseline"
    for label, name in (("l1 (strength=0.01)", "adam"), ("dropout", "muon")):
        by_hand = np.mean(np.subtract(SCORES[name], SCORES["sgd"]))
        assert table.loc[label, "difference"] == pytest.approx(by_hand)
    with pytest.raises(ConfigError, match="several configurations; expected one of them, such as"):
        compared(runs, baseline="l1")


def test_without_none_the_note_names_the_option() -> None:
    found = compared(scored({"l1": SCORES["sgd"], "l2": SCORES["adam"]}))
    [note] = found.families[0].notes
    assert "no run of none. --baseline NAME" in note
