"""A search made by hand: eight recipes and two configurations of none, scored by accuracy."""

from __future__ import annotations

from typing import Any

from regexp.config.search_space import Dimension
from regexp.search.recipe import Recipe
from regexp.search.records import Chosen, Finalist, SearchRecord, Tried

LR = Dimension("optimizer.lr", "search.space.optimizer.lr", "", low=1e-4, high=1e-1, log=True)
BATCH = Dimension("trainer.batch_size", "search.space.trainer.batch_size", "", (32, 64))

DROPOUT, MIXUP = {"dropout": {"hidden": 0.3}}, {"mixup": {"alpha": 0.4}}

GIVEN: list[tuple[Any, float | None, float, float, int, bool]] = [
    # techniques, score, rank, lr, batch size, whether it trained for all its epochs
    ({}, 0.90, 5, 1e-3, 32, True),
    (DROPOUT, 0.92, 3, 1e-2, 32, True),
    (MIXUP, 0.91, 4, 1e-2, 64, True),
    (DROPOUT | MIXUP, None, 7, 1e-1, 64, True),
    (DROPOUT, 0.95, 0, 1e-3, 64, True),
    (MIXUP, 0.97, 6, 1e-4, 32, False),
    (DROPOUT, 0.94, 1, 1e-2, 64, True),
    ({}, 0.93, 2, 1e-2, 64, True),
]


def _recipe(techniques: Any, lr: float, batch: int) -> Recipe:
    return Recipe({LR.key: lr, BATCH.key: batch}, techniques)


def record(**changes: Any) -> SearchRecord:
    """The search; its trials took 2 seconds each, those of none 3."""
    recipes = [
        Tried(_recipe(techniques, lr, batch), score, rank, 2.0, whole)
        for techniques, score, rank, lr, batch, whole in GIVEN
    ]
    none = [
        Tried(_recipe({}, lr, 32), score, rank, 3.0)
        for lr, score, rank in ((1e-3, 0.90, 1), (1e-2, 0.93, 0))
    ]
    content: dict[str, Any] = {
        "title": "search dataset=digits",
        "metric": "final/val_accuracy",
        "lower_is_better": False,
        "shared": [LR, BATCH],
        "trials": {"recipes": recipes, "none": none},
        "recipe": Chosen(
            recipes[4].recipe,
            {"dropout": "Zero units at random."},
            {"dropout": {"hidden": 0.5}},
        ),
        "tuned": Chosen(none[1].recipe),
        "batch": 4,
        "finalists": {
            "recipes": [
                Finalist(recipes[4].recipe, [0.96, 0.92, 0.97]),
                Finalist(recipes[6].recipe, [0.95, 0.93, 0.94]),
            ],
            "none": [
                Finalist(none[0].recipe, [0.90, None, 0.90]),
                Finalist(none[1].recipe, [0.90, 0.91, 0.92]),
            ],
        },
        "left_out": {"swa": "needs more epochs"},
        "yardsticks": {"majority": 0.1, "hist_gradient_boosting": 0.96},
        "verdict": "a" * 32,
        "text": "regularizer:\n  dropout:\n    hidden: 0.3\n",
    }
    return SearchRecord(**content | changes)
