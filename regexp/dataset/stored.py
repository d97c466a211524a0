"""A fitted preparation as text and bytes, and back, without pickle.

A pipeline of the transformers that `regexp.dataset.fitted` knows is text. What has others, such as
a user's own, is written by skops, as every pipeline was by older versions.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from regexp.dataset import fitted
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
    fitted.IMAGES,
    "regexp.dataset.scaling.Standardizer",
)
"""What a pipeline by skops may be made of, beside what it trusts of scikit-learn and numpy."""

_IMAGE = 3
"""Axes of an image: the names of all its pixels would be megabytes."""

_TUPLES = ("columns", "classes", "shape", "read_shape", "features")


def described(preparation: Preparation) -> dict[str, Any]:
    """A preparation as plain containers for JSON, with its pipeline unless `dumped` has it."""
    content = {key: value for key, value in vars(preparation).items() if key != "pipeline"}
    scale = preparation.target_scale
    if len(preparation.read_shape) == _IMAGE:
        content |= {"columns": (), "features": ()}
    return content | {
        "pipeline": _plain(preparation.pipeline),
        "units": None if preparation.units is None else dict(preparation.units),
        "levels": {name: list(levels) for name, levels in preparation.levels.items()},
        "target_scale": None if scale is None else vars(scale),
    }


def dumped(pipeline: Any) -> bytes:
    """A fitted transformer as skops writes it; nothing of None and of what `described` has.

    Raises:
        Exception: whatever skops raises on what it cannot write.
    """
    if pipeline is None or _plain(pipeline) is not None:
        return b""
    from skops import io  # imports all of scikit-learn

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
    plain = description.get("pipeline")  # which older versions have not
    made = _loaded(pipeline, allowed) if plain is None else fitted.decoded(plain)
    content |= {"levels": levels, "target_scale": scale, "pipeline": made}
    return Preparation(**content)


def _plain(pipeline: Any) -> Any:
    """As text, or None where it is made of something else than regexp's own transformers."""
    try:
        return fitted.encoded(pipeline)
    except TypeError:
        return None


def _loaded(pipeline: bytes, allowed: Sequence[str] | None) -> Any:
    if not pipeline:
        return None
    from skops import io  # imports all of scikit-learn

    kinds = set(io.get_untrusted_types(data=pipeline)) - set(TRUSTED)
    named = kinds if allowed is None else {kind for kind in kinds if is_allowed(kind, allowed)}
    if unknown := sorted(kinds - named):
        raise ConfigError(
            f"the stored preprocessing is made of {', '.join(unknown)}, which is no part of regexp "
            "and was left alone. If you know it and trust who recorded the run, add: "
            + " ".join(f"--allow {name}" for name in unknown)
        )
    return io.loads(pipeline, trusted=[*TRUSTED, *named])


def is_allowed(path: str, allowed: Sequence[str]) -> bool:
    """Whether a dotted path is one of `allowed`, or begins with one that ends in a dot."""
    return any(
        path == name or (name.endswith(".") and len(name) > 1 and path.startswith(name))
        for name in allowed
    )
