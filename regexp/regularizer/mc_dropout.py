"""Monte-Carlo dropout in evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Memory, Noise, NotApplicable, PredictionView, Range, Regularizer


@dataclass(frozen=True)
class MCDropout(
    Regularizer,
    kind="ensemble",
    neutral={"samples": 0},
    provides=("averaged predictions",),
    refuses=("averaged predictions",),
):
    """Average the predictions of T passes with the noise of the stochastic layers left on.

    The mean is that of the probabilities (in regression of the outputs). Training is unchanged and
    no layer is added: it works on those of dropout and the like, as in
    regularizer=[dropout,mc_dropout]. Normalization stays in evaluation mode. The draws are the same
    after every epoch.

    Helps:
        Calibration, and log-likelihood in regression, of networks trained with much dropout; the
        accuracy is nearly that of the ordinary pass.

    Costs:
        T passes instead of one in evaluation; nothing in training.

    Args:
        samples: T, >= 0; 0 makes the ordinary pass, without noise.

    Raises:
        ValueError: for a negative number.
        NotApplicable: if the techniques beside it add no stochastic layer, and the model has none
            of torch's own; or if the noise of one follows a schedule.

    Reference:
        Y. Gal, Z. Ghahramani, Dropout as a Bayesian approximation: representing model uncertainty
        in deep learning, ICML 2016, eq. 6. https://arxiv.org/abs/1506.02142
    """

    samples: Annotated[int, Range(0)]

    def check_model(self, model: nn.Module) -> None:
        changing = [m.stream for m in model.modules() if isinstance(m, Noise) and m.schedules]
        if self.samples and changing:
            raise NotApplicable(
                f"the noise of {changing[0]} follows a schedule, so that what is predicted would "
                "change with it after training",
                key="regularizer.mc_dropout",
                cure=f"give regularizer.{changing[0]} one number",
            )
        # noise that techniques share with their other hooks (manifold mixup) is off in evaluation
        redrawn = any(isinstance(m, Noise) and not m.shared for m in model.modules())
        if self.samples and not redrawn and not any(map(drops, model.modules())):
            raise NotApplicable(
                "neither the model nor another technique has a stochastic layer, so that all "
                "passes would be the same",
                key="regularizer.mc_dropout",
                cure="use regularizer=[dropout,mc_dropout]",
            )

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        if not self.samples:
            return super().predict(memory, view)
        passes = [
            view.network(view.inputs, rng=view.rng.fold(index)) for index in range(self.samples)
        ]
        return torch.stack(passes)


def drops(layer: nn.Module) -> bool:
    """Whether a layer of torch's drops something in training."""
    rate = getattr(layer, "p" if isinstance(layer, nn.modules.dropout._DropoutNd) else "dropout", 0)
    return isinstance(rate, float) and rate > 0
