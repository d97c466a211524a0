"""Bring parameters, metric names and tags into the form that MLflow takes, hiding nothing."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache

WORKING = "working"
"""The folder of a run's artifacts with its working checkpoint; it goes when the run has ended."""

PARAM_LENGTH = 6000  # MLflow cuts longer values without a word
TAG_LENGTH = 8000
KEY_LENGTH = 250
# In MLflow's tables, which PostgreSQL and MySQL hold to and SQLite does not.
RUN_LENGTH = 250  # of a run's name
EXPERIMENT_LENGTH = 256
DATASET_LENGTH = 500
PLACE_LENGTH = 200  # of where a run's artifacts are
EXPERIMENT_TAG_LENGTH = 5000  # MLflow refuses more; 3.17 takes 20,000, older servers do not

WHOLE_NAME = "name.whole"
"""The tag with the name of a run or experiment that is too long for MLflow."""

_SWEEP = "sweep."
_LABELS = "labels."

OF_SWEEPS = (f"{_SWEEP}*", f"{_LABELS}*")
"""What tells of the sweeps of a run: the names of its tags, `*` for what comes after."""

TRAINED, REUSED = "trained", "reused"
"""How a run came to a sweep: the values of the tag `member_of` the sweep."""

# MLflow refuses every other character; on Windows the colon as well, so it is not kept either.
_REFUSED = re.compile(r"[^\w\-. /]")


def member_of(sweep_id: str) -> str:
    """The tag that a run of a sweep has, whichever sweep it was trained for."""
    return f"{_SWEEP}{sweep_id}"


def labels_in(sweep_id: str) -> str:
    """The tag with what a run that a sweep reuses is called in it, as JSON."""
    return f"{_LABELS}{sweep_id}"


def labelled_in(tags: Mapping[str, str]) -> frozenset[str]:
    """The ids of the sweeps that have reused a run, by its tags."""
    return frozenset(key.removeprefix(_LABELS) for key in tags if key.startswith(_LABELS))


def sweeps_of(tags: Mapping[str, str]) -> frozenset[str]:
    """The ids of all sweeps that a run belongs to, by its tags."""
    found = {key.removeprefix(_SWEEP) for key, value in tags.items()
             if key.startswith(_SWEEP) and value in (TRAINED, REUSED)}  # fmt: skip
    return frozenset(found | {tags.get("mlflow.parentRunId", "")}) - {""}


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Turn nested mappings into one with dotted keys; an empty mapping stays as a value."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def texts(config: Mapping[str, object]) -> dict[str, str]:
    """Dotted keys with their values as `text`; empty mappings are left out."""
    return {key: text(value) for key, value in flatten(config).items() if value != {}}


@lru_cache(maxsize=4096)
def safe(name: str) -> str:
    """Map a name to one that MLflow accepts; most names come back unchanged.

    Every refused character becomes `_`. A name beyond 250 characters keeps its beginning and ends
    in a hash.
    """
    mapped = _REFUSED.sub("_", name)
    # MLflow reads a name as a path and refuses one that is not in its shortest form.
    mapped = "/".join("_" if part in ("", ".", "..") else part for part in mapped.split("/"))
    return mapped if len(mapped) <= KEY_LENGTH else f"{mapped[: KEY_LENGTH - 9]}_{_digest(name)}"


def of_run(name: str) -> tuple[str, dict[str, str]]:
    """(the name of a run as every store takes it, tags with the whole one if that is another).

    A name that is too long keeps its beginning and ends in a hash.
    """
    return _fitting(name, RUN_LENGTH, TAG_LENGTH)


def of_experiment(name: str) -> tuple[str, dict[str, str]]:
    """As `of_run`, of an experiment."""
    return _fitting(name, EXPERIMENT_LENGTH, EXPERIMENT_TAG_LENGTH)


def _fitting(name: str, length: int, tag_length: int) -> tuple[str, dict[str, str]]:
    if len(name) <= length:
        return name, {}
    return f"{name[: length - 9]} {_digest(name)}", {WHOLE_NAME: cut(name, tag_length)}


def params(config: Mapping[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Flatten a configuration into MLflow params.

    Returns:
        (params, tags): the tags `params.cut` and `params.renamed` tell what could not be kept as
        it was; they are absent when all is well.
    """
    values: dict[str, str] = {}
    renamed: dict[str, str] = {}
    too_long: list[str] = []
    for key, value in flatten(config).items():
        name = safe(key)
        if name in values:  # two keys became one, such as a[0] and a_0_
            name = f"{name[: KEY_LENGTH - 9]}_{_digest(key)}"
        if name != key:
            renamed[name] = key
        written = text(value)
        if len(written) > PARAM_LENGTH:
            too_long.append(name)
        values[name] = cut(written, PARAM_LENGTH)
    tags = {}
    if too_long:
        tags["params.cut"] = cut(", ".join(too_long), TAG_LENGTH)
    if renamed:
        tags["params.renamed"] = cut(json.dumps(renamed), TAG_LENGTH)
    return values, tags


def text(value: object) -> str:
    """Write a value as one would on the command line: true, null, 0.001, inf, ["a", 1]."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list | tuple | Mapping):
        return json.dumps(value, default=str)
    return str(value)


def built_in(value: object) -> object:
    """Copy nested settings into built-in types, as YAML and JSON writers want them."""
    if isinstance(value, Mapping):
        return {str(key): built_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [built_in(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def cut(value: str, length: int) -> str:
    """Shorten a text to `length` characters, saying so at its end."""
    if len(value) <= length:
        return value
    marker = f" ... [cut: {len(value)} characters; the whole stands in the run's artifacts]"
    return value[: length - len(marker)] + marker


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
