"""How others train the network of `problem.py`, each as its own documentation does it.

Every function here takes a Problem and returns a Trainer, which trains on for some epochs and
returns the seconds that the epochs took (set-up of a `fit` call left out where it can be). With a
list it also collects the loss of each step, so that the maths can be compared; without one it
does no more than training needs. Libraries are imported inside, for each is optional.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler, TensorDataset

from benchmarks.problem import BATCH, HIDDEN, LEARNING_RATE, Problem

Trainer = Callable[[int, list[float] | None], float]


def index_select(problem: Problem) -> Trainer:
    """The reference: a loop by hand over tensors in memory."""
    inputs, targets = problem.inputs, problem.targets
    network = problem.network()
    optimizer = problem.optimizer(network)
    orders = problem.orders()

    def train(epochs: int, losses: list[float] | None = None) -> float:
        start = problem.clock()
        for _ in range(epochs):
            for rows in next(orders).split(BATCH):
                optimizer.zero_grad()
                outputs = network(inputs.index_select(0, rows))
                loss = F.cross_entropy(outputs, targets.index_select(0, rows))
                loss.backward()
                optimizer.step()
                if losses is not None:
                    losses.append(loss.item())
        return problem.clock() - start

    return train


def dataloader(problem: Problem) -> Trainer:
    """The loop of torch's tutorials: a DataLoader over a TensorDataset."""
    batches = _batches(problem)
    network = problem.network()
    optimizer = problem.optimizer(network)

    def train(epochs: int, losses: list[float] | None = None) -> float:
        start = problem.clock()
        for _ in range(epochs):
            for inputs, targets in batches:
                optimizer.zero_grad()
                loss = F.cross_entropy(network(inputs), targets)
                loss.backward()
                optimizer.step()
                if losses is not None:
                    losses.append(loss.item())
        return problem.clock() - start

    return train


def lightning(problem: Problem) -> Trainer:
    """Lightning's Trainer, without logger, checkpoints and progress bar."""
    import lightning as L

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = problem.network()
            self.optimizer = problem.optimizer(self.network)
            self.losses: list[float] | None = None

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            inputs, targets = batch
            loss = F.cross_entropy(self.network(inputs), targets)
            if self.losses is not None:
                self.losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.optimizer

    class Clock(L.Callback):
        start = end = 0.0

        def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            self.start = self.start or problem.clock()

        def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            self.end = problem.clock()

    module, batches = Module(), _batches(problem)

    def train(epochs: int, losses: list[float] | None = None) -> float:
        module.losses, clock = losses, Clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it advises workers for the DataLoader
            trainer = L.Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                callbacks=[clock],
            )
            trainer.fit(module, batches)
        return clock.end - clock.start

    return train


def skorch(problem: Problem) -> Trainer:
    """skorch's NeuralNetClassifier with its default callbacks, without a validation split."""
    from skorch import NeuralNetClassifier

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = problem.network()

        def forward(self, inputs: Tensor) -> Tensor:
            return self.layers(inputs)

    classifier = NeuralNetClassifier(
        Network,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True if problem.fused else None,
        lr=LEARNING_RATE,
        batch_size=BATCH,
        iterator_train__sampler=_Orders(problem),
        train_split=None,
        verbose=0,
    ).initialize()
    inputs, targets = problem.inputs, problem.targets

    def train(epochs: int, losses: list[float] | None = None) -> float:
        start = problem.clock()
        classifier.partial_fit(inputs, targets, epochs=epochs)
        seconds = problem.clock() - start
        if losses is not None:
            by_epoch = classifier.history[-epochs:, "batches", :, "train_loss"]
            losses.extend(loss for epoch in by_epoch for loss in epoch)
        return seconds

    return train


def keras(problem: Problem) -> Trainer:
    """Keras on torch with its own Adam. Rows are put in order before `fit`, in its favour."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as k

    def hidden() -> list[Any]:
        # Keras' momentum is torch's 1 - momentum, and its default epsilon another.
        norm = k.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        return [k.layers.Dense(HIDDEN), norm, k.layers.ReLU(), k.layers.Dropout(problem.dropout)]

    model = k.Sequential([*hidden(), *hidden(), k.layers.Dense(3)])
    model.compile(
        optimizer=k.optimizers.Adam(LEARNING_RATE, epsilon=1e-8),
        loss=k.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.build((None, problem.inputs.shape[1]))
    torchs = [layer for layer in problem.network() if list(layer.parameters())]
    kerass = [layer for layer in model.layers if layer.weights]
    for ours, theirs in zip(torchs, kerass, strict=True):
        weights = [value.detach().numpy() for value in ours.state_dict().values() if value.ndim]
        theirs.set_weights([weights[0].T, *weights[1:]])

    class Clock(k.callbacks.Callback):
        start = end = 0.0
        losses: list[float] | None = None

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = self.start or problem.clock()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.end = problem.clock()

    class Losses(k.callbacks.Callback):
        def __init__(self, losses: list[float]) -> None:
            super().__init__()
            self.losses = losses
            self.total = 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # Keras reports the mean over the epoch's batches so far.
            total = logs["loss"] * (batch + 1)
            self.losses.append(total - self.total if batch else total)
            self.total = total

    inputs, targets, orders = problem.inputs, problem.targets, problem.orders()

    def train(epochs: int, losses: list[float] | None = None) -> float:
        seconds = 0.0
        for _ in range(epochs if losses is not None else 1):
            order, clock = next(orders), Clock()
            model.fit(
                inputs[order].numpy(),
                targets[order].numpy(),
                batch_size=BATCH,
                epochs=1 if losses is not None else epochs,
                shuffle=False,
                verbose=0,
                callbacks=[clock] if losses is None else [clock, Losses(losses)],
            )
            seconds += clock.end - clock.start
        return seconds

    return train


def scikit_learn(problem: Problem) -> Trainer:
    """MLPClassifier: no batch normalization, no dropout, its own initial weights and order."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    inputs, targets = problem.inputs.numpy(), problem.targets.numpy()
    classifier = MLPClassifier(
        (HIDDEN, HIDDEN),
        batch_size=BATCH,
        learning_rate_init=LEARNING_RATE,
        alpha=0.0,
        tol=0.0,
        n_iter_no_change=10**9,
        warm_start=True,
        random_state=0,
    )

    def train(epochs: int, losses: list[float] | None = None) -> float:
        assert losses is None, "its maths is another"
        classifier.set_params(max_iter=epochs)
        start = problem.clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(inputs, targets)
        return problem.clock() - start

    return train


class _Orders(Sampler[int]):
    """The problem's order of rows, where torch would draw one of its own."""

    def __init__(self, problem: Problem) -> None:
        self.rows = problem.rows
        self.orders = problem.orders()

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.orders).tolist())


def _batches(problem: Problem) -> DataLoader[tuple[Tensor, ...]]:
    dataset = TensorDataset(problem.inputs, problem.targets)
    return DataLoader(dataset, batch_size=BATCH, sampler=_Orders(problem))
