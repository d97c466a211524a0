"""Learning rate against step, simulated with the runs' own optimizers and schedulers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.figures import style as s
from regexp.compare.figures.rates import lines_of
from regexp.stack.member import lengths
from regexp.stack.optimizers import simulate
from regexp.sweeps.identity import Node
from regexp.sweeps.ingredients import build_regularizer, build_stepper, load_data
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking.names import flatten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 400_000
"""Steps that are simulated for a picture, at most; settings beyond are left out."""
LINE_POINTS = 2_000
"""Points of a line, at most."""


@s.styled
def learning_rate(runs: Sequence[PlannedRun]) -> Figure:
    """Draw the learning rate of every step, one line for each distinct setting of the schedule."""
    settings = distinct(runs)
    lines, spent = [], 0
    labels = names([(run.config, sum(counts)) for run, counts in settings])
    for (run, counts), label in zip(settings, labels, strict=True):
        spent += sum(counts)
        if spent > STEPS:
            break
        rates, plateau = simulate(build_stepper(run.config), counts)
        blind = ", if the validation loss never improves" if plateau else ""
        every = -(-len(rates) // LINE_POINTS)
        steps = np.arange(1, len(rates) + 1)
        lines.append((steps[::every], np.array(rates)[::every], f"{label}{blind}"))
    more = len(settings) - len(lines)
    left = f" ({more} more are too long)" if more else ""
    return lines_of(lines, f"Learning rate of every step{left}", "step")


def distinct(runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, list[int]]]:
    """The first run of each setting of optimizer and schedule, with the steps of its epochs."""
    settings: dict[str, tuple[PlannedRun, list[int]]] = {}
    counted: dict[str, list[int]] = {}
    for run in runs:
        config = run.config
        counts_by = json.dumps([config[key] for key in ("dataset", "regularizer", "trainer")])
        if counts_by not in counted:
            counted[counts_by] = steps(run)
        counts = counted[counts_by]
        setting = json.dumps([config["optimizer"], config["scheduler"], counts], sort_keys=True)
        settings.setdefault(setting, (run, counts))
    return list(settings.values())


def steps(run: PlannedRun) -> list[int]:
    """The steps of every epoch of a run."""
    config, trainer = run.config, run.config["trainer"]
    rows = len(load_data(config["dataset"], config["paths"]["data"], run.seed).train)
    regularizer = build_regularizer(config["regularizer"])
    batches = lengths(regularizer, rows, trainer["batch_size"], trainer["epochs"])
    return [count for _, count in batches]


def names(configs: Sequence[tuple[Node, int]]) -> list[str]:
    """What each setting is called: its schedule's class, and what tells it apart.

    Args:
        configs: each with the steps of its runs.
    """
    settings = [
        flatten({"lr": config["optimizer"].get("lr"), **config["scheduler"]})
        for config, _ in configs
    ]
    labels = []
    for setting in settings:
        alike = [other for other in settings if _class(other) == _class(setting)]
        numbers = [
            f"{key}={value}"
            for key, value in setting.items()
            if "_target_" not in key and any(other.get(key) != value for other in alike)
        ]
        labels.append(" ".join([_class(setting), *numbers]))
    further = (
        [str(config["optimizer"].get("_target_", "")).rpartition(".")[2] for config, _ in configs],
        [f"{steps:,} steps" for _, steps in configs],
    )
    for texts in further:
        told: dict[str, set[str]] = defaultdict(set)
        for label, text in zip(labels, texts, strict=True):
            told[label].add(text)
        labels = [
            f"{label}, {text}" if len(told[label]) > 1 else label
            for label, text in zip(labels, texts, strict=True)
        ]
    return labels


def _class(setting: Mapping[str, object]) -> str:
    """`CosineAnnealingLR`; of a schedule by a function, the function's."""
    inner = [value for key, value in setting.items() if key.endswith("lr_lambda._target_")]
    return str([*inner, setting.get("_target_", "schedule")][0]).rpartition(".")[2]
