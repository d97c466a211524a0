"""What a search looks through: ranges in Hydra's grammar of sweeps, by dotted key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from regexp.config.values import GROUPS, RUNS, flat, is_number, shown
from regexp.config.withheld import without_grammar
from regexp.errors import ConfigError, nearest

SEARCHED = tuple(group for group in GROUPS if group != "dataset")
TRAINER = ("trainer.epochs", "trainer.batch_size")


@dataclass(frozen=True)
class Dimension:
    """One thing that is searched: an interval, or choices.

    Attributes:
        key: dotted, of the configuration.
        source: dotted, of the range.
        text: the range as written, in Hydra's grammar of sweeps.
        choices: the values; empty for an interval.
        low: the interval's least value.
        high: its largest value.
        log: whether values are drawn evenly on a logarithmic scale.
        integer: whether they are integers, both ends included.
    """

    key: str
    source: str
    text: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False

    def at(self, share: float) -> Any:
        """The value below which this share of the range lies, in [0, 1).

        Numbers have four significant digits, so that what is written is what is trained.
        """
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        low, high = self.low, self.high + self.integer
        if self.log:
            low, high = math.log(low), math.log(high)
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        if self.integer:
            return int(min(max(math.floor(value * (1 + 1e-12)), self.low), self.high))
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def share(self, value: float) -> float:
        """Where a number lies in the range, from 0 at its lower end to 1 at its upper."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that tell whether all are valid: the ends, or every choice."""
        return self.choices or (self.at(0.0), self.high if not self.integer else int(self.high))


def check(config: DictConfig) -> list[Dimension]:
    """Check `tune`, but not the values of the ranges; returns what is searched.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    tune = config.tune
    for key, least in (("budget", 0), ("seeds", 1)):
        if tune[key] < least:
            raise ConfigError(f"tune.{key}={tune[key]}: expected an integer >= {least}")
    if not tune.budget:
        return []
    if tune.budget * tune.seeds > RUNS:
        raise ConfigError(
            f"tune.budget={tune.budget}: with tune.seeds={tune.seeds} a technique would have "
            f"{tune.budget * tune.seeds:,} trials; expected at most {RUNS:,}"
        )
    if config.grid:
        raise ConfigError(
            f"grid: tune.budget={tune.budget} searches numbers by itself; give either, or "
            "tune.budget=0"
        )
    shared, own = space(config)
    return shared + own


def check_swept(config: DictConfig, swept: Sequence[str]) -> None:
    """Check that a sweep does not vary what each of its jobs searches, nor the search.

    Two searches share trials, which are recorded once: neither could be told from the other.

    Raises:
        ConfigError: it does.
    """
    searched = check(config)
    if config.tune.budget and (varied := [key for key in swept if key.startswith("tune.")]):
        raise ConfigError(
            f"{varied[0]}: the sweep varies it, but all of a sweep is tuned alike; give one value, "
            "and a command for each"
        )
    for one in searched:
        if one.key in swept:
            raise ConfigError(
                f"{one.key}: the sweep varies it, and tune.budget={config.tune.budget} searches "
                f"it by {one.source}={one.text}; give one value, or {one.source}=null to search "
                "it no more"
            )


def space(
    config: DictConfig, shared_by: str = "tune.search"
) -> tuple[list[Dimension], list[Dimension]]:
    """What is searched: the same for every technique, and the techniques' own.

    Args:
        config: of a job.
        shared_by: the key of the ranges that all techniques have.

    Raises:
        ConfigError: a range that cannot be read, or of a key that cannot be searched.
    """
    ranges_of_all = dict(flat(OmegaConf.select(config, shared_by)))
    leaves = flat(config) if ranges_of_all else flat(config.regularizer, "regularizer.")
    present = {key: value for key, value in leaves if _is_searched(key)}
    shared: list[Dimension] = []
    own: list[Dimension] = []
    for key, text in ranges_of_all.items():
        source = f"{shared_by}.{key}"
        if key.startswith("regularizer."):
            name, _, rest = key.removeprefix("regularizer.").partition(".")
            raise ConfigError(
                f"{source}: it is for what all techniques have; the range of one of them is "
                f"regularizer.{name}.search.{rest}"
            )
        shared += _dimension(key, source, text, present)
    for name, node in config.regularizer.items():
        ranges = node.get("search") if isinstance(node, DictConfig) else None
        if ranges is None:
            continue
        if not isinstance(ranges, DictConfig):
            raise ConfigError(
                f"regularizer.{name}.search={shown(ranges)}: expected a mapping from the "
                "technique's numbers to ranges"
            )
        for key, text in flat(ranges):
            source = f"regularizer.{name}.search.{key}"
            own += _dimension(f"regularizer.{name}.{key}", source, text, present)
    return shared, own


def _is_searched(key: str) -> bool:
    """Whether a key is one of what may be searched: not of the data, by which is chosen."""
    ours = key.partition(".")[0] in SEARCHED or key in TRAINER
    return ours and ".search." not in key and not key.rpartition(".")[2].startswith("_")


def _dimension(
    key: str, source: str, text: object, present: Mapping[str, object]
) -> Iterator[Dimension]:
    """The dimension of a key and a range; none for null."""
    if text is None:
        return
    if key not in present:
        _check_schedule(key, source, text, present)
        raise ConfigError(
            f"{source}: there is nothing to search by the key {key}"
            + nearest(key, present, source.removesuffix(key) if source.endswith(key) else "")
        )
    expected = ConfigError(
        f"{source}={shown(text)}: expected a range in Hydra's grammar, such as interval(0, 1), "
        "tag(log, interval(1e-4, 1)), int(interval(1, 9)) or choice(2, 4, 8)"
    )
    try:
        found = OverridesParser.create().parse_override(f"key={text}").value()
    except (HydraException, ValueError) as error:
        raise expected from error
    if isinstance(found, ChoiceSweep):
        choices = tuple(map(without_grammar, found.list))
        if not choices or len({json.dumps(one) for one in choices}) < len(choices):
            raise ConfigError(f"{source}={shown(text)}: expected different values")
        yield Dimension(key, source, str(text), choices)
    elif isinstance(found, RangeSweep):
        choices = tuple(found.range())
        if not choices:
            raise ConfigError(f"{source}={shown(text)}: there is no number in it")
        yield Dimension(key, source, str(text), choices)
    elif isinstance(found, IntervalSweep):
        yield _interval(key, source, str(text), found, present[key])
    else:
        raise expected


def _check_schedule(key: str, source: str, text: object, present: Mapping[str, object]) -> None:
    """Tell of a range for a number that is a schedule, and of one for a part of what is none.

    Raises:
        ConfigError: it is one of these.
    """
    parts = {
        one.removeprefix(f"{key}."): present[one] for one in present if one.startswith(f"{key}.")
    }
    if "from" in parts:
        ends = ", ".join(f"{end}: RANGE" for end in ("from", "to"))
        raise ConfigError(
            f"{source}={shown(text)}: {key} follows a schedule, {shown(parts)}, and is no one "
            "number to search; give ranges of what it has",
            cure=f"{source}={{{ends}}}, or {source}=null to search it no more",
        )
    number, _, part = key.rpartition(".")
    if number in present and part in ("from", "to", "start", "until"):
        whole = source.rpartition(".")[0]
        raise ConfigError(
            f"{source}={shown(text)}: {number}={shown(present[number])} is one number, and no "
            f"schedule with `{part}`",
            cure=f"{whole}=RANGE, or {whole}=null to search it no more",
        )


def _interval(key: str, source: str, text: str, found: IntervalSweep, now: object) -> Dimension:
    low, high, log = found.start, found.end, "log" in found.tags
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError(f"{source}={text}: expected two finite numbers")
    if not low < high:
        raise ConfigError(f"{source}={text}: expected the smaller number first")
    if log and low <= 0:
        raise ConfigError(f"{source}={text}: a logarithmic range needs numbers above 0")
    if now is not None and not is_number(now):
        raise ConfigError(f"{source}={text}: {key}={shown(now)} is no number; expected choice(...)")
    integer = isinstance(low, int) and isinstance(high, int)
    return Dimension(key, source, text, (), low, high, log, integer)
