"""A search and the sweep that is its verdict, of which one is deleted."""

from __future__ import annotations

import pytest

from regexp.__main__ import USAGE_ERROR, run
from regexp.commands.explain import _verdict_of
from regexp.metrics.names import OF_SEARCH, SEARCH
from regexp.tracking.stored import Reader
from tests.sandbox import Sandbox
from tests.search.records_by_hand import record
from tests.tracking.runs import start


@pytest.fixture
def searched(sandbox: Sandbox) -> tuple[str, str, str]:
    """Ids of a search, of its verdict and of the verdict that it had before it went on."""
    with sandbox.tracker() as tracker:
        keys = ("key search", "worth of key", "other worth of key")
        search, worth, before = (tracker.sweep(key, key, {}) for key in keys)
        search.text(record(verdict=worth.id).as_json(), SEARCH)
        for sweep in (worth, before):
            start(tracker, sweep.id, fingerprint=sweep.id, name="a run").finish()
            sweep.tags({OF_SEARCH: search.id})
            sweep.finish()
        search.finish()
    return search.id, worth.id, before.id


def test_who_deletes_a_verdict_is_told_of_the_search_and_the_search_tells_of_it(
    sandbox: Sandbox, searched: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    search, worth, before = searched
    where = f"paths.mlruns={sandbox.store}"
    assert run(["delete", before, "--yes", where]) == 0
    assert "search" not in capsys.readouterr().out
    assert run(["delete", worth, "--yes", where]) == 0
    told = capsys.readouterr().out
    assert f"It is the verdict of the search {search}, which `regexp compare` and " in told
    assert "the command of the search (search dataset=digits) trains it anew." in told
    for command in ("compare", "explain"):
        assert run([command, search, where]) == USAGE_ERROR
        assert (
            f"{search}: the verdict of this search, the sweep {worth}, was deleted; give the "
            "command of the search again (search dataset=digits), which trains it anew"
        ) in capsys.readouterr().err
    assert run(["delete", search, "--yes", where]) == 0
    assert "verdict" not in capsys.readouterr().out


def test_a_verdict_outlives_its_search(
    sandbox: Sandbox, searched: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    search, worth, _ = searched
    where = f"paths.mlruns={sandbox.store}"
    assert run(["delete", search, "--yes", where]) == 0
    assert f"Its verdict, the sweep {worth}, stays." in capsys.readouterr().out
    assert _verdict_of(Reader(None, sandbox.store), worth) == (worth, {}), "as any sweep"
    assert run(["delete", worth, "--yes", where]) == 0
    assert "search" not in capsys.readouterr().out
