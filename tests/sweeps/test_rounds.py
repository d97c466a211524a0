"""`seeds: auto`: rounds of seeds, and what goes on after each."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from regexp.commands.arguments import parse
from regexp.compare import Question
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from regexp.sweeps import rounds
from tests.compare.sources import Source, classified
from tests.sandbox import SMALL, Sandbox

AUTO = ["seeds=auto", "seeds_max=10"]


def looks(*overrides: str) -> list[int]:
    return rounds.looks_of(compose(parse(["-m", *overrides])[0]))


def test_looks_are_four_seeds_apart_and_the_last_at_most() -> None:
    assert looks("seeds=auto") == [4, 8, 12, 16, 20]
    assert looks("seeds=auto", "seeds_max=6", "regularizer=none,l1") == [4, 6]
    assert looks("seeds=auto", "seeds_max=4") == [4]
    assert looks("seeds=3") == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["seeds=auto,3"], "the sweep varies its seeds"),
        (["seeds=auto", "seeds_max=8,12"], "the sweep varies its seeds"),
        (["seeds=auto", "seeds_max=3"], "seeds_max=3: expected 4 seeds"),
        (["seeds=auto", "tune.budget=2"], "give a number of seeds"),
        (["seeds=automatic"], "or auto"),
    ],
)
def test_what_cannot_stop_by_itself_is_told(overrides: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        looks(*overrides)


def planned(techniques: Sequence[str], seeds: range) -> list[list[Any]]:
    """Jobs of one technique each; run ids of `classified` serve as fingerprints."""
    return [
        [
            SimpleNamespace(seed=seed, variant="", fingerprint=f"digits{technique}{seed}")
            for seed in seeds
        ]
        for technique in techniques
    ]


class Auto(Source):
    def text(self, run_id: str, name: str) -> bytes | None:
        return b"{seeds: auto, seeds_max: 20}" if name == "sweep.yaml" else None


def seen(techniques: Sequence[str], runs: Any, seeds: range) -> rounds.Seen:
    source = Auto({"a": runs.assign(fingerprint=runs["run_id"])})
    return rounds.look(source, "a", Question(), planned(techniques, seeds), seeds.stop)


TECHNIQUES = ("none", "dropout", "l1", "l2")  # better, worse, no different


def test_what_is_decided_or_hopeless_stops_and_the_baseline_with_the_last() -> None:
    runs = classified(seeds=8)
    over = seen(TECHNIQUES, runs, range(4, 8))
    assert over.closed == {(0, ""), (1, ""), (2, ""), (3, "")}
    assert over.lines == ["At 8 seeds: dropout better; l1 worse; l2 given up; none open."]
    runs.loc[runs["technique"] == "l2", "metrics.test/accuracy"] += 0.009
    going = seen(TECHNIQUES, runs, range(4, 8))
    assert going.closed == {(1, ""), (2, "")}
    assert going.lines == ["At 8 seeds: dropout better; l1 worse; 1 open."]


def test_later_seeds_and_what_was_closed_before_say_nothing() -> None:
    """As where a sweep is started again that had come further before it was broken off."""
    runs = classified(seeds=12)
    runs.loc[runs["technique"] == "l2", "metrics.test/accuracy"] += 0.009
    early = runs[runs["seed"] < 8].reset_index(drop=True)
    assert seen(TECHNIQUES, runs, range(4, 8)).closed == seen(TECHNIQUES, early, range(4, 8)).closed
    without = seen(("none", "dropout", "l1"), runs, range(4, 8))
    assert without.closed == {(0, ""), (1, ""), (2, "")}, "l2 is open, but was given up before"


def test_a_technique_without_a_score_stops() -> None:
    runs = classified(seeds=4)
    runs.loc[runs["technique"] == "l2", "status"] = "FAILED"
    assert (3, "") in seen(TECHNIQUES, runs, range(4)).closed


def test_a_sweep_takes_the_same_course_after_it_was_broken_off(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its runs are those of a sweep whose seeds are given."""
    command = ["-m", "regularizer=none,l1,l2", *SMALL, *AUTO]
    assert sandbox.run(*command, "dry_run=true") == 0
    assert "at least 12 and at most 30 runs" in capsys.readouterr().out

    def look(*arguments: Any) -> rounds.Seen:
        """In this sweep nothing is decided: what goes on is given."""
        found = real(*arguments)
        closed = {4: {(1, "")}, 8: {(0, ""), (2, "")}}[arguments[-1]]
        return rounds.Seen(closed, found.lines, found.spending)

    def broken(*arguments: Any) -> None:
        raise KeyboardInterrupt

    real = rounds.look
    monkeypatch.setattr(rounds, "look", look)
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "keep", broken)
        assert sandbox.run(*command) == 130
    assert sandbox.run(*command) == 0
    runs = sandbox.children()
    assert runs.groupby("technique")["seed"].apply(sorted).to_dict() == {
        "none": [*range(8)],
        "l1": [*range(4)],
        "l2": [*range(8)],
    }
    assert (runs["status"] == "FINISHED").all()
    told = capsys.readouterr().out
    assert "12 of 30 runs exist already; at most 18 to train." in told
    assert told.count("seeds 4 to 7") == 2
    assert sandbox.run("-m", "regularizer=none,l2", *SMALL, "seeds=8") == 0
    assert "16 of 16 runs exist already" in capsys.readouterr().out
