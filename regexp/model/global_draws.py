"""Refuses what draws behind the back of the runs' streams, as such runs cannot be made again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from regexp.errors import ConfigError
from regexp.random import EVERYBODYS, global_states, moved


@contextmanager
def no_global_draws(
    what: str, cure: str, *, key: str = "", whose: Iterable[str] = EVERYBODYS
) -> Iterator[None]:
    """Refuse code that draws from a global random state.

    Args:
        what: the beginning of a sentence, `{}` in the place of the state: "it draws from {}".
        cure: from what to draw instead.
        key: of the configuration that names the code.
        whose: states are looked at, names of `regexp.random.global_states`.

    Raises:
        ConfigError: one of the states was moved when the code had ended without an error.
    """
    before = global_states(whose)
    yield
    if names := moved(before):
        state = f"{names[0]}'s global random state"
        raise ConfigError(
            f"{what.format(state)}, so that the runs could not be made again", key=key, cure=cure
        )
