"""Sweeps as the store has them: listed, and deleted for good."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from regexp.addresses import is_server, public, public_all
from regexp.metrics.names import YARDSTICK_STAGE
from regexp.tracking import names, query, store
from regexp.tracking.error import TrackingError
from regexp.tracking.shared import OWN, STACK
from regexp.tracking.stored import Reader
from regexp.tracking.tracker import Tracker

_PARENTS = "tags.`sweep.key` != ''"
LAUNCHED = "launched"
"""The folder in `paths.mlruns` that tells which tasks of a cluster are on their way."""

_ENDED = ("FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True)
class SweepSummary:
    """A sweep in a few words.

    Attributes:
        command: the overrides that made it; empty of a rerun.
        experiment: the name of the MLflow experiment.
        started: milliseconds since 1970.
        status: of its parent run.
        runs: status -> how many; yardsticks are none of them.
        reused: how many of them were trained for other sweeps.
        yardsticks: how many there are beside the runs.
        datasets, techniques: of its runs.
    """

    sweep_id: str
    name: str
    command: str
    experiment: str
    started: int
    status: str
    runs: dict[str, int]
    reused: int
    yardsticks: int
    datasets: tuple[str, ...]
    techniques: tuple[str, ...]


def summaries(reader: Reader, most: int | None = None) -> tuple[list[SweepSummary], bool]:
    """The sweeps of all experiments of a store, newest first.

    Args:
        reader: of the store.
        most: how many; None for all.

    Returns:
        (the sweeps, whether there are more)
    """
    client = reader.client
    with store.explained(reader.source):
        experiments = {one.experiment_id: one.name for one in client.search_experiments()}
        if most is None:
            parents = query.search(client, [*experiments], _PARENTS)[::-1]
        else:
            order = ["attributes.start_time DESC", "attributes.run_id DESC"]
            parents = list(client.search_runs(
                [*experiments], _PARENTS, max_results=most + 1, order_by=order
            ))  # fmt: skip
        shown = parents if most is None else parents[:most]
        found = [_summary(client, run, experiments[run.info.experiment_id]) for run in shown]
    return found, len(parents) > len(shown)


def _summary(client: Any, parent: Any, experiment: str) -> SweepSummary:
    sweep_id = parent.info.run_id
    everything = query.children(client, parent.info.experiment_id, sweep_id, params=False)
    runs = [run for run in everything if run.data.tags.get("stage") != YARDSTICK_STAGE]
    tags = [public_all(dict(run.data.tags)) for run in runs]
    return SweepSummary(
        sweep_id=sweep_id,
        name=_name(parent),
        command=public(parent.data.params.get("command", "")),
        experiment=experiment,
        started=parent.info.start_time,
        status=parent.info.status,
        runs=dict(Counter(run.info.status for run in runs)),
        reused=sum(one.get(names.member_of(sweep_id)) == names.REUSED for one in tags),
        yardsticks=len(everything) - len(runs),
        datasets=_distinct(tags, "dataset"),
        techniques=_distinct(tags, "technique"),
    )


def _distinct(tags: Sequence[Mapping[str, str]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one[key] for one in tags if one.get(key)))


def _name(run: Any) -> str:
    return public(run.data.tags.get(names.WHOLE_NAME) or run.info.run_name or run.info.run_id)


@dataclass(frozen=True)
class Deletion:
    """What goes with a sweep, and what stays.

    Attributes:
        parent: MLflow's run of the sweep.
        runs: MLflow's, that go.
        kept: run -> the id of the sweep that it belongs to from then on.
        reused: runs of other sweeps, which stay as they are: id -> the tags that tell of this one.
        places: files and folders that go, beside what the store says itself.
        bytes: of all files that go, as far as they are on this machine.
        running: how many of the runs have not ended.
    """

    parent: Any
    runs: Sequence[Any]
    kept: Mapping[str, str]
    reused: Mapping[str, Sequence[str]]
    places: Sequence[Path]
    bytes: int
    running: int

    @property
    def name(self) -> str:
        """Of the sweep."""
        return _name(self.parent)

    def is_other(self, than: "Deletion") -> bool:
        """Whether other runs go, or stay, than by an earlier plan."""
        mine, theirs = ({run.info.run_id for run in plan.runs} for plan in (self, than))
        return mine != theirs or self.kept != than.kept or self.reused != than.reused


def plan_deletion(tracker: Tracker, sweep_id: str) -> Deletion:
    """What would go with a sweep; nothing is changed.

    Raises:
        TrackingError: there is no such sweep.
    """
    client = tracker.client
    with store.explained(tracker.uri):
        parent = client.get_run(sweep_id)
        if "sweep.key" not in parent.data.tags:
            raise TrackingError(
                f"{sweep_id} is a run, not a sweep; regexp ls lists the ids of sweeps"
            )
        where = parent.info.experiment_id
        own = query.trained(client, where, sweep_id, {}, params=False)
        others = {other for run in own for other in names.sweeps_of(run.data.tags)} - {sweep_id}
        heirs = [run.info.run_id for run in _existing(client, where, sorted(others))]
        kept: dict[str, str] = {}
        for run in own:
            mine = [heir for heir in heirs if heir in names.sweeps_of(run.data.tags)]
            kept |= {run.info.run_id: mine[0]} if mine else {}
        of_sweep = names.labels_in(sweep_id), names.member_of(sweep_id)
        reused = query.tagged(
            client, where, {names.member_of(sweep_id): names.REUSED}, params=False
        )
    runs = [run for run in own if run.info.run_id not in kept]
    going = [*runs, parent]
    places = list(_places(tracker.folder, sweep_id))
    files = [*places, *(place for run in going if (place := _folder_of(run)))]
    return Deletion(
        parent,
        runs,
        kept,
        {run.info.run_id: [tag for tag in of_sweep if tag in run.data.tags] for run in reused},
        places,
        sum(map(_size, files)),
        sum(run.info.status not in _ENDED for run in going),
    )


def delete(tracker: Tracker, plan: Deletion) -> bool:
    """Delete a sweep; begun again it goes on where it was broken off.

    Returns:
        Whether the disk is free: a server keeps runs in its trash.
    """
    from mlflow.entities import RunTag

    client, sweep_id = tracker.client, plan.parent.info.run_id
    tag = names.member_of(sweep_id)
    with store.explained(tracker.uri):
        for run_id, told in plan.reused.items():
            for name in told:
                client.delete_tag(run_id, name)
        going = {run.info.run_id for run in plan.runs}
        # what goes to another sweep may go with it, and nobody would ask for these then
        away = {
            heir: going | {run_id for run_id, other in plan.kept.items() if other != heir}
            for heir in {*plan.kept.values()}
        }
        for run_id, heir in plan.kept.items():
            tags = {names.member_of(heir): names.TRAINED, "sweep": heir, "mlflow.parentRunId": heir}
            if tracker.places.make_own(tracker.uri, run_id, away[heir]):
                tags[STACK] = OWN
            client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
            client.delete_tag(run_id, tag)
        for place in plan.places:
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        for run in [*plan.runs, plan.parent]:  # the parent last: it is what one comes back by
            client.delete_run(run.info.run_id)
            if not is_server(tracker.uri):
                _purge(client, run)
    return not is_server(tracker.uri)


def _purge(client: Any, run: Any) -> None:
    """Free what a deleted run takes of the disk, as `mlflow gc` does for all that are deleted."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = _folder_of(run)
    if folder is None:
        get_artifact_repository(run.info.artifact_uri).delete_artifacts()
    elif folder.is_dir():
        shutil.rmtree(folder)
    client._tracking_client.store._hard_delete_run(run.info.run_id)


def _existing(client: Any, experiment: str, sweep_ids: Sequence[str]) -> list[Any]:
    """Those sweeps that are there, oldest first."""
    if not sweep_ids:
        return []
    listed = ", ".join(f"'{sweep_id}'" for sweep_id in sweep_ids)
    return query.search(client, [experiment], f"attributes.run_id IN ({listed}) AND {_PARENTS}")


def _folder_of(run: Any) -> Path | None:
    """The folder of a run's artifacts, where they are files; that which has its id as a name."""
    address = urlsplit(run.info.artifact_uri)
    if address.scheme not in ("", "file"):
        return None
    folder = Path(unquote(address.path))
    return folder.parent if folder.parent.name == run.info.run_id else folder


def _places(mlruns: Path, sweep_id: str) -> Iterator[Path]:
    """What a sweep has in `paths.mlruns` beside artifacts: checkpoints, locks, Hydra's files."""
    yield from (mlruns / "locks").glob(f"{sweep_id}-*.lock")
    yield from (mlruns / LAUNCHED).glob(f"{sweep_id}.json")
    if (checkpoints := mlruns / "checkpoints" / sweep_id).is_dir():
        yield checkpoints
    for plans in (mlruns / "hydra").glob("*/plans"):
        first = next(iter(sorted(plans.glob("*.yaml"))), None)
        if first is not None and f"sweep_id: {sweep_id}" in first.read_text("utf-8")[:1000]:
            yield plans.parent


def _size(place: Path) -> int:
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return place.stat().st_size if place.is_file() else 0
