"""What a sweep tells of itself in the terminal."""

import pandas as pd
import pytest

from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.progress import JobReport, ensemble_line, remark_lines, result_line


def test_ensembles_of_several_datasets_are_told_apart() -> None:
    runs = pd.DataFrame(
        {
            "technique": ["none", "none", "l1", "l1"],
            "variant": "",
            "setting": "",
            "dataset": ["iris", "wine"] * 2,
            "metrics.ensemble/accuracy": [0.1, 0.2, 0.3, 0.4],
            "metrics.ensemble/members": 1.0,
        }
    )
    said = "Mean prediction of the seeds, ensemble/accuracy: "
    assert ensemble_line(runs) == [
        f"{said}none iris 0.1000, none wine 0.2000, l1 iris 0.3000, l1 wine 0.4000"
    ]
    assert ensemble_line(runs[runs["dataset"] == "wine"]) == [f"{said}none 0.2000, l1 0.4000"]
    assert ensemble_line(runs.drop(columns="metrics.ensemble/accuracy")) == []
    assert ensemble_line(runs.assign(**{"metrics.ensemble/accuracy": float("nan")})) == []
    of_three = pd.concat([runs[runs["dataset"] == "wine"]] * 3).assign(
        **{"metrics.ensemble/members": [2.0, 3.0, 2.0, 3.0, 1.0, 3.0]}
    )
    assert ensemble_line(of_three) == [f"{said}none 0.2000 (1 of 3 seeds), l1 0.4000"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.91, 0.93], "0.920 ± 0.014"),
        ([9.1e-7, 9.3e-7], "0.000000920 ± 0.000000014"),
        ([9.1e8, 9.3e8], "9.20e+8 ± 1.41e+7"),
        ([-0.5], "-0.500"),
        ([0.91, float("nan"), 0.93], "0.920 ± 0.014 (2 of 3)"),
        ([0.91, None, 0.93], "0.920 ± 0.014 (2 of 3)"),
        ([1e200, -1e200], "0.000 ± ∞"),
    ],
)
def test_a_score_has_digits_whatever_its_size(scores: list[float | None], said: str) -> None:
    """Of those that there are: a metric of one's own may be undefined for some rows, or fail."""
    outcomes = [
        {"before": False, "status": "FINISHED", "tuned": "",
         "metrics": {} if score is None else {"test/rmse": score}}
        for score in scores
    ]  # fmt: skip
    report = JobReport(0, "none", outcomes=outcomes, seconds=1.0)
    assert result_line(report, "test/rmse") == f"test rmse {said}, 1.0 s"


def test_a_remark_is_said_once_whatever_number_of_runs_has_it() -> None:
    def run(seed: int, *remarks: str) -> PlannedRun:
        name = f"seed={seed}"
        return PlannedRun(name, "", "", seed, "", {}, "", "", "", False, remarks=remarks)

    jobs = [[run(0, "one"), run(1, "one")], [], [run(0, "one", "two")]]
    assert remark_lines(jobs) == ["one", "two", ""]
    assert remark_lines([[run(0)], []]) == []


def test_of_many_remarks_on_one_key_three_are_said() -> None:
    lines = [f"regularizer.ema: decay={number} is long" for number in range(8)]
    runs = [
        PlannedRun("", "", "", 0, "", {}, "", "", "", False, remarks=(line, "another"))
        for line in lines
    ]
    more = "regularizer.ema: 5 more like these, which the runs keep"
    assert remark_lines([runs[:5], runs[3:]]) == [*lines[:3], more, "another", ""]
