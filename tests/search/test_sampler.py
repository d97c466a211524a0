"""Optuna as a sampler: what it proposes follows from the batch's seed and the earlier trials."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
import types
from typing import Any

import pytest

from regexp.config.search_space import Dimension
from regexp.errors import ConfigError
from regexp.search.sampler import BEST, MOST, propose, require, told
from regexp.search.space import Draw, Parameter


def parameters() -> list[Parameter]:
    return [
        Parameter(Dimension("optimizer.lr", "", "", (), 1e-4, 0.1, True)),
        Parameter(Dimension("model.hidden", "", "", ([4], [8, 8])), structural=True),
        Parameter(Dimension("depth", "", "", (), 1, 9, integer=True), structural=True),
        Parameter(Dimension("regularizer.dropout", "", "", (False, True)), switches=("dropout",)),
        Parameter(
            Dimension("regularizer.dropout.p", "", "", (), 0.0, 0.8), ("regularizer.dropout", True)
        ),
    ]


def tried(count: int) -> list[Any]:
    """Trials of a made response: dropout at 0.6 and lr 0.01 is best."""
    drawn: list[Draw] = []
    for start in range(0, count, 16):
        drawn += propose(parameters(), [(draw, worth(draw)) for draw in drawn], [], 16, start)
    return [(draw, worth(draw)) for draw in drawn]


def worth(draw: Any) -> float:
    return abs(draw.get("regularizer.dropout.p", -1) - 0.6) + abs(draw["optimizer.lr"] - 0.01)


@pytest.fixture(autouse=True)
def _optuna(request: pytest.FixtureRequest) -> None:
    if "without" not in request.node.name:
        pytest.importorskip("optuna", minversion="4")


def test_after_48_trials_another_process_proposes_the_same() -> None:
    earlier = tried(48)
    ours = propose(parameters(), earlier, [], 16, 48)
    code = (
        "import json; from tests.search.test_sampler import *; "
        "print(json.dumps(propose(parameters(), tried(48), [], 16, 48)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == json.loads(json.dumps(ours))
    assert propose(parameters(), earlier, [], 16, 49) != ours


def test_a_batch_is_in_range_different_and_alike_in_structure() -> None:
    batch = propose(parameters(), tried(16), [], 16, 16)
    assert len({json.dumps(draw) for draw in batch}) > 12
    assert len({json.dumps([draw["model.hidden"], draw["depth"]]) for draw in batch}) == 1
    for draw in batch:
        assert 1e-4 <= draw["optimizer.lr"] <= 0.1
        assert float(f"{draw['optimizer.lr']:.4g}") == draw["optimizer.lr"]
        assert draw["model.hidden"] in ([4], [8, 8])
        assert 1 <= draw["depth"] <= 9
        assert ("regularizer.dropout.p" in draw) == draw["regularizer.dropout"]


def test_what_is_given_comes_first_also_outside_of_its_range() -> None:
    given = {"optimizer.lr": 3.0, "model.hidden": [5], "depth": 3, "regularizer.dropout": False}
    first, *others = propose(parameters(), [], [given], 4, 0)
    assert first == given
    assert {one["depth"] for one in others} == {3}
    again = propose(parameters(), [(first, 0.0)], [], 4, 1)
    assert len(again) == 4


def test_a_technique_that_an_earlier_batch_did_not_have_was_off_in_it() -> None:
    """The best have it not: it is known to be no loss, and drawn less often than by chance."""
    key = "regularizer.dropout"
    off = [({**draw, key: False}, rank) for draw, rank in tried(64) if not draw[key]]
    without = [({name: draw[name] for name in draw if name != key}, rank) for draw, rank in off]
    drawn = propose(parameters(), without, [], 16, 64)
    assert drawn == propose(parameters(), off, [], 16, 64)
    assert 0 < sum(draw[key] for draw in drawn) < 8


def test_a_choice_that_is_null_is_known_as_any_other() -> None:
    """A scheduler's or scikit-learn's None: what is drawn is what a word in its place has drawn."""

    def drawn(first: str | None) -> list[int]:
        choices = (first, "balanced")
        weights = [Parameter(Dimension("class_weight", "", "", choices))]
        earlier: list[Any] = [({"class_weight": choices[at % 2]}, float(at)) for at in range(32)]
        earlier += [({"class_weight": first}, float(-at)) for at in range(32)]
        batch = propose(weights, earlier, [], 16, 64)
        return [choices.index(draw["class_weight"]) for draw in batch]

    assert drawn(None) == drawn("none")
    assert sum(drawn(None)) < 8, "the first is the better"


def test_it_finds_what_is_better_sooner_than_by_chance() -> None:
    """With 80 trials the best 8 of the last batch are nearer than those of the first."""
    values = [value for _, value in tried(80)]
    assert sum(sorted(values[-16:])[:8]) < sum(sorted(values[:16])[:8])


def test_of_many_trials_it_is_told_the_best_and_some_of_all_others() -> None:
    """So that a draw takes no longer; few are told as they are, and Optuna's good ones always."""
    ranks = [float(at * 7919 % 1000) for at in range(1000)]
    earlier: list[Any] = [({"optimizer.lr": 0.01, "at": at}, rank) for at, rank in enumerate(ranks)]
    assert told(earlier[:MOST]) == earlier[:MOST]
    positions = [draw["at"] for draw, _ in told(earlier)]
    assert positions == sorted({*positions})
    assert len(positions) == MOST
    assert {at for at, rank in enumerate(ranks) if rank < BEST} <= {*positions}
    others = sorted(ranks[at] for at in positions)[BEST:]
    quarters = [others[len(others) * part // 4] for part in (1, 2, 3)]
    assert quarters == pytest.approx([269, 512, 756], abs=40), "they are like those left out"
    optuna = require()
    assert optuna.samplers._tpe.sampler.default_gamma(MOST) == BEST
    assert optuna.samplers._tpe.sampler.default_gamma(10_000) == BEST


def test_without_optuna_the_message_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *others: Any) -> types.ModuleType:
        if name == "optuna":
            raise ModuleNotFoundError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install 'regexp\[search\]'"):
        require()


def test_without_a_new_optuna_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = types.ModuleType("optuna")
    old.__version__ = "2.10.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optuna", old)
    with pytest.raises(ConfigError, match=r"needs Optuna 4 or later, and 2\.10\.1"):
        require()
