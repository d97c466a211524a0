"""MLflow's own ways to a run's model, against `regexp.load`."""

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import Model
from mlflow.types import DataType
from sklearn.datasets import load_digits

import regexp
from tests.dataset.made import ts_lines, write, write_image_folder
from tests.prediction.conftest import Place
from tests.prediction.test_model import artifacts

# of MLflow's own, when its module is first imported
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")


@pytest.fixture
def _uri(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place.store}/mlflow.db")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.mark.usefixtures("_uri")
def test_mlflow_loads_a_run_as_recorded(place: Place, frame: pd.DataFrame) -> None:
    rows = frame.assign(width=frame["width"].round())  # whole numbers, and words that spell some
    for name in ("class", "value", "labels"):
        run_id = place.runs[name][0]
        served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
        signature = served.metadata.signature
        table = regexp.load(run_id).table(rows)
        assert signature.inputs.input_names() == ["width", "share", "colour", "code"]
        assert signature.outputs.input_names() == list(table)
        pd.testing.assert_frame_equal(served.predict(rows), table)


@pytest.mark.usefixtures("_uri")
def test_levels_that_are_one_number_go_in_as_words(place: Place) -> None:
    """MLflow would make numbers of them."""
    words = ["3.1", "3.10", "3.2"] * 40
    rows = pd.DataFrame({"version": words, "b": range(120), "kind": ["u", "v", "v", "u"] * 30})
    rows.to_csv("versions.csv", index=False)
    place.sweep("versions", "dataset=table", "dataset.path=versions.csv", "dataset.target=kind",
                "dataset.categorical=version", "model.hidden=[8]")  # fmt: skip
    [run_id] = place.runs["versions"]
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert served.metadata.signature.inputs.input_dict()["version"].type == DataType.string
    pd.testing.assert_frame_equal(served.predict(rows), regexp.load(run_id).table("versions.csv"))


@pytest.mark.usefixtures("_uri")
def test_images_go_in_as_bytes_in_either_order_of_axes(place: Place) -> None:
    write_image_folder(place.folder)
    place.sweep("photos", "dataset=image_folder", "dataset.path=photos", "dataset.size=4",
                "model.hidden=[8]")  # fmt: skip
    [run_id] = place.runs["photos"]
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    table = regexp.load(run_id).table(images)
    pd.testing.assert_frame_equal(served.predict(images), table)
    pd.testing.assert_frame_equal(served.predict(images.transpose(0, 3, 1, 2)), table)
    assert served.metadata.signature.inputs.inputs[0].type == np.uint8


@pytest.mark.usefixtures("_uri")
@pytest.mark.parametrize("name", ["ts", "mnist1d"])
def test_series_go_in_as_arrays(place: Place, name: str) -> None:
    """Their columns have names such as `channel 0[3]`, which nobody has in a frame."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data  # warns, as above

    write(place.folder / "made.ts", ts_lines())
    where = "dataset.path=made.ts" if name == "ts" else "dataset.train_size=64"
    place.sweep(name, f"dataset={name}", where, "model.hidden=[8]")
    [run_id] = place.runs[name]
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    model = regexp.load(run_id)
    series = np.random.default_rng(0).normal(size=(6, *model.record.preparation.shape))
    pd.testing.assert_frame_equal(served.predict(series), model.table(series))
    sent = infer_and_parse_data({"inputs": series.tolist()}, served.metadata.get_input_schema())
    pd.testing.assert_frame_equal(served.predict(sent), model.table(series))


def test_the_file_is_what_mlflow_would_write(place: Place) -> None:
    folder = artifacts(place, place.runs["class"][0]) / "model"
    ours = Model.load(folder)
    theirs = Model(run_id=ours.run_id, signature=ours.signature)
    mlflow.pyfunc.add_to_model(
        theirs, "regexp.prediction.pyfunc", data=".", python_env="python_env.yaml"
    )
    assert ours.flavors == theirs.flavors
    assert ours.run_id == place.runs["class"][0]
    env = yaml.safe_load((folder / "python_env.yaml").read_text())
    assert env["dependencies"] == ["-r requirements.txt"]
    needed = (folder / "requirements.txt").read_text().splitlines()
    assert f"regexp=={regexp.__version__}" in needed


@pytest.mark.usefixtures("_uri")
def test_arrays_of_a_dataset_of_images(place: Place) -> None:
    place.sweep("digits", "dataset.train_size=64", "model.hidden=[8]", "tracking.experiment=digits")
    run_id = place.runs["digits"][0]
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    digits = load_digits(as_frame=True)
    got = served.predict(digits.data)
    assert list(got["prediction"]) == list(regexp.load(run_id).predict(digits.data.to_numpy()))
