"""Plain torch, Hydra and MLflow: `python -m benchmarks.as_people_write.plain -m` runs it all.

As tutorials have it: a DataLoader, Adam as it comes, metrics logged when an epoch ends. With
`careful=true` as somebody writes it who has measured: batches by index, fused Adam, and a run's
metrics in one call at its end.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import hydra
import mlflow
import torch
from mlflow.entities import Metric
from omegaconf import DictConfig
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.as_people_write import digits


def train(config: DictConfig) -> None:
    """One run, within an active run of MLflow."""
    torch.manual_seed(config.seed)
    settings = digits.settings_of(config)
    splits = digits.load(config.seed)
    model = digits.network(settings)
    optimizer = digits.optimizer(model, settings, config.lr, fused=config.careful)
    averaged = None
    if settings.ema is not None:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    loader = digits.batches(splits["train"], config.batch_size, config.careful)
    best: dict[str, Any] = {"loss": float("inf")}
    history: list[tuple[int, dict[str, float]]] = []
    epoch = steps = 0
    for epoch in range(1, config.epochs + 1):
        total = torch.zeros(())
        for inputs, targets in loader:
            loss = step(model, optimizer, inputs, targets, settings)
            if settings.max_norm is not None:
                digits.bound(model, settings.max_norm)
            if averaged is not None:
                averaged.update_parameters(model)
            total += loss * len(targets)
            steps += 1
        validation, accuracy = digits.evaluate(averaged or model, splits["val"])
        metrics = {
            "train/loss": total.item() / len(splits["train"][1]),
            "val/loss": validation,
            "val/accuracy": accuracy,
            "lr": optimizer.param_groups[0]["lr"],
        }
        if config.careful:
            history.append((epoch, metrics))
        else:
            mlflow.log_metrics(metrics, step=epoch)
        if validation < best["loss"]:
            best = {"loss": validation, "epoch": epoch}
            best["weights"] = copy.deepcopy((averaged or model).state_dict())
        elif settings.patience is not None and epoch - best["epoch"] >= settings.patience:
            break
    final = averaged or model
    last = {"epoch": epoch, "weights": copy.deepcopy(final.state_dict())}
    last["optimizer"] = optimizer.state_dict()
    if settings.patience is not None:
        final.load_state_dict(best["weights"])
    log_end(settings, final, splits, {"best": best, "last": last}, history, steps)


def step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    settings: digits.Settings,
) -> Tensor:
    """One step of training; its loss."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = digits.objective(model, inputs, targets, settings)
        loss.backward()
        return loss.detach()

    if settings.rho:
        return torch.as_tensor(optimizer.step(closure))  # type: ignore[arg-type]
    loss = closure()
    if settings.clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimizer.step()
    return loss


def log_end(
    settings: digits.Settings,
    model: torch.nn.Module,
    splits: dict[str, digits.Split],
    checkpoints: dict[str, dict[str, Any]],
    history: list[tuple[int, dict[str, float]]],
    steps: int,
) -> None:
    """What is known at a run's end: the final metrics, what was not yet logged, and both states."""
    metrics: dict[str, float] = {"epochs": checkpoints["last"]["epoch"], "steps": steps}
    for name, split in splits.items():
        metrics[f"{name}/final_loss"], metrics[f"{name}/accuracy"] = digits.evaluate(model, split)
    if history:
        run = mlflow.active_run()
        assert run is not None
        found = [
            Metric(name, value, run.info.start_time, epoch)
            for epoch, values in history
            for name, value in values.items()
        ]
        mlflow.MlflowClient().log_batch(run.info.run_id, found)
    mlflow.log_metrics(metrics)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in checkpoints.items():
            torch.save(content, Path(folder) / f"{name}.pt")
        mlflow.log_artifacts(folder, "checkpoints")


@hydra.main(version_base="1.3", config_path="conf", config_name="ablation")
def main(config: DictConfig) -> None:
    torch.set_num_threads(1)
    mlflow.set_tracking_uri(config.uri)
    with mlflow.start_run(run_name=f"{config.technique} {config.seed}"):
        mlflow.log_params({name: config[name] for name in ("technique", "seed", "epochs", "lr")})
        train(config)


if __name__ == "__main__":
    main()
