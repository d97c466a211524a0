"""Which technique is better on datasets like these: a table's means, ranked across datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from regexp.compare import across as tests
from regexp.compare.baseline import KEYS, NONE, Baseline, Key
from regexp.compare.metric import Metric
from regexp.compare.multiple import sign_flips
from regexp.compare.statistics import ALPHA, ROUNDING, finite_sizes, holm
from regexp.compare.table import FINISHED
from regexp.metrics.names import column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Across:
    """Techniques compared across datasets.

    Attributes:
        scores: mean of the metric over seeds and settings, [datasets, techniques]; none missing.
            Of a technique that lacks seeds of its baseline, or has more, the baseline's and the
            mean difference at equal seeds: else what is compared would be seeds.
        ranks: within each dataset, 1 for the best, [datasets, techniques].
        friedman: whether any two techniques differ.
        tested: every technique against the baseline, see `across.wilcoxon`; with the columns
            `baseline`, `gain` (mean over datasets, more is better; an infinite one counts as the
            largest of the technique's) and `p_joint`, which decides: corrected by step-down max-T
            under joint flips of the datasets' signs, see `multiple.sign_flips`.
        middle: of every technique's differences to the baseline at equal seeds, all datasets
            together: `difference`, the mean of the middle half, and `low` and `high` of its 95%
            interval by the stratified bootstrap, NaN where a dataset has less than two seeds.
        notes: what a reader must know of it, in sentences.
        against: the baseline.
        alpha: the probability of a false claim.
    """

    scores: "pd.DataFrame"
    ranks: "pd.DataFrame"
    friedman: tests.Friedman
    tested: "pd.DataFrame"
    middle: "pd.DataFrame"
    notes: list[str]
    against: Baseline = NONE
    alpha: float = ALPHA


def rank(
    table: "pd.DataFrame",
    runs: "pd.DataFrame",
    metric: Metric,
    against: Baseline = NONE,
    alpha: float = ALPHA,
) -> Across | None:
    """Compare the techniques of a table across its datasets.

    A dataset counts once, however many settings it has: its score is the mean over the settings
    that all datasets share, or over all of its own where they share none.

    Args:
        table: from `compare.table`.
        runs: that it was made of and that count, see `table.counted_runs`.
        metric: that techniques are compared by.
        against: their baseline.
        alpha: the probability of a false claim.

    Returns:
        None where less than two datasets have scores of a technique and its baseline.
    """
    lower = metric.lower_is_better
    scored = table[table["mean"].notna() & (table["outcome"] != "noise floor")]
    baselines = scored[against.rows(scored)].groupby("dataset", sort=False)
    settings = {str(dataset): set(rows["setting"]) for dataset, rows in baselines}
    if len(settings) < 2:
        return None
    scored = scored[scored["dataset"].isin(list(settings))]
    shared = set.intersection(*settings.values())
    pairs = zip(scored["dataset"], scored["setting"], strict=True)
    used = scored[[setting in (shared or settings[name]) for name, setting in pairs]]
    wide = used.pivot_table(
        index=["dataset", "setting"], columns="label", values="mean", aggfunc="first", sort=False
    )
    lacking = wide.isna().groupby(level="dataset", sort=False).any()
    means = wide.groupby(level="dataset", sort=False).mean().mask(lacking)
    references = _references(used, list(means.columns), against)
    by_seed = _by_seed(runs, used, metric)
    scores = tests.complete(_at_equal_seeds(means, by_seed, references))
    kept = {name: [one for one in others if one in scores] for name, others in references.items()}
    references = {name: others for name, others in kept.items() if others and name in scores}
    if not references:
        return None
    ranked = tests.ranks(scores, lower_is_better=lower)
    notes = [
        *_formed(table, used, settings, shared, against),
        *_left_out(table, scores),
        *tests.notes(scores.shape[1], len(scores), alpha),
    ]
    tested = _tested(scores, references, lower)
    middle = _middle(by_seed, references)
    return Across(scores, ranked, tests.friedman(ranked), tested, middle, notes, against, alpha)


def _references(
    used: "pd.DataFrame", labels: Sequence[str], against: Baseline
) -> dict[str, list[str]]:
    """Labels of baselines -> labels of the techniques that are held against them."""
    firsts = used.drop_duplicates("label").set_index("label")
    keys = {label: cast("Key", tuple(firsts.loc[label, KEYS])) for label in labels}
    # of one dataset and setting, for `Baseline.of` looks for those
    same = {label: ("", "", key[2], key[3]) for label, key in keys.items()}
    baselines = {same[label]: label for label in labels if against.has(*same[label][2:])}
    references: dict[str, list[str]] = {}
    for label, key in same.items():
        reference = against.of(key, baselines)
        if reference and key not in baselines:
            references.setdefault(baselines[reference], []).append(label)
    return references


def _tested(
    scores: "pd.DataFrame", references: dict[str, list[str]], lower: bool
) -> "pd.DataFrame":
    """Every technique against its baseline, corrected over all of them; see `Across.tested`."""
    import numpy as np
    import pandas as pd

    parts = [
        tests.wilcoxon(scores[[name, *others]], name, lower_is_better=lower).assign(baseline=name)
        for name, others in references.items()
    ]
    result = pd.concat(parts)
    sign = -1.0 if lower else 1.0
    names = result.index, result["baseline"]
    both = [scores[list(each)].to_numpy(dtype=float) for each in names]
    with np.errstate(invalid="ignore"):  # of infinite scores
        gains = sign * (both[0] - both[1])
    gains[both[0] == both[1]] = 0  # infinite ones as well
    gains[np.abs(gains) <= ROUNDING * np.maximum(*map(finite_sizes, both))] = 0
    # an infinite gain counts as the largest of its technique's: it has a side, and no size
    largest = finite_sizes(gains).max(axis=0)
    endless = np.sign(gains) * np.where(largest > 0, largest, 1)
    gains = np.where(np.isfinite(gains), gains, endless)
    return result.assign(
        p_holm=holm(result["p"].to_numpy(dtype=float)),
        gain=gains.mean(axis=0),
        p_joint=sign_flips(gains),
    )


def _at_equal_seeds(
    means: "pd.DataFrame", by_seed: "pd.DataFrame", references: dict[str, list[str]]
) -> "pd.DataFrame":
    """The scores of techniques where they have the seeds of their baseline; see `Across.scores`.

    Args:
        means: over all seeds that each has, [datasets, techniques].
        by_seed: see `_by_seed`.
        references: see `_references`.
    """
    scores = means.copy()
    for other, names in references.items():
        for name in names:
            pairs = by_seed[[name, other]]
            alone = pairs.isna().sum(axis=1) == 1
            unequal = alone.groupby(level="dataset").any().reindex(scores.index, fill_value=False)
            both = pairs.dropna()
            gains = (both[name] - both[other]).fillna(0)  # both infinite
            settings = gains.groupby(level=["dataset", "setting"]).mean()
            gain = settings.groupby(level="dataset").mean().reindex(scores.index)
            scores[name] = scores[name].mask(unequal, means[other] + gain)
    return scores


def _by_seed(runs: "pd.DataFrame", used: "pd.DataFrame", metric: Metric) -> "pd.DataFrame":
    """The metric of every run behind some rows of a table, [(dataset, setting, seed), labels]."""
    behind = runs.merge(used[[*KEYS, "label"]], on=KEYS, suffixes=("_recorded", ""))
    return behind[behind["status"] == FINISHED].pivot_table(
        index=["dataset", "setting", "seed"],
        columns="label",
        values=column(metric.name),
        aggfunc="first",
    )


def _middle(values: "pd.DataFrame", references: dict[str, list[str]]) -> "pd.DataFrame":
    """See `Across.middle`; settings of a dataset are averaged first, seed by seed."""
    import numpy as np
    import pandas as pd

    rows = {}
    for other, names in references.items():
        for name in names:
            differences = (values[name] - values[other]).groupby(level=["dataset", "seed"]).mean()
            seeds = [part.dropna() for _, part in differences.groupby(level="dataset")]
            # Equal draws for every technique: no interval depends on what else was compared.
            low, high = tests.bootstrap_interval(seeds, np.random.default_rng(0), resamples=2000)
            mean = tests.interquartile_mean(differences.dropna())
            rows[name] = {"difference": mean, "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index")


def _formed(
    table: "pd.DataFrame",
    used: "pd.DataFrame",
    settings: dict[str, set[str]],
    shared: set[str],
    against: Baseline,
) -> list[str]:
    """How the scores came about."""
    notes = [
        f"{len(settings)} datasets are the sample: what is said is about other datasets like "
        "these, each of them with equal weight. A dataset's score is the mean over its seeds."
    ]
    if max(map(len, settings.values())) > 1 or len(shared) < max(map(len, settings.values())):
        which = f"the {len(shared)} that all datasets share" if shared else "all that a dataset has"
        notes.append(
            "Settings of one dataset are no further datasets: scores are averaged over settings "
            f"within each ({which})."
        )
    if (used["finished"] < used["runs"]).any():
        notes.append("Some seeds have not finished, so that some means rest on fewer seeds.")
    lost = [name for name in table["dataset"].unique() if name not in settings]
    if lost:
        notes.append(f"Left out, as {against} has no score on them: {', '.join(map(str, lost))}.")
    return notes


def _left_out(table: "pd.DataFrame", scores: "pd.DataFrame") -> list[str]:
    """Techniques that the tests do without."""
    ranked = table.loc[table["outcome"] != "noise floor", "label"]
    lost = [label for label in ranked.unique() if label not in scores.columns]
    if not lost:
        return []
    return [
        f"Left out, as they have no score on some of these datasets: {', '.join(map(str, lost))}."
    ]
