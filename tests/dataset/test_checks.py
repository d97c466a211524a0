"""Settings that no dataset can have are refused, with the key in the message."""

import pytest

from regexp.errors import ConfigError
from tests.dataset.made import make

NEEDED = {"table": {"path": "mine.csv", "target": "kind"}}


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (
            "galaxies",
            {"columns": ["P_ELL"]},
            "columns: no vote fraction is called 'P_ELL'.*P_EL",
        ),
        ("galaxies", {"columns": []}, "columns: expected one or more"),
        (
            "galaxies",
            {"columns": ["P_EL", "P_EL"]},
            "columns: expected one or more different",
        ),
        ("galaxies", {"allow_leakage": "no"}, "allow_leakage: expected true or false"),
        ("galaxies", {"features": "cooked"}, "features: expected 'engineered' or 'raw'"),
        ("galaxies", {"degree": 0}, "degree: expected a whole number"),
        ("galaxies", {"log_offset": 0}, "log_offset: expected a number above 0"),
        ("galaxies", {"keep": None}, "threshold, dataset.keep: exactly one"),
        ("galaxies", {"threshold": 0.8}, "threshold, dataset.keep: exactly one"),
        ("galaxies", {"threshold": 1.5, "keep": None}, "threshold: expected a correlation"),
        ("galaxies", {"keep": 0}, "keep: expected a whole number"),
        ("galaxy10", {"size": 0}, "size: expected a whole number of pixels"),
        ("galaxy10", {"memory": -1}, "memory: expected gigabytes"),
        (
            "galaxy10",
            {"classes": ["a", "a"]},
            "classes: expected two or more different names",
        ),
        ("galaxy_images", {"size": 0}, "size: expected a whole number of pixels"),
        (
            "galaxy_images",
            {"classes": ["a"]},
            "classes: expected two or more different names",
        ),
        ("series", {"window": 0}, "window: expected a whole number of time steps"),
        ("series", {"horizon": 1.5}, "horizon: expected a whole number of time steps"),
        ("series", {"stride": True}, "stride: expected a whole number of time steps"),
        ("series", {"split_seed": 1}, "split_seed: a series is split by time"),
        ("series", {"separator": ""}, "separator: expected one character"),
        ("series", {"columns": []}, "columns: expected one or more different columns"),
        (
            "series",
            {"columns": ["a", "a"]},
            "columns: expected one or more different columns",
        ),
        ("series", {"sha256": "abc"}, "sha256: expected 64 hexadecimal digits, or null"),
        (
            "table",
            {"task": "ranking"},
            "task: expected 'classification', 'multilabel', 'regression' or null",
        ),
        ("table", {"separator": ""}, "separator: expected one character"),
        ("table", {"encoding": "latin-7-bis"}, "encoding: expected an encoding that Python knows"),
        ("table", {"encoding": "hex"}, "encoding: expected an encoding that Python knows"),
        ("table", {"decimal": ";"}, "decimal: expected '.' or ','"),
        ("table", {"max_levels": 1}, "max_levels: expected a whole number"),
        ("table", {"target": []}, "target: expected a column"),
        ("table", {"target": ["a", "a"]}, "target: a column is named twice"),
        (
            "table",
            {"target": ["a", "b"], "task": "classification"},
            "target: a classification has one target",
        ),
        ("table", {"columns": ["kind", "age"]}, "columns: 'kind' is the target"),
        (
            "table",
            {"drop": ["kind"]},
            "drop: 'kind' is asked for as target or column as well",
        ),
        ("wine_quality", {"separator": ""}, "separator: expected one character"),
        (
            "wine_quality",
            {"target": "ranking"},
            "target: expected 'classification' or 'regression'",
        ),
    ],
)
def test_impossible_settings_are_refused(name, overrides, message):
    with pytest.raises(ConfigError, match=rf"^dataset\.{message}"):
        make(name, **{**NEEDED.get(name, {}), **overrides})
