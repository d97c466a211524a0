"""What the process that workers are forked from does before the first: it imports for all."""

import signal
from collections.abc import Iterable
from importlib import import_module

from regexp.config.collector import keep_imports, spare_imports
from regexp.config.postponed import postpone
from regexp.tracking.store import prepare_environment


def preload(modules: Iterable[str]) -> None:
    """Import modules in a process that workers are forked from.

    They ignore Ctrl-C, which a terminal sends to all processes: who started them tells those that
    train, and others would end by it and, under joblib, take all with them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_imports()
    postpone()
    prepare_environment()
    for name in modules:
        import_module(name)
    keep_imports()
