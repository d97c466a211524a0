"""The moments at which a sweep is killed, and how they are drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "inside an epoch": (("between two steps",),),
    "inside a checkpoint": (("half written",), ("before the rename",), ("after the rename",)),
    "inside a flush": (
        ("half of a batch", "in the transaction"),
        ("kept on disk",),
        ("when that is delivered",),
        ("sent but queued",),
        ("file half copied", "before the status", "after the status"),
    ),
    "between jobs": (
        ("before the first job", "before a text"),
        ("between two starts",),
        ("before a job",),
        ("before the checkpoint is removed",),
        ("after the last job",),
    ),
}
"""Kind of a moment -> its ways to be killed, taken in turn; of those in brackets, one by chance."""

SEARCH_KINDS = KINDS | {
    "between jobs": (
        ("before a draw",),
        ("before the first job", "before a text", "between two starts"),
        ("before a job", "before the checkpoint is removed"),
        ("before the recipe is written",),
        ("after the last job",),
    )
}
"""The same of `regexp search`."""

AT_THE_END = ("file half copied", "before the status", "after the status",
              "before the checkpoint is removed")  # fmt: skip
"""Ways of a job's last epoch."""

AFTER = {"between two steps": (1, 6), "kept on disk": (0, 2), "file half copied": (0, 3),
         "before the status": (0, 1), "after the status": (0, 1)}  # fmt: skip
"""How many opportunities may be left out: steps of an epoch, flushes, files and runs of a job."""


BEHIND = 10**6
"""The epoch of what comes when a job of a search has ended."""


@dataclass(frozen=True)
class Moment:
    """When a process kills itself: at the first opportunity of its way from an epoch on.

    Attributes:
        kind: one of `KINDS`.
        way: one of its ways: the function it dies in, and where in it.
        job: number of the job, from 0.
        epoch: of the job, from 1; 0 is before the first.
        after: how many opportunities are left out.
    """

    kind: str
    way: str
    job: int
    epoch: int = 0
    after: int = 0


def draw(
    kills: int,
    epochs: Sequence[int],
    behind: Mapping[str, Sequence[int]],
    seed: int,
) -> list[Moment]:
    """The moments of a sweep, or of a search, in the order in which they can happen.

    Args:
        kills: how many; the kinds have equal shares.
        epochs: that each job trains; the first job has no technique.
        behind: of a search, the jobs behind which there are opportunities of some ways; else empty.
        seed: of the stream that they are drawn from.
    """
    of_kind = SEARCH_KINDS if behind else KINDS
    stream = random.Random(seed)
    last = len(epochs) - 1
    turns: list[int] = []  # jobs: every technique has its turn
    drawn: list[Moment] = []
    kept: list[Moment] = []
    for number in range(kills):
        kind = list(KINDS)[number % len(KINDS)]
        ways = of_kind[kind]
        way = stream.choice(ways[number // len(KINDS) % len(ways)])
        if way in ("before the first job", "before a text"):
            moment = Moment(kind, way, -1)
        elif way == "after the last job":
            moment = Moment(kind, way, last + 1)
        elif way in behind:
            moment = Moment(kind, way, stream.choice(behind[way]), BEHIND)
        elif way == "when that is delivered":
            moment = replace(kept.pop(), way=way)
        else:
            if kind == "between jobs":
                job = stream.randint(1, last)
            else:
                turns = turns or stream.sample(range(1, last + 1), last)
                job = turns.pop()
            epoch = epochs[job] if way in AT_THE_END else stream.randint(1, epochs[job])
            epoch = 0 if way in ("between two starts", "before a job") else epoch
            moment = Moment(kind, way, job, epoch, stream.randint(*AFTER.get(way, (0, 0))))
        if way == "kept on disk":
            kept.append(moment)
        drawn.append(moment)
    return sorted(drawn, key=_order)


def _order(moment: Moment) -> tuple[int, int, int]:
    # the next process delivers what was kept on disk, so nothing comes between these two
    last = ("kept on disk", "when that is delivered")
    return moment.job, moment.epoch, last.index(moment.way) + 1 if moment.way in last else 0
