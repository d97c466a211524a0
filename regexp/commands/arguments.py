"""From the words of the command line to Hydra's options and overrides."""

import argparse
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NoReturn

from hydra import __version__ as hydra_version
from hydra._internal.utils import get_args_parser

from regexp import __version__
from regexp.commands import COMMANDS, usage_of
from regexp.config.composition import CONFIG_NAME
from regexp.config.homes import quote_tildes
from regexp.config.jobs import compose_config
from regexp.config.strays import with_plus
from regexp.config.withheld import withhold_words
from regexp.errors import ConfigError, nearest

COMPOSING = ("search", "study")
"""The commands that compose jobs, and take Hydra's options for it."""

ANSWERED = ("cfg", "info", "hydra_help", "shell_completion")
"""Options that Hydra answers alone, beside --help."""


def read_words(arguments: Sequence[str]) -> list[str]:
    """Words as a user gives them, ready to `parse`: `~` is quoted, credentials are withheld."""
    if not os.environ.get("REGEXP_DATA"):  # set to nothing is not set
        os.environ.pop("REGEXP_DATA", None)
    return withhold_words(quote_tildes(arguments))


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's options, and the arguments to hand on to it.

    `grid.key=...` becomes `++grid.key=...`, and so does `regularizer.l1.key=...`: in a sweep over
    techniques it is meant for the jobs that have l1 (see `without_strays`). Options may stand
    anywhere; Hydra wants them before the overrides. `--debug` becomes `debug=true`, which the jobs
    read.

    Raises:
        ConfigError: the option of Hydra's that unpickles a file, and one that is none.
    """
    rewritten = list(map(with_plus, arguments))
    parser = _parser()
    parsed, others = parser.parse_known_intermixed_args(rewritten)
    if unknown := _options(others):
        raise _no_option(unknown[0], parser)
    options = [word for word in rewritten if word != "--debug"]
    for override in parsed.overrides:
        options.remove(override)
    if parsed.debug:
        parsed.overrides.append("debug=true")
    if parsed.experimental_rerun:
        raise ConfigError(
            "--experimental-rerun: it unpickles the file that it is given, which may run any "
            "code; use regexp rerun RUN_ID"
        )
    return parsed, [*options, *parsed.overrides]


def check_first(arguments: Sequence[str]) -> None:
    """Check that the name of a command, where there is one, is the first word.

    Raises:
        ConfigError: it is not; the message has the command as it is meant.
    """
    given, others = _parser().parse_known_intermixed_args(list(arguments))
    name = next((word for word in given.overrides if word in COMMANDS), "")
    if not name:
        return
    rest = list(arguments)
    rest.remove(name)
    own = Counter([*given.overrides, *others, "--debug", "--help", "-h"])  # all but Hydra's
    own.subtract([name])
    words, options = list[str](), list[str]()
    for word in rest:
        (words if own[word] > 0 else options).append(word)
        own.subtract([word])
    if name == "search":
        words, options = rest, []
    elif name in COMPOSING:  # the experiment comes first
        words, options = [*words, *options], []
    out = [f" ({_where(one)}, so it is left out)" for one in _options(options)]
    raise ConfigError(
        "expected as the first word, as the name of a command",
        key=name,
        cure=f"give {shlex.join(['regexp', name, *words])}{''.join(out[:1])}",
    )


def _options(words: Iterable[str]) -> list[str]:
    """The options among words, without values."""
    return [word.partition("=")[0] for word in words if word.startswith("-")]


def _no_option(option: str, parser: argparse.ArgumentParser) -> ConfigError:
    """That training has no such option, and what has it."""
    if where := _where(option):
        return ConfigError(f"{where}; a command's name comes first, as in regexp NAME ...")
    known = [one for action in parser._actions for one in action.option_strings]
    long = [one for one in known if one.startswith("--")]
    return ConfigError(
        "there is no such option; keys are given without dashes, as key=value"
        + nearest(option, long),
        key=option,
    )


def _where(option: str) -> str:
    """Which commands have an option; empty if none has."""
    usages = {name: usage_of(name) for name in COMMANDS}
    pattern = re.compile(rf"^ +{re.escape(option)}(?![\w-])", re.MULTILINE)
    takers = [f"regexp {name}" for name, usage in usages.items() if pattern.search(usage)]
    if not takers and any(option in action.option_strings for action in _parser()._actions):
        takers = ["training", *(f"regexp {name}" for name in COMPOSING)]
    *several, last = takers or [""]
    joined = f"{', '.join(several)} and {last}" if several else last
    return f"{option} is an option of {joined}" if last else ""


def check_words(options: argparse.Namespace, commands: Iterable[str]) -> None:
    """Check that no argument is a word alone, such as a mistyped command.

    Raises:
        ConfigError: one is.
    """
    for word in options.overrides:
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(
                f"{word}: expected key=value, or as the first word a command"
                + nearest(word, commands)
            )


def _parser() -> argparse.ArgumentParser:
    """Hydra's own parser, under our name and version."""
    parser = _Parser(
        prog="regexp",
        usage="regexp [-m] [key=value ...]; see regexp --help",
        parents=[get_args_parser()],
        conflict_handler="resolve",
        add_help=False,
        allow_abbrev=False,  # Hydra would not know what stands for --debug
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"regexp {__version__}, Hydra {hydra_version}",
        help="Show the versions of regexp and Hydra and exit",
    )
    parser.set_defaults(config_name=CONFIG_NAME)
    parser.add_argument("--debug", action="store_true", help="Show whole tracebacks")
    return parser


def starts_jobs(options: argparse.Namespace) -> bool:
    """False for --help, --cfg, --info and the like, which Hydra answers alone."""
    return not (options.help or any(getattr(options, name) for name in ANSWERED))


def check_alone(options: argparse.Namespace) -> None:
    """Check that what Hydra answers alone is asked for alone.

    Raises:
        ConfigError: it is with `--multirun` or `--run`, or with another such question; or what
            only belongs to one is given without it.
    """
    asked = [
        f"--{name.replace('_', '-')}"
        for name in (*ANSWERED, "multirun", "run")
        if getattr(options, name)
    ]
    if len(asked) > 1:
        raise ConfigError(f"{asked[0]} goes without {asked[1]}; leave one of them out")
    for name in ("resolve", "package"):
        if getattr(options, name) and not options.cfg:
            raise ConfigError(f"--{name} goes with --cfg alone: regexp --cfg job --{name}")


class _Parser(argparse.ArgumentParser):
    """Mistakes are told as all others are, and point to the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the arguments."""
        raise ConfigError(message, key=self.prog, cure=f"see {self.prog} --help")


class CommandParser(_Parser):
    """The arguments of a command beside training; add its own options to it.

    Args:
        command: its name.
    """

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"regexp {command}", add_help=False, allow_abbrev=False)
        self.add_argument("--debug", action="store_true")

    def split(
        self, arguments: Sequence[str], keys: tuple[str, ...], refusal: str = ""
    ) -> argparse.Namespace:
        """The options, the `words` among the arguments, and the `config` that the overrides make.

        Args:
            arguments: without the command's name.
            keys: beginnings of the keys that may be overridden.
            refusal: why no other key may be; if empty, what looks like one is a word.

        Raises:
            ConfigError: an unknown option, another key, or a value that a key does not take.
        """
        self.add_argument("words", nargs="*")
        given, others = self.parse_known_intermixed_args(list(arguments))
        if others:
            wheres = filter(None, map(_where, _options(others)))
            self.error("; ".join([f"unrecognized arguments: {' '.join(others)}", *wheres]))
        overrides = [word for word in given.words if "=" in word and word.startswith(keys)]
        given.words = [word for word in given.words if word not in overrides]
        for word in given.words:
            if refusal and "=" in word:
                raise ConfigError(refusal, key=word)
        given.config = compose_config(parse([*overrides, *["--debug"] * given.debug])[0])
        return given
