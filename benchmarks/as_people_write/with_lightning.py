"""Lightning, its MLFlowLogger and Hydra: `python -m benchmarks.as_people_write.with_lightning -m`.

Progress bar, summary and sanity check are off, in its favour; with `careful=true` so is the
DataLoader's work of a row at a time, and Adam is fused.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hydra
import lightning as L
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import MLFlowLogger
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.as_people_write import digits


class Classifier(L.LightningModule):
    """The network with its techniques."""

    def __init__(self, settings: digits.Settings, lr: float, fused: bool) -> None:
        super().__init__()
        self.settings, self.lr, self.fused = settings, lr, fused
        self.network = digits.network(settings)

    def training_step(self, batch: digits.Split, index: int) -> Tensor:
        loss = digits.objective(self.network, *batch, self.settings)
        values = {"train/loss": loss, "lr": self.lr}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch: digits.Split, index: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: digits.Split, index: int) -> None:
        self._evaluate(batch, "test")

    def _evaluate(self, batch: digits.Split, name: str) -> None:
        inputs, targets = batch
        outputs = self.network(inputs)
        correct = (outputs.argmax(1) == targets).float().mean()
        values = {f"{name}/loss": F.cross_entropy(outputs, targets), f"{name}/accuracy": correct}
        self.log_dict(values, batch_size=len(targets))

    def optimizer_step(
        self, epoch: int, index: int, optimizer: Any, closure: Callable[[], Any] | None = None
    ) -> None:
        super().optimizer_step(epoch, index, optimizer, closure)
        if self.settings.max_norm is not None:
            digits.bound(self.network, self.settings.max_norm)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return digits.optimizer(self.network, self.settings, self.lr, self.fused)


@hydra.main(version_base="1.3", config_path="conf", config_name="ablation")
def main(config: DictConfig) -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # it advises workers for the DataLoader
    L.seed_everything(config.seed, verbose=False)
    settings = digits.settings_of(config)
    splits = digits.load(config.seed)
    whole = {
        name: DataLoader(TensorDataset(*split), len(split[1])) for name, split in splits.items()
    }
    logger = MLFlowLogger(
        run_name=f"{config.technique} {config.seed}", tracking_uri=config.uri, log_model=False
    )
    logger.log_hyperparams({name: config[name] for name in ("technique", "seed", "epochs", "lr")})
    with TemporaryDirectory() as folder:
        checkpoints = ModelCheckpoint(
            folder, "best", monitor="val/loss", save_last=True, enable_version_counter=False
        )
        callbacks: list[Callback] = [checkpoints]
        if settings.patience is not None:
            callbacks.append(EarlyStopping("val/loss", patience=settings.patience))
        if settings.ema is not None:
            callbacks.append(EMAWeightAveraging(decay=settings.ema))
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=config.epochs,
            gradient_clip_val=settings.clip,
            logger=logger,
            callbacks=callbacks,
            num_sanity_val_steps=0,
            log_every_n_steps=1000,  # epochs alone
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        model = Classifier(settings, config.lr, fused=config.careful)
        trainer.fit(
            model, digits.batches(splits["train"], config.batch_size, config.careful), whole["val"]
        )
        restored = "best" if settings.patience is not None else None
        done = {"epochs": trainer.current_epoch, "steps": trainer.global_step}
        trainer.test(model, whole["test"], ckpt_path=restored, verbose=False)
        logger.log_metrics(done)
        for path in sorted(Path(folder).glob("*.ckpt")):
            logger.experiment.log_artifact(logger.run_id, str(path), "checkpoints")


if __name__ == "__main__":
    main()
