"""Silence MLflow's loggers for a while."""

import logging
import threading


class Quiet:
    """Loggers that are silenced while at least one thread asks for it."""

    def __init__(self, *names: str) -> None:
        self._loggers = [logging.getLogger(name) for name in names]
        self._levels: list[int] = []
        self._users = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._levels = [logger.level for logger in self._loggers]
                for logger in self._loggers:
                    logger.setLevel(logging.CRITICAL + 1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for logger, level in zip(self._loggers, self._levels, strict=True):
                    logger.setLevel(level)


# What these say is handled here: retries, failures, the tables of a new database.
quiet = Quiet("mlflow", "alembic", "urllib3.connectionpool")
