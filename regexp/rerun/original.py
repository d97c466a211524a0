"""A recorded run and a recorded sweep, wherever they were read from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Original:
    """A run as it was recorded.

    Attributes:
        run_id: MLflow's id.
        sweep_id: of the parent run.
        name: for people.
        status: `FINISHED`, `FAILED` or `KILLED`.
        reason: of a failure.
        config: the resolved configuration.
        stack: `position` of the run and the `members` of the stack that it trained in: of each
            the dotted keys, with their values, in which the members differ.
        environment: what it ran on.
        tags: of the run.
        metrics: name -> step -> value, the later one where a step was recorded twice; those of
            the whole run are at step 0.
        weights_sha256: digest of the final weights; empty if there are none.
        load_last: reads the checkpoint `last.pt`; None where there is none.
    """

    run_id: str
    sweep_id: str
    name: str
    status: str
    reason: str
    config: dict[str, Any]
    stack: dict[str, Any]
    environment: dict[str, Any]
    tags: dict[str, str]
    metrics: dict[str, dict[int, float]]
    weights_sha256: str
    load_last: Callable[[], dict[str, Any] | None]


@dataclass(frozen=True)
class OriginalSweep:
    """A sweep as it was recorded.

    Attributes:
        sweep_id: of the parent run.
        name: for people.
        runs: oldest first.
        settings: what all jobs have alike.
        source: where it was read from, for messages.
    """

    sweep_id: str
    name: str
    runs: list[Original]
    settings: dict[str, Any]
    source: str
