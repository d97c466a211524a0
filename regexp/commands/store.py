"""`regexp ui` and `regexp deliver`: the store of runs."""

from collections.abc import Sequence

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_config

UI = """\
regexp ui [tracking.uri=...] [paths.mlruns=...] [tracking.port=...] [tracking.host=...]

Open the MLflow UI of the recorded runs on this machine, until Ctrl-C."""

DELIVER = """\
regexp deliver [tracking.uri=...] [paths.mlruns=...]

Send the records that wait in FOLDER/undelivered, where FOLDER is paths.mlruns, to the store: what
a lost server could not take. Every training command does so as well."""


def ui(arguments: Sequence[str]) -> int:
    """Serve the store until Ctrl-C."""
    from regexp.tracking import serve

    config = compose_config(parse(arguments)[0])
    tracking = config.tracking
    return serve(tracking.uri, config.paths.mlruns, tracking.port, tracking.host)


def deliver(arguments: Sequence[str]) -> int:
    """Send what waits on disk."""
    from regexp.tracking import deliver

    config = compose_config(parse(arguments)[0])
    return deliver(config.tracking.uri, config.paths.mlruns)
