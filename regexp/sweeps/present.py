"""What a sweep shows at its end: the table, the way to the page and to the MLflow UI."""

from functools import partial
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from regexp.addresses import is_server
from regexp.config.values import plain
from regexp.errors import ConfigError, printable
from regexp.metrics.names import LOSS, MAE, RMSE, RMSE_UNSCALED, column
from regexp.sweeps import progress
from regexp.sweeps.progress import say

if TYPE_CHECKING:
    from regexp.compare.comparison import Source
    from regexp.compare.figures import Each
    from regexp.compare.report import ComparisonReport
    from regexp.tracking import RunRecord, Tracker


def present(
    tracker: "Tracker", parent: "RunRecord", config: DictConfig, each: "Each" = map
) -> "ComparisonReport | None":
    """Print the comparison of a sweep's runs, keep it with the parent, and show the way to it.

    Args:
        tracker: of the sweep.
        parent: its own run.
        config: what its jobs have in common.
        each: draws its pictures, as `map` does.

    Returns:
        What was reported; None where there are no runs.
    """
    with tracker.reading_once(parent.id):
        if not tracker.run_count(parent.id):
            return None
        reported = _compared(tracker, parent, config, each)
        metric = reported.comparison.metric
        _show_the_way(tracker, parent, config, metric.name, lower_is_better=metric.lower_is_better)
    return reported


def present_once(
    tracker: "Tracker", parent: "RunRecord", config: DictConfig, each: "Each" = map
) -> None:
    """As `present`; what was presented before is shown again if it would be the same."""
    from regexp.sweeps.shown import Noting, Shown, digests, key_of, remembered

    with tracker.reading_once(parent.id, params=False):
        if not tracker.run_count(parent.id):
            return
        key = key_of(tracker, parent.id, config)
        shown = Shown.read(tracker, parent.id, key)
        if shown is not None:
            print(shown.printable, end="", flush=True)
        else:
            source = Noting(tracker)
            with remembered() as lines:
                metric = _compared(source, parent, config, each).comparison.metric
            texts = digests(tracker, source.read)  # with what this comparison has recorded itself
            shown = Shown(key, texts, "".join(lines), metric.name, metric.lower_is_better)
            shown.keep(parent)
        _show_the_way(tracker, parent, config, shown.metric, lower_is_better=shown.lower_is_better)


def _compared(
    source: "Source", parent: "RunRecord", config: DictConfig, each: "Each"
) -> "ComparisonReport":
    """Compare what is read of the source, keep it with the parent, and print it."""
    from regexp.compare import Question, headlines, report, show
    from regexp.compare.claims import claims_of, lines_of
    from regexp.tracking import pasted

    try:
        asked = Question.read(config.compare)
        claims = claims_of(plain(config.study)["claims"])
        reported = report(source, parent, asked, figures=config.figures, claims=claims, each=each)
    except ConfigError as error:  # such as a metric that no run came to have
        say(f"\ncompare.{error}; compared as usual instead.")
        reported = report(source, parent, figures=config.figures, each=each)
    compared = reported.comparison
    runs, metric = compared.runs, compared.metric.name
    if (runs["status"] == "FINISHED").any():
        print()
        for line in headlines(compared):
            say(printable(line))
        print()
        show(compared)
        if column(RMSE_UNSCALED) in runs and metric in (RMSE, MAE, LOSS):
            say(f"Errors are of standardized targets; in their own unit: {RMSE_UNSCALED}.")
        for line in [*progress.ensemble_line(runs), *compared.findings]:
            say(printable(line))
        if reported.claims:
            say(f"\nWhat the paper says, and what came of it here: {config.study.paper}")
            for line in lines_of(reported.claims):
                say(line)
        command = pasted.command(
            "compare", parent.id, uri=config.tracking.uri, folder=config.paths.mlruns
        )
        say(f"\nVerdicts in words, scores, costs and pictures, in one page:\n  {command}")
    return reported


def _show_the_way(
    tracker: "Tracker",
    parent: "RunRecord",
    config: DictConfig,
    metric: str,
    *,
    lower_is_better: bool,
) -> None:
    """Say where the runs are seen, and how they are made again."""
    from regexp.tracking import pasted
    from regexp.tracking.view import UI_PAGE

    command = partial(pasted.command, uri=config.tracking.uri, folder=config.paths.mlruns)
    all_runs = tracker.run_count(parent.id)
    ui = command("ui")
    ui += "` or `make ui" * (ui == "regexp ui")
    link = tracker.link(parent.id, metric=metric, lower_is_better=lower_is_better)
    opened = "" if is_server(tracker.uri) else f" (open it by `{ui}`)"
    say(f"\nThe runs in the MLflow UI{opened}:\n  {link}")
    if all_runs > UI_PAGE:
        say(
            f"The UI loads {UI_PAGE} runs at a time, in the order of their seeds, and averages "
            "those that it has: press `Load more` below its table until all "
            f"{all_runs} are there."
        )
    again = command("rerun", "--sweep", parent.id, data=config.paths.data)
    say(f"All of it again, to compare every bit:\n  {again}")
