"""What the command line prints: output that outlives its reader, errors in one message, help."""

import errno
import io
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

from regexp.addresses import print_traceback, public
from regexp.errors import ConfigError, in_words, printable

LENGTH = 4000
"""Characters of an error message at most: files from elsewhere may have names of any length."""


class Lasting(io.FileIO):
    """An output whose writers go on when it takes nothing more.

    A sweep must not end because `| head` has seen enough, or the disk of its log file is full.

    Attributes:
        lost: why something was not written, though somebody would have read it.
    """

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """As of a file, but that what cannot be written is dropped."""
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.lost = error
        return memoryview(data).nbytes


def outlast() -> list[Lasting]:
    """Make standard output and standard error `Lasting`, and able to print any character."""
    outputs = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started the command
            continue
        outputs.append(raw := Lasting(stream.fileno(), "w", closefd=False))
        lines = name == "stderr" or raw.isatty()
        text = io.TextIOWrapper(
            io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=lines
        )
        setattr(sys, name, text)
    return outputs


def close(outputs: Sequence[Lasting]) -> bool:
    """Write what is left, and say so on standard error if something was lost; whether it was."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    lost = [one.lost for one in outputs if one.lost]
    if lost:
        print(f"regexp: not all of the output could be written: {lost[0]}", file=sys.stderr)
    return bool(lost)


def wants_traceback(arguments: Sequence[str]) -> bool:
    """Whether a command asks for tracebacks: --debug, debug=true or Hydra's own variable."""
    asked = {"--debug", "debug=true"} & {argument.lower() for argument in arguments}
    return bool(asked or os.environ.get("HYDRA_FULL_ERROR"))


def plain_warnings() -> None:
    """Say warnings in one line each, without the line of code that they come from."""

    def one_line(message: Warning | str, *_: object, **__: object) -> str:
        return f"regexp: warning: {' '.join(public(str(message)).split())}\n"

    warnings.formatwarning = one_line
    # of `vmap`, on functions that it calls run by run, as if runs were alone: nothing to do about
    warnings.filterwarnings("ignore", message="There is a performance drop")


def explain_error(error: Exception) -> tuple[str, bool]:
    """What a user is told of an error, and whether it is the command that is wrong.

    Returns:
        (one message, whether nothing was run for what the user wrote or has)
    """
    from regexp.tracking.error import TrackingError

    if isinstance(error, ConfigError | TrackingError):
        return _printable(str(error)), True
    reason = _printable(" ".join(str(error).partition("\nException raised from")[0].split()))
    if isinstance(error, MemoryError):
        return f"out of memory ({reason or 'no more could be had'})", False
    if isinstance(error, RecursionError):
        return "something in the command or in a file that it reads is nested too deeply", False
    if isinstance(error, ImportError):
        told = "a Python package is missing or broken here"
        return f"{told} ({reason or type(error).__name__}); --debug shows which needs it", False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return reason, False
    return f"unexpected {_printable(in_words(error))}; --debug shows where", False


def print_error(error: Exception, *, trace: bool) -> bool:
    """Print `explain_error` of an error, and its traceback if that is asked for."""
    if trace:
        print_traceback(error)
    message, mistaken = explain_error(error)
    print(f"regexp: {message}", file=sys.stderr)
    return mistaken


def wrapped(text: str) -> str:
    """A help text, with the long lists of a group's choices wrapped to the terminal's width."""
    width = shutil.get_terminal_size().columns
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    lines = text.splitlines()
    return "\n".join(wrapper.fill(line) if line.count(", ") > 2 else line for line in lines)


def _printable(text: str) -> str:
    """A message without credentials or what would steer the terminal, and not too long for it."""
    shown = "\n".join(map(printable, public(text).split("\n")))
    return shown if len(shown) <= LENGTH else f"{shown[:LENGTH]}..."
