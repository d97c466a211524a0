"""Learning rate against step, simulated with the runs' own optimizers and schedulers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from regexp.compare.figures import style as s
from regexp.compare.figures.rates import lines_of
from regexp.scheduler import Schedule
from regexp.stack.member import lengths
from regexp.stack.optimizers import Stepper
from regexp.sweep.plan import build_regularizer, build_stepper, load_data
from regexp.sweep.planned_run import Node, PlannedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 400_000
"""Steps that are simulated for a picture, at most; settings beyond are left out."""
POINTS = 2_000
"""Points of a line, at most."""


@s.styled
def learning_rate(runs: Sequence[PlannedRun]) -> Figure:
    """Draw the learning rate of every step, one line for each distinct setting of the schedule.

    Args:
        runs: as planned.
    """
    found = distinct(runs)
    nodes = [run.config for run, _ in found]
    lines, spent = [], 0
    for (run, counts), name in zip(found, names(nodes), strict=True):
        spent += sum(counts)
        if spent > STEPS:
            break
        rates, plateau = simulate(build_stepper(run.config), counts)
        blind = ", if the validation loss never improves" if plateau else ""
        every = -(-len(rates) // POINTS)
        steps = np.arange(1, len(rates) + 1)
        lines.append((steps[::every], np.array(rates)[::every], f"{name}{blind}"))
    left = f" ({len(found) - len(lines)} more are too long)" if len(lines) < len(found) else ""
    return lines_of(lines, f"Learning rate of every step{left}", "step")


def distinct(runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, list[int]]]:
    """The first run of each setting of optimizer and schedule, with the steps of its epochs."""
    found: dict[str, tuple[PlannedRun, list[int]]] = {}
    counted: dict[str, list[int]] = {}
    for run in runs:
        config = run.config
        parts = {key: config[key] for key in ("dataset", "regularizer", "trainer")}
        text = json.dumps(parts)
        if text not in counted:
            counted[text] = steps(run)
        key = json.dumps([config["optimizer"], config["scheduler"], counted[text]], sort_keys=True)
        found.setdefault(key, (run, counted[text]))
    return list(found.values())


def steps(run: PlannedRun) -> list[int]:
    """The steps of every epoch of a run."""
    config, trainer = run.config, run.config["trainer"]
    rows = len(load_data(config["dataset"], config["paths"]["data"], run.seed).train)
    regularizer = build_regularizer(config["regularizer"])
    batches = lengths(regularizer, rows, trainer["batch_size"], trainer["epochs"])
    return [count for _, count in batches]


def simulate(stepper: Stepper, counts: Sequence[int]) -> tuple[list[float], bool]:
    """The learning rate of every step of a run, and whether it follows the validation loss.

    The optimizer steps parameters without gradients, which leaves them as they are. A schedule that
    follows the validation loss sees one that never improves.

    Args:
        stepper: of the run.
        counts: the steps of every epoch.
    """
    # two matrices and a vector: some optimizers ask for a hidden layer
    dummy = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (2, 2))]
    optimizer = stepper.optimizer(dummy)
    schedule = Schedule(stepper.scheduler, stepper.interval, optimizer)
    rates: list[float] = []
    for count in counts:
        if schedule.interval == "epoch":
            optimizer.step()  # torch warns of a scheduler that steps first
            rates += [schedule.learning_rate] * count
        else:
            for _ in range(count):
                rates.append(schedule.learning_rate)
                optimizer.step()
                schedule.step_batch()
        schedule.step_epoch(1.0)
    return rates, schedule.uses_metric


def names(configs: Sequence[Node]) -> list[str]:
    """What each setting is called: its schedule's class, and the numbers that tell it apart."""
    flat = [
        dict(_leaves({"lr": one["optimizer"].get("lr"), **one["scheduler"]})) for one in configs
    ]
    found = []
    for own in flat:
        alike = [other for other in flat if _kind(other) == _kind(own)]
        told = [
            f"{key}={value}"
            for key, value in own.items()
            if "_target_" not in key and any(other.get(key) != value for other in alike)
        ]
        found.append(" ".join([_kind(own), *told]))
    return found


def _kind(leaves: dict[str, Any]) -> str:
    """`CosineAnnealingLR`; of a schedule by a function, the function's."""
    inner = [value for key, value in leaves.items() if key.endswith("lr_lambda._target_")]
    return str((inner or [leaves.get("_target_", "schedule")])[0]).rpartition(".")[2]


def _leaves(node: Node, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of all that is no mapping."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
