"""`~` in paths: what Hydra's own parser reads of the words, and the folders that come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from regexp.addresses import whole
from regexp.commands.arguments import parse
from regexp.config.homes import quote_tildes
from regexp.config.jobs import compose
from regexp.config.withheld import withhold_words
from regexp.errors import ConfigError


def read(word: str) -> Any:
    """A value of a word as Hydra reads it."""
    [override] = OverridesParser.create().parse_overrides(quote_tildes([word]))
    if override.is_sweep_override():
        return [getattr(one, "text", one) for one in override.value().list]  # type: ignore[union-attr]
    return override.value()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a=~/x y", "~/x y"),
        ("a=~", "~"),
        ("a=sqlite:///~/x.db", "sqlite:///~/x.db"),
        ("a=[~/x,b,c~1]", ["~/x", "b", "c~1"]),
        ("a={uri: sqlite:///~/x, wait: 1}", {"uri": "sqlite:///~/x", "wait": 1}),
        ("a=~/x,~you/y", ["~/x", "~you/y"]),
        ("++a='~/x'", "~/x"),
        ('a="~/it\'s"', "~/it's"),
    ],
)
def test_hydra_reads_a_tilde(word: str, value: Any) -> None:
    assert read(word) == value


@pytest.mark.parametrize("word", ["~a", "~a=b", "a=b", "--config-dir=~/x", "a='~'"])
def test_other_words_stay_as_they_are(word: str) -> None:
    assert quote_tildes([word]) == [word]


def test_a_password_with_a_tilde_is_withheld() -> None:
    words = withhold_words(quote_tildes(["tracking.uri=postgresql://me:se~cret@host/runs"]))
    assert words == ["tracking.uri='postgresql://host/runs'"]
    assert whole("postgresql://host/runs") == "postgresql://me:se~cret@host/runs"


def composed(*words: str) -> Any:
    return compose(parse(quote_tildes(words))[0]).jobs[0].config


def test_folders_begin_with_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REGEXP_DATA", "~/data")
    config = composed("paths.mlruns=~/my runs")
    assert config.paths.mlruns == f"{tmp_path}/my runs"
    assert config.paths.data == f"{tmp_path}/data"
    assert config.launch.folder.startswith(f"{tmp_path}/my runs/hydra/")
    assert composed("paths.mlruns=./~/runs").paths.mlruns == "./~/runs"


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(ConfigError, match=r"paths.mlruns=~nobody-here/x: .*home directory"):
        composed("paths.mlruns=~nobody-here/x")
