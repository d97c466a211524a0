"""`regexp rerun` and `regexp diff`."""

from collections.abc import Sequence

from regexp.commands.arguments import CommandParser
from regexp.errors import INTERRUPTED

RERUN = """\
regexp rerun RUN_ID [paths.data=FOLDER ...]     make a run of the store again
regexp rerun --sweep SWEEP_ID [...]             all runs of a sweep
regexp rerun FILE.zip [...]                     all runs of a sweep that regexp export wrote

The configuration, the stack and the seeds are those of the first time; where data lie and where
runs are recorded is said by paths.* and tracking.*. Every metric of every epoch, the final weights
and the last checkpoint are held against the first, bit for bit. The exit status is 0 only if all
are identical, 1 if one is not, 2 if nothing could be done.

  --sweep SWEEP_ID    the parent run of a sweep instead of a run
  --allow NAME        a class or function that is no part of regexp and that a recorded
                      configuration may call, such as my_package.MyModel; with a dot at the end,
                      all that begins so. May be given several times"""

DIFF = """\
regexp diff RUN_ID RUN_ID [paths.mlruns=FOLDER ...]

What differs between two runs of the store: configuration, environment and data, results. The exit
status is 0 if the results are identical to the bit, else 1."""

STORE_KEYS = ("paths.", "tracking.", "debug=")
"""Beginnings of the keys that these commands take."""

_REFUSAL = (
    "the configuration is taken from the recorded run, so that only paths.* and tracking.* may be "
    "given"
)


def rerun(arguments: Sequence[str]) -> int:
    """Make recorded runs again, and hold each against its first time.

    Returns:
        0 if all are identical, 130 after Ctrl-C, else 1.

    Raises:
        ConfigError: the arguments, or a recorded configuration that is not trusted.
        TrackingError: the store, or a run that it does not have.
        Terminated: a signal asked the process to end.
    """
    parser = CommandParser("rerun")
    parser.add_argument("--sweep", default="")
    parser.add_argument("--allow", action="append", default=[])
    given = parser.split(arguments, STORE_KEYS, _REFUSAL)
    if len(given.words) + bool(given.sweep) != 1:
        parser.error("expected one of RUN_ID, --sweep SWEEP_ID and FILE.zip")
    from regexp.rerun import session
    from regexp.tracking import Terminated

    try:
        return session.rerun(given.config, *given.words, sweep_id=given.sweep, allowed=given.allow)
    except (KeyboardInterrupt, Terminated) as interruption:
        print("\nInterrupted. What was made again until now is recorded.", flush=True)
        if isinstance(interruption, KeyboardInterrupt):
            return INTERRUPTED
        raise


def diff(arguments: Sequence[str]) -> int:
    """Print what differs between two recorded runs.

    Returns:
        0 if their results are identical, else 1.

    Raises:
        ConfigError: the arguments.
        TrackingError: the store, or a run that it does not have.
    """
    parser = CommandParser("diff")
    given = parser.split(arguments, STORE_KEYS, _REFUSAL)
    if len(given.words) != 2:
        parser.error("expected RUN_ID RUN_ID")
    from regexp.rerun import session

    return session.diff(given.config, *given.words)
