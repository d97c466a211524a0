"""The commands beside training, such as `regexp ui`: each takes its arguments, gives a status."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

UI = """\
regexp ui [tracking.uri=...] [paths.mlruns=...] [tracking.port=...] [tracking.host=...]

Open the MLflow UI of the recorded runs on this machine, until Ctrl-C."""

DELIVER = """\
regexp deliver [tracking.uri=...] [paths.mlruns=...]

Send the records that wait in FOLDER/undelivered, where FOLDER is paths.mlruns, to the store: what
a lost server could not take. Every training command does so as well."""


def ui(arguments: Sequence[str]) -> int:
    """`regexp ui`: serve the store."""
    config = _config(arguments, UI)
    if config is None:
        return 0
    from regexp.tracking import serve

    tracking = config.tracking
    return serve(tracking.uri, config.paths.mlruns, tracking.port, tracking.host)


def deliver(arguments: Sequence[str]) -> int:
    """`regexp deliver`: send what waits on disk."""
    config = _config(arguments, DELIVER)
    if config is None:
        return 0
    from regexp.tracking import deliver

    return deliver(config.tracking.uri, config.paths.mlruns)


def compare(arguments: Sequence[str]) -> int:
    """`regexp compare`: which techniques of recorded sweeps help."""
    from regexp.compare.command import command

    return command(arguments)


def study(arguments: Sequence[str]) -> int:
    """`regexp study`: run an experiment and write it up."""
    from regexp.study import study

    return study(arguments)


def rerun(arguments: Sequence[str]) -> int:
    """`regexp rerun`: make runs again and hold them against the first."""
    from regexp.rerun import command

    return command.rerun(arguments)


def diff(arguments: Sequence[str]) -> int:
    """`regexp diff`: what differs between two runs."""
    from regexp.rerun import command

    return command.diff(arguments)


def export(arguments: Sequence[str]) -> int:
    """`regexp export`: pack a sweep for another person."""
    from regexp.rerun.export import export

    return export(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "compare": compare,
    "study": study,
    "rerun": rerun,
    "diff": diff,
    "export": export,
    "deliver": deliver,
    "ui": ui,
}
"""Name -> what it does; conf/config.yaml has a line on each for `regexp --help`."""


def _config(arguments: Sequence[str], usage: str) -> "DictConfig | None":
    """The configuration that overrides ask for; None where only the usage is, which is printed."""
    if {"--help", "-h"} & {*arguments}:
        print(usage)
        return None
    from regexp.cli import compose_one, parse

    return compose_one(parse(arguments)[0])
