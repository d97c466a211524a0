import math

import pytest

from regexp.tracking import names


def test_nested_settings_become_dotted_params() -> None:
    values, tags = names.params(
        {
            "model": {"hidden": [64, 64], "dropout": {}},
            "optimizer": {"lr": 1e-05, "nesterov": True},
            "scheduler": None,
        }
    )
    assert values == {
        "model.hidden": "[64, 64]",
        "model.dropout": "{}",
        "optimizer.lr": "1e-05",
        "optimizer.nesterov": "true",
        "scheduler": "null",
    }
    assert tags == {}


@pytest.mark.parametrize(("value", "written"), [(math.inf, "inf"), (math.nan, "nan")])
def test_numbers_that_are_not_finite_are_kept(value: float, written: str) -> None:
    assert names.params({"strength": value})[0] == {"strength": written}


def test_long_value_is_cut_with_a_mark_and_told() -> None:
    values, tags = names.params({"short": "s" * 6000, "long": "l" * 6001})
    assert values["short"] == "s" * 6000
    assert len(values["long"]) == 6000
    assert "[cut: 6001 characters" in values["long"]
    assert tags == {"params.cut": "long"}


def test_keys_that_mlflow_refuses_are_mapped_and_told() -> None:
    values, tags = names.params({"a[0]": 1, "user@host": 2, "a//b": 3, "../c": 4})
    assert values == {"a_0_": "1", "user_host": "2", "a/_/b": "3", "_/c": "4"}
    assert '"a_0_": "a[0]"' in tags["params.renamed"]


def test_keys_that_become_equal_stay_apart() -> None:
    values, _ = names.params({"a[0]": 1, "a_0_": 2, "a@0@": 3})
    assert sorted(values.values()) == ["1", "2", "3"]


def test_long_keys_stay_apart() -> None:
    first, second = names.safe("k" * 300 + "1"), names.safe("k" * 300 + "2")
    assert first != second
    assert len(first) == len(second) == 250


def test_mlflow_accepts_what_safe_returns() -> None:
    from mlflow.utils.validation import _validate_param_name

    for name in ["a[0]@b", "", ".", "..", "/a", "a/", "a//b", "x" * 400, "train/loss", "ü:*"]:
        _validate_param_name(names.safe(name))


def test_plain_makes_builtin_types() -> None:
    from pathlib import PurePosixPath

    assert names.built_in({1: (PurePosixPath("a/b"), None)}) == {"1": ["a/b", None]}


def test_a_name_of_a_run_fits_into_every_store() -> None:
    from mlflow.store.tracking.dbmodels.models import SqlRun

    limit = SqlRun.__table__.columns["name"].type.length
    assert names.of_run("ü" * limit) == ("ü" * limit, {})
    first, second = ("x" * limit + end for end in "ab")
    short, tags = names.of_run(first)
    assert len(short) == limit
    assert short.startswith("x" * 200)
    assert tags == {"name.whole": first}
    assert names.of_run(second)[0] != short
    assert len(names.of_run("x" * 10000)[1]["name.whole"]) <= names.TAG_LENGTH
