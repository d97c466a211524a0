"""What a search starts from, composed without the techniques that a test does not name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from regexp.commands.arguments import parse
from regexp.config.searched import Searched, compose_search

NAMED = "search.techniques="


def compose_named(words: Sequence[str], names: Sequence[str] | None = None) -> Searched:
    """`compose_search` of a command, as if there were no other techniques.

    That of the more than a hundred that there are takes a second and more, most of it Hydra's.

    Args:
        words: of the command, with a list of techniques in `search.techniques` unless `names` has
            them.
    """
    if names is None:
        [named] = [word.removeprefix(NAMED) for word in words if word.startswith(NAMED)]
        names = named.strip("[]").split(",")
    every = ConfigLoaderImpl.get_group_options

    def few(loader: ConfigLoaderImpl, group_name: str, *given: Any, **options: Any) -> list[str]:
        found = every(loader, group_name, *given, **options)
        return [name for name in found if group_name != "regularizer" or name in names]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(ConfigLoaderImpl, "get_group_options", few)
        return compose_search(parse(words)[0])
