"""The verdict's test rows: no trial has seen them, and where one has, that is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regexp.dataset.base import Dataset
from regexp.dataset.data import Splits, Table
from regexp.errors import ConfigError
from regexp.search import verdict
from regexp.search.engine import Batch, train_recipes
from regexp.search.seeds import FINALIST_SEED
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.search.unseen import Watched, check_unseen, unseen_arms
from regexp.sweeps.ingredients import build_member, forget_data
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun
from tests.dataset.made import made_images, write_image_folder
from tests.search.composed import compose_named

SMALL = ("model.hidden=[4]", "trainer.epochs=1", "search.seeds=6",
         "search.techniques=[dropout]", "search.space={}", "search.schedulers=[]")  # fmt: skip


@cache
def space(*overrides: str) -> Space:
    return read_space(compose_named([*SMALL, *overrides]))


def untrained(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
    return [[Outcome(run.name, "FINISHED") for run in runs] for runs in jobs]


def tried(of: Space) -> list[PlannedRun]:
    """Of each split by which a search chooses a run, as the search plans them."""
    watched = Watched(untrained)
    for seeds in ([0], list(range(FINALIST_SEED, FINALIST_SEED + 3))):
        [[trials]] = train_recipes([Batch(of, [of.default])], seeds, watched)
        assert len(trials) == len(seeds)
    return watched.runs


def test_it_is_known_whether_all_runs_had_ended_before() -> None:
    watched = Watched(lambda jobs: [[Outcome("a", "FINISHED", before=one) for one in (True, new)]])
    for new in (True, False):
        watched([])
        assert watched.is_read == new


def concluded(of: Space) -> list[PlannedRun]:
    """The runs of the verdict."""
    [runs] = verdict.planned_arms(of, of.default, of.default).values()
    return runs


def splits(run: PlannedRun) -> tuple[set[int], set[int], set[int]]:
    data = build_member(run).data
    train, validation, test = ({*map(int, part.rows if part.rows is not None else ())}
                               for part in (data.train, data.validation, data.test))  # fmt: skip
    return train, validation, test


@pytest.mark.parametrize(
    "overrides",
    [
        ("dataset=iris",),
        (
            "dataset=wine",
            "dataset.resampling=independent",
            "dataset.train_size=40",
            "trainer.batch_size=20",
        ),
        ("dataset=iris", "dataset.split_seed=3"),
        ("dataset=iris", "dataset.test_seed=4"),
    ],
)
def test_no_trial_has_a_row_that_the_verdict_tests(overrides: tuple[str, ...]) -> None:
    """Row by row, for all seeds that a search has."""
    of = space(*overrides)
    trials, conclusion = [[splits(run) for run in each(of)] for each in (tried, concluded)]
    [tested] = {frozenset(test) for *_, test in [*trials, *conclusion]}
    known = set().union(*(train | validation for train, validation, _ in trials))
    assert tested
    assert not known & tested
    fresh = "dataset.split_seed=3" not in overrides
    validated = {frozenset(validation) for _, validation, _ in [*trials, *conclusion]}
    assert len(validated) == (1 + 3 + 6 if fresh else 1)


def test_trial_and_finalists_validate_with_each_row_once_at_most() -> None:
    """Blocks of four seeds: what a trial chose by, a finalist does not."""
    rows = [row for run in tried(space("dataset=iris")) for row in splits(run)[1]]
    assert len(set(rows)) == len(rows) == 4 * 30


@pytest.mark.parametrize("data", ["series", "mnist1d"])
def test_where_the_data_tell_the_test_rows_nothing_is_asked(data: str) -> None:
    of = space(f"dataset={data}", "trainer.batch_size=16")
    assert of.config.dataset.test_seed is None
    assert tried(of)


def leaking(of: Space) -> Space:
    """As searches were: every seed of the verdict tests rows of its own."""
    config = of.config.copy()
    config.dataset.test_seed = None
    return replace(of, searched=replace(of.searched, config=config))


def test_a_verdict_on_rows_that_trials_have_seen_is_refused() -> None:
    of = space("dataset=iris")
    trials, nothing = tried(of), of.default
    said = r"rows of its test split of seed 10000 .* were trained on"
    with pytest.raises(ConfigError, match=said):
        unseen_arms(leaking(of), nothing, nothing, trials)
    assert unseen_arms(of, nothing, nothing, trials)


def test_one_row_in_a_split_that_says_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that runs are given count, not what their configuration promises."""
    of = space("dataset=iris")
    trials, conclusion = tried(of), concluded(of)
    validated = min(splits(trials[0])[1])
    rows = Dataset.split_rows

    def planted(self: Dataset, table: Table, seed: int) -> Splits:
        train, validation, test = rows(self, table, seed)
        return train, validation, np.append(test, validated) if seed == 10_003 else test

    forget_data()
    monkeypatch.setattr(Dataset, "split_rows", planted)
    message = rf"1 row of its test split of seed 10003 \(such as row {validated} of iris\) was"
    with pytest.raises(ConfigError, match=message):
        check_unseen(trials, conclusion)
    check_unseen(trials, [run for run in conclusion if run.seed != 10_003])
    forget_data()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda run: replace(run, seed=2), "its seed 2 is that of a trial"),
        (lambda run: replace(run, checksum="b" * 64), "tested on other data than the trials, iris"),
    ],
)
def test_seeds_of_trials_and_other_data_are_refused(
    changed: Callable[[PlannedRun], PlannedRun], message: str
) -> None:
    of = space("dataset=iris")
    with pytest.raises(ConfigError, match=message):
        check_unseen(tried(of), [changed(run) for run in concluded(of)])


@pytest.mark.parametrize("copied", [False, True])
def test_an_own_split_whose_validation_rows_are_its_test_rows_is_refused(
    tmp_path: Path, copied: bool
) -> None:
    """Before a trial is trained; in another order they are the same rows."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.4f},{'ab'[number % 2]}" for number, a in enumerate(rng.normal(size=60))]
    parts = [(rows[:40], "train"), (rows[40:50], "val"),
             (rows[49:39:-1] if copied else rows[50:], "test")]  # fmt: skip
    lines = [f"{row},{word}" for part, word in parts for row in part]
    path = tmp_path / "made.csv"
    path.write_text("x,y,part\n" + "\n".join(lines) + "\n", encoding="utf-8")
    asked = ("dataset=table", f"dataset.path={path}", "dataset.target=y", "dataset.split=part",
             "trainer.batch_size=16")  # fmt: skip
    if copied:
        with pytest.raises(ConfigError, match="validation rows of made are its test rows once mo"):
            space(*asked)
    else:
        assert space(*asked).config.dataset.test_seed is None


@pytest.mark.parametrize("copied", [False, True])
def test_folders_of_images_whose_validation_is_the_test_are_refused(
    tmp_path: Path, copied: bool
) -> None:
    write_image_folder(tmp_path, 30, "photos/train")
    for row, image in enumerate(made_images(48)[30:]):
        for split in ("val", "test") if copied else [("val", "test")[row % 6 // 3]]:
            place = tmp_path / "photos" / split / ["ant", "bee", "cow"][row % 3]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{row}.png")
    asked = ("dataset=image_folder", f"dataset.path={tmp_path / 'photos'}", "dataset.size=4",
             "trainer.batch_size=16")  # fmt: skip
    if copied:
        with pytest.raises(ConfigError, match="validation rows of photos are its test rows once"):
            space(*asked)
    else:
        assert space(*asked).config.dataset.test_seed is None
