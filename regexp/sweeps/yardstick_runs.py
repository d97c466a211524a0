"""The runs of yardsticks in the store: fitted once, reused, begun, and gone on with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from regexp.config.yaml_text import as_yaml
from regexp.errors import count, first_line
from regexp.metrics import names
from regexp.sweeps.progress import say
from regexp.sweeps.reuse import in_words
from regexp.tracking import environment

if TYPE_CHECKING:
    from regexp.compare.figures import Each
    from regexp.sweeps.yardsticks import Yardstick
    from regexp.tracking import Earlier, RunRecord, Tracker


def record_yardsticks(
    sticks: Sequence[Yardstick],
    left_out: Sequence[str],
    tracker: Tracker,
    parent: RunRecord,
    *,
    reuse: bool,
    each: Each = map,
) -> None:
    """Fit the yardsticks that do not exist yet, and record them as runs of the sweep.

    One that was broken off goes on in its run.

    Args:
        sticks, left_out: from `planned_yardsticks`.
        tracker: of the store.
        parent: of the sweep.
        reuse: whether those of other sweeps count.
        each: fits them, as `map` does.
    """
    known, broken = _earlier(sticks, tracker, parent.id, reuse=reuse)
    new = [one.id for one in known.values() if parent.id not in one.sweeps]
    tracker.reuse(parent.id, {run_id: {} for run_id in new})
    by_print = {one.fingerprint: one for one in sticks}  # of jobs that differ in threads, say
    left = [one for key, one in by_print.items() if key not in known]
    told = _fit(left, broken, tracker, parent, each) if left else []
    for line in [*told, *left_out]:
        say(line)


def _fit(
    left: Sequence[Yardstick],
    broken: Mapping[str, str],
    tracker: Tracker,
    parent: RunRecord,
    each: Each,
) -> list[str]:
    """Fit and record; lines on what came of it.

    Args:
        left: at least one.
        broken: ids of runs to go on in, by fingerprint.
        tracker, parent, each: see `record_yardsticks`.
    """
    kinds = ", ".join(dict.fromkeys(one.name for one in left))
    began = time.monotonic()
    failures = []
    fits = each(_fitted, left)
    for one in left:
        record = start(one, tracker, parent.id, resume=broken.get(one.fingerprint))
        try:
            fit = next(fits)
        except Exception as error:  # a worker was ended, and with it the fits after this one
            fit = f"{type(error).__name__}: {error}"
            fits = repeat(fit)
        if isinstance(fit, str):
            failures.append(f"{one.name}: {fit}")
            record.finish("FAILED", failures[-1])
            continue
        record.summary(fit)
        record.finish()
    done = f"yardsticks: {kinds}: {count(len(left), 'fit')}, {time.monotonic() - began:.1f} s"
    return [done, *(f"yardsticks: {first_line(text)}" for text in dict.fromkeys(failures))]


def _fitted(one: Yardstick) -> dict[str, float] | str:
    """Its metrics, or why there are none."""
    try:
        return one.fit()
    except Exception as error:  # no estimator may take the sweep with it
        return f"{type(error).__name__}: {error}"


def _earlier(
    sticks: Sequence[Yardstick], tracker: Tracker, sweep_id: str, *, reuse: bool
) -> tuple[dict[str, Earlier], dict[str, str]]:
    """What there is of yardsticks already.

    Returns:
        Fingerprint -> the finished run, of this sweep before one of another; and -> the id of the
        run of this sweep that was broken off where it would have had the same numbers.
    """
    wanted, here = {one.fingerprint for one in sticks}, _arithmetic()
    known: dict[str, Earlier] = {}
    broken: dict[str, str] = {}
    for checksum in dict.fromkeys(one.data.checksum for one in sticks):
        tags = {"stage": names.YARDSTICK_STAGE, "data.checksum": checksum}
        for one in tracker.tries(tags):
            own = sweep_id in one.sweeps
            usable = own or (reuse and one.arithmetic == here and one.fingerprint not in known)
            if one.ended and usable and one.fingerprint in wanted:
                known[one.fingerprint] = one
            elif one.sweep_id == sweep_id and one.arithmetic == here:
                broken[one.fingerprint] = one.id
    return known, broken


def _arithmetic() -> str:
    """What the numbers of a yardstick depend on beside its data and settings."""
    import sklearn

    return in_words(environment.arithmetic() | {"scikit-learn": sklearn.__version__})


def start(
    one: Yardstick, tracker: Tracker, sweep_id: str, *, resume: str | None = None
) -> RunRecord:
    """Begin the record of a yardstick, or go on with one that was broken off; see `Tracker`."""
    data = one.data
    return tracker.start(
        sweep_id,
        name=f"{one.name} seed={one.seed}",
        fingerprint=one.fingerprint,
        params={key: one.config[key] for key in ("seed", "dataset", "yardstick", "trainer")},
        tags={
            "technique": one.name,
            "seed": str(one.seed),
            "dataset": data.name,
            "data.checksum": data.checksum,
            "split": "shared" if data.shared_split else "seed",
            "stage": names.YARDSTICK_STAGE,
            "arithmetic": _arithmetic(),
        },
        artifacts={
            "config.yaml": as_yaml(one.config),
            "stack.yaml": as_yaml(
                {"position": 0, "members": [{"seed": one.seed}], "variants": [""]}
            ),
        },
        dataset={"name": data.name, "checksum": data.checksum, "source": data.source},
        resume=resume,
    )
