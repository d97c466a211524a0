"""What a message tells to write is written, through a shell and Hydra, and the table is read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.dataset.base import Data, DataError
from regexp.sweeps.ingredients import with_earlier_settings
from tests.dataset.made import config_of, make, table_lines, write, write_images


def cures(message: str) -> list[str]:
    """The overrides in a message, as a shell hands them on: each in single quotation marks."""
    return [shlex.split(cure)[0] for cure in re.findall(r"'dataset\.\w+=[^']*'", message)]


def dataset(path: Path, *overrides: str) -> Any:
    """What a command line makes of a table."""
    command = ["dataset=table", f"dataset.path={path}", "dataset.target=kind", *overrides]
    return instantiate(compose(parse(command)[0]).config["dataset"])


def obeyed(path: Path, *overrides: str) -> Data:
    """A table that is refused until the first cure of the message is taken."""
    with pytest.raises(DataError) as caught:
        dataset(path, *overrides).load(0, path.parent)
    return dataset(path, *overrides, cures(str(caught.value))[0]).load(0, path.parent)


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_the_separator_that_the_header_has(separator, tmp_path):
    frame = pd.DataFrame({"a": range(60), "b": range(60, 120), "kind": ["u", "v"] * 30})
    frame.to_csv(tmp_path / "mine.csv", sep=separator, index=False)
    assert obeyed(tmp_path / "mine.csv").features == ("a", "b")


def test_commas_before_decimals_do_not_hide_the_semicolon_that_the_header_has(tmp_path):
    rows = ["a;b;kind", *(f"{row},5;{row % 7},25;{'uv'[row % 2]}" for row in range(60))]
    path = write(tmp_path / "mine.csv", rows)
    with pytest.raises(DataError) as caught:
        dataset(path).read(tmp_path)
    assert cures(str(caught.value)) == ['dataset.separator=";"']
    assert obeyed(path, 'dataset.separator=";"').features == ("a", "b")


def test_the_comma_that_the_header_has(tmp_path):
    path = write(tmp_path / "mine.csv", table_lines())
    data = obeyed(path, 'dataset.separator=";"')
    assert data.features == dataset(path).load(0, tmp_path).features


@pytest.mark.parametrize("separator", ["\t", r"\t"])
@pytest.mark.parametrize("name", ["table", "series", "wine_quality"])
def test_a_tab_is_a_tab_however_it_is_written(name, separator):
    needed = {"path": "mine.csv", "target": "kind"} if name == "table" else {}
    assert make(name, separator=separator, **needed).separator == "\t"


@pytest.mark.parametrize("written", [r"\t", r'"\t"', r"'\t'", '"\t"'])
def test_a_command_line_may_write_a_tab_in_each_way(written, tmp_path):
    path = write(tmp_path / "mine.csv", [line.replace(",", "\t") for line in table_lines()])
    assert "age" in dataset(path, f"dataset.separator={written}").load(0, tmp_path).features


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_the_encoding_that_the_file_may_have(encoding, tmp_path):
    text = "a,größe,kind\n" + "".join(f"{row},süß,{'uv'[row % 2]}\n" for row in range(60))
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=f"no UTF-8 text .*dataset.encoding={encoding}"):
        dataset(path).load(0, tmp_path)
    data = obeyed(path)
    path.write_text(text, encoding="utf-8")
    assert data.features == dataset(path).load(0, tmp_path).features == ("a", "größe=süß")


@pytest.mark.parametrize("separator", [";", ","])
def test_the_comma_before_the_decimals(separator, tmp_path):
    frame = pd.DataFrame({"a": [row / 8 for row in range(60)], "kind": ["u", "v"] * 30})
    path = tmp_path / "mine.csv"
    numbers = [str(value).replace(".", ",") for value in frame["a"]]
    frame.assign(a=numbers).to_csv(path, sep=separator, index=False)  # quoted where they need it
    read = obeyed(path, f'dataset.separator="{separator}"')
    frame.to_csv(path, index=False)
    plain = dataset(path).load(0, tmp_path)
    assert np.array_equal(np.asarray(read.train.inputs), np.asarray(plain.train.inputs))


def test_separators_of_thousands_have_no_setting(tmp_path):
    lines = ["a,kind", *(f'"{row + 1}.200,25",{"uv"[row % 2]}' for row in range(60))]
    path = write(tmp_path / "mine.csv", lines)
    for decimal in (".", ","):
        with pytest.raises(DataError, match=r"'a' has commas in its numbers.*thousands") as caught:
            dataset(path, f'dataset.decimal="{decimal}"').load(0, tmp_path)
        assert cures(str(caught.value)) == []


def series(path: Path, *overrides: str) -> Any:
    """What a command line makes of a series with the columns `höhe` and `part`."""
    command = ["dataset=series", f"dataset.path={path}", "dataset.target='höhe'", *overrides]
    return instantiate(compose(parse(command)[0]).config["dataset"])


def test_a_series_in_another_encoding_with_commas(tmp_path):
    parts = ["train"] * 60 + ["Prüfung"] * 20
    frame = pd.DataFrame({"höhe": [round(np.sin(row), 4) for row in range(80)], "part": parts})
    path = tmp_path / "mine.csv"
    frame.to_csv(path, sep=";", index=False)
    plain = series(path, 'dataset.separator=";"').load(0, tmp_path)
    frame.to_csv(path, sep=";", index=False, encoding="latin-1", decimal=",")
    asked = ['dataset.separator=";"']
    for message in ("no UTF-8 text", r"column 'höhe': '0,0' is no number; if the comma is"):
        with pytest.raises(DataError, match=message) as caught:
            series(path, *asked).load(0, tmp_path)
        asked += cures(str(caught.value))
    assert asked[1:] == ["dataset.encoding=latin-1", 'dataset.decimal=","']
    data = series(path, *asked).load(0, tmp_path)
    assert np.array_equal(np.asarray(data.train.inputs), np.asarray(plain.train.inputs))
    rows = series(path, *asked).read_inputs(path, data.preparation)  # as new ones, for predictions
    assert np.array_equal(
        rows[:5, :, 0], np.lib.stride_tricks.sliding_window_view(frame["höhe"], 11)[:5]
    )
    with pytest.raises(DataError, match="column 'part': 'Prüfung', expected train"):
        series(path, *asked, "dataset.split=part").load(0, tmp_path)


def test_points_in_a_series_with_commas_are_refused(tmp_path):
    path = write(tmp_path / "mine.csv", ["höhe;b", *(f"1.2{row},5;0" for row in range(80))])
    with pytest.raises(DataError, match=r"'1.20,5' is no number"):
        series(path, 'dataset.separator=";"', 'dataset.decimal=","').load(0, tmp_path)


def test_labels_of_images_in_another_encoding(tmp_path):
    given = write_images(tmp_path)
    lines = (tmp_path / "labels.csv").read_text().replace(",0", ",grün").replace(",1", ",süß")
    (tmp_path / "labels.csv").write_text(lines, encoding="latin-1")
    asked = [f"dataset.{key}={value}" for key, value in given.items()]
    command = ["dataset=galaxy_images", *asked, "dataset.classes=null"]
    with pytest.raises(DataError, match="no UTF-8 text") as caught:
        instantiate(compose(parse(command)[0]).config["dataset"]).load(0, tmp_path)
    (cure,) = cures(str(caught.value))
    dataset = instantiate(compose(parse([*command, cure])[0]).config["dataset"])
    assert dataset.load(0, tmp_path).classes == ("2", "grün", "süß")


@pytest.mark.parametrize("name", ["series", "etth1", "galaxy_images"])
def test_a_configuration_from_before_the_encoding_means_what_it_did(name):
    node: Any = OmegaConf.to_container(config_of(name))
    bare = {key: value for key, value in node.items() if key not in ("encoding", "decimal")}
    assert with_earlier_settings(bare) == node
