"""AugMix: torch.distributions' divergences, scipy's Dirichlet marginals, mixtures row by row."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Categorical, kl_divergence

from regexp.metrics.loss import cross_entropy
from regexp.random import Rng
from regexp.regularizer.aug_mix import dirichlet
from regexp.regularizer.base import Batch, PenaltyView
from regexp.regularizer.image_operations import OPERATIONS, transform
from tests.support import make_step, technique

ROWS = 6


@pytest.fixture
def seen() -> Any:
    """A view of a small network, and the inputs and outputs of its calls."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 7 * 7, 3)).double()
    x = torch.randn(ROWS, 2, 7, 7, dtype=torch.float64)
    calls: list[tuple[Tensor, Tensor]] = []

    def network(inputs: Tensor, parameters: Any = None, rng: Any = None) -> Tensor:
        calls.append((inputs, model(inputs)))
        return calls[-1][1]

    targets = torch.eye(3, dtype=torch.float64)[torch.arange(ROWS) % 3]
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    view = PenaltyView(parameters, model(x), Batch(x, targets), network, cross_entropy, {})
    return view, calls


def test_value_and_slope_are_those_of_the_divergence_of_three_predictions(seen):
    view, calls = seen
    penalty = technique("aug_mix", strength=0.7).penalty(make_step(), view)
    assert len(calls) == 2
    assert not torch.equal(calls[0][0], calls[1][0])
    predictions = [Categorical(logits=view.outputs), *(Categorical(logits=y) for _, y in calls)]
    mean = Categorical(probs=torch.stack([p.probs for p in predictions]).mean(0))
    expected = 0.7 * torch.stack([kl_divergence(p, mean) for p in predictions]).mean()
    assert float(expected.detach()) > 1e-3
    torch.testing.assert_close(penalty, expected)
    weights = list(view.parameters.values())
    slopes = (torch.autograd.grad(y, weights, retain_graph=True) for y in (penalty, expected))
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_mixtures_row_by_row(width):
    """With the same draws, in the same order, one image and one operation at a time."""
    images = torch.randn(ROWS, 2, 7, 7, dtype=torch.float64)
    aug_mix = technique("aug_mix", width=width, depth=3, severity=5.0)
    ours = aug_mix.mixtures(images, Rng(3, "test"))
    rng, count = Rng(3, "test"), 2 * width * ROWS
    weights = dirichlet(rng, (2, width, ROWS))
    share = rng.uniform((2, ROWS))
    length = 1 + rng.integers(3, (count,))
    draws = [
        (rng.integers(7, (count,)), 2 * rng.integers(2, (count,)) - 1, rng.uniform((count,)))
        for _ in range(3)
    ]
    names = ["rotate", "shear_x", "shear_y", "translate_x", "translate_y", "solarize", "posterize"]
    place = iter(range(count))
    mixed = torch.zeros_like(ours)
    for view in range(2):
        for chain in range(width):
            for row in range(ROWS):
                at, image = next(place), images[row : row + 1]
                for operation, sign, uniform in draws[: int(length[at])]:
                    index = torch.tensor([OPERATIONS.index(names[int(operation[at])])])
                    magnitude = (0.1 + 4.9 * uniform[at].double()) / 10
                    image = transform(image, index, sign[at : at + 1], magnitude)
                mixed[view, row] += weights[view, chain, row] * image[0]
    share = share[..., None, None, None].double()
    torch.testing.assert_close(ours, (1 - share) * images + share * mixed)
    assert set(length.tolist()) == {1, 2, 3}


def test_weights_are_uniform_on_the_simplex():
    weights = dirichlet(Rng(0, "test"), (2, 3, 2000))
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 2000))
    for marginal in weights.transpose(0, 1).flatten(1).numpy():
        assert stats.kstest(marginal, stats.beta(1, 2).cdf).pvalue > 1e-3
    correlation = torch.corrcoef(weights.transpose(0, 1).flatten(1))
    assert float(correlation[0, 1]) == pytest.approx(-1 / 2, abs=4 / math.sqrt(4000))


def test_what_no_operation_changes_stays():
    """The middle of a plain image, which has the value of all that is mixed."""
    images = torch.full((50, 1, 7, 7), 2.5, dtype=torch.float64)
    mixtures = technique("aug_mix", depth=1).mixtures(images, Rng(0, "test"))
    middle = mixtures[..., 3, 3]
    torch.testing.assert_close(middle, torch.full_like(middle, 2.5), rtol=0, atol=1e-6)
    assert float((mixtures - 2.5).abs().max()) > 0.5
