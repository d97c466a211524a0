"""What a paper claims, held against the runs of a sweep: paper, ours, the same direction or not.

A claim compares two arms of a sweep, or one with a number, by the runs' scores at equal seeds. It
is decided by a paired t-test, and all claims of a study are corrected together after Holm, so that
the probability of a wrong word is held to 5%. Where all seeds differ by the same, as where every
run has learnt all rows, there is no spread to test by, and the exact sign test decides. That
scores are equal is shown by two one-sided tests (Schuirmann 1987).

Reference:
    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", Journal
    of Pharmacokinetics and Biopharmaceutics 15, 1987, https://doi.org/10.1007/BF01068419.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from regexp.compare.formats import digits_of, interval_text, rounded
from regexp.compare.metric import Metric, metric_of
from regexp.compare.statistics import ALPHA, holm, paired
from regexp.compare.table import FINISHED, counted_runs
from regexp.compare.tables import Column
from regexp.compare.verdict import LEAST
from regexp.config.values import is_number
from regexp.errors import ConfigError, nearest
from regexp.metrics.names import column, parameter
from regexp.tracking.names import texts

if TYPE_CHECKING:
    import pandas as pd

Arm = Mapping[str, Any]
"""Keys of the configuration, `regularizer` and `dataset` by name, and the values that tell runs."""

SAME, OTHER, NOT_SHOWN = ("same direction", "other direction", "not shown either way")

EXPECTED = ("higher", "lower", "equal")

TITLES = ("claim", "paper", "ours", "same direction")


@dataclass(frozen=True)
class Claim:
    """What a paper says of two arms.

    Attributes:
        name: its key, of `study.claims`.
        paper: what the paper says, with its numbers and where they stand.
        metric: that the arms are compared by, as recorded.
        arm: of which it is said.
        against: the other arm; or a number, in the unit of the metric (percent of shares).
        expected: `higher`, `lower`, or `equal` for less than `within` apart.
        within: of `equal`, in the unit of the metric (points of shares).
        more_than: an arm and what it is held against, `{arm: ..., against: ...}`: the difference of
            the claim is then held against theirs.
    """

    name: str
    paper: str
    metric: str
    arm: Arm
    against: Arm | float
    expected: str
    within: float | None = None
    more_than: Mapping[str, Arm] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    @property
    def arms(self) -> dict[str, Arm]:
        found = {"arm": self.arm}
        if isinstance(self.against, Mapping):
            found["against"] = self.against
        return found | {f"more_than.{key}": arm for key, arm in self.more_than.items()}


@dataclass(frozen=True)
class Finding:
    """What came of a claim.

    Attributes:
        claim: of the paper.
        metric: that it is compared by.
        scores: mean of each of its arms, by their keys; NaN without a run.
        pairs: seeds with a score of all arms.
        mean, low, high: of the differences, and their 95% interval; NaN where there is none.
        p: corrected for all claims of the study.
        word: same direction, other direction, or not shown either way.
        why: no word was given, if it is for a lack of runs.
    """

    claim: Claim
    metric: Metric
    scores: Mapping[str, float]
    pairs: int
    mean: float
    low: float
    high: float
    p: float
    word: str
    why: str = ""

    @property
    def ours(self) -> str:
        """The scores and their difference, for people."""
        unit = self.metric.unit
        spread = (self.high - self.low) / 2
        known = spread if math.isfinite(spread) and spread > 0 else self.mean
        digits = max(digits_of(known, unit) if math.isfinite(known) else 0, 1)
        shown = [rounded(score, digits, unit=unit) for score in self.scores.values()]
        if isinstance(self.claim.against, Mapping):
            pairs = [" against ".join(shown[at : at + 2]) for at in range(0, len(shown), 2)]
        else:
            pairs = [f"{shown[0]} against {self.claim.against:g}"]
        text = f"{self.metric.name}: {', and '.join(pairs)}"
        if self.pairs == 0:
            return f"{text}; {self.why}"
        size = f"{rounded(self.mean, digits, unit=unit, sign=True)} {unit.name}".rstrip()
        if math.isnan(self.low):
            return f"{text}; {size}, {self.why or 'at every seed'} (n = {self.pairs})"
        ends, _ = interval_text(self.low, self.high, digits, unit, sign=True)
        return f"{text}; {size} (95% interval {ends}, n = {self.pairs})"


def claims_of(written: Mapping[str, Any] | None) -> list[Claim]:
    """The claims of `study.claims`, in plain containers; none of null.

    Raises:
        ConfigError: one that cannot be read.
    """
    return [_claim(name, given) for name, given in (written or {}).items()]


def _claim(name: str, given: Any) -> Claim:
    key = f"study.claims.{name}"
    if not isinstance(given, Mapping):
        raise ConfigError("expected what the paper says, and of which arms", key=key, got=given)
    known = [one.name for one in fields(Claim) if one.name != "name"]
    if unknown := [str(one) for one in given if one not in known]:
        problem = f"there is no such key{nearest(unknown[0], known)}"
        raise ConfigError(problem, key=f"{key}.{unknown[0]}")
    if lacking := [one for one in known[:5] if given.get(one) in (None, "")]:
        raise ConfigError("expected a value; none is given", key=f"{key}.{lacking[0]}")
    values = {str(one): value for one, value in given.items()}
    claim = Claim(name, **values | {"more_than": values.get("more_than") or {}})
    if claim.expected not in EXPECTED:
        choices = f"one of {', '.join(EXPECTED)}"
        raise ConfigError(key=f"{key}.expected", got=claim.expected, expected=choices)
    number = is_number(claim.against) and math.isfinite(claim.against)
    if not number and not isinstance(claim.against, Mapping):
        raise ConfigError(key=f"{key}.against", got=claim.against, expected="an arm or a number")
    more = claim.more_than
    if more and (number or not isinstance(more, Mapping) or set(more) != {"arm", "against"}):
        raise ConfigError(
            "expected {arm: ..., against: ...}, of a claim against an arm", key=f"{key}.more_than"
        )
    for one, arm in claim.arms.items():
        if not isinstance(arm, Mapping) or not arm:
            expected = "keys of the configuration and their values, such as {regularizer: none}"
            raise ConfigError(key=f"{key}.{one}", got=arm, expected=expected)
    if (claim.expected == "equal") != (claim.within is not None):
        problem = "how far apart is equal? It goes with expected=equal, and with nothing else"
        raise ConfigError(problem, key=f"{key}.within", got=claim.within)
    within = claim.within
    if within is not None and not (is_number(within) and 0 < within < math.inf):
        raise ConfigError(key=f"{key}.within", got=within, expected="a number > 0")
    return claim


def has_arm(arm: Arm, technique: str, dataset: str, values: Mapping[str, Any]) -> bool:
    """Whether a run belongs to an arm.

    Args:
        arm: what tells its runs.
        technique, dataset: the run's names of them.
        values: the run's parameters, by dotted key, as `tracking.names.texts` writes them.
    """
    recorded = {**values, "regularizer": technique, "dataset": dataset}
    return all(_same(recorded.get(key), text) for key, text in texts(arm).items())


def _same(recorded: Any, wanted: str) -> bool:
    try:
        return float(recorded) == float(wanted)
    except (TypeError, ValueError):
        return isinstance(recorded, str) and recorded == wanted


def evaluate(claims: Sequence[Claim], runs: pd.DataFrame) -> list[Finding]:
    """Hold claims against the runs of a sweep.

    Args:
        claims: of one study, which are corrected together.
        runs: as `Tracker.runs` gives them.
    """
    runs = counted_runs(runs)
    runs = runs[runs["status"] == FINISHED]
    judged = [_judged(claim, runs) for claim in claims]
    corrected = holm([finding.p for finding in judged])
    return [
        Finding(**vars(found) | {"p": float(p), "word": found.word if p < ALPHA else NOT_SHOWN})
        for found, p in zip(judged, corrected, strict=True)
    ]


def _judged(claim: Claim, runs: pd.DataFrame) -> Finding:
    """The finding of a claim by itself: p is not corrected, and the word is what p is of."""
    import pandas as pd

    metric = metric_of(claim.metric, runs)
    scores, whys = {}, []
    for key, arm in claim.arms.items():
        scores[key], why = _scores(arm, runs, claim.metric)
        whys += [f"{key}: {why}"] * bool(why)
    means = {key: float(values.mean()) for key, values in scores.items()}
    first, second = scores["arm"], scores.get("against")
    if second is None:
        assert not isinstance(claim.against, Mapping)
        second = pd.Series(claim.against / metric.unit.factor, index=first.index)
    elif claim.more_than:
        first = first - second
        second = scores["more_than.arm"] - scores["more_than.against"]
    first, second = first.align(second, join="outer")
    found = paired(first, second)
    n, mean = found.pairs, found.mean
    empty = Finding(claim, metric, means, n, mean, math.nan, math.nan, math.nan, NOT_SHOWN)
    if n < LEAST or found.infinite:
        lacking = f"it takes {LEAST} seeds or more with a score of all arms"
        why = "; ".join(whys) or ("infinite differences" if found.infinite else lacking)
        return Finding(**vars(empty) | {"why": why})
    within = None if claim.within is None else claim.within / metric.unit.factor
    p, word = _decided(mean, found.sd / math.sqrt(n), n, claim.expected, within)
    half = _critical(n) * found.sd / math.sqrt(n) if found.sd else math.nan
    return Finding(claim, metric, means, n, mean, mean - half, mean + half, p, word)


def _scores(arm: Arm, runs: pd.DataFrame, metric: str) -> tuple[pd.Series, str]:
    """The scores of an arm's runs by seed, and why there are none."""
    import pandas as pd

    nothing = pd.Series(dtype=float)
    names = [str(name) for name in runs if str(name).startswith(parameter(""))]
    keys = [name.removeprefix(parameter("")) for name in names]
    rows = zip(runs["technique"], runs["dataset"], runs[names].to_numpy(), strict=True)
    fits = [
        has_arm(arm, technique, dataset, dict(zip(keys, values, strict=True)))
        for technique, dataset, values in rows
    ]
    found = runs[fits]
    if found.empty or column(metric) not in found:
        return nothing, "no finished run" if found.empty else "no such metric"
    if found["seed"].duplicated().any():
        return nothing, "several runs of a seed, which more keys must tell apart"
    return found.set_index("seed")[column(metric)].astype(float).dropna(), ""


def _decided(
    mean: float, error: float, n: int, expected: str, within: float | None
) -> tuple[float, str]:
    """(p of the likelier word, that word) of differences at n seeds.

    Two words exclude each other, so that only one of them can be wrong.
    """
    if within is None:
        word = SAME if (mean > 0) == (expected == "higher") else OTHER
        return (2 * _tail(abs(mean), error, n) if mean else 1.0), word
    equal = _tail(within - abs(mean), error, n)
    apart = 2 * _tail(abs(mean) - within, error, n)
    return min(equal, 1.0) if equal <= apart else min(apart, 1.0), SAME if equal <= apart else OTHER


def _tail(distance: float, error: float, n: int) -> float:
    """The one-sided p of a mean so far on the right side of what is tested."""
    from scipy.special import stdtr

    if distance <= 0:
        return 1.0
    if error == 0:  # the same at every seed
        return 0.5**n
    return float(stdtr(n - 1, -distance / error))


def _critical(n: int) -> float:
    from scipy.special import stdtrit

    return float(-stdtrit(n - 1, ALPHA / 2))


def columns_of(findings: Sequence[Finding]) -> list[Column]:
    """The table: what the paper says, what is ours, and whether it is the same direction."""
    rows = [(one.claim.title, one.claim.paper, one.ours, one.word) for one in findings]
    cells = map(list, zip(*rows, strict=True))
    return [Column(title, each, words=True) for title, each in zip(TITLES, cells, strict=True)]


def lines_of(findings: Sequence[Finding]) -> list[str]:
    """The same for a terminal."""
    return [
        f"  {TITLES[0]}: {one.claim.title}\n  paper: {one.claim.paper}\n  ours:  {one.ours}\n"
        f"  {one.word}\n"
        for one in findings
    ]
