"""The commands as functions, for scripts and notebooks: `regexp.sweep`, `regexp.open_sweep`."""

from __future__ import annotations

import contextlib
import html
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.commands.arguments import check_words, parse, read_words
from regexp.config.jobs import compose, compose_config
from regexp.errors import ConfigError, count

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from omegaconf import DictConfig

    from regexp.compare.comparison import Comparison
    from regexp.compare.figures import Sketch
    from regexp.metrics.outputs import RowOutputs


class Sweep:
    """A recorded sweep: what its runs came to, read from the store each time it is asked.

    Made by `regexp.sweep` and `regexp.open_sweep`. A notebook shows it as its table.

    Attributes:
        id: of the sweep's own run in MLflow.
        name: the experiment's, or what is swept.
    """

    def __init__(self, sweep_id: str, config: DictConfig) -> None:
        from regexp.tracking.stored import Reader

        self._config = config
        self._reader = Reader(config.tracking.uri, config.paths.mlruns)
        recorded = self._reader.run(sweep_id)
        if recorded.sweep_id:
            raise ConfigError(f"{sweep_id} is a run, not a sweep; its sweep is {recorded.sweep_id}")
        self.id = sweep_id
        self.name = recorded.name

    def compare(
        self, metric: str | None = None, factor: str | None = None, baseline: str | None = None
    ) -> Comparison:
        """All that `regexp compare` finds out, as an object: of a search, of its verdict.

        Args:
            metric: that techniques are compared by, as `test/loss`; None is the sweep's own.
            factor: what is compared if not techniques, as `optimizer`; None is the sweep's own.
            baseline: what the others are held against; None is the sweep's own.

        Raises:
            ConfigError: no finished run has the metric, the factor or the baseline.
        """
        from regexp.compare.comparison import compare
        from regexp.compare.question import Question, recorded_question

        compared = self._compared
        own = recorded_question(self._reader, [compared])
        asked = Question(metric, factor, baseline).filled(own)
        return compare(self._reader, [compared], asked, {compared: self.name})

    def table(self, metric: str | None = None) -> pd.DataFrame:
        """The comparison's table: one row a technique (and dataset, setting and numbers).

        The columns are those of `comparison.csv`; see `regexp.compare.table.table`.
        """
        from regexp.compare.report import with_metric

        return with_metric(self.compare(metric))

    def runs(self) -> pd.DataFrame:
        """One row a run, in whatever state: ids, tags, `params.*` and last values `metrics.*`."""
        return self._reader.runs(self.id)

    def test_outputs(self, run_id: str) -> RowOutputs:
        """What the final weights of a finished run give for every test row.

        Raises:
            ConfigError: there is nothing of the run, or it is damaged.
        """
        from regexp.metrics.names import TEST_OUTPUTS
        from regexp.metrics.outputs import read

        with self._reader.file(run_id, TEST_OUTPUTS) as path:
            if path is None:
                raise ConfigError("it has no test outputs", key=f"the run {run_id}")
            return read(path)

    @property
    def best(self) -> str:
        """The id of the run to use, chosen on validation rows alone; see `best_run`.

        Of a search one of its verdict: its recipe, or `none` with tuned numbers or without.
        """
        from regexp.compare.choice import best_run

        comparison = self.compare()
        return best_run(comparison.runs, comparison.metric)

    @property
    def _compared(self) -> str:
        """The id of the sweep whose runs are compared: of a search that of its verdict."""
        from regexp.search.page import ended_search

        search = ended_search(self._reader, self.id)
        return self.id if search is None else search.verdict

    @property
    def figures(self) -> list[str]:
        """The names that `figure` takes."""
        return [sketch.name for sketch in self._sketches(None)]

    def figure(self, name: str = "forest", *, metric: str | None = None) -> Figure:
        """A picture of the comparison.

        Args:
            name: one of `figures`, or its first part, such as `forest`, where only one has it.
            metric: as in `compare`.

        Raises:
            ConfigError: there is no such picture, or several.
        """
        from regexp.compare.figures import shown_in_notebooks

        sketches = self._sketches(metric)
        chosen = [one for one in sketches if name == one.name] or [
            one for one in sketches if name == one.kind
        ]
        if len(chosen) == 1:
            return shown_in_notebooks(chosen[0].figure())
        if chosen:
            several = " or ".join(sketch.name for sketch in chosen)
            raise ConfigError(f"there are several pictures {name}; choose {several}")
        names = ", ".join(sketch.name for sketch in sketches)
        raise ConfigError(f"there is no picture {name}; this sweep has {names or 'none'}")

    def _sketches(self, metric: str | None) -> list[Sketch]:
        from regexp.compare.figures import sketched
        from regexp.compare.report import material

        comparison = self.compare(metric)
        if not len(comparison.table):  # all runs so far are trials
            return []
        return sketched(comparison, *material(self._reader, comparison))

    def __repr__(self) -> str:
        return f"Sweep({self.id!r}, {self.name!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the table, with what a terminal has of it."""
        import pandas as pd

        from regexp.compare.tables import terminal_columns

        comparison = self.compare()
        finished = int((comparison.runs["status"] == "FINISHED").sum())
        head = (
            f"<b>{html.escape(self.name)}</b>: {finished} of "
            f"{count(len(comparison.runs), 'run')} finished ({self.id})"
        )
        if not len(comparison.table):
            return f"<p>{head}</p>"
        columns = terminal_columns(
            comparison.shown, comparison.metric, comparison.against, comparison.spending.level
        )
        shown = pd.DataFrame({column.title: column.cells for column in columns})
        with pd.option_context("display.max_colwidth", None):
            table = shown.to_html(index=False, border=0)
        return f"<p>{head}</p>\n{table}"


def sweep(
    overrides: Sequence[str] = (),
    *,
    quiet: bool = False,
    config_dir: Path | str | None = None,
) -> Sweep:
    """Run a sweep, or go on with it, as the command `regexp -m OVERRIDES` does.

    Everything is as with the command: what was trained before is not trained again, and a relative
    folder is one of the working directory. Runs that fail take neither the others nor this call
    with them: a warning counts them, and `runs()` has the reasons.

    Args:
        overrides: `key=value` as on the command line, but without a shell's quotes:
            `["regularizer=none,l1", "seeds=5", "model.hidden=[32, 32]"]`.
        quiet: print nothing.
        config_dir: a folder of further configurations, as `--config-dir`.

    Raises:
        ConfigError: what was asked for cannot be run; nothing was written.
        TrackingError: the store of runs cannot be used.
        KeyboardInterrupt: Ctrl-C, or a notebook's stop button; the same call goes on from there.
    """
    from regexp.sweeps.execute import run_sweep

    words = ["-m", *([] if config_dir is None else ["--config-dir", str(config_dir)])]
    options, _ = parse([*words, *read_words(_overrides(overrides))])
    check_words(options, [])
    silence = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    with _own_logging(), silence:
        composed = compose(options)
        if composed.config.dry_run:
            raise ConfigError(
                "a plan is printed by the command alone", key="dry_run", got=True,
                cure="leave it out, or give regexp -m ... dry_run=true",
            )  # fmt: skip
        done = run_sweep(composed)
    if done.failed:
        warnings.warn(
            "something of the sweep failed; runs() has the status and the reason of each run",
            RuntimeWarning,
            stacklevel=2,
        )
    return Sweep(done.sweep_id, composed.config)


def open_sweep(
    sweep_id: str,
    mlruns: str | os.PathLike[str] | None = None,
    *,
    tracking_uri: str | None = None,
) -> Sweep:
    """A sweep that was recorded before, finished or running.

    Args:
        sweep_id: of its own run, which the sweep printed and MLflow's UI shows.
        mlruns: the folder of runs, as `paths.mlruns`; by default `mlruns`.
        tracking_uri: the address of a store or server, as `tracking.uri`; by default that of
            `MLFLOW_TRACKING_URI`, or the database in `mlruns`.

    Raises:
        ConfigError: it is the id of a run.
        TrackingError: there is no such store or sweep.
    """
    from regexp.addresses import withhold

    config = compose_config(parse([])[0])
    config.paths.mlruns = config.paths.mlruns if mlruns is None else str(Path(mlruns).expanduser())
    config.tracking.uri = config.tracking.uri if tracking_uri is None else withhold(tracking_uri)
    return Sweep(sweep_id, config)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Put back the root logger's handlers, which Hydra replaces for each job."""
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    try:
        yield
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
            if handler not in handlers:
                handler.close()
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
        logging.raiseExceptions = raising


def _overrides(overrides: Any) -> list[str]:
    """What was given as overrides, if it is a list of such.

    Raises:
        ConfigError: it is not.
    """
    cure = 'give regexp.sweep(["regularizer=none,l1", "seeds=5"])'
    if isinstance(overrides, str):
        raise ConfigError("expected a list of overrides, got one text", cure=cure)
    words = list(overrides)
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"expected texts key=value, got {word!r}", cure=cure)
        if word.startswith("-"):
            raise ConfigError(
                "options are for the command line", key=word,
                cure="config_dir=FOLDER stands for --config-dir; -m is meant always",
            )  # fmt: skip
    return words
