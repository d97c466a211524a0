"""`regexp ui` and `regexp deliver`: the store of runs."""

from collections.abc import Sequence

from omegaconf import DictConfig

from regexp.commands.arguments import CommandParser
from regexp.commands.rerun import STORE_KEYS

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

    config = _store("ui", arguments)
    tracking = config.tracking
    return serve(tracking.uri, config.paths.mlruns, tracking.port, tracking.host)


def deliver(arguments: Sequence[str]) -> int:
    """Send what waits on disk."""
    from regexp.tracking import deliver

    config = _store("deliver", arguments)
    return deliver(config.tracking.uri, config.paths.mlruns)


def _store(command: str, arguments: Sequence[str]) -> DictConfig:
    """The configuration with what says where a store is.

    Raises:
        ConfigError: other keys, and words that are none.
    """
    parser = CommandParser(command)
    given = parser.split(arguments, STORE_KEYS, "expected keys of tracking or paths alone")
    if given.words:
        parser.error(f"expected key=value, got {' '.join(given.words)}")
    config: DictConfig = given.config
    return config
