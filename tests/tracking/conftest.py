"""A tracker on a store of its own, for the tests of tracking."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from regexp.tracking import RunRecord, Tracker


@pytest.fixture
def tracker(fresh_store: Path) -> Iterator[Tracker]:
    with Tracker(None, "regexp", fresh_store) as tracker:
        yield tracker


@pytest.fixture
def sweep(tracker: Tracker) -> RunRecord:
    return tracker.sweep("key", "a sweep", {"seeds": 2})
