"""How rows become what a network takes and gives, as the training rows tell and they alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from regexp.dataset.data import CLASSIFICATION, Rows, Table, TargetScale, check_finite, summed
from regexp.dataset.lazy import LazyInputs

SERIES = 2
"""Axes of a series, [time, channels]."""


@dataclass(frozen=True)
class Preparation:
    """What makes inputs and targets of rows as a dataset reads them.

    Args:
        pipeline: a fitted scikit-learn transformer; None takes the inputs as they are.
        columns, levels, classes, task, shape, source: see `regexp.dataset.data.Table`.
        read_shape: of a row as it was read.
        features: the names of a row's inputs, in the order of the flattened inputs.
        target_scale: how targets are scaled; None leaves them in their own unit.
        numbered, units: see `regexp.dataset.data.Table`; units are None where they are not known.
    """

    pipeline: Any
    columns: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    task: str
    shape: tuple[int, ...]
    read_shape: tuple[int, ...]
    source: str
    features: tuple[str, ...]
    target_scale: TargetScale | None
    numbered: int | None = None  # these two of runs recorded before they were there
    units: Mapping[str, str] | None = None

    @classmethod
    def fit(cls, table: Table, pipeline: Any, train: Rows) -> Preparation:
        """Fit `pipeline`, and the scale of a regression's targets, on the training rows.

        Args:
            table: what was read.
            pipeline: a scikit-learn transformer, not yet fitted; None for none.
            train: the numbers of the training rows.

        Raises:
            DataError: numbers are too large to be standardized.
        """
        features, scale = table.columns, table.target_scale
        with summed(table.source):
            if pipeline is not None:
                pipeline.fit(table.inputs[train])  # the training rows and no others
                names = pipeline.get_feature_names_out(table.columns)
                features = tuple(str(name) for name in names)
            if table.standardize_targets:
                scale = TargetScale.fit(table.targets[train])
        return cls(
            pipeline=pipeline,
            columns=table.columns,
            levels=table.levels,
            classes=table.classes,
            task=table.task,
            shape=table.shape,
            read_shape=tuple(table.inputs.shape[1:]),
            source=table.source,
            features=features,
            target_scale=scale,
            numbered=table.numbered,
            units=table.units,
        )

    def inputs(self, values: NDArray[Any] | LazyInputs, rows: Rows) -> torch.Tensor | LazyInputs:
        """Inputs for a network, float32 [rows, ...].

        Args:
            values: of these rows as they were read, [rows, columns] or what else the dataset reads.
            rows: their numbers, for messages.

        Raises:
            DataError: a number becomes infinite, or none.
        """
        with np.errstate(all="ignore"):  # what is not finite is told below
            part = values if self.pipeline is None else self.pipeline.transform(values)
            if isinstance(part, LazyInputs):
                return part
            prepared = np.asarray(part, dtype=np.float32).reshape(len(rows), *self.shape)
        check_finite(self.source, rows, prepared, self.features)
        return torch.from_numpy(prepared)

    def targets(self, values: NDArray[Any], rows: Rows) -> torch.Tensor:
        """Targets for a loss: int64 class indices [rows]; else float32 [rows, labels or outputs].

        Args:
            values: of these rows as they were read.
            rows: their numbers, for messages.

        Raises:
            DataError: a number becomes infinite, or none.
        """
        if self.task == CLASSIFICATION:
            return torch.from_numpy(values.astype(np.int64))
        with np.errstate(all="ignore"):
            scaled = values if self.target_scale is None else self.target_scale.apply(values)
            scaled = scaled.astype(np.float32)
        check_finite(self.source, rows, scaled, ("target",) * scaled.shape[1])
        return torch.from_numpy(scaled)


def axes_of(shape: Sequence[int], read_shape: Sequence[int]) -> tuple[int, ...]:
    """Of a row in an array of new rows: [time, channels] of a series, else as it was read.

    Args:
        shape, read_shape: of a `Preparation`.
    """
    return tuple(shape if len(shape) == SERIES else read_shape)
