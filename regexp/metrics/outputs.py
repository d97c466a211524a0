"""What a run gives for each test row, in a file that NumPy reads without pickle.

    test = read("test_outputs.npz")
    right = test.outputs.argmax(1) == test.targets

The file is an ordinary `.npz` (numpy.load), and the same outputs are the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from regexp.errors import ConfigError
from regexp.metrics.names import TASKS, TEST_OUTPUTS


@dataclass(frozen=True)
class RowOutputs:
    """What a run gives for each test row, in the order in which it was tested.

    Attributes:
        task: of `regexp.metrics.names.TASKS`.
        rows: the rows' numbers in the data set as it was read, from 0: int64 [rows]. Of a series
            the time step at which the row's window starts.
        outputs: of the final weights: logits [rows, classes] or [rows, labels], or values
            [rows, outputs] of scaled targets; float32.
        targets: int64 classes [rows]; float32 labels, 0 or 1, [rows, labels], or scaled values
            [rows, outputs].
        classes: names of the classes, labels or targets.
        mean, scale: of a regression's targets, float64 [outputs]: value * scale + mean is in the
            target's own unit. 0 and 1 where they were not scaled, and in all other tasks.
    """

    task: str
    rows: NDArray[np.int64]
    outputs: NDArray[np.float32]
    targets: NDArray[Any]
    classes: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """A regression's outputs in the target's own unit, [rows, outputs]."""
        return self.outputs * self.scale + self.mean

    @property
    def truth(self) -> NDArray[np.float64]:
        """A regression's targets in their own unit, [rows, outputs], to float32's rounding."""
        return self.targets * self.scale + self.mean


def write(path: Path, test: RowOutputs) -> None:
    """Write the file; equal outputs give equal bytes.

    Raises:
        OSError: it cannot be written.
    """
    assert not test.targets.dtype.hasobject, "it would be pickled"
    # NumPy dates every entry 1980, and compresses nothing
    np.savez(
        path,
        task=np.array(test.task),
        rows=test.rows.astype(np.int64),
        outputs=test.outputs.astype(np.float32),
        targets=test.targets,
        classes=np.array(test.classes, dtype=np.str_),
        mean=test.mean.astype(np.float64),
        scale=test.scale.astype(np.float64),
    )


def read(path: Path | str | bytes) -> RowOutputs:
    """Read the artifact `test_outputs.npz` of a run.

    Args:
        path: of the file; or its content.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: it is no such file, or damaged.
    """
    names = [field.name for field in fields(RowOutputs)]
    key = TEST_OUTPUTS if isinstance(path, bytes) else str(path)
    try:
        source = BytesIO(path) if isinstance(path, bytes) else path
        with ZipFile(source) as file:
            parts = {name: _array(name, file.read(f"{name}.npy")) for name in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a foreign file makes of NumPy's reader
        raise ConfigError(
            f"expected test outputs as regexp writes them, but they cannot be read ({error})",
            key=key,
        ) from error
    task, classes = str(parts.pop("task")), tuple(map(str, parts.pop("classes")))
    found = RowOutputs(task=task, classes=classes, **parts)
    if task not in TASKS or {len(found.rows)} != {len(found.outputs), len(found.targets)}:
        raise ConfigError("its parts do not fit together", key=key)
    return found


def _array(name: str, content: bytes) -> NDArray[Any]:
    """An entry of the file, parsed once where runs have it alike, such as their targets."""
    return _parsed(content) if name == "outputs" else _known(content).copy()


def _parsed(content: bytes) -> NDArray[Any]:
    """The array of an `.npy` file."""
    array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    return array


_known = lru_cache(maxsize=256)(_parsed)
