"""Addition modulo a number, held against Python's."""

from __future__ import annotations

from collections import Counter

import pytest

from regexp.errors import ConfigError
from tests.dataset.made import make


def test_rows_are_all_pairs_and_their_sums(tmp_path):
    table = make("modular_addition", modulus=7).table_of(tmp_path)
    pairs = []
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        assert sorted(row) == [0] * 12 + [1] * 2
        a, b = row[:7].index(1), row[7:].index(1)
        assert target == (a + b) % 7
        pairs.append((a, b))
    assert Counter(pairs) == Counter((a, b) for a in range(7) for b in range(7))
    assert table.columns[3] == "a=3"
    assert table.columns[9] == "b=2"


def test_splits_are_of_pairs(tmp_path):
    data = make("modular_addition", modulus=7).load(0, tmp_path)
    rows = [data.train.rows, data.validation.rows, data.test.rows]
    assert sorted(row for split in rows for row in split.tolist()) == list(range(49))
    assert data.classes == tuple("0123456")
    assert data.train.inputs.shape == (len(data.train), 14)


@pytest.mark.parametrize("modulus", [1, 1001, 2.5, True])
def test_what_is_no_modulus_is_told(modulus):
    with pytest.raises(ConfigError, match="modulus"):
        make("modular_addition", modulus=modulus)
