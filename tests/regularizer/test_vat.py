"""VAT: power iteration against the exact eigenvector of the divergence's Hessian."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical, kl_divergence

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique

ROWS, FEATURES = 6, 4


@pytest.fixture
def seen():
    """A view of a small network, and the list of the inputs that it was called on with gradient."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    calls: list[Tensor] = []

    def network(x, other=None):
        if other is None:
            calls.append(x.detach())
        return torch.func.functional_call(model, other or parameters, (x,))

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, FEATURES, generator=generator, dtype=torch.float64)
    targets = torch.full((ROWS, 3), 1 / 3).double()
    view = PenaltyView(parameters, model(x), Batch(x, targets), network, cross_entropy, {})
    return view, calls, model


def hessians(model, x):
    """Of KL(p(x) || p(x + r)) in r at 0, one a row, [rows, features, features]."""
    result = []
    for row in x:
        p = model(row).detach().softmax(-1)

        def divergence(r, row=row, p=p):
            return (p * (p.log() - model(row + r).log_softmax(-1))).sum()

        result.append(torch.func.jacrev(torch.func.jacrev(divergence))(torch.zeros_like(row)))
    return torch.stack(result).detach()


def test_power_iteration_finds_the_first_eigenvector(seen):
    view, calls, model = seen
    technique("vat", epsilon=0.7, iterations=500).penalty(make_step(), view)
    change = (calls[0] - view.batch.inputs) / 0.7
    first = torch.linalg.eigh(hessians(model, view.batch.inputs)).eigenvectors[:, :, -1]
    cosine = (change * first).sum(-1).abs()
    torch.testing.assert_close(cosine, torch.ones(ROWS).double(), rtol=0, atol=1e-10)


def test_one_iteration_is_one_product(seen):
    view, calls, model = seen
    technique("vat", epsilon=0.7, iterations=1).penalty(make_step(), view)
    start = make_step().rng.normal(view.batch.inputs.shape).double()
    product = torch.einsum("rij,rj->ri", hessians(model, view.batch.inputs), start)
    expected = view.batch.inputs + 0.7 * F.normalize(product)
    torch.testing.assert_close(calls[0], expected, rtol=0, atol=1e-10)


def test_value_and_slope_are_those_of_the_divergence(seen):
    """p(x) is a constant: only p(x + r) has a gradient."""
    view, calls, model = seen
    penalty = technique("vat", strength=0.5, epsilon=0.7).penalty(make_step(), view)
    p = Categorical(logits=view.outputs.detach())
    expected = 0.5 * kl_divergence(p, Categorical(logits=model(calls[0]))).mean()
    torch.testing.assert_close(penalty, expected, rtol=1e-10, atol=0)
    ours, theirs = (
        torch.autograd.grad(value, list(model.parameters())) for value in (penalty, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_labels_have_no_part(seen):
    view, _, _ = seen
    other = view._replace(batch=view.batch._replace(targets=torch.eye(3)[[0] * ROWS]))
    vat = technique("vat")
    assert torch.equal(vat.penalty(make_step(), view), vat.penalty(make_step(), other))


def test_where_nothing_changes_the_prediction_nothing_is_added(seen):
    """A Hessian of zero has no direction: no division by zero."""
    view, calls, model = seen
    with torch.no_grad():
        model[2].weight.zero_()
    flat = view._replace(outputs=model(view.batch.inputs))
    penalty = technique("vat").penalty(make_step(), flat)
    assert abs(penalty) < 1e-15
    assert torch.equal(calls[0], view.batch.inputs)
