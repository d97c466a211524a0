"""A comparison in Markdown: a page for a folder, and a short description for MLflow."""

import math
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from regexp.compare import written
from regexp.compare.answer import answers, families, name_of
from regexp.compare.columns import measures, ranks, results
from regexp.compare.comparison import Comparison
from regexp.compare.ranking import Across
from regexp.compare.verdict import probability, unit_of
from regexp.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.figures import Picture

DESCRIPTION = 7500
"""Characters of a description: MLflow cuts a tag at 8,000."""

_NAMED = 100


def page(comparison: Comparison, pictures: "Sequence[Picture]" = ()) -> str:
    """Everything that the HTML page says.

    Args:
        comparison: from `compare.compare`.
        pictures: which lie beside it as `figures/NAME.png`.
    """
    said = [f"# {escaped(title_of(comparison))}", _what(comparison)]
    said += ["## Answer", _answer(comparison)]
    for key, rows in families(comparison):
        head = f": {escaped(name_of(key))}" if len(comparison.notes) > 1 else ""
        said += [f"## Verdicts{head}", _results(rows)]
        more = [(one.title, one.cells) for one in measures(rows, regression=comparison.regression)]
        said += [f"### Scores and costs{head}", _table([("technique", _labels(rows)), *more])]
    said += [*_across(comparison), *_chosen(comparison)]
    said += [*_pictures("## Pictures", pictures), *_method(comparison)]
    said += ["## Again", "```bash\n" + "\n".join(commands(comparison)) + "\n```"]
    return "\n\n".join(said) + "\n"


def study(comparison: Comparison, pictures: "Sequence[Picture]" = ()) -> str:
    """What a study's page says below its question: answer, verdicts, pictures, method.

    Args:
        comparison: from `compare.compare`.
        pictures: which lie beside it as `figures/NAME.png`.
    """
    several = len(comparison.notes) > 1
    gap = "\n\n" if several else " "  # several answers are a list
    said = [f"**Answer.**{gap}{_answer(comparison)}", "## Verdicts"]
    for key, rows in families(comparison):
        said += [f"### {escaped(name_of(key))}"] * several + [_results(rows)]
    said += [*_across(comparison), *_chosen(comparison)]
    said += [*_pictures("## Figures", pictures), *_method(comparison)]
    said.append("All numbers: [results.csv](results.csv).")
    return "\n\n".join(said) + "\n"


def description(comparison: Comparison, length: int = DESCRIPTION) -> str:
    """Answer and a short table, for the parent run's page in MLflow, which has the title above.

    Args:
        comparison: from `compare.compare`.
        length: characters; rows beyond it are left out, the best stay.
    """
    tail = "\n\nMore, with pictures: the artifact `comparison/comparison.html`.\n"
    answer = _answer(comparison)
    room = length - len(tail)
    if len(answer) > room // 2:
        cut = answer[: room // 2].rpartition("\n")[0] or answer[: room // 2]
        answer = f"{cut}\n\n(The rest of the answer stands in the artifacts.)"
    body = answer
    left = 0
    for key, rows in families(comparison):
        heading = f"\n\n**{escaped(name_of(key))}**" if len(comparison.notes) > 1 else ""
        short = _short_table(rows)
        lines = short.splitlines()
        # 80: room for the line that says what is left out
        while (
            len(lines) > 2
            and len(body) + len(heading) + 2 + sum(map(len, lines)) + len(lines) > room - 80
        ):
            lines.pop()
            left += 1
        if len(lines) > 2:
            body += f"{heading}\n\n" + "\n".join(lines)
    if left:
        body += f"\n\n{left} row{'s' if left != 1 else ''} left out here; the artifacts have all."
    return body + tail


def title_of(comparison: Comparison) -> str:
    """The names of the sweeps."""
    return ", ".join(comparison.sweeps.values())


def what(comparison: Comparison) -> list[tuple[str, str]]:
    """What was compared: (name, value)."""
    keys = list(comparison.notes)
    datasets = list(dict.fromkeys(dataset for dataset, _ in keys))
    settings = [one for one in dict.fromkeys(setting for _, setting in keys) if one]
    seeds = comparison.table["finished"]
    span = list(dict.fromkeys([int(seeds.min()), int(seeds.max())])) if len(seeds) else [0]
    better = "lower" if comparison.lower_is_better else "higher"
    rows = [
        ("dataset" if len(datasets) == 1 else "datasets", ", ".join(datasets)),
        ("setting" if len(settings) == 1 else "settings", _short(", ".join(settings), 500)),
        ("compared by", f"{comparison.metric} ({better} is better)"),
        ("seeds", " to ".join(map(str, span))),
        ("runs", f"{int(seeds.sum())} finished of {len(comparison.runs)}"),
        ("tried in a search", f"{len(comparison.trials)} runs, which are left out"),
        ("sweep" if len(comparison.sweeps) == 1 else "sweeps", ", ".join(comparison.sweeps)),
    ]
    return [(name, value) for name, value in rows if value and not value.startswith("0 runs,")]


def notes_of(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """(of what, notes), those that datasets and settings share together."""
    said: dict[tuple[str, ...], list[str]] = {}
    for key, notes in comparison.notes.items():
        said.setdefault(tuple(notes), []).append(name_of(key))
    found = [("" if len(said) == 1 else "; ".join(names), [*one]) for one, names in said.items()]
    if comparison.across is not None:
        found.append(("Across datasets", [_TESTS, *comparison.across.notes]))
    if comparison.remarks:
        found.insert(0, ("", comparison.remarks))
    return found


_TESTS = (
    "Average ranks, 1 for the best, and Friedman's test that all techniques rank alike. Then "
    "Wilcoxon's signed-rank test of each technique against the baseline, over datasets (zeros "
    "after Pratt), corrected after Holm; it decides. Ranks are of unrounded scores. The middle "
    "half (interquartile mean) is of all datasets' differences at equal seeds; its interval, by a "
    "bootstrap over seeds within each dataset, shows their spread and tests nothing."
)


def chosen(comparison: Comparison) -> list[tuple[str, str]]:
    """(technique, with dataset and setting where there are several, the numbers of its search)."""
    runs = comparison.runs
    if "tuned" not in runs:
        return []
    found = runs[runs["tuned"] != ""].drop_duplicates(["dataset", "setting", "label"])
    several = len(comparison.notes) > 1
    return [
        (", ".join(filter(None, [row["label"], *(([row["dataset"], row["setting"]]) * several)])),
         str(row["tuned"]))
        for _, row in found.iterrows()
    ]  # fmt: skip


def commands(comparison: Comparison) -> list[str]:
    """What makes the comparison again, and its runs."""
    ids = list(comparison.sweeps)
    metric = f" --metric {shlex.quote(comparison.metric)}"
    return [
        f"regexp compare {' '.join(ids)}{metric}",
        *(f"regexp rerun --sweep {one}" for one in ids),
    ]


def friedman_of(across: Across) -> str:
    """Friedman's test in a sentence."""
    test = across.friedman
    if math.isnan(test.p):
        return "Friedman's test takes three techniques or more, with the baseline."
    return (
        f"Friedman's test over {test.datasets} datasets and {test.techniques} techniques: "
        f"chi-squared {test.statistic:.2f}, p {probability(test.p)}."
    )


def escaped(text: str) -> str:
    """A text from elsewhere as Markdown that shows it as it is, on one line."""
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", " ".join(printable(text).split()))
    text = re.sub(r"&(?=#|\w)", "&amp;", text)
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text)


def _across(comparison: Comparison) -> list[str]:
    """The table of ranks, where there are several datasets."""
    if comparison.across is None:
        return []
    average = comparison.across.ranks.mean().sort_values(kind="stable")
    columns = [(one.title, one.cells) for one in ranks(comparison.across, comparison.metric)]
    labels = [escaped(str(name)) for name in average.index]
    table = _table([("technique", labels), *columns])
    return ["## Across datasets", friedman_of(comparison.across), table]


def _chosen(comparison: Comparison) -> list[str]:
    """The numbers that a search has chosen, where there was one."""
    rows = chosen(comparison)
    if not rows:
        return []
    names, numbers = zip(*rows, strict=True)
    columns = [("technique", list(map(escaped, names))), ("verdict", list(map(escaped, numbers)))]
    table = _table(columns).replace("| verdict |", "| numbers |", 1)
    return ["## Numbers that were chosen on validation data", table]


def _pictures(heading: str, pictures: "Sequence[Picture]") -> list[str]:
    said = [heading] if pictures else []
    for picture in pictures:
        title = escaped(picture.title)
        said += [f"### {title}", f"![{title}](figures/{picture.name}.png)"]
        said.append(escaped(picture.caption))
    return said


def _method(comparison: Comparison) -> list[str]:
    said = ["## Method"]
    for whom, lines in notes_of(comparison):
        said += [f"{escaped(whom)}:"] * bool(whom) + [_list(lines)]
    return said


def _what(comparison: Comparison) -> str:
    return _list(f"{name}: {value}" for name, value in what(comparison))


def _answer(comparison: Comparison) -> str:
    said = answers(comparison)
    if len(said) == 1:
        return escaped(said[0][1])
    return "\n".join(f"- **{escaped(whom)}**: {escaped(one)}" for whom, one in said)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _labels(rows: "pd.DataFrame") -> list[str]:
    return [escaped(_short(str(label), _NAMED)) for label in rows["label"]]


def _results(rows: "pd.DataFrame") -> str:
    columns = [(one.title, one.cells) for one in results(rows)]
    verdicts = [escaped(verdict) or written.NOTHING for verdict in rows["verdict"]]
    return _table([("technique", _labels(rows)), *columns, ("verdict", verdicts)])


def _short_table(rows: "pd.DataFrame") -> str:
    """Technique, score, difference with interval, verdict in a word."""
    metric = str(rows.attrs["metric"])
    unit = unit_of(metric)
    differences = [
        one if interval == written.NOTHING else f"{one} ({interval})"
        for one, interval in written.differences(rows, unit)
    ]
    return _table(
        [
            ("technique", _labels(rows)),
            (written.title_of(metric), written.scores(rows["mean"], rows["std"], unit)),
            (f"difference{f', {unit.name}' if unit.name else ''} (95% interval)", differences),
            ("verdict", list(rows["outcome"])),
        ]
    )


def _table(columns: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table; the columns of names and words begin on the left."""
    head = [title for title, _ in columns]
    rule = ["---" if title in ("technique", "verdict") else "---:" for title in head]
    rows = zip(*(cells for _, cells in columns), strict=True)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *map(list, rows)])


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
