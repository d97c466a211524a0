"""The words after `regexp`: arguments, terminal, dry run and the commands beside training.

`python` has them as functions, for the package's own face; beside it only `__main__` imports from
here. `run_command` is imported; each command is a module's function.
"""

import importlib
from collections.abc import Callable, Sequence

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
    module = importlib.import_module(f"regexp.commands.{COMMANDS[name]}")
    function = name.replace("-", "_")
    if {"--help", "-h"} & {*arguments}:
        print(getattr(module, function.upper()))
        return 0
    command: Callable[[Sequence[str]], int] = getattr(module, function)
    return command(arguments)
