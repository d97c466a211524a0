"""Yardsticks fitted again and held against the first time, as runs are."""

from collections.abc import Mapping, Sequence
from typing import Any

from regexp.errors import ConfigError
from regexp.metrics.names import YARDSTICK_STAGE
from regexp.rerun.causes import likely_cause
from regexp.rerun.environments import environment_differences
from regexp.rerun.original import Original, RunOutcome
from regexp.rerun.remake import Remade, in_words
from regexp.rerun.stacks import LeftOut
from regexp.rerun.verify import verify
from regexp.sweeps import yardstick_runs, yardsticks
from regexp.sweeps.ingredients import with_earlier_settings
from regexp.tracking import Tracker, environment, names


def separated(runs: Sequence[Original]) -> tuple[list[Original], list[Original], LeftOut]:
    """(runs that were trained, yardsticks, those of them that cannot be fitted again and why)."""
    trained = [run for run in runs if run.tags.get("stage") != YARDSTICK_STAGE]
    sticks = [run for run in runs if run.tags.get("stage") == YARDSTICK_STAGE]
    ended = [run for run in sticks if run.status == "FINISHED"]
    left_out = [
        (run, f"it is a yardstick that did not finish: {run.status}")
        for run in sticks
        if run.status != "FINISHED"
    ]
    return trained, ended, left_out


def refit(original: Original, tracker: Tracker, sweep_id: str, here: Mapping[str, Any]) -> Remade:
    """Fit a yardstick again, record it, and compare it with the first.

    Args:
        original: as recorded; its dataset is trusted.
        tracker: of the store.
        sweep_id: of the parent run of what is made again.
        here: `paths`, `tracking` and `debug` of the present command, plain.

    Returns:
        What came of it; whatever fails fails this yardstick alone.
    """
    try:
        again = _yardstick(original.config, here["paths"]["data"])
        record = yardstick_runs.start(again, tracker, sweep_id)
    except Exception as error:  # of records that others may have written
        return Remade(original, failure=in_words(error, here))
    try:
        metrics = again.fit()
        steps = {names.safe(name): {0: value} for name, value in metrics.items()}
        verdict = verify(original, RunOutcome("FINISHED", "", steps, "", lambda: None))
        data = again.data
        differences = environment_differences(
            original.environment,
            environment.environment(),
            data=(data.name, original.tags.get("data.checksum", ""), data.checksum),
        )
        cause = likely_cause(verdict, differences)
    except Exception as error:  # an estimator, or numbers that cannot be compared
        why = in_words(error, here)
        record.finish("FAILED", why)
        return Remade(original, record.id, failure=why)
    record.summary(metrics)
    record.tags({"rerun.of": original.run_id, "rerun.identical": verdict.identical})
    if cause:
        record.tags({"rerun.cause": cause})
    record.finish()
    return Remade(original, record.id, verdict, cause)


def _yardstick(config: Mapping[str, Any], folder: str) -> yardsticks.Yardstick:
    """The yardstick of a recorded configuration, on the data that are here now.

    Raises:
        ConfigError: it is not as regexp writes it.
    """
    try:
        dataset = with_earlier_settings(config["dataset"])
        return yardsticks.Yardstick.from_config({**config, "dataset": dataset}, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            "its config.yaml is not that of a yardstick", key=str(error.args[0])
        ) from error
