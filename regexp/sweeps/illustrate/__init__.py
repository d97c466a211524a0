"""The pictures of a sweep that its records do not hold: its data, and its learning rates by step.

They are drawn before the runs train, beside the opening of the store where a worker is there to do
so, and kept with the parent run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from regexp.compare.figures.picture import file_name, png
from regexp.sweeps.illustrate.images import examples
from regexp.sweeps.illustrate.schedules import learning_rate
from regexp.sweeps.illustrate.series import series, windows
from regexp.sweeps.illustrate.tables import features, targets
from regexp.sweeps.ingredients import load_data
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking.names import flatten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regexp.compare.figures import Each
    from regexp.dataset.base import Data
    from regexp.tracking import RunRecord

__all__ = ["drawn", "illustrate", "planned_pictures"]

FOLDER = "figures"
"""Of the parent's artifacts."""

_PLAN: dict[int, tuple[tuple[str, Callable[[Data, int], Figure]], ...]] = {
    2: (("features", features), ("targets", targets)),
    3: (("series", windows),),
    4: (("examples", examples), ("targets", targets)),
}
"""Dimensions of the inputs, as in `Split` -> names and functions of their pictures."""

_OF_CLASSES = {3: (("series", series), ("targets", targets))}
"""The same of what has classes or labels, where it differs."""


_SENT = 2**26
"""Bytes of inputs that another process is sent to draw them, at most."""

Drawn = tuple[str, bytes | str]
"""The name of a picture, and its PNG or, in words, why there is none."""


def drawn(planned: Sequence[Sequence[PlannedRun]], each: Each = map) -> Iterator[Drawn]:
    """The pictures of a sweep, drawn as they are asked for, or from now on by other processes.

    Args:
        planned: the runs of every job. Those of one are drawn by others, who are sent their data.
        each: draws them, as `map` does.
    """
    runs = [run for job in planned for run in job]
    if each is not map and len(planned) == 1:
        try:
            if all(_is_small(run) for run in runs[:1]):
                return each(_drawn, planned_pictures(runs))
        except Exception:  # of a user's dataset, which is told when they are kept
            pass
    return map(_drawn, planned_pictures(runs))


def illustrate(pictures: Iterable[Drawn], parent: RunRecord, say: Callable[[str], None]) -> None:
    """Keep the pictures of a sweep with its parent run; it never fails a sweep.

    Args:
        pictures: from `drawn`.
        parent: of the sweep.
        say: told in a line of a picture that could not be drawn or kept.
    """
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / FOLDER
            folder.mkdir()
            for title, made in pictures:
                if isinstance(made, str):
                    say(f"No picture {title}: {made}")
                else:
                    (folder / f"{file_name(title)}.png").write_bytes(made)
            if any(folder.iterdir()):
                parent.artifact(folder)
    except Exception as error:
        say(f"The pictures of the data cannot be kept: {type(error).__name__}: {error}")


def _drawn(picture: tuple[str, Callable[[], Figure]]) -> Drawn:
    title, make = picture
    try:
        return title, png(make())
    except Exception as error:  # a dataset of a user's may raise anything
        return title, f"{type(error).__name__}: {error}"


def _is_small(run: PlannedRun) -> bool:
    data = load_data(run.config["dataset"], run.config["paths"]["data"], run.seed)
    inputs = [split.inputs for split in (data.train, data.validation, data.test)]
    tensors = [one for one in inputs if isinstance(one, Tensor)]  # not images on disk
    return len(tensors) == len(inputs) and sum(one.nbytes for one in tensors) <= _SENT


def planned_pictures(runs: Sequence[PlannedRun]) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """What is to be drawn of planned runs: names and what draws them.

    Each dataset of the sweep has its pictures once, of the splits of its first run.
    """
    first: dict[str, PlannedRun] = {}
    for run in runs:
        first.setdefault(json.dumps(run.config["dataset"], sort_keys=True), run)
    called: dict[str, list[PlannedRun]] = {}
    for run in first.values():
        called.setdefault(run.dataset, []).append(run)
    for dataset, alike in called.items():
        for count, run in enumerate(alike, 1):
            name = dataset if count == 1 else f"{dataset}_{count}"
            yield from _of_data(run, name, _apart(run, alike))
    if runs:
        yield "learning_rate", partial(learning_rate, runs)


def _apart(run: PlannedRun, alike: Sequence[PlannedRun]) -> str:
    """What tells the data of a run from others of the same name: ", train_size=40"."""
    settings = [flatten(one.config["dataset"]) for one in alike]
    own = flatten(run.config["dataset"])
    told = [key for key in own if any(one.get(key) != own[key] for one in settings)]
    return "".join(f", {key}={own[key]}" for key in told)


def _of_data(run: PlannedRun, name: str, apart: str) -> Iterator[tuple[str, Callable[[], Figure]]]:
    data = load_data(run.config["dataset"], run.config["paths"]["data"], run.seed)
    data = replace(data, name=f"{data.name}{apart}")  # as titles have it
    dimensions = len(data.train.inputs.shape)
    pictures = _PLAN.get(dimensions, (("targets", targets),))
    if data.classes:
        pictures = _OF_CLASSES.get(dimensions, pictures)
    for kind, draw in pictures:
        yield f"{kind}_{name}", partial(draw, data, run.seed)
