"""`regexp rerun` and `regexp diff`."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_one
from regexp.errors import INTERRUPTED, ConfigError
from regexp.rerun.request import Request

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

OWN = ("paths.", "tracking.", "debug")
"""Beginnings of the keys that these commands take."""


def rerun(arguments: Sequence[str]) -> int:
    """Make recorded runs again, and hold each against its first time.

    Returns:
        0 if all are identical, 130 after Ctrl-C, else 1.

    Raises:
        ConfigError: the arguments, or a recorded configuration that is not trusted.
        TrackingError: the store, or a run that it does not have.
        Terminated: a signal asked the process to end.
    """
    request = read(arguments, RERUN)
    if request is None:
        return 0
    from regexp.rerun import session
    from regexp.tracking import Terminated

    if len(request.words) + bool(request.sweep) != 1:
        raise ConfigError(
            "regexp rerun: expected one of RUN_ID, --sweep SWEEP_ID and FILE.zip; "
            "see regexp rerun --help"
        )
    try:
        return session.run(request)
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
    request = read(arguments, DIFF)
    if request is None:
        return 0
    if len(request.words) != 2 or request.sweep or request.allowed:
        raise ConfigError("regexp diff: expected RUN_ID RUN_ID; see regexp diff --help")
    from regexp.rerun import session

    return session.diff(request)


def read(arguments: Sequence[str], usage: str) -> Request | None:
    """What the arguments ask for; None if that is the usage alone, which is printed.

    Raises:
        ConfigError: an unknown option, or a key that these commands do not take.
    """
    if {"--help", "-h"} & {*arguments}:
        print(usage)
        return None
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--sweep", default="")
    parser.add_argument("--allow", action="append", default=[])
    parser.add_argument("--debug", action="store_true")
    parsed = parser.parse_intermixed_args(list(arguments))
    words = tuple(word for word in parsed.words if "=" not in word)
    overrides = [word for word in parsed.words if "=" in word]
    for override in overrides:
        if not override.startswith(OWN):
            raise ConfigError(
                f"{override}: the configuration is taken from the recorded run, so that only "
                "paths.* and tracking.* may be given"
            )
    if parsed.debug:
        overrides.append("debug=true")
    config = compose_one(parse(overrides)[0])
    return Request(words, parsed.sweep, tuple(parsed.allow), config)


class _Parser(argparse.ArgumentParser):
    """One that complains in the words of the other messages."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see regexp rerun --help")
