"""How a portfolio is made: the choice against all others; entries are the recipes again."""

from __future__ import annotations

import itertools

import pytest
import yaml
from omegaconf import open_dict, read_write

from experiments.portfolio.chosen import as_entry, greedy
from experiments.portfolio.page import as_experiment
from regexp.commands.arguments import parse
from regexp.config.searched import compose_search
from regexp.random import Rng
from regexp.search.portfolio import portfolio_of
from regexp.search.recipe import Recipe
from regexp.search.taking_part import read_space


def worth(scores: list[list[float]], chosen: tuple[int, ...]) -> float:
    return sum(max(row[at] for at in chosen) for row in scores)


@pytest.mark.parametrize("seed", range(20))
def test_the_greedy_choice_is_nearly_the_best_there_is(seed: int) -> None:
    """It has 1 - 1/e of the best choice's score at least (Nemhauser et al. 1978)."""
    scores = Rng(seed, "scores").uniform([5, 8]).tolist()
    chosen = greedy(scores, 3)
    assert len(chosen) == len({*chosen}) <= 3
    best = max(worth(scores, one) for one in itertools.combinations(range(8), 3))
    assert worth(scores, tuple(chosen)) >= (1 - 1 / 2.71828) * best
    firsts = [worth(scores, (at,)) for at in range(8)]
    assert chosen[0] == firsts.index(max(firsts))


def test_nothing_is_taken_that_raises_no_dataset() -> None:
    assert greedy([[0.5, 0.9, 0.9], [0.8, 0.7, 0.6]], 3) == [1, 0]


def test_an_entry_is_the_recipe_again() -> None:
    words = ["dataset=iris", "search.techniques=[dropout,batch_norm,l1]"]
    space = read_space(compose_search(parse(words)[0]))
    shared = {"optimizer.lr": 0.02, "trainer.batch_size": 32, "model.hidden": [128, 128]}
    recipe = Recipe(
        shared | {"scheduler": "cosine_annealing_lr"},
        {"dropout": {"hidden": 0.3, "inputs": 0.1}, "batch_norm": {"momentum": 0.2}},
    )
    text = as_experiment([as_entry(recipe), as_entry(space.default)], ["iris"], "a command")
    search = yaml.safe_load(text)["search"]
    with read_write(space.config), open_dict(space.config):
        space.config.search.portfolio = search["portfolio"]
    assert portfolio_of(space) == [recipe, space.default]
    assert search["trials"] == 3
