"""Commands that messages print: what is pasted into a terminal works on the same store."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_config
from regexp.config.withheld import without_grammar
from regexp.tracking import pasted

SERVER = "http://127.0.0.1:5000"


def test_the_defaults_are_those_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGEXP_DATA", raising=False)
    paths = compose_config(parse([])[0]).paths
    assert OmegaConf.to_container(paths, resolve=True) == {
        "mlruns": pasted.MLRUNS, "data": pasted.DATA,
    }  # fmt: skip
    assert pasted.command("compare", "ab", uri=None, folder="mlruns") == "regexp compare ab"


@pytest.mark.parametrize("folder", ["runs", "/a b/100%/it's", "./~me/x", "a#b?c", "{x},[y]"])
@pytest.mark.parametrize("uri", [None, SERVER, "sqlite:////x%20y/z.db?timeout=2"])
def test_what_is_no_default_is_said(folder: str, uri: str | None) -> None:
    printed = pasted.command("rerun", "--sweep", "ab", uri=uri, folder=folder, data="/my data")
    name, verb, option, sweep_id, *overrides = shlex.split(printed)
    assert (name, verb, option, sweep_id) == ("regexp", "rerun", "--sweep", "ab")
    config = compose_config(parse(overrides)[0])
    assert (config.tracking.uri, config.paths.mlruns) == (uri, folder)
    assert config.paths.data == "/my data"


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 1e-05, "a", "1", "null", "", "a, b", 'x"y', "c:\\d", ["a b", 2, None],
     {"a b": 0.5, "c": [1, "2"]}, "%x", "@x", "größe", "/home/jürgen/x", "1e3", "inf", "NaN",
     "-a", "+a", "./a-b/c@d%e:f", "_x", "C:"],
)  # fmt: skip
def test_hydra_reads_a_value_as_it_is(value: object) -> None:
    word = pasted.assignment("key", value)
    read = OverridesParser.create().parse_override(word).value()
    assert without_grammar(read) == value


def test_what_the_environment_says_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGEXP_DATA", "/data")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:5000")
    said = pasted.command("ui", uri=SERVER, folder=Path("mlruns"), data="/data")
    assert said == "regexp ui"
    other = pasted.command("ui", uri="http://other:5000", folder="mlruns", data="data")
    assert other == "regexp ui tracking.uri=http://other:5000"


def test_no_password_is_printed() -> None:
    said = pasted.command("ui", uri="http://me:secret@host:5000", folder="mlruns")
    assert said == (
        "MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD "
        "regexp ui tracking.uri=http://host:5000"
    )
