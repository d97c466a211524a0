"""`regexp deliver`: send what waits on disk, and say what is left."""

from pathlib import Path

from regexp.errors import count
from regexp.tracking import delivery, store
from regexp.tracking.outbox import Left, Outbox
from regexp.tracking.pasted import deliver_command
from regexp.tracking.signals import interruptible
from regexp.tracking.spool import Spool


def spool_of(uri: str, folder: Path) -> Spool:
    """Where records for a store wait on disk."""
    return Spool(folder / "undelivered", store.identity(uri, folder))


def deliver(uri: str | None, folder: Path | str) -> int:
    """Send the records of `folder` that wait for a store, and print what came of it.

    Returns:
        0 if nothing waits in the folder any more, else 1.

    Raises:
        TrackingError: the store cannot be used; everything waits as before.
    """
    folder = Path(folder)
    resolved = store.resolve(uri, folder)
    spool = spool_of(resolved, folder)
    if not any(owner is None for owner in spool.owners().values()):
        print(f"Nothing waits in {spool.folder} to be delivered to {resolved}.")
        return _rest(spool)
    client = store.open_client(resolved, folder)
    with interruptible():
        outbox = Outbox(delivery.sender(client), spool, interval=None)
        try:
            delivered = outbox.redeliver()
        finally:
            left = outbox.close()
    print(f"Delivered what waited of {count(delivered - len(left.others), 'run')} to {resolved}.")
    for line in farewell(left, uri, folder):
        print(line)
    return 1 if left.waiting or left.refused else _rest(spool)


def farewell(left: Left, uri: str | None, folder: Path) -> list[str]:
    """What a user must know of records that were not delivered."""
    address = store.resolve(uri, folder)
    undelivered = folder / "undelivered"
    lines = [
        f"Run {run_id} was taken over by another process, which records it: "
        f"{count(number, 'record')} of this one {'is' if number == 1 else 'are'} left out."
        for run_id, number in left.others
    ]
    if left.waiting:
        lines.append(
            f"The records of {count(len(left.waiting), 'run')} could not be delivered to "
            f"{address}. They are kept in {undelivered}; when the store answers again, deliver "
            "them by\n"
            f"  {deliver_command(uri, folder)}"
        )
    for run_id, why in left.refused:
        lines.append(
            f"The store refused records of run {run_id} ({why}). They are kept in "
            f"{undelivered / 'refused' / f'{run_id}.jsonl'}."
        )
    if left.lost:
        lines.append(
            f"{left.lost} records are lost: neither the store nor the disk took them ({left.why}). "
            "Make room, and give the same command again."
        )
    return lines


def _rest(spool: Spool) -> int:
    """Say what else waits in the folder; 1 if anything does."""
    owners = spool.owners()
    for path, owner in owners.items():
        print(f"{path} waits still: {owner or 'it could not be sent'}.")
    return 1 if owners else 0
