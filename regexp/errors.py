"""The errors that users see, and the words that all messages share.

An error has what is wrong as fields, from which its message is made. Nothing reads a message to
find out what happened: whoever wants to know asks the fields. May be imported from everywhere, and
imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

__all__ = [
    "INTERRUPTED",
    "ConfigError",
    "NotApplicable",
    "count",
    "few",
    "first_line",
    "in_a_file",
    "in_words",
    "kind_and_reason",
    "nearest",
    "once",
    "printable",
    "reason_of",
]

INTERRUPTED = 130
"""The exit status that shells give to what Ctrl-C ended."""

_NOTHING = object()

# Control characters but the tab and the ends of lines.
_STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# Where Python and pip have their files.
_INSTALLED = re.compile(r"[/\\](site-packages|dist-packages|python3\.\d+)[/\\]|^<")

_NUMBER = re.compile(r"\d[\d.,]*(e[-+]?\d+)?")


class ConfigError(ValueError):
    """What was asked for cannot be run. The message is for the user, without a traceback.

    It reads `KEY=GOT: expected EXPECTED; CURE (in the job JOB)`, or `KEY: PROBLEM; CURE` where no
    expectation says it all.

    Args:
        problem: what is wrong; the whole message where nothing else is given.
        key: the dotted key, option or file that is wrong.
        got: its value, shown as one would write it on the command line; left out if not given.
        expected: what the value should have been.
        cure: what to do about it.
        job: the overrides of the job that is wrong, where a sweep has several.
    """

    def __init__(
        self,
        problem: str = "",
        *,
        key: str = "",
        got: Any = _NOTHING,
        expected: str = "",
        cure: str = "",
        job: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.key = key
        self.got = got
        self.expected = expected
        self.cure = cure
        self.job = job

    def __str__(self) -> str:
        head = self.key if self.got is _NOTHING else f"{self.key}={_shown(self.got)}"
        message = f"{head}: {self.reason}" if head else self.reason
        return f"{message} (in the job {self.job})" if self.job else message

    @property
    def reason(self) -> str:
        """The message without the key and the job."""
        expected = f"expected {self.expected}" if self.expected else ""
        return "; ".join(filter(None, (self.problem, expected, self.cure)))

    def __repr__(self) -> str:  # what Hydra shows of an error in a constructor
        return f"{type(self).__name__}({str(self)!r})"


class NotApplicable(ConfigError):  # noqa: N818, in a sweep it is no error
    """A technique has nothing to work on in a job's model or dataset: a sweep leaves it out."""


def _shown(value: object) -> str:
    """A value as one would write it on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def quoted(value: object) -> object:
    """A value as it is; a text that spells a number, which it is not, in quotes: '"3"'."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            float(value)
            return f'"{value}"'
    return value


def printable(text: str) -> str:
    """A text from elsewhere without what would steer a terminal or break a line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def in_a_file(text: str) -> str:
    """A text of several lines without what would steer the terminal of who reads the file."""
    return _STEERING.sub(lambda found: printable(found[0]), text)


def count(number: int, noun: str) -> str:
    """A number of things: "1 run", "10 runs"."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def few(items: Sequence[str]) -> str:
    """The first three of several things: "a, b, c and 2 more"."""
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more


def first_line(said: object) -> str:
    """The first line of what an error says, or of a text; empty if there is none."""
    return (str(said).splitlines() or [""])[0]


def reason_of(error: BaseException) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    return first_line(error) or type(error).__name__


def kind_and_reason(error: BaseException) -> str:
    """The kind of an error, and the first line of what it says: "ValueError: no such row"."""
    return f"{type(error).__name__}: {first_line(error)}"


def once(lines: Iterable[str]) -> list[str]:
    """Each line once; of many that differ in their numbers alone three, and how many more."""
    by_words: dict[str, dict[str, None]] = {}
    for line in lines:
        by_words.setdefault(_NUMBER.sub("#", line), {})[line] = None
    said = []
    for alike in by_words.values():
        said += [*alike][:3]
        if len(alike) > 3:
            key = said[-1].partition(": ")[0]
            said.append(f"{key}: {len(alike) - 3} more like these, which the runs keep")
    return said


def nearest(word: str, choices: Iterable[str], prefix: str = "") -> str:
    """The part of a message that suggests valid choices: the nearest ones, or else all.

    Args:
        word: what was written.
        choices: what would have been valid.
        prefix: stands before each choice in the message.
    """
    choices = sorted(set(choices))
    if close := _close(word, choices) or _close_at_the_end(word, choices):
        return f". Did you mean {' or '.join(prefix + choice for choice in close)}?"
    return f". Valid: {', '.join(prefix + choice for choice in choices[:40])}" if choices else ""


def _close(word: str, choices: Iterable[str]) -> list[str]:
    """The choices most like `word`: the best, and what is about as good, at most three."""
    likeness = {
        choice: difflib.SequenceMatcher(None, word.lower(), choice.lower()).ratio()
        for choice in choices
    }
    best = max(likeness.values(), default=0.0)
    close = [one for one, ratio in likeness.items() if ratio >= max(0.6, best - 0.08)]
    return sorted(close, key=lambda one: -likeness[one])[:3]


def _close_at_the_end(word: str, choices: Iterable[str]) -> list[str]:
    """As `_close`, by the last part of dotted keys: l1.strength for regularizer.l1.strength."""
    last = {choice.rpartition(".")[2]: choice for choice in choices}
    return [last[one] for one in _close(word.rpartition(".")[2], last)]


def in_words(error: BaseException) -> str:
    """An error that nobody foresaw, in one line: its kind, what it says, and the line it is from.

    That is the last line of code which is in no installed package, be it ours or the user's own.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _INSTALLED.search(frame.filename)] or frames
    place = f" ({PurePath(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    reason = " ".join(str(error).partition("\nException raised from")[0].split())
    return f"{type(error).__name__}{': ' * bool(reason)}{reason}{place}"
