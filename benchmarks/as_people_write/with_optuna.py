"""Plain torch and Optuna: a recipe is drawn, trained, evaluated, and told.

Where the search halves successively, Optuna's pruner does so after the same epochs.
"""

from __future__ import annotations

from typing import Any

import mlflow
import optuna
import torch
from omegaconf import DictConfig
from optuna.trial import TrialState
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.as_people_write import digits, plain
from regexp.config.bars import rungs_of
from regexp.search.recipe import Recipe
from regexp.search.space import Parameter, Space
from regexp.sweeps.ingredients import load_data
from regexp.sweeps.plan import plan


class Trainer:
    """A search by a study for recipes and one for none.

    Args:
        space: what is searched, of the default MLP.
        uri: of MLflow's store, which gets the metrics of each epoch; None: nothing is recorded.
    """

    def __init__(self, space: Space, uri: str | None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.uri = uri
        self.parameters = [
            space.parameters(space.switches),
            space.without_techniques().parameters([]),
        ]
        self.studies = [
            optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner(space.config)
            )
            for _ in range(2)
        ]
        run = plan(space.config)[0]
        data = load_data(run.config["dataset"], run.config["paths"]["data"], run.seed)
        self.splits: dict[str, digits.Split] = {
            name: (torch.as_tensor(split.inputs), split.targets)
            for name, split in (("train", data.train), ("val", data.validation))
        }
        hidden = run.config["model"]["hidden"]
        self.sizes = (data.train.inputs.shape[1], *hidden, len(data.classes))
        self.epochs = run.config["trainer"]["epochs"]

    def trial(self, recipe: Recipe) -> None:
        """Draw one, train another, whose work is known, and tell its loss as the draw's."""
        position = int(not recipe.techniques)
        study = self.studies[position]
        drawn = study.ask()
        suggest(drawn, self.parameters[position])
        if self.uri is None:
            loss = self.fit(recipe, drawn)
        else:
            mlflow.set_tracking_uri(self.uri)
            with mlflow.start_run():
                mlflow.log_params(drawn.params)
                loss = self.fit(recipe, drawn)
        if loss is None:
            study.tell(drawn, state=TrialState.PRUNED)
        else:
            study.tell(drawn, loss)

    def fit(self, recipe: Recipe, drawn: optuna.Trial) -> float | None:
        """The validation loss of a recipe after its last epoch; None if it is pruned before."""
        torch.manual_seed(0)
        settings = digits.settings(recipe.techniques)
        model = digits.network(settings, self.sizes)
        optimizer = digits.optimizer(model, settings, recipe.shared["optimizer.lr"], fused=False)
        schedule = None
        if recipe.shared["scheduler"] == "cosine_annealing_lr":
            schedule = CosineAnnealingLR(optimizer, self.epochs)
        averaged = None
        if settings.ema is not None:
            averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
        batches = digits.ByIndex(*self.splits["train"], recipe.shared["trainer.batch_size"])
        for epoch in range(self.epochs):
            total = torch.zeros(())
            for inputs, targets in batches:
                loss = plain.step(model, optimizer, inputs, targets, settings)
                if settings.max_norm is not None:
                    digits.bound(model, settings.max_norm)
                if averaged is not None:
                    averaged.update_parameters(model)
                total += loss * len(targets)
            if schedule is not None:
                schedule.step()
            validation, accuracy = digits.evaluate(averaged or model, self.splits["val"])
            if self.uri is not None:
                metrics = {
                    "train/loss": total.item() / len(self.splits["train"][1]),
                    "val/loss": validation,
                    "val/accuracy": accuracy,
                }
                mlflow.log_metrics(metrics, step=epoch)
            drawn.report(validation, epoch + 1)
            if drawn.should_prune():
                return None
        return validation


def pruner(config: DictConfig) -> optuna.pruners.BasePruner:
    """What ends trials after the epochs of the search's rungs, if it has any."""
    eta, first = config.search.rungs.eta, config.search.rungs.first
    rungs = rungs_of(eta, first, config.trainer.epochs)
    if not rungs:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=eta)


def suggest(trial: optuna.Trial, parameters: list[Parameter]) -> dict[str, Any]:
    """A value of each parameter that the others leave."""
    drawn: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.when is not None and drawn.get(parameter.when[0]) != parameter.when[1]:
            continue
        one = parameter.dimension
        drawn[one.key] = (
            trial.suggest_categorical(one.key, one.choices)
            if one.choices
            else trial.suggest_float(one.key, one.low, one.high, log=one.log)
        )
    return drawn
