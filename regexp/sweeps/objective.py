"""The loss of a run's configuration and how much its rows count, tried before training."""

from __future__ import annotations

import json

from torch import nn

from regexp.config.functions import build_function
from regexp.dataset.base import Data
from regexp.errors import ConfigError
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.loss_trial import check_hard, tried
from regexp.stack.objective import Objective, OwnLoss
from regexp.sweeps.identity import Node

KEY = "trainer.loss"


def build_objective(trainer: Node, data: Data, regularizer: Cocktail) -> Objective:
    """The objective of a run.

    Args:
        trainer: of its configuration.
        data: its splits.
        regularizer: its techniques.

    Raises:
        ConfigError: weights that do not fit the classes; a loss that is none of a row.
        NotApplicable: a technique makes probabilities of classes, which the loss does not take.
    """
    asked, node = trainer["class_weight"], trainer["loss"]
    loss = None if node is None else _build_loss(node, data)
    if loss is not None and not loss.soft:
        check_hard(node["_target_"], regularizer)
    objective = Objective(loss, asked, "" if node is None else json.dumps(node, sort_keys=True))
    objective.weights(data)  # whether they fit
    return objective


def _build_loss(node: Node, data: Data) -> OwnLoss:
    """A user's loss, tried on a few rows."""
    function = build_function(KEY, node)
    key = f"{KEY}._target_={node['_target_']}"
    if isinstance(function, nn.Module) and any(p.requires_grad for p in function.parameters()):
        raise ConfigError(f"{key}: it has parameters, which nothing would train")
    return tried(function, data.train.targets, data.outputs, data.task, key)
