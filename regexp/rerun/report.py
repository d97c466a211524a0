"""What `regexp rerun` and `regexp diff` print."""

import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from regexp.compare.show import show_columns
from regexp.errors import count, few, printable
from regexp.metrics.names import SECONDS
from regexp.rerun.environments import EnvironmentDifference
from regexp.rerun.original import Metrics, Original
from regexp.rerun.remake import Remade
from regexp.rerun.verify import BitVerdict, MetricDifference
from regexp.sweeps.progress import full_name, say
from regexp.tracking import names

OTHERS = 10
"""Differences that are unlikely to change anything: so many are shown of a rerun."""

_PARTS = 3  # of a checkpoint that are named
_HEX = re.compile(r"[0-9a-f]{20,}")


def print_environments(
    differences: Sequence[Sequence[EnvironmentDifference]],
    titles: tuple[str, str] = ("then", "now"),
    limit: int | None = OTHERS,
) -> None:
    """Print how environments differ.

    Args:
        differences: one sequence a run, the likeliest to change results first.
        limit: of those that are unlikely to change anything.
    """
    runs = len(differences)
    if not runs:
        return
    shared = Counter(itertools.chain.from_iterable(differences))
    if not shared:
        print("Data, code, libraries and processor are the same, as far as they are recorded.")
        return
    others = [difference for difference in shared if difference.kind == "other"]
    hidden = set(others[limit:] if limit is not None else ())
    rows = [
        [difference.what, difference.then, difference.now, f"{number} of {runs}"]
        for difference, number in shared.items()
        if difference not in hidden
    ]
    print_table(["environment", *titles, "runs"], rows, silent={f"{runs} of {runs}"})
    if hidden:
        print(f"and {len(hidden)} more, which are unlikely to change results")


def print_remade(remade: Remade) -> None:
    """Print whether a run that was made again is identical, and else how it differs first."""
    name = run_name(remade.original)
    if remade.verdict is None:
        say(f"  {name}: COULD NOT BE MADE AGAIN: {printable(remade.failure)}")
    elif remade.verdict.identical:
        say(f"  {name}: identical ({what_was_compared(remade.verdict)})")
    else:
        say(f"  {name}: DIFFERS")
        for line in difference_lines(remade.verdict):
            say(f"    {line}")
        say(f"    likely cause: {printable(remade.cause)}")


def difference_lines(verdict: BitVerdict) -> list[str]:
    """Lines on what differs: how the runs ended, the first metric, the others, the weights."""
    lines = [f"ended otherwise: {printable(verdict.outcome)}"] if verdict.outcome else []
    if verdict.first is not None:
        lines.append(f"first in {_step(verdict.first)}: {_metric(verdict.first)}")
        rest = [f"{printable(metric.name)} ({_step(metric)})" for metric in verdict.metrics[1:]]
        if rest:
            lines.append(f"also {few(rest)}")
    elif not verdict.outcome:
        lines.append("all metrics are identical")
    if verdict.weights:
        lines += [printable(f"{part.name}: {part.what}") for part in verdict.weights[:_PARTS]]
        more = len(verdict.weights) - _PARTS
        lines += [f"and {count(more, 'other part')} of the last checkpoint"] if more > 0 else []
    elif verdict.tensors or verdict.digest:
        lines.append("the final weights are identical")
    return lines


def print_configurations(first: Original, second: Original) -> None:
    """Print the keys in which two runs' configurations and stacks differ."""
    a, b = (names.texts(_settings(run)) for run in (first, second))
    rows = [
        [key, a.get(key, "(none)"), b.get(key, "(none)")]
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key)
    ]
    if rows:
        print_table(["configuration", "A", "B"], rows)
    else:
        print("The configurations are the same.")


def print_results(first: Metrics, second: Metrics, verdict: BitVerdict) -> None:
    """Print the last values of two runs' metrics, and from where on they differ."""
    differing = {metric.name: metric for metric in verdict.metrics}
    rows = []
    for name in sorted(first.keys() | second.keys()):
        if name == SECONDS:
            continue
        difference = differing.get(name)
        size = f"{difference.relative:.2g}" if difference else ""
        rows.append(
            [
                name,
                *(_last(metrics.get(name, {})) for metrics in (first, second)),
                _step(difference) if difference else "",
                "" if size == "nan" else size,
            ]
        )
    head = ["metric", "A, last", "B, last", "differs first in", "by (relative)"]
    print_table(head, rows, texts=("metric", "differs first in"), silent={""})


def run_name(run: Original) -> str:
    """A run's name with what else its sweep varies."""
    return printable(full_name(run.name, run.tags.get("setting", "")))


def summary_line(identical: int, different: int, failed: int, left_out: int) -> str:
    """One line on all runs: "4 runs: 3 identical, 1 different"."""
    parts = [f"{identical} identical"]
    parts += [f"{different} different"] if different else []
    parts += [f"{failed} could not be made again"] if failed else []
    parts += [f"{left_out} left out"] if left_out else []
    return f"{count(identical + different + failed + left_out, 'run')}: {', '.join(parts)}"


def what_was_compared(verdict: BitVerdict) -> str:
    """What was held against the first time: "3 epochs, 41 values of metrics, 24 tensors"."""
    parts = [count(verdict.epochs, "epoch")] if verdict.epochs else []
    parts.append(count(verdict.values, "value") + " of metrics")
    if verdict.tensors:
        parts.append(count(verdict.tensors, "tensor"))
    elif verdict.digest:
        parts.append("the weights by their digest")
    return ", ".join(parts)


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Sequence[str] | None = None,
    silent: set[str] | None = None,
) -> None:
    """Print columns of texts.

    Args:
        texts: titles of columns that are aligned on the left; all if None.
        silent: a column in which nothing else stands is left out.
    """
    cells = [[_short(printable(cell)) for cell in row] for row in rows]
    kept = [
        column
        for column in range(len(head))
        if silent is None or not cells or {row[column] for row in cells} - silent
    ]
    titles = [head[column] for column in kept]
    show_columns(
        titles,
        [[row[column] for column in kept] for row in cells],
        texts=titles if texts is None else texts,
        file=sys.stdout,
    )


def _settings(run: Original) -> Mapping[str, Any]:
    members = run.stack.get("members", [])
    stack = {"members": len(members), "position": run.stack.get("position")}
    return {**run.config, "stack.yaml": stack}


def _short(cell: str) -> str:
    """A cell with its checksums cut."""
    return _HEX.sub(lambda checksum: f"{checksum[0][:12]}...", cell)


def _step(difference: MetricDifference) -> str:
    return f"epoch {difference.step}" if difference.step else "the end"


def _metric(difference: MetricDifference) -> str:
    """A metric's two values, and how far they are apart."""
    then, now = difference.then, difference.now
    if then is None or now is None:
        has = "the second" if then is None else "the first"
        return f"{printable(difference.name)} of {has} run alone, {now if then is None else then}"
    size = ""
    if difference.absolute == difference.absolute:  # no NaN
        size = f" (by {difference.absolute:.2g}, relative {difference.relative:.2g})"
    return f"{printable(difference.name)} {then!r} -> {now!r}{size}"


def _last(steps: Mapping[int, float]) -> str:
    return repr(steps[max(steps)]) if steps else "(none)"
