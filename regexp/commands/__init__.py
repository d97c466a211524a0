"""The words after `regexp`: arguments, terminal, dry run and the commands beside training.

`python` has them as functions, for the package's own face; beside it only `__main__` imports from
here. `run_command` is imported; each command is a module's function.
"""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType

COMMANDS = {
    "compare": "compare",
    "study": "study",
    "search": "search",
    "explain": "explain",
    "rerun": "rerun",
    "diff": "rerun",
    "export": "export",
    "predict": "predict",
    "export-model": "predict",
    "ls": "sweeps",
    "delete": "sweeps",
    "deliver": "store",
    "ui": "store",
}
"""Name -> the module here that has a function of that name (a hyphen is _), which takes the
arguments and returns the exit status, and its usage under that name in capitals. conf/config.yaml
has a line on each for `regexp --help`."""


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one of `COMMANDS`; its module is imported now, for some take seconds."""
    if {"--help", "-h"} & {*arguments}:
        print(usage_of(name))
        return 0
    command: Callable[[Sequence[str]], int] = getattr(_module(name), _function(name))
    return command(arguments)


def usage_of(name: str) -> str:
    """What one of `COMMANDS` says of itself."""
    usage: str = getattr(_module(name), _function(name).upper())
    return usage


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"regexp.commands.{COMMANDS[name]}")


def _function(name: str) -> str:
    return name.replace("-", "_")
