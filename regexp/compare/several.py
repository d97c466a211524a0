"""The runs of several sweeps as if they were one's.

Sweeps may differ in more than their names tell: in the model, in the rows they train on, in a
technique's numbers. What differs is read from the parameters and told apart: a setting or a variant
of its own for each, since such runs must not pass for each other's repetition.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from regexp.compare.baseline import FAMILY, KEYS
from regexp.compare.factor import with_levels
from regexp.compare.table import FINISHED
from regexp.compare.yardsticks import PLACES
from regexp.config.schema import EARLIER_TRAINER
from regexp.dataset.checks import EARLIER, EARLIER_OF_TABLES
from regexp.metrics.names import PARAMETER, parameter
from regexp.tracking.names import text

if TYPE_CHECKING:
    import pandas as pd

NAMED = 3
"""Differences that the name of a setting tells; of the others it has the sweep's id."""

_TECHNIQUE = parameter("regularizer")
_IDLE = tuple(map(parameter, ("seed", "stack", "trainer.device", "trainer.threads")))
"""Parameters that change a run's bits at most."""

_METRICS = parameter("trainer.metrics")
"""Metrics of the user's own are taken at a run's end."""

_CALLED = ("variant", "setting", "label", "tuned", "chosen", "sweep")
"""What a run is called in a sweep; all else of it is the same in all that it belongs to."""

_DATA, _CODE = "data.checksum", "code.checksum"
"""Tags of what runs that are paired have alike; runs without own code, and older ones, lack that
of code."""


def together(frames: "Mapping[str, pd.DataFrame]", factor: str | None = None) -> "pd.DataFrame":
    """Put the runs of sweeps below each other.

    Args:
        frames: runs from `Tracker.runs` by the id of their sweep.
        factor: what is compared, if not techniques: its levels are no difference of settings.

    Returns:
        All runs, with the column `sweep`.
    """
    import pandas as pd

    parts = [frame.assign(sweep=sweep_id) for sweep_id, frame in frames.items()]
    runs = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if runs["sweep"].nunique() < 2:
        return runs
    runs = with_levels(_in_one_place(_with_earlier_settings(_once(runs))), factor)
    params = [name for name in map(str, runs) if name.startswith(PARAMETER)]
    params = [name for name in params if name not in _IDLE and not name.startswith(_METRICS)]
    numbers = [name for name in params if name.startswith(_TECHNIQUE)]
    others = [name for name in params if name not in numbers]
    runs = _with_differences(runs, FAMILY, "setting", others)
    runs = _with_differences(
        runs, KEYS, "variant", [name for name in numbers if name != _TECHNIQUE]
    )
    return _kept_apart(runs, params)


def _once(runs: "pd.DataFrame") -> "pd.DataFrame":
    """Each run once, called as that sweep calls it which tells it from others by its numbers.

    Runs that a sweep reuses it may call `lr=0.001`, where the other has no word for that.
    """
    told = (runs["variant"] != "") | (runs["setting"] != "")
    order = told.sort_values(ascending=False, kind="stable").index
    own = [name for name in runs if name not in _CALLED]
    kept = runs.loc[order].drop_duplicates(own).sort_index()
    return kept.reset_index(drop=True)


def _with_earlier_settings(runs: "pd.DataFrame") -> "pd.DataFrame":
    """Runs that were recorded before some settings were there, with what they did."""
    earlier = {**EARLIER, **EARLIER_OF_TABLES}
    told = {parameter(f"dataset.{key}"): text(value) for key, value in earlier.items()}
    told |= {parameter(f"trainer.{key}"): text(value) for key, value in EARLIER_TRAINER.items()}
    filled = {name: runs[name].fillna(value) for name, value in told.items() if name in runs}
    bare = _bare(runs)
    return runs.assign(**{name: values.mask(bare) for name, values in filled.items()})


def _in_one_place(runs: "pd.DataFrame") -> "pd.DataFrame":
    """Runs of equal data as if these had lain in one place: `t.csv` and `/data/t.csv` are one."""
    places = [name for one in sorted(PLACES) if (name := parameter(f"dataset.{one}")) in runs]
    if _DATA not in runs or not places:
        return runs
    alike = runs.groupby(["dataset", _DATA], sort=False)
    first = {name: alike[name].transform("first").where(runs[name].notna()) for name in places}
    return runs.assign(**{name: values.fillna(runs[name]) for name, values in first.items()})


def _kept_apart(runs: "pd.DataFrame", params: Sequence[str]) -> "pd.DataFrame":
    """Families by their sweep where runs of equal names still differ: after two searches, or with
    a file of data, or of a network's code, that was changed.
    """
    differs = _differ(runs, params, KEYS)
    # of other techniques too: their runs are paired by the seed
    if _DATA in runs:
        differs |= _differ(runs, [_DATA], FAMILY)
    if _CODE in runs:
        told = runs.assign(**{_CODE: runs[_CODE].where(runs[_CODE] != "")})
        differs |= _differ(told, [_CODE], FAMILY, missing=None)
    mixed = differs.groupby([runs[key] for key in FAMILY], sort=False).transform("any")
    sweep = "sweep " + runs["sweep"].astype(str).str[:8]
    named = (runs["setting"] + ", " + sweep).where(runs["setting"] != "", sweep)
    return runs.assign(setting=runs["setting"].where(~mixed, named))


def _differ(
    runs: "pd.DataFrame", columns: Sequence[str], keys: Sequence[str], missing: str | None = ""
) -> "pd.Series":
    """Where runs of several sweeps that have the same keys and seed differ in a column.

    Args:
        missing: what stands for a value that is not there; None where that is no difference.
    """
    names = [runs[key] for key in (*keys, "seed")]
    values = runs[[*columns]].astype(object)
    # Of a run that has not finished some parameters may still be missing.
    values = values.where(values.notna(), missing).where(runs["status"] == FINISHED)
    differ = (values.groupby(names, sort=False).transform("nunique") > 1).any(axis=1)
    return differ & (runs["sweep"].groupby(names, sort=False).transform("nunique") > 1)


def _bare(runs: "pd.DataFrame") -> "pd.Series":
    """Runs without any parameter: they have only begun, or were broken off then."""
    params = [name for name in runs if str(name).startswith(PARAMETER)]
    return runs[params].isna().all(axis=1)


def _with_differences(
    runs: "pd.DataFrame", keys: list[str], name: str, params: Sequence[str]
) -> "pd.DataFrame":
    """Where sweeps differ in a parameter that each of them has one value of, say so in a name.

    Args:
        runs: with the column `sweep`.
        keys: groups of runs within which sweeps are held against each other.
        name: the column that tells them apart.
        params: columns.
    """
    by = [runs[key] for key in keys]
    values = runs[params].astype(object)
    # A bare run is taken to be like the others of its sweep.
    likely = values.groupby([*by, runs["sweep"]], sort=False).transform("first")
    values = values.where(~_bare(runs), likely)
    texts = values.where(values.notna(), "")
    first = texts.groupby([*by, runs["sweep"]], sort=False).transform("first")
    constant = (texts == first).groupby([*by, runs["sweep"]], sort=False).transform("all")
    differs = texts.groupby(by, sort=False).transform("nunique") > 1
    everywhere = constant.groupby(by, sort=False).transform("all")
    differs &= everywhere
    if not differs.any(axis=None):
        return runs
    rows = zip(texts.to_dict("records"), differs.to_numpy(), runs["sweep"], strict=True)
    added = [
        _differences(values, list(compress(params, row)), sweep) for values, row, sweep in rows
    ]
    runs = runs.copy()
    runs[name] = [", ".join(filter(None, both)) for both in zip(runs[name], added, strict=True)]
    variant, technique = runs["variant"], runs["technique"]
    runs["label"] = technique.where(variant == "", technique + " (" + variant + ")")
    return runs


def _differences(values: Mapping[Hashable, object], params: Sequence[str], sweep: object) -> str:
    """`model=MLP, optimizer.lr=0.01`."""
    parts = [
        f"{_short(param)}={_class_name(values[param]) if param.endswith('_') else values[param]}"
        for param in params
        if values[param] != ""
    ]
    if len(parts) > NAMED or len(parts) < len(params):
        return ", ".join([*parts[:NAMED], f"sweep {str(sweep)[:8]}"])
    return ", ".join(parts)


def _class_name(target: object) -> str:
    return str(target).rpartition(".")[2]


def _short(param: str) -> str:
    name = param.removeprefix(PARAMETER).removesuffix("._target_")
    return name.rpartition(".")[2] if name.startswith("regularizer.") else name
