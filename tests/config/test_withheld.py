"""Addresses with credentials on the command line and in YAML: Hydra reads what is left of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from regexp.addresses import whole
from regexp.commands.arguments import parse
from regexp.config.jobs import compose, compose_config
from regexp.config.withheld import withhold_config, withhold_words
from regexp.errors import ConfigError

SERVER = "http://me:secret@host:5000"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (f"tracking.uri={SERVER}", "tracking.uri=http://host:5000"),
        (f"++tracking.uri='{SERVER}'", "++tracking.uri='http://host:5000'"),
        (f"tracking={{uri: {SERVER}, wait: 1}}", "tracking={uri: http://host:5000, wait: 1}"),
        (f"x=[{SERVER},http://a:secret@b]", "x=[http://host:5000,http://b]"),
        (f"x={SERVER},http://a:secret@b", "x=http://host:5000,http://b"),
        ("x='postgresql://me:a secret, b@h/runs'", "x='postgresql://h/runs'"),
        ("x='https://h/a.csv?token=a,secret&b=c'", "x='https://h/a.csv?b=c'"),
        ("x=['https://h/a?token=secret']", "x=['https://h/a']"),
        (f"{SERVER}", "http://host:5000"),
        (f"x=[{SERVER}", "x=[http://host:5000"),  # no word of Hydra's grammar
        (f"--config-dir={SERVER}", "--config-dir=http://host:5000"),
    ],
)
def test_a_word_keeps_all_but_the_credentials(word: str, expected: str) -> None:
    assert withhold_words([word, "a=b"]) == [expected, "a=b"]
    assert withhold_words([expected]) == [expected]


def test_an_escaped_password_is_remembered_as_hydra_reads_it() -> None:
    [word] = withhold_words([r"x=postgresql://me:a\,secret\=@h/runs"])
    assert word == "x=postgresql://h/runs"
    assert whole("postgresql://h/runs") == "postgresql://me:a,secret=@h/runs"


def test_what_a_word_takes_from_the_environment_is_part_of_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ME", "me:secret")
    word = "tracking.uri=postgresql://${oc.env:ME}@host/runs"
    assert withhold_words([word]) == ["tracking.uri=postgresql://host/runs"]
    assert whole("postgresql://host/runs") == "postgresql://me:secret@host/runs"
    monkeypatch.delenv("ME")
    with pytest.raises(ConfigError, match=r"^postgresql://host/runs: .*variable 'ME'"):
        withhold_words([word])


def test_a_configuration_keeps_all_but_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRESS", SERVER)
    config = OmegaConf.create(
        {
            "uri": "${oc.env:ADDRESS}",
            "again": "${uri}",
            "in": {"lists": [1, None, {"url": f"{SERVER}/a.csv"}], "later": "${in.nothing}"},
            "missing": "???",
            "node": "${in}",
            "words": f"from {SERVER} at noon",
        }
    )
    OmegaConf.set_readonly(config, True)
    OmegaConf.set_struct(config, True)
    withhold_config(config)
    assert OmegaConf.to_container(config) == {
        "uri": "http://host:5000",
        "again": "${uri}",
        "in": {"lists": [1, None, {"url": "http://host:5000/a.csv"}], "later": "${in.nothing}"},
        "missing": "???",
        "node": "${in}",
        "words": "from http://host:5000 at noon",
    }
    assert whole("http://host:5000/a.csv") == f"{SERVER}/a.csv"
    assert whole("http://host:5000") == SERVER


def test_what_a_resolver_makes_and_what_is_not_there_yet_hide_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NODE", f"{{uri: '{SERVER}'}}")
    made = "${oc.create:${oc.decode:${oc.env:NODE}}}"
    config = OmegaConf.create({"uri": "${made.uri}", "made": made})
    withhold_config(config)
    assert config.uri == "http://host:5000"
    later = OmegaConf.create({"url": f"{SERVER}/${{lengths.steps}}"})
    with pytest.raises(ConfigError, match=r"^http://host:5000/\$\{lengths.steps\}: "):
        withhold_config(later)


def test_nothing_that_is_composed_has_them(tmp_path: Path) -> None:
    """Neither a job, nor the sweep with Hydra's own node, nor what the other commands read."""
    experiment = tmp_path / "experiment"
    experiment.mkdir()
    (experiment / "mine.yaml").write_text(
        f"# @package _global_\ntracking:\n  uri: {SERVER}\nhydra:\n  job:\n    name: {SERVER}/x\n"
    )
    options, _ = parse(["--config-dir", str(tmp_path), "-m", "experiment=mine", "seeds=1,2"])
    sweep = compose(options)
    composed = [sweep.master, sweep.config, *(job.config for job in sweep.jobs)]
    options.overrides.pop()
    composed.append(compose_config(options))
    assert {config.tracking.uri for config in composed} == {"http://host:5000"}
    assert "secret" not in repr(composed)
