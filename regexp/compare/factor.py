"""What is compared instead of techniques: the levels of any key or group that sweeps varied."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regexp.compare.baseline import KEYS, NONE, TECHNIQUE, Baseline, Key, label, parts_of
from regexp.errors import ConfigError, nearest
from regexp.metrics.names import PARAMETER, parameter

if TYPE_CHECKING:
    import pandas as pd

TECHNIQUES = (TECHNIQUE, "regularizer")
"""Factors that are the techniques themselves."""

_NOT_COMPARED = ("dataset", "seed", "seeds")


def factor_of(runs: "pd.DataFrame", asked: str | None) -> str:
    """What is compared: what was asked for; else techniques, or the one thing that varies.

    Args:
        runs: that count.
        asked: a dotted key or a group; None where nothing was.

    Raises:
        ConfigError: no sweep varied it.
    """
    if asked is None:
        varying = varied(runs) if runs["technique"].nunique() == 1 else []
        return varying[0] if len(varying) == 1 else TECHNIQUE
    if asked in TECHNIQUES:
        return TECHNIQUE
    if asked in _NOT_COMPARED:
        raise ConfigError(
            "techniques are compared on each dataset, paired by seed",
            key="factor",
            got=asked,
            expected="another key or group",
        )
    levels = {level for _, _, level in _parts(runs, asked)} - {""}
    if len(levels) < 2:
        there = f"every run has {levels.pop()}" if levels else "no run has it"
        others = nearest(asked, {*varied(runs), *_varied_parameters(runs)} - {asked})
        raise ConfigError(there, key="factor", got=asked, expected=f"what was varied{others}")
    return asked


def varied(runs: "pd.DataFrame") -> list[str]:
    """The keys that the settings and the grids of runs vary, in their order."""
    texts = dict.fromkeys(runs["setting"]) | dict.fromkeys(_dotted(runs))
    keys: dict[str, set[str]] = {}
    for text in texts:
        for part in parts_of(str(text)):
            key, equals, value = part.partition("=")
            keys.setdefault(key if equals else "", set()).add(value)
    return [key for key, values in keys.items() if key and len(values) > 1]


def by_factor(runs: "pd.DataFrame", factor: str) -> "pd.DataFrame":
    """Runs in whose column `technique` stand the levels of a factor.

    Their techniques become a part of their settings, where they have several. Runs without a
    level, such as those of other techniques than the one whose number is compared, are left out.

    Args:
        runs: as `Tracker.runs` gives them.
        factor: from `factor_of`.
    """
    if factor == TECHNIQUE:
        return runs
    parts = _parts(runs, factor)
    rows = list(zip(runs["technique"], parts, strict=True))
    several = len({technique for technique, (*_, level) in rows if level}) > 1
    made = runs.assign(
        setting=[
            ", ".join(filter(None, (technique if several else "", setting)))
            for technique, (setting, _, _) in rows
        ],
        variant=[variant for _, variant, _ in parts],
        technique=[level for _, _, level in parts],
    )
    made["label"] = [label(*row) for row in zip(made["technique"], made["variant"], strict=True)]
    return made[made["technique"] != ""]


def with_levels(runs: "pd.DataFrame", factor: str | None) -> "pd.DataFrame":
    """Runs whose settings name their level of a factor, so that it tells sweeps apart.

    Args:
        runs: as `Tracker.runs` gives them.
        factor: that was asked for; None or techniques leave all as it is.
    """
    if factor is None or factor in TECHNIQUES:
        return runs
    settings = [
        ", ".join(filter(None, (f"{factor}={level}" if level else "", setting)))
        for setting, _, level in _parts(runs, factor)
    ]
    return runs.assign(
        setting=settings, variant=[variant for _, variant, _ in _parts(runs, factor)]
    )


def baseline_of(runs: "pd.DataFrame", factor: str, asked: str | None) -> Baseline:
    """What the others are held against: what was asked for; else `none`, or the first level.

    Args:
        runs: from `by_factor`, oldest first.
        factor: from `factor_of`.
        asked: a technique or level, also with its numbers, `l1 (strength=0.001)`; None where
            nothing was.

    Raises:
        ConfigError: no run has it, or several of its configurations fit.
    """
    first = NONE.name if factor == TECHNIQUE or runs.empty else str(runs["technique"].iloc[0])
    if asked is None:
        return Baseline(first, factor=factor)
    rows = runs.drop_duplicates(["technique", "variant"])
    names = dict.fromkeys(rows["technique"])
    labels = {label(*row): row for row in zip(rows["technique"], rows["variant"], strict=True)}
    name = _spelled(asked, list(names))
    if name is not None and _serves(rows, found := Baseline(name, factor=factor)):
        return found
    if (whole := _spelled(asked, list(labels))) is not None:
        return Baseline(*labels[whole], factor=factor)
    if name is not None:
        those = [text for text, row in labels.items() if row[0] == name]
        raise ConfigError(
            "it has several configurations", key="baseline", got=asked,
            expected=f"one of them, such as {those[0]!r}",
        )  # fmt: skip
    problem = f"no run has it{nearest(asked, {*names, *labels})}"
    raise ConfigError(problem, key="baseline", got=asked)


def _serves(rows: "pd.DataFrame", baseline: Baseline) -> bool:
    """Whether a technique without numbers names what any other is held against."""
    keys: list[Key] = [("", "", *row) for row in rows[KEYS[2:]].itertuples(index=False, name=None)]
    others = [key for key in keys if not baseline.has(*key[2:])]
    if len(keys) - len(others) == 1:
        return True
    return any(baseline.of(key, keys) for key in others)


def _spelled(word: str, choices: Sequence[str]) -> str | None:
    """A choice as it was written, or the only one that is it but for capitals."""
    if word in choices:
        return word
    alike = [choice for choice in choices if choice.lower() == word.lower()]
    return alike[0] if len(alike) == 1 else None


def _parts(runs: "pd.DataFrame", factor: str) -> list[tuple[str, str, str]]:
    """(setting without the factor, variant without it, its level) of each run."""
    short = factor.rpartition(".")[2]
    rows = zip(runs["setting"], runs["variant"], _recorded(runs, factor), strict=True)
    found = []
    for setting, variant, recorded in rows:
        kept, in_setting = _without(parts_of(setting), {factor})
        numbers, in_variant = _without(parts_of(variant), {factor, short} if recorded else {factor})
        level = in_setting or in_variant or recorded
        found.append((", ".join(kept), ", ".join(numbers), level))
    return found


def _without(parts: Sequence[str], keys: set[str]) -> tuple[list[str], str]:
    """(the parts of other keys, the value of the part with one of these keys)."""
    kept = [part for part in parts if part.partition("=")[0] not in keys]
    values = [part.partition("=")[2] for part in parts if part.partition("=")[0] in keys]
    return kept, values[0] if values else ""


def _recorded(runs: "pd.DataFrame", factor: str) -> list[str]:
    """What runs have recorded of a factor: its value, or the name of the class of a group."""
    for name in (parameter(factor), parameter(f"{factor}._target_")):
        if name in runs:
            values = runs[name].astype(object).where(runs[name].notna(), "").map(str)
            return [value.rpartition(".")[2] if name != parameter(factor) else value
                    for value in values]  # fmt: skip
    return [""] * len(runs)


def _dotted(runs: "pd.DataFrame") -> list[str]:
    """The variants of runs, whose numbers have the last parts of their keys, with whole keys."""
    parameters = [str(name).removeprefix(PARAMETER) for name in runs
                  if str(name).startswith(PARAMETER)]  # fmt: skip
    whole: dict[str, set[str]] = {}
    for key in parameters:
        whole.setdefault(key.rpartition(".")[2], set()).add(key)
    texts = []
    for variant in dict.fromkeys(map(str, runs["variant"])):
        parts = [part.partition("=") for part in parts_of(variant)]
        texts.append(
            ", ".join(
                f"{min(whole.get(key, {key}), key=lambda one: (len(one), one))}={value}"
                for key, _, value in parts
            )
        )
    return texts


def _varied_parameters(runs: "pd.DataFrame") -> list[str]:
    """Parameters of which runs have several values, and the groups that they belong to."""
    names = [
        name.removeprefix(PARAMETER)
        for name in map(str, runs)
        if name.startswith(PARAMETER) and runs[name].nunique() > 1
    ]
    keys = [name.removesuffix("._target_") for name in names]
    return [key for key in keys if key.partition(".")[0] not in ("seed", "dataset", "regularizer")]
