"""Techniques in a training loop of one's own: handwritten digits, plain PyTorch."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from regexp.model.layers import Block, Inputs
from regexp.regularizer.dropout import Dropout
from regexp.regularizer.early_stopping import EarlyStopping
from regexp.regularizer.mixup import Mixup
from regexp.regularizer.sam import SAM
from regexp.training.own_loop import Regularized


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inputs = Inputs()  # a place for layers at the inputs: empty, costs nothing
        self.hidden = Block(nn.Linear(64, 64), nn.ReLU())  # with places for norm and dropout
        self.output = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(self.inputs(x)))


def main(epochs: int = 50, rows: int = 300) -> float:
    """Train on the first `rows` digits, and return the accuracy on the last 400."""
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    x_validation, y_validation, x_test, y_test = x[1000:1400], y[1000:1400], x[-400:], y[-400:]
    loader = DataLoader(TensorDataset(x[:rows], y[:rows]), batch_size=32, shuffle=True)

    run = Regularized(
        Network(),
        {
            "dropout": Dropout(hidden=0.3, inputs=None),
            "mixup": Mixup(alpha=0.2),
            "sam": SAM(rho=0.05),
            "early_stopping": EarlyStopping(
                patience=10, min_delta=0.0, start_from_epoch=0, restore_best=True
            ),
        },
        lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        example=x[:1],
        classes=10,
        epochs=epochs,
        steps_per_epoch=len(loader),
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizer, epochs)
    for epoch in range(epochs):
        for inputs, targets in loader:
            loss = run.train_batch(inputs, targets)
        scores = run.end_epoch(x_validation, y_validation)
        schedule.step()
        print(f"epoch {epoch + 1}: batch loss {loss:.3f}, validation {scores['accuracy']:.3f}")
        if run.stopped:
            break

    model = run.finish()  # an ordinary nn.Module, with the best epoch's weights
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).double().mean().item()


if __name__ == "__main__":
    print(f"test accuracy {main():.3f}")
