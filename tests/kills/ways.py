"""The ways in which a victim dies: each wraps the function that it dies in."""

from __future__ import annotations

import functools
import io
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kills.victim import Victim

Function = Callable[..., Any]
When = Callable[[tuple[Any, ...]], bool]


def around(owner: Any, name: str, wrapper: Callable[[Function], Function]) -> None:
    """Put a wrapper in the place of a function that `owner` has."""
    if name not in dir(owner):  # which has not what `getattr` finds at every class
        raise AttributeError(f"{owner} has no {name} for a victim to die in")
    whole = getattr(owner, name)
    setattr(owner, name, functools.wraps(whole)(wrapper(whole)))


def before(victim: Victim, owner: Any, name: str, *, when: When = lambda given: True) -> None:
    """Die when a function is called with such arguments."""

    def wrapper(whole: Function) -> Function:
        def dying(*given: Any, **named: Any) -> Any:
            if when(given) and victim.due():
                victim.die()
            return whole(*given, **named)

        return dying

    around(owner, name, wrapper)


def after(victim: Victim, owner: Any, name: str, *, when: When = lambda given: True) -> None:
    """Die when a function has done its work."""

    def wrapper(whole: Function) -> Function:
        def dying(*given: Any, **named: Any) -> Any:
            result = whole(*given, **named)
            if when(given) and victim.due():
                victim.die()
            return result

        return dying

    around(owner, name, wrapper)


def _of(kind: str) -> When:
    """Whether `delivery._send(client, run_id, records)` is given records of a kind."""
    return lambda given: _has(given[2], kind)


def _has(records: Any, kind: str) -> bool:
    """Whether a record of this kind is among those that are sent."""
    return any(record["kind"] == kind for record in records)


def _partial(given: tuple[Any, ...]) -> bool:
    """Whether `Path.replace` is that of `checkpoint.save`."""
    return str(given[0]).endswith(".partial")


# --- in an epoch ------------------------------------------------------------------------------


def between_two_steps(victim: Victim) -> None:
    from regexp.training.steps import Steps

    before(victim, Steps, "step")


# --- in a checkpoint --------------------------------------------------------------------------


def half_written(victim: Victim) -> None:
    import torch

    def wrapper(whole: Function) -> Function:
        def save(content: Any, file: Any) -> None:
            if victim.due():
                buffer = io.BytesIO()
                whole(content, buffer)
                file.write(buffer.getvalue()[: buffer.tell() // 2])
                file.flush()
                victim.die()
            whole(content, file)

        return save

    around(torch, "save", wrapper)


def before_the_rename(victim: Victim) -> None:
    before(victim, Path, "replace", when=_partial)


def after_the_rename(victim: Victim) -> None:
    after(victim, Path, "replace", when=_partial)


# --- in a flush -------------------------------------------------------------------------------


def half_of_a_batch(victim: Victim) -> None:
    """Some of the metrics reached the store, and none has left the queue."""
    from regexp.tracking import delivery

    _hurried(victim)

    def wrapper(whole: Function) -> Function:
        def send(client: Any, run_id: str, records: Any) -> None:
            if _has(records, "metric") and len(records) > 1 and victim.due():
                whole(client, run_id, records[: len(records) // 2])
                victim.die()
            whole(client, run_id, records)

        return send

    around(delivery, "_send", wrapper)


def in_the_transaction(victim: Victim) -> None:
    """The database was told of the metrics, and not to keep them."""
    import sqlalchemy
    from sqlalchemy.engine import Engine

    from regexp.tracking import delivery

    _hurried(victim)
    thread = threading.local()

    def wrapper(whole: Function) -> Function:
        def send(client: Any, run_id: str, records: Any) -> None:
            thread.dying = _has(records, "metric") and victim.due()
            whole(client, run_id, records)

        return send

    def executed(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if getattr(thread, "dying", False) and statement.startswith("INSERT INTO metrics"):
            victim.die()

    around(delivery, "_send", wrapper)
    sqlalchemy.event.listen(Engine, "after_cursor_execute", executed)


def sent_but_queued(victim: Victim) -> None:
    from regexp.tracking import delivery

    _hurried(victim)
    after(victim, delivery, "_send", when=_of("metric"))


def kept_on_disk(victim: Victim) -> None:
    """The store does not answer; half a line is lost of what the disk keeps instead."""
    from regexp.tracking import delivery
    from regexp.tracking.spool import Spool

    _hurried(victim)

    def unanswered(whole: Function) -> Function:
        def send(*given: Any) -> None:
            if victim.armed:
                raise ConnectionError("the store is away")
            whole(*given)

        return send

    def half(whole: Function) -> Function:
        def append(self: Spool, run_id: str, records: Any) -> None:
            whole(self, run_id, records)
            newest = max(self.folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
            lines = [line for line in newest.read_bytes().splitlines() if line]
            if len(lines) > 2 and victim.due():  # the first tells who wrote them; one stays whole
                os.truncate(newest, newest.stat().st_size - len(lines[-1]) // 2)
                victim.die()

        return append

    around(delivery, "_send", unanswered)
    around(Spool, "append", half)


def when_that_is_delivered(victim: Victim) -> None:
    """Some of what an earlier process left on disk has reached the store."""
    from regexp.tracking import delivery
    from regexp.tracking.outbox import Outbox

    delivering = threading.Event()

    def redelivery(whole: Function) -> Function:
        def redeliver(self: Outbox) -> int:
            delivering.set()
            try:
                return int(whole(self))
            finally:
                delivering.clear()

        return redeliver

    def half(whole: Function) -> Function:
        def send(client: Any, run_id: str, records: Any) -> None:
            if delivering.is_set():
                whole(client, run_id, records[: max(1, len(records) // 2)])
                victim.die()
            whole(client, run_id, records)

        return send

    around(Outbox, "redeliver", redelivery)
    around(delivery, "_send", half)


def file_half_copied(victim: Victim) -> None:
    """Of a best or last checkpoint, into the folder of artifacts."""

    def wrapper(whole: Function) -> Function:
        def copy(source: Any, target: Any, *given: Any, **named: Any) -> None:
            if str(getattr(source, "name", "")).endswith(".pt") and victim.due():
                content = source.read()
                target.write(content[: len(content) // 2])
                target.flush()
                victim.die()
            whole(source, target, *given, **named)

        return copy

    around(shutil, "copyfileobj", wrapper)


def before_the_status(victim: Victim) -> None:
    from regexp.tracking import delivery

    before(victim, delivery, "_send", when=_of("status"))


def after_the_status(victim: Victim) -> None:
    from regexp.tracking import delivery

    after(victim, delivery, "_send", when=_of("status"))


def _hurried(victim: Victim) -> None:
    """Let the outbox send at once what is put into it, from the moment's epoch on."""
    from regexp.tracking.outbox import Outbox

    def wrapper(whole: Function) -> Function:
        def put(self: Outbox, *given: Any) -> None:
            whole(self, *given)
            if victim.armed:
                self._wake.set()

        return put

    around(Outbox, "put", wrapper)


# --- between jobs -----------------------------------------------------------------------------


def before_the_first_job(victim: Victim) -> None:
    from regexp.search import lead
    from regexp.sweeps import execute as sweep

    around(sweep, "run", lambda whole: lambda *given: victim.die())
    around(lead, "rounds", lambda whole: lambda *given: victim.die())


def before_a_job(victim: Victim) -> None:
    from regexp.search.shared import Shared
    from regexp.sweeps import launched

    before(victim, launched, "_train")
    before(victim, Shared, "_train")


def before_a_text(victim: Victim) -> None:
    """The store has parameters of the sweep, or of a run, and not yet its small files."""
    from regexp.tracking import delivery

    _hurried(victim)
    before(victim, delivery, "_send", when=_of("text"))


def between_two_starts(victim: Victim) -> None:
    """The first run of the stack is in the store, the second is not."""
    from regexp.sweeps.recording import Recorder

    after(victim, Recorder, "_start")


def before_the_checkpoint_is_removed(victim: Victim) -> None:
    from regexp.sweeps.resume import Resume

    before(victim, Resume, "remove")


def after_the_last_job(victim: Victim) -> None:
    from regexp.search import lead
    from regexp.sweeps import execute as sweep

    for owner in (sweep, lead):
        around(owner, "present", lambda whole: lambda *given: victim.die())


# --- in a search alone ------------------------------------------------------------------------


def before_a_draw(victim: Victim) -> None:
    from regexp.search import lead

    before(victim, lead, "propose")


def before_the_recipe_is_written(victim: Victim) -> None:
    from regexp.search import lead

    before(victim, lead, "write")


WAYS: dict[str, Callable[[Victim], None]] = {
    one.__name__.replace("_", " "): one
    for one in (
        between_two_steps,
        half_written, before_the_rename, after_the_rename,
        half_of_a_batch, in_the_transaction, sent_but_queued, kept_on_disk, when_that_is_delivered,
        file_half_copied, before_the_status, after_the_status,
        before_the_first_job, before_a_text, before_a_job, between_two_starts,
        before_the_checkpoint_is_removed, after_the_last_job,
        before_a_draw, before_the_recipe_is_written,
    )
}  # fmt: skip
