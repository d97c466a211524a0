"""Fitted transformers as plain values for JSON, and back: no pickle, and nothing that is imported.

Of the transformers that regexp's own datasets are prepared by; `regexp.dataset.stored` has skops
for others, whose import costs more than a small run's training.
"""

from __future__ import annotations

import base64
import sys
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

IMAGES = "regexp.dataset.lazy.ChannelScaler"
"""The preprocessing of images, which are stored in bytes."""

_CLASSES = (
    "regexp.dataset.features.ColumnScaler",
    "regexp.dataset.features.CorrelationFilter",
    "regexp.dataset.features.LevelNames",
    "regexp.dataset.features.SeriesScaler",
    "regexp.dataset.features.UnseenAsMissing",
    IMAGES,
    "regexp.dataset.scaling.Standardizer",
    "sklearn.compose.ColumnTransformer",
    "sklearn.impute.MissingIndicator",
    "sklearn.impute.SimpleImputer",
    "sklearn.pipeline.FeatureUnion",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing.FunctionTransformer",
    "sklearn.preprocessing.OneHotEncoder",
    "sklearn.preprocessing.PolynomialFeatures",
    "sklearn.preprocessing.StandardScaler",
)
"""What may be made when a pipeline is read: from their attributes, without calling `__init__`."""

_NAMED = (
    "numpy.exp",
    "numpy.float64",
    "regexp.dataset.digits._scale",
    "regexp.dataset.features._log",
    "regexp.dataset.features._names",
)
"""Functions and types that are attributes of transformers."""

_NUMBERS = "biuf"
"""The kinds of NumPy's arrays that are numbers."""


def encoded(value: Any) -> Any:
    """A value, such as a fitted pipeline, as containers for JSON; `decoded` is the inverse.

    Raises:
        TypeError: it is made of something else than the transformers above and plain values.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [encoded(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[encoded(key), encoded(item)] for key, item in value.items()]}
    if type(value) is slice:
        return {"slice": [value.start, value.stop, value.step]}
    if type(value) is partial:
        return {"partial": [encoded(part) for part in (value.func, value.args, value.keywords)]}
    if isinstance(value, np.dtype) and value.kind in _NUMBERS:
        return {"dtype": value.str}
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS:
        return {"scalar": encoded(np.asarray(value))}
    if type(value) is np.ndarray and value.dtype == object:
        return {"objects": encoded(value.ravel().tolist()), "shape": list(value.shape)}
    if type(value) is np.ndarray and value.dtype.kind in _NUMBERS:
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": content, "dtype": value.dtype.str, "shape": list(value.shape)}
    for path in _NAMED:
        if _loaded(path) is value:
            return {"named": path}
    for path in _CLASSES:
        if _loaded(path) is type(value):
            # scikit-learn's own form of its state has the version that fitted it
            state = value.__getstate__()
            return {"class": path, "state": encoded(state)}
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__}")


def decoded(node: Any) -> Any:
    """The value that `encoded` was given.

    Raises:
        ValueError: `node` is not as `encoded` writes it.
    """
    match node:
        case None | bool() | int() | float() | str():
            return node
        case {"list": items}:
            return [decoded(item) for item in items]
        case {"tuple": items}:
            return tuple(decoded(item) for item in items)
        case {"dict": items}:
            return {decoded(key): decoded(item) for key, item in items}
        case {"slice": [start, stop, step]}:
            return slice(start, stop, step)
        case {"partial": [function, args, keywords]}:
            return partial(decoded(function), *decoded(args), **decoded(keywords))
        case {"dtype": str(name), **rest} if not rest:
            return _dtype(name)
        case {"scalar": array}:
            return decoded(array)[()]
        case {"objects": items, "shape": shape}:
            objects = np.empty(len(values := decoded(items)), dtype=object)
            objects[:] = values
            return objects.reshape(shape)
        case {"array": content, "dtype": str(name), "shape": shape}:
            # a copy, which may be written as the fitted one may
            return np.frombuffer(base64.b64decode(content), _dtype(name)).reshape(shape).copy()
        case {"named": path} if path in _NAMED:
            return _found(path)
        case {"class": path, "state": state} if path in _CLASSES:
            kind = _found(path)
            made = kind.__new__(kind)
            content = decoded(state)
            if hasattr(made, "__setstate__"):
                made.__setstate__(content)
            else:
                vars(made).update(content)
            return made
    raise ValueError(f"a part of the preparation is not known: {str(node)[:80]}")


def _dtype(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"a part of the preparation is not known: dtype {name}")
    return dtype


def _loaded(path: str) -> Any:
    """What a dotted path names if its module is there already; None otherwise."""
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
