"""`regexp ui` and `regexp deliver`: the store of runs."""

from collections.abc import Sequence

from omegaconf import DictConfig

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_one

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


def _config(arguments: Sequence[str], usage: str) -> DictConfig | None:
    """The configuration that overrides ask for; None where only the usage is, which is printed."""
    if {"--help", "-h"} & {*arguments}:
        print(usage)
        return None
    return compose_one(parse(arguments)[0])
