"""What a sweep showed at its end is shown again while nothing of it has changed."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pytest
from omegaconf import OmegaConf

from regexp.sweeps.shown import Noting, Shown, key_of
from tests.sandbox import SMALL, Sandbox

reports = importlib.import_module("regexp.compare.report")  # `compare.report` is its function
COMMAND = ("-m", "regularizer=none,l1", *SMALL, "seeds=3")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the sweeps that were compared."""
    before, found = reports.compare, []

    def noted(source: Any, sweep_ids: Any, *rest: Any) -> Any:
        found.extend(sweep_ids)
        return before(source, sweep_ids, *rest)

    monkeypatch.setattr(reports, "compare", noted)
    return found


def test_a_finished_sweep_shows_the_same_without_comparing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], compared: list[str]
) -> None:
    def shown() -> str:
        assert sandbox.run(*COMMAND) == 0
        out = capsys.readouterr().out
        return out[out.index("\n\n") :] if "technique" in out else out

    first = shown()
    assert "verdict" in first
    assert "regexp rerun --sweep" in first
    [sweep] = compared
    assert shown().partition("technique")[2] == first.partition("technique")[2]
    assert compared == [sweep]


@pytest.mark.parametrize("change", ["metric", "tag", "looks", "question", "terminal"])
def test_what_has_changed_is_compared_anew(
    change: str, sandbox: Sandbox, compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.run(*COMMAND) == 0
    [parent] = sandbox.parents()
    run_id = sandbox.children()["run_id"].iloc[0]
    more = []
    with sandbox.tracker() as tracker:
        match change:
            case "metric":
                tracker.client.log_metric(run_id, "test/accuracy", 0.99, step=10**6)
            case "tag":
                tracker.client.set_tag(run_id, "label", "another")
            case "looks":
                tracker.client.log_text(parent, "{}", "looks.json")
            case "question":
                more = ["compare.metric=test/loss"]
            case "terminal":
                monkeypatch.setenv("NO_COLOR", "1")
    for _ in range(2):
        assert sandbox.run(*COMMAND, *more) == 0
    assert compared == [parent] * 2


def test_what_is_shown_depends_on_how_wide_a_terminal_is(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.run(*COMMAND) == 0
    [parent] = sandbox.parents()
    parts: dict[str, Any] = {part: {} for part in ("compare", "study", "tracking", "paths")}
    config = OmegaConf.create(parts | {"figures": False})
    keys = set()
    with sandbox.tracker() as tracker:
        for width in ("80", "120"):
            monkeypatch.setenv("COLUMNS", width)
            keys.add(key_of(tracker, parent, config))
            terminal = io.StringIO()
            monkeypatch.setattr(terminal, "isatty", lambda: True)
            with monkeypatch.context() as patch:
                patch.setattr("sys.stdout", terminal)
                keys.add(key_of(tracker, parent, config))
    assert len(keys) == 3, "a pipe has no width"


def test_a_damaged_file_is_none(sandbox: Sandbox) -> None:
    assert sandbox.run(*COMMAND) == 0
    [parent] = sandbox.parents()
    with sandbox.tracker() as tracker:
        for content in ("{", "[]", "{}"):
            tracker.client.log_text(parent, content, "shown.json")
            assert Shown.read(tracker, parent, "") is None
        source = Noting(tracker)
        assert source.text(parent, "nothing.txt") is None
        assert source.read == {f"{parent}/nothing.txt"}


def test_who_writes_to_the_store_steers_no_terminal() -> None:
    lines = "\x1b[1ml1\x1b[0m helps\n\x1b]0;title\x07\x1b[2Jgone\n"
    shown = Shown("", {}, lines, "test/accuracy", lower_is_better=False)
    assert shown.printable == "\x1b[1ml1\x1b[0m helps\n\\x1b]0;title\\x07\\x1b[2Jgone\n"
