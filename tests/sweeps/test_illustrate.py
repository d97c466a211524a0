"""The pictures of a sweep's data and learning rates: what is drawn is what the runs see."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.dataset.base import CLASSIFICATION, MULTILABEL, REGRESSION, Data, Split, TargetScale
from regexp.dataset.lazy import Images
from regexp.sweeps import workers
from regexp.sweeps.illustrate import drawn, illustrate, planned_pictures
from regexp.sweeps.illustrate.images import displayed, examples, picked
from regexp.sweeps.illustrate.series import series, windows
from regexp.sweeps.illustrate.tables import ROWS, features, most_correlated, sampled, targets
from regexp.sweeps.plan import plan_all
from tests.sandbox import SMALL, Sandbox

RGB = (3, 4, 4)


def data(inputs: Any, values: torch.Tensor, classes: tuple[str, ...] = (), **more: Any) -> Data:
    """The same rows in each split."""
    split = Split(inputs, values)
    count = math.prod(inputs.shape[1:]) if len(inputs.shape) == 2 else 0
    return Data(
        train=split, validation=split, test=split,
        task=CLASSIFICATION if classes else REGRESSION, classes=classes,
        features=tuple(f"x{place}" for place in range(count)),
        checksum="", name="made $up$", source="", **more,
    )  # fmt: skip


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def title(figure: Figure) -> str:
    assert figure.get_suptitle() or figure.axes[0].get_title()
    return (figure.get_suptitle() or figure.axes[0].get_title()).replace("\n", " ")


# --- tables ---------------------------------------------------------------------------------


def test_features_are_drawn_against_each_other_by_class() -> None:
    inputs = torch.randn(700, 10, generator=generator())
    classes = torch.arange(700) % 3
    figure = features(data(inputs, classes, ("a", "b", "c")), 0)
    assert "the first 8 of 10 features" in title(figure)
    assert "500 of 700 training rows" in title(figure)
    assert len(figure.axes) == 8 * 9 // 2
    rows = sampled(700, 0)
    assert len(set(rows.tolist())) == ROWS
    panel = figure.axes[1]  # second row, first column: x1 against x0
    for place, line in enumerate(panel.lines):
        own = rows[classes.numpy()[rows] == place]
        np.testing.assert_array_equal(line.get_xdata(), inputs[own, 0])
        np.testing.assert_array_equal(line.get_ydata(), inputs[own, 1])
    assert len({str(line.get_marker()) for line in panel.lines}) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["a", "b", "c"]


def test_rows_are_chosen_by_the_seed() -> None:
    assert sampled(10, 3).tolist() == list(range(10))
    assert sampled(2000, 3).tolist() == sampled(2000, 3).tolist()
    assert sampled(2000, 3).tolist() != sampled(2000, 4).tolist()


def test_one_feature_and_many_classes() -> None:
    names = tuple(map(str, range(30)))
    figure = features(data(torch.randn(60, 1), torch.arange(60) % 30, names), 0)
    assert "all features" in title(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "20 more"
    figure.draw_without_rendering()


def test_a_target_is_held_against_what_it_correlates_with_in_its_own_unit() -> None:
    inputs = torch.randn(300, 6, generator=generator())
    values = (2 * inputs[:, 4] - inputs[:, 1])[:, None]
    found = data(inputs, values, target_scale=TargetScale((10.0,), (5.0,)))
    expected = np.abs(np.corrcoef(np.column_stack([values, inputs]).T)[0, 1:])
    best = most_correlated(inputs.numpy(), values[:, 0].numpy())
    assert best == np.argsort(-expected)[:4].tolist()
    assert best[:2] == [4, 1]
    panel = targets(found, 0).axes[1]  # x4 against the target
    drawn = np.asarray(panel.lines[0].get_xdata())
    np.testing.assert_allclose(drawn, values[:, 0] * 5 + 10, atol=1e-5)
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), inputs[:, 4])


def test_several_targets_are_held_against_each_other() -> None:
    values = torch.randn(50, 3, generator=generator())
    figure = targets(data(torch.randn(50, 2), values), 0)
    assert len(figure.axes) == 6
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xdata(), values[:, 0])
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), values[:, 1])


def test_a_constant_feature_correlates_with_nothing() -> None:
    inputs = np.column_stack([np.ones(9), np.arange(9)])
    assert most_correlated(inputs, np.arange(9.0)) == [1, 0]


def test_bars_are_shares_of_each_split() -> None:
    found = data(torch.randn(10, 2), torch.tensor([0] * 7 + [2] * 3), ("a", "b", "c"))
    few = Split(torch.randn(4, 2), torch.tensor([1, 1, 1, 2]))
    figure = targets(replace(found, test=few), 0)
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights == [[70, 0, 30], [70, 0, 30], [0, 75, 25]]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["a", "b", "c"]


# --- images and series ----------------------------------------------------------------------


class Counted(Images):
    """Images of one grey value each; remembers how many were read."""

    def __init__(self, count: int) -> None:
        self.shape = (count, *RGB)
        self.reads = 0

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        self.reads += len(rows)
        return np.tile(rows.astype(np.uint8)[:, None, None, None], (1, *RGB))


def test_only_the_images_that_are_shown_are_read() -> None:
    images = Counted(200)
    found = data(images[np.arange(200)], torch.arange(200) % 4, ("a", "b", "c", "d"))
    figure = examples(found, 0)
    assert images.reads == 4 * 8
    groups = picked(found, 0)
    for index, group in enumerate(groups):
        assert all(row % 4 == index for row in group)
    rows = [row for group in groups for row in group]
    low, high = min(rows), max(rows)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    for line, group in enumerate(groups):
        for place, row in enumerate(group):
            pixel = picture[line * 5 + 1, place * 5 + 1]  # images of 4 pixels, gaps of 1
            np.testing.assert_allclose(pixel[:3], (row - low) / (high - low), atol=1e-6)
    assert (picture[4, :, 3] == 0).all(), "gaps are seen through"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b", "c", "d"]


def test_images_are_shown_from_dark_to_light() -> None:
    images = torch.randn(5, 1, 3, 3, generator=generator()).numpy()
    shown = displayed(images)
    assert shown.shape == (5, 3, 3)
    assert shown.min() == 0
    assert shown.max() == 1
    assert displayed(np.ones((2, 3, 4, 4))).shape == (2, 4, 4, 3)


def test_series_are_drawn_in_the_order_of_time_in_their_own_unit() -> None:
    inputs = torch.randn(12, 5, 2, generator=generator())
    values = torch.arange(24.0).reshape(12, 2)
    found = data(inputs, values, target_scale=TargetScale((100.0, 100.0), (2.0, 2.0)))
    few = Split(inputs[:3], values[:3])
    figure = windows(replace(found, validation=few), 0)
    train, validation, test = figure.axes[0].lines
    np.testing.assert_array_equal(train.get_xdata(), range(12))
    np.testing.assert_allclose(np.asarray(train.get_ydata()), values[:, 0] * 2 + 100)
    np.testing.assert_array_equal(validation.get_xdata(), range(12, 15))
    np.testing.assert_array_equal(test.get_xdata(), range(15, 27))
    window = figure.axes[1].lines
    np.testing.assert_array_equal(window[0].get_ydata(), inputs[6, :, 1])
    np.testing.assert_array_equal(window[1].get_ydata(), values[6])


def test_of_classes_some_series_of_each_are_drawn() -> None:
    inputs = torch.randn(20, 5, 2, generator=generator())
    figure = series(data(inputs, torch.arange(20) % 2, ("calm", "wild")), 0)
    assert "the first of 2 channels of 3 training series of each class" in title(figure)
    calm, wild = figure.axes
    assert (calm.get_title(), wild.get_title()) == ("calm", "wild")
    drawn = [np.asarray(line.get_ydata()) for line in wild.lines]
    np.testing.assert_array_equal(drawn, inputs[[1, 3, 5], :, 0])
    labels = torch.zeros(20, 2)
    labels[4, 1] = 1.0
    labelled = replace(data(inputs, labels, ("rain", "snow")), task=MULTILABEL)
    rain, snow = series(labelled, 0).axes
    assert not rain.lines
    [line] = snow.lines
    np.testing.assert_array_equal(np.asarray(line.get_ydata()), inputs[4, :, 0])


def test_labels_are_counted_as_classes_are() -> None:
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    labelled = replace(data(torch.randn(4, 3), labels, ("rain", "snow")), task=MULTILABEL)
    figure = targets(labelled, 0)
    bars = figure.axes[0].patches
    assert [bar.get_height() for bar in bars[:2]] == [75.0, 25.0]  # type: ignore[attr-defined]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["rain", "snow"]


def test_features_without_names_are_numbered() -> None:
    made = replace(data(torch.randn(9, 3, generator=generator()), torch.randn(9, 1)), features=())
    assert len(targets(made, 0).axes) == 4 * 5 // 2


# --- in a sweep -----------------------------------------------------------------------------


def test_data_of_one_name_say_what_tells_them_apart() -> None:
    command = ["-m", "dataset=iris", "dataset.train_size=20,40", "seeds=1",
               "trainer.epochs=1", "trainer.batch_size=10"]  # fmt: skip
    planned, _ = plan_all(compose(parse(command)[0]).jobs)
    pictures = dict(planned_pictures([run for runs in planned for run in runs]))
    for name, size in (("targets_iris", 20), ("targets_iris_2", 40)):
        assert title(pictures[name]()).startswith(f"iris, train_size={size}: ")


def test_series_of_classes_are_no_forecast() -> None:
    planned, _ = plan_all(compose(parse(["dataset=mnist1d", "seeds=1"])[0]).jobs)
    names = [name for name, _ in planned_pictures(planned[0])]
    assert names == ["series_mnist1d", "targets_mnist1d", "learning_rate"]


def test_every_dataset_of_a_sweep_has_its_pictures_once() -> None:
    command = ["-m", "dataset=iris,digits", "seeds=2", "trainer.epochs=1"]
    planned, _ = plan_all(compose(parse(command)[0]).jobs)
    assert [name for name, _ in planned_pictures([run for runs in planned for run in runs])] == [
        "features_iris", "targets_iris", "examples_digits", "targets_digits", "learning_rate",
    ]  # fmt: skip


def test_pictures_are_artifacts_of_the_parent(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regexp.compare.figures.draw", lambda *_: [])  # those have their own tests
    sandbox.arguments.remove("figures=false")
    assert sandbox.run(*SMALL, "dataset=iris", "trainer.epochs=1", "seeds=1") == 0
    assert "No picture" not in capsys.readouterr().out
    [parent] = sandbox.parents()
    with sandbox.tracker() as tracker:
        found = {one.path for one in tracker.client.list_artifacts(parent, "figures")}
    assert "figures/learning_rate.png" in found
    assert any(name.startswith("figures/targets_") for name in found)


def test_others_draw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "is_command", lambda: True)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    sweep = compose(parse(["dataset=iris", "seeds=2", "trainer.epochs=1"])[0])
    planned, _ = plan_all(sweep.jobs)
    each = workers.each(sweep.master, 1)
    assert each is not map
    made = list(drawn(planned, each))
    assert [name for name, _ in made] == ["features_iris", "targets_iris", "learning_rate"]
    assert made == list(drawn(planned))


@pytest.mark.parametrize("dataset", ["iris", "digits"])
def test_large_data_are_drawn_where_they_are(monkeypatch: pytest.MonkeyPatch, dataset: str) -> None:
    sent: list[Any] = []

    def others(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        sent.extend(items)
        return map(function, sent)

    monkeypatch.setattr("regexp.sweeps.illustrate._SENT", 1000)  # bytes; iris has 2,400
    planned, _ = plan_all(compose(parse([f"dataset={dataset}", "seeds=1"])[0]).jobs)
    assert all(isinstance(made, bytes) for _, made in drawn(planned, others))
    assert not sent


def test_a_picture_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Parent:
        def artifact(self, folder: Path) -> None:
            raise OSError("disk full")

    def fail(*arguments: object) -> None:
        raise ValueError("too odd")

    said: list[str] = []
    monkeypatch.setattr("regexp.sweeps.illustrate.learning_rate", fail)
    planned, _ = plan_all(compose(parse(["dataset=iris", "trainer.epochs=1"])[0]).jobs)
    illustrate(drawn(planned), Parent(), said.append)  # type: ignore[arg-type]
    assert said == [
        "No picture learning_rate: ValueError: too odd",
        "The pictures of the data cannot be kept: OSError: disk full",
    ]
