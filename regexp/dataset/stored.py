"""A fitted preparation as text and bytes, and back, without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from regexp.dataset.data import TargetScale
from regexp.dataset.preparation import Preparation
from regexp.errors import ConfigError

TRUSTED = (
    "functools.partial",  # what it is of has to be trusted itself
    "numpy.dtype",
    "regexp.dataset.digits._scale",
    "regexp.dataset.features.ColumnScaler",
    "regexp.dataset.features.CorrelationFilter",
    "regexp.dataset.features.LevelNames",
    "regexp.dataset.features.SeriesScaler",
    "regexp.dataset.features.UnseenAsMissing",
    "regexp.dataset.features._log",
    "regexp.dataset.features._names",
    "regexp.dataset.lazy.ChannelScaler",
)
"""What a stored pipeline may be made of, beside what skops trusts of scikit-learn and numpy."""

_IMAGE = 3
"""Axes of an image: the names of all its pixels would be megabytes."""

_TUPLES = ("columns", "classes", "shape", "read_shape", "features")


def described(preparation: Preparation) -> dict[str, Any]:
    """A preparation, but for its pipeline, as plain containers for JSON."""
    content = {key: value for key, value in vars(preparation).items() if key != "pipeline"}
    scale = preparation.target_scale
    if len(preparation.read_shape) == _IMAGE:
        content |= {"columns": (), "features": ()}
    return content | {
        "levels": {name: list(levels) for name, levels in preparation.levels.items()},
        "target_scale": None if scale is None else vars(scale),
    }


def dumped(pipeline: Any) -> bytes:
    """A fitted scikit-learn transformer as skops writes it; nothing of None.

    Raises:
        Exception: whatever skops raises on what it cannot write.
    """
    if pipeline is None:
        return b""
    from skops import io  # takes time

    return bytes(io.dumps(pipeline, compression=zipfile.ZIP_DEFLATED))


def restored(
    description: Mapping[str, Any], pipeline: bytes, allowed: Sequence[str] | None = ()
) -> Preparation:
    """The preparation that `described` and `dumped` wrote.

    Args:
        description: what `described` returned.
        pipeline: what `dumped` returned.
        allowed: dotted paths beside `TRUSTED` that the user trusts, see `regexp.rerun.trust`; None
            trusts all.

    Raises:
        ConfigError: the pipeline is made of something that is not trusted.
    """
    content = dict(description) | {key: tuple(description[key]) for key in _TUPLES}
    levels = {name: tuple(names) for name, names in description["levels"].items()}
    scale = description["target_scale"]
    if scale is not None:
        scale = TargetScale(tuple(scale["mean"]), tuple(scale["scale"]))
    content |= {"levels": levels, "target_scale": scale, "pipeline": _loaded(pipeline, allowed)}
    return Preparation(**content)


def _loaded(pipeline: bytes, allowed: Sequence[str] | None) -> Any:
    if not pipeline:
        return None
    from skops import io

    kinds = set(io.get_untrusted_types(data=pipeline)) - set(TRUSTED)
    named = kinds if allowed is None else {kind for kind in kinds if _is_allowed(kind, allowed)}
    if unknown := sorted(kinds - named):
        raise ConfigError(
            f"the stored preprocessing is made of {', '.join(unknown)}, which is no part of regexp "
            "and was left alone. If you know it and trust who recorded the run, add: "
            + " ".join(f"--allow {name}" for name in unknown)
        )
    return io.loads(pipeline, trusted=[*TRUSTED, *named])


def _is_allowed(kind: str, allowed: Sequence[str]) -> bool:
    return any(
        kind == name or (name.endswith(".") and len(name) > 1 and kind.startswith(name))
        for name in allowed
    )
