"""Which rows belong together: against pandas and numpy, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regexp.dataset.lazy import ArrayImages, Images
from regexp.dataset.units import BLOCK, first_equal, first_of, joined, repeats

CELLS = st.sampled_from((0.0, -0.0, 1.0, 0.1 + 0.2, 0.3, np.nan, -np.nan))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=40))
def test_equal_rows_are_those_of_pandas(rows):
    found = first_equal(np.array(rows))
    assert found is not None
    frame = pd.DataFrame(rows).fillna(9.0)  # a missing value equals a missing value
    again = frame.duplicated().to_numpy()
    assert repeats(found) == again.sum()
    assert (again == (found != np.arange(len(rows)))).all()
    assert (frame.to_numpy()[found] == frame.to_numpy()).all()


@pytest.mark.parametrize("kind", ["<f4", ">f8", "c16", "i1", "?", "U3", "S2", "M8[s]"])
def test_rows_of_any_type_are_compared_across_blocks(kind):
    count = BLOCK + 3
    inputs = np.zeros((count, 2, 1)).astype(kind)
    inputs[1:-1] = np.array(1).astype(kind)
    found = first_equal(inputs)
    assert found is not None
    assert found.tolist() == [0, *[1] * (count - 2), 0]


def test_objects_are_compared_by_column():
    inputs = np.array([["a", 1], ["a", None], ["".join("a"), 1], ["b", 1], ["a", np.nan]], object)
    found = first_equal(inputs)
    assert found is not None
    assert found.tolist() == [0, 1, 0, 3, 1]


def test_what_cannot_be_compared_is_not_looked_at():
    class Lazy(Images):
        shape = (4, 3, 2, 2)

        def read(self, rows):
            raise AssertionError("read")

    assert first_equal(Lazy()) is None
    assert first_equal(np.zeros(3, dtype=[("a", int)])) is None
    unhashable = np.empty((2, 1), dtype=object)
    unhashable[:, 0] = [[1], [1]]
    assert first_equal(unhashable) is None


def test_images_in_memory_are_compared_by_all_their_bytes():
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 4), dtype=np.uint8)
    images[4] = images[1]
    images[5] = images[2]
    images[5, 2, 3, 3] ^= 1
    found = first_equal(ArrayImages(images))
    assert found is not None
    assert found.tolist() == [0, 1, 2, 3, 1, 5]


def test_groups_that_share_a_row_are_one():
    groups = first_of(np.array([7, 7, 5, 5, 3, 3, 9]))
    assert groups.tolist() == [0, 0, 2, 2, 4, 4, 6]
    equal = np.array([0, 1, 1, 3, 4, 5, 5])  # rows 1 and 2, and rows 5 and 6
    assert joined(groups, equal).tolist() == [0, 0, 0, 0, 4, 4, 4]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_joined_units_are_reached_by_steps_from_row_to_row(pairs):
    labels = np.array(pairs)
    one, other = first_of(labels[:, 0]), first_of(labels[:, 1])
    near = (labels[:, None] == labels[None]).any(-1)
    reach = np.linalg.matrix_power(near.astype(float), len(pairs)) > 0
    assert (joined(one, other) == reach.argmax(1)).all()
