"""Frames as `compare` gives them, made by hand."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regexp.compare.metric import Metric

ACCURACY = Metric("test/accuracy")
NUMBERS = (
    "difference", "low", "high", "simultaneous_low", "simultaneous_high", "mean",
    "relative_seconds",
)  # fmt: skip


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows need a technique; the rest is filled in, the baseline as `compare.table` has it."""
    full = []
    for row in rows:
        baseline = row["technique"] == "none"
        variant = row.get("variant", "")
        base: dict[str, Any] = {
            "dataset": "digits",
            "setting": "",
            "variant": "",
            "label": f"{row['technique']} ({variant})" if variant else row["technique"],
            "pairs": 5,
            "outcome": "baseline" if baseline else "no evidence",
            **dict.fromkeys(NUMBERS, np.nan),
            "adjusted_mean": row.get("mean", np.nan),
        }
        full.append(base | row)
    return pd.DataFrame(full)


def technique(name: str, difference: float, error: float = 0.01, **more: Any) -> dict[str, Any]:
    """A row with its intervals, which are 2 and 3 errors wide on either side."""
    return {
        "technique": name,
        "difference": difference,
        "low": difference - 2 * error,
        "high": difference + 2 * error,
        "simultaneous_low": difference - 3 * error,
        "simultaneous_high": difference + 3 * error,
        "mean": 0.9 + difference,
        "adjusted_mean": 0.9 + difference,
        "relative_seconds": 1.5,
        **more,
    }


def curve(name: str, seed: int, metric: str, values: list[float], **more: Any) -> pd.DataFrame:
    """A metric of one run by epoch."""
    variant = more.get("variant", "")
    row = {"dataset": "digits", "setting": "", "technique": name, "variant": "",
           "label": f"{name} ({variant})" if variant else name, "seed": seed} | more  # fmt: skip
    steps = range(1, len(values) + 1)
    return pd.DataFrame({**row, "metric": metric, "step": steps, "value": values})


def diagnostics(name: str, seed: int, **content: Any) -> pd.DataFrame:
    """The diagnostics of one run."""
    row = {"dataset": "digits", "setting": "", "technique": name, "variant": "", "label": name,
           "seed": seed}  # fmt: skip
    return pd.DataFrame([{**row, "content": content}])


def weights(counts: dict[int, int], **more: int) -> dict[str, Any]:
    """The part `weights`: counts by position of the bin, and `zeros`, `below`, `above`."""
    edges = np.arange(-8, 2.25, 0.25)
    found = [counts.get(place, 0) for place in range(len(edges) - 1)]
    extra = {"zeros": 0, "below": 0, "above": 0} | more
    total = sum(found) + sum(extra.values())
    return {"edges": edges.tolist(), "counts": found, "total": total, **extra}


def reliability(bins: dict[int, tuple[int, float, float]]) -> dict[str, Any]:
    """The part `reliability`: count, confidence and accuracy by position of the bin."""
    empty = (0, None, None)
    count, confidence, accuracy = zip(*(bins.get(b, empty) for b in range(15)), strict=True)
    edges = np.linspace(0, 1, 16).tolist()
    return {"edges": edges, "count": list(count), "confidence": list(confidence),
            "accuracy": list(accuracy)}  # fmt: skip


def panels(figure: Figure) -> dict[str, Axes]:
    """The panels that are seen, by title."""
    return {axes.get_title(): axes for axes in figure.axes if axes.get_visible()}


def xy(line: Line2D) -> np.ndarray:
    """[2, points]."""
    return np.array([line.get_xdata(), line.get_ydata()], dtype=float)


def ydata(line: Line2D) -> np.ndarray:
    return xy(line)[1]


def texts(figure: Figure) -> list[str]:
    """Every text of a figure."""
    from matplotlib.text import Text

    return [text for one in figure.findobj(Text) if (text := one.get_text())]
