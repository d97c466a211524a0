"""`regexp predict`, against `regexp.load`: what is printed, written and refused."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import regexp
from regexp.__main__ import run
from tests.prediction.conftest import Place


def test_a_table_is_printed_or_written(
    place: Place, frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = place.runs["class"][0]
    frame.drop(columns=["kind", "wet"]).assign(more="x").to_csv(tmp_path / "new.csv", index=False)
    assert run(["predict", run_id, str(tmp_path / "new.csv")]) == 0
    printed = capsys.readouterr().out
    table = pd.read_csv(io.StringIO(printed))
    assert list(table) == ["row", "prediction", "probability_big", "probability_small"]
    assert table["row"].tolist() == list(range(160))
    wanted = regexp.load(run_id).table(frame)
    assert np.array_equal(table["prediction"], wanted["prediction"])
    assert np.allclose(table["probability_big"], wanted["probability_big"], rtol=1e-15)

    output = tmp_path / "out.csv"
    assert run(["predict", run_id, str(tmp_path / "new.csv"), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: predictions of 160 rows\n"
    assert output.read_text() == printed
    assert run(["predict", run_id, str(tmp_path / "new.csv"), "--output", str(output)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "out.csv"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("50.0,1%,pink,01", "row 1, column 'colour': 'pink' is no level that the run"),
        ("wide,1%,red,01", "row 1, column 'width': 'wide' is no number"),
        ("50.0,1%,red", "row 1 (line 2) has 3 fields, the header 4"),
    ],
)
def test_rows_that_the_run_does_not_take(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    (tmp_path / "new.csv").write_text(f"width,share,colour,code\n{line}\n")
    output = tmp_path / "out.csv"
    arguments = ["predict", place.runs["class"][0], str(tmp_path / "new.csv")]
    assert run([*arguments, "--output", str(output)]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not said.out
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ID"], "expected RUN_ID FILE, got ID"),
        (["ID", "none.csv"], "no file 'none.csv'"),
        (["ID", "table.csv", "--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_arguments(
    place: Place, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(["predict", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("there", ["model.pt2", "model.pt2.json"])
def test_a_program_overwrites_neither_another_nor_its_description(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    (tmp_path / there).write_text("theirs")
    assert run(["export-model", "ID", str(tmp_path / "model.pt2")]) == 2
    assert f"{tmp_path / there}: there is such a file already" in capsys.readouterr().err
    assert (tmp_path / there).read_text() == "theirs"


def test_images_of_a_folder_have_their_names(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    place.sweep(
        "images", "dataset=image_folder", f"dataset.path={tmp_path}/photos", "dataset.size=8",
        "model=mlp", "model.hidden=[4]", "trainer.batch_size=16",
    )  # fmt: skip
    run_id = place.runs["images"][0]
    capsys.readouterr()
    assert run(["predict", run_id, str(tmp_path / "photos" / "b")]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["file"].tolist() == [f"{number:02d}.png" for number in range(1, 60, 2)]
    assert set(table["prediction"]) <= {"a", "b"}
