"""What differs between two environments, and how likely each difference changes results."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from regexp.config.values import AUTO
from regexp.rerun.original import Original
from regexp.tracking import names

Origin = Literal["data", "kernel", "code", "library", "arithmetic", "other"]

UNKNOWN = "(not recorded)"

# Kind and patterns of dotted keys, the likeliest to change results first.
_RANKS: tuple[tuple[Origin, str], ...] = (
    ("data", r"data\..*"),
    ("kernel", r"kernels\..*"),
    ("code", r"code"),
    ("code", r"own_code\..*"),
    ("other", r"packages\.regexp"),  # `code` tells whether anything in it changed
    ("other", r"git\..*"),
    ("library", r"(packages|arithmetic)\.(torch|numpy)"),
    ("library", r"packages\.(scikit-learn|pandas|scipy|pyarrow|pillow|h5py|statsmodels)"),
    ("arithmetic", r"device"),
    ("arithmetic", r"arithmetic\.(gpus|cuda|cudnn)"),
    ("arithmetic", r"arithmetic\.(processor|capability|blas|matmul_precision)"),
    ("arithmetic", r"arithmetic\..*"),
    ("arithmetic", r"variables\..*"),
    ("other", r"python"),
    ("other", r"packages\..*"),
    ("other", r".*"),
)


@dataclass(frozen=True)
class EnvironmentDifference:
    """Something of the environment that is not as it was.

    Attributes:
        what: for people: "torch", "the code of regexp", "the data digits".
    """

    what: str
    then: str
    now: str
    kind: Origin


def environment_differences(
    then: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    data: tuple[str, str, str] | None = None,
    devices: tuple[str, str] = ("cpu", "cpu"),
    kernels: Collection[str] = (),
) -> list[EnvironmentDifference]:
    """What differs, the likeliest to change results first.

    A module of a user's own counts only where both have it: it may not be loaded yet.

    Args:
        then, now: of the first run and of the second, as runs record it.
        data: name of the dataset, and the SHA-256 of both runs' data.
        devices: `trainer.device` of both.
        kernels: those that the runs may call; other ones do not count.
    """
    before, after = names.texts(then), names.texts(now)
    before["device"], after["device"] = device(devices[0], then), device(devices[1], now)
    if data is not None:
        key = f"data.{data[0]}"
        before[key], after[key] = (checksum or UNKNOWN for checksum in data[1:])
    keys = {
        key
        for key in before | after
        if before.get(key) != after.get(key)
        and key != "memory_bytes"
        and (not key.startswith("kernels.") or key.partition(".")[2] in kernels)
        and (not key.startswith("own_code.") or (key in before and key in after))
    }
    for library in ("torch", "numpy"):  # recorded twice
        if f"packages.{library}" in keys:
            keys.discard(f"arithmetic.{library}")
    return [
        EnvironmentDifference(
            _label(key),
            before.get(key, _absent(key, then)),
            after.get(key, _absent(key, now)),
            _RANKS[_rank(key)][0],
        )
        for key in sorted(keys, key=lambda key: (_rank(key), key))
    ]


def differences_of_runs(first: Original, second: Original) -> list[EnvironmentDifference]:
    """What differs between the environments and data of two recorded runs."""
    names_of_data = dict.fromkeys(run.tags.get("dataset", "?") for run in (first, second))
    then, now = (run.tags.get("data.checksum", "") for run in (first, second))
    return environment_differences(
        first.environment,
        second.environment,
        data=(" / ".join(names_of_data), then, now),
        devices=(device_of(first.config), device_of(second.config)),
        kernels=kernels_of(first.config),
    )


def kernels_of(config: Mapping[str, Any]) -> set[str]:
    """The names of kernels that a run of a recorded configuration may call.

    Those of layers are words of its model's, and that of an optimizer its name, where steps are
    made in the fastest way.
    """
    model, optimizer, trainer = (
        part if isinstance(part := config.get(key), Mapping) else {}
        for key in ("model", "optimizer", "trainer")
    )
    words = {value for value in model.values() if isinstance(value, str)}
    if trainer.get("step") == AUTO:
        words.add(str(optimizer.get("_target_", "")).rpartition(".")[2].lower())
    return words


def device_of(config: Mapping[str, Any]) -> str:
    """`trainer.device` of a recorded configuration."""
    trainer = config.get("trainer")
    return str(trainer.get("device", "cpu")) if isinstance(trainer, Mapping) else "cpu"


def device(name: str, environment: Mapping[str, Any]) -> str:
    """What a run trained on: `cpu`, or the name of the GPU.

    Args:
        name: `trainer.device`.
        environment: as it is recorded; tells which GPUs there were.
    """
    arithmetic = environment.get("arithmetic")
    gpus = arithmetic.get("gpus", "") if isinstance(arithmetic, Mapping) else ""
    known = [gpu for gpu in str(gpus).split(", ") if gpu]
    if name == "cpu" or (name == "auto" and not known):
        return "cpu"
    index = name.partition(":")[2]
    number = int(index) if index.isdecimal() else 0
    return known[number] if number < len(known) else name


def _label(key: str) -> str:
    """What a dotted key is called in tables."""
    group, _, rest = key.partition(".")
    words = {
        "code": "the code of regexp",
        "data": f"the data {rest}",
        "own_code": f"the code of {rest}",
        "kernels": f"the kernel of {rest}",
        "git": f"git {rest}",
        "matmul_precision": "precision of matrix products",
    }
    if group in words:
        return words[group]
    return words.get(rest, rest or key)


def _absent(key: str, environment: Mapping[str, Any]) -> str:
    """What stands for a value that is not there: was it not there, or was it not recorded?"""
    group = key.partition(".")[0]
    if group in ("packages", "variables") and group in environment:
        return "(none)"
    return "(none)" if key == "git.diff" and environment.get("git") else UNKNOWN


def _rank(key: str) -> int:
    return next(rank for rank, (_, form) in enumerate(_RANKS) if re.fullmatch(form, key))
