"""What a sweep shows at its end: the table, the way to the page and to the MLflow UI."""

from typing import TYPE_CHECKING

from regexp.metrics.names import RMSE_UNSCALED, column
from regexp.sweeps import progress
from regexp.sweeps.progress import say

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.tracking import RunRecord, Tracker


def present(
    tracker: "Tracker", parent: "RunRecord", figures: bool = True
) -> "ComparisonReport | None":
    """Print the comparison of a sweep's runs, keep it with the parent, and show the way to it.

    Returns:
        What was reported; None where there are no runs.
    """
    from regexp.compare import report, show
    from regexp.tracking.view import UI_PAGE

    all_runs = tracker.runs(parent.id)
    if all_runs.empty:
        return None
    reported = report(tracker, parent, figures=figures)
    compared = reported.comparison
    runs, metric = compared.runs, compared.metric.name
    if (runs["status"] == "FINISHED").any():
        print()
        show(compared)
        if column(RMSE_UNSCALED) in runs:
            say(f"Errors are of standardized targets; in their own unit: {RMSE_UNSCALED}.")
        for line in progress.ensemble_line(runs):
            say(line)
        say(
            "\nVerdicts in words, scores, costs and pictures, in one page:\n"
            f"  regexp compare {parent.id}"
        )
    link = tracker.link(parent.id, metric=metric)
    say(f"\nThe runs in the MLflow UI (open it by `regexp ui` or `make ui`):\n  {link}")
    if len(all_runs) > UI_PAGE:
        say(
            f"The UI loads {UI_PAGE} runs at a time, in the order of their seeds, and averages "
            "those that it has: press `Load more` below its table until all "
            f"{len(all_runs)} are there."
        )
    say(f"All of it again, to compare every bit:\n  regexp rerun --sweep {parent.id}")
    return reported
