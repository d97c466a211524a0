"""How runs and sweeps begin in MLflow, and go on. Each call may fail as MLflow's client does.

In every function `client` is MLflow's, and `experiment_id` that of the experiment.
"""

from collections.abc import Container, Mapping
from typing import Any

from regexp.tracking import environment, names, process, query
from regexp.tracking.record import Status, now
from regexp.tracking.signals import Terminated


def create_run(client: Any, experiment_id: str, name: str, tags: Mapping[str, str]) -> Any:
    """Create a run; MLflow's of it. What is too long for MLflow's tables is cut."""
    cut = {names.safe(key): names.cut(value, names.TAG_LENGTH) for key, value in tags.items()}
    short, whole = names.of_run(name)
    return client.create_run(experiment_id, now(), tags=cut | whole, run_name=short)


def find_created(
    client: Any, experiment_id: str, tags: Mapping[str, str], *, known: Container[str]
) -> Any:
    """MLflow's run that this process created of late without learning so; None if there is none.

    Args:
        tags: that it was created with.
        known: ids of the runs that this process knows of.
    """
    mine = {key: tags[key] for key in ("mlflow.parentRunId", "fingerprint", "process", "pid")}
    for run in query.tagged(client, experiment_id, mine):
        if not run.data.params and run.info.run_id not in known:
            return run
    return None


COMPLETE = "sweep.complete"
"""Tag of a sweep that trained all afresh: that its runs have ended, those that diverged too."""


def find_sweep(client: Any, experiment_id: str, key: str, *, afresh: bool) -> Any:
    """The oldest parent with this key; None where there is none.

    Args:
        key: tells sweeps apart.
        afresh: whether one that has finished, or all of whose runs have ended, does not count.
    """
    for run in query.tagged(client, experiment_id, {"sweep.key": key}):
        if not afresh or not (run.info.status == "FINISHED" or COMPLETE in run.data.tags):
            return run
    return None


def create_sweep(client: Any, experiment_id: str, key: str, name: str) -> Any:
    """Make a parent with this key; the caller sees to it that nobody else does."""
    tags = process.tags() | environment.common_tags() | {"sweep.key": key}
    return create_run(client, experiment_id, name, tags)


def resume(client: Any, run_id: str) -> tuple[Any, set[tuple[str, int]]]:
    """Set a run RUNNING again; the run as it was, and (name, step) of what it recorded."""
    run = client.get_run(run_id)
    set_running(client, run)
    curves = query.curves_of(client, run)
    return run, {(name, step) for name, steps in curves.items() for step in steps}


def set_running(client: Any, run: Any) -> None:
    """Set a run RUNNING, in this process."""
    from mlflow.entities import RunTag

    run_id = run.info.run_id
    # first whose it is: by the tags of a process that is gone, another would end it as lost
    tags = [RunTag(key, value) for key, value in process.tags().items()]
    client.log_batch(run_id, tags=tags)
    if "reason" in run.data.tags:
        client.delete_tag(run_id, "reason")
    client.update_run(run_id, status="RUNNING")


def ended_by(error: BaseException) -> tuple[Status, str]:
    """How runs end that an exception breaks off, and why."""
    if isinstance(error, Terminated):
        return "SCHEDULED" if error.requeued else "KILLED", str(error)
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", str(error) or "interrupted from the keyboard (Ctrl-C)"
    return "FAILED", f"{type(error).__name__}: {error}"
