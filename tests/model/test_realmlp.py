"""RealMLP: its formulas, and functions of its authors' package pytabkit 1.7.3."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.preprocessing import RobustScaler
from torch import Tensor, nn

from regexp.dataset.lazy import ArrayImages
from regexp.model.embedding import PeriodicDense
from regexp.model.layers import blocks
from regexp.model.realmlp import NTPLinear, ParametricActivation, RealMLP, RobustScale, Scale

RATES = {"scale_rate": 6.0, "bias_rate": 0.1, "activation_rate": 0.1}


@pytest.fixture
def rows() -> Tensor:
    """With a far value, a feature whose quartiles are equal, and a constant one."""
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 100
    x[:, 2] = 0
    x[3, 2] = 8
    x[:, 3] = 5
    return x


def as_theirs(rows: Tensor) -> Any:
    """Rows as the package's layers take them."""
    data = pytest.importorskip("pytabkit.models.data.data")
    return data.DictDataset({"x_cont": rows}, {"x_cont": data.TensorInfo([rows.shape[1]])})


def test_robust_scale_is_scikit_learns_with_a_smooth_clip(rows: Tensor) -> None:
    layer = RobustScale(4, 3.0)
    layer.fit(rows)
    z = RobustScaler().fit_transform(rows[:, :2].double().numpy())
    expected = torch.from_numpy(z / np.sqrt(1 + (z / 3) ** 2)).float()
    torch.testing.assert_close(layer(rows)[:, :2], expected)
    assert layer(rows).abs().max() < 3
    far = 8 / 4  # of half the difference between largest and smallest
    assert float(layer(rows)[3, 2]) == pytest.approx(far / (1 + (far / 3) ** 2) ** 0.5)
    assert layer(rows)[:, 3].eq(0).all()
    assert layer(rows + 1)[:, 3].eq(0).all()


def test_robust_scale_is_the_packages(rows: Tensor) -> None:
    pipeline = pytest.importorskip("pytabkit.models.nn_models.pipeline")
    data = as_theirs(rows)
    for factory in (pipeline.MedianCenterFactory(), pipeline.RobustScaleFactory()):
        data = factory.fit_transform(data)[1]
    layer = RobustScale(4, 3.0)
    layer.fit(rows)
    z = data.tensors["x_cont"]
    clipped = z / (1 + (1 / 9) * z**2).sqrt()  # as its PreprocessingFactory
    torch.testing.assert_close(layer(rows), clipped)


def test_of_standardized_features_it_is_the_same(rows: Tensor) -> None:
    ours, theirs = RobustScale(2, 3.0), RobustScale(2, 3.0)
    raw = rows[:, :2] * 7 + 3
    ours.fit(rows[:, :2])
    theirs.fit(raw)
    torch.testing.assert_close(ours(rows[:, :2]), theirs(raw))


def test_network_by_hand(rows: Tensor) -> None:
    torch.manual_seed(0)
    model: Any = RealMLP(
        (2, 2), 3, [8, 6], "mish", 3.0, None, "data", **RATES, training_inputs=rows
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    robust = RobustScale(4, 3.0)
    robust.fit(rows)
    h = robust(rows) * 6 * model.scale.scale
    block: Any
    for block in blocks(model).values():
        z = h @ block.layer.weight.T / h.shape[1] ** 0.5 + 0.1 * block.layer.bias
        h = z + 0.1 * block.activation.share * (F.mish(z) - z)
    expected = h @ model.output.weight.T / 6**0.5 + 0.1 * model.output.bias
    torch.testing.assert_close(model(rows.view(-1, 2, 2)), expected)


def test_it_begins_as_the_simpler_of_the_paper(rows: Tensor) -> None:
    torch.manual_seed(0)
    embedding = partial(PeriodicDense, frequencies=5, sigma=0.1, width=4, rate=0.1)
    model: Any = RealMLP(
        (4,), 3, [300, 200], "selu", 3.0, embedding, "normal", **RATES, training_inputs=rows
    )
    assert model(rows).eq(0).all()
    assert model.scale.scale.shape == (16,)
    x = torch.randn(7, 16)
    torch.testing.assert_close(model.scale(x), x)
    first: Any
    second: Any
    first, second = blocks(model).values()
    torch.testing.assert_close(first.activation(x[:, :1]), F.selu(x[:, :1]).expand(7, 300))
    assert second.layer.weight.std().item() == pytest.approx(1, rel=0.02)
    assert (0.1 * first.layer.bias).std().item() == pytest.approx(1, rel=0.15)
    assert model.output.weight.eq(0).all()


@torch.no_grad()
def test_initial_weights_and_kinks_follow_the_training_rows(rows: Tensor) -> None:
    torch.manual_seed(0)
    model: Any = RealMLP(
        (4,), 3, [30, 20], "selu", 3.0, None, "data", **RATES, training_inputs=rows
    )
    h = model.scale(model.robust(rows))
    for layer, activation in [(b.layer, b.activation) for b in model.hidden] + [
        (model.output, nn.Identity())
    ]:
        kinks = -0.1 * layer.bias
        z = layer(h) + kinks  # without bias
        torch.testing.assert_close(z.std(0, correction=0), torch.ones(z.shape[1]))
        assert (z.amin(0) < kinks).all()
        assert (kinks < z.amax(0)).all()
        h = activation(layer(h))


@torch.no_grad()
def test_initial_weights_and_kinks_are_the_packages() -> None:
    """Of the same draws, and where a unit's inputs are the same in all rows."""
    x = torch.randn(9, 4)
    layer = NTPLinear(4, 6, 0.1)
    layer.begin_on(torch.ones(9, 4))
    assert layer(torch.ones(9, 4)).abs().max() < 1e-6
    module = pytest.importorskip("pytabkit.models.nn_models.nn")
    torch.manual_seed(0)
    layer.begin_on(x)
    torch.manual_seed(0)
    weight = module.WeightFitter(6, weight_param="ntk", weight_init_mode="std").fit(as_theirs(x))
    bias = module.BiasFitter(bias_init_mode="he+5").fit(as_theirs(weight.forward_cont(x)))
    torch.testing.assert_close(layer(x), bias.forward_cont(weight.forward_cont(x)))


def test_neural_tangent_parametrization_is_the_packages() -> None:
    """Of variance 1 out of variance 1, whatever the inputs."""
    torch.manual_seed(0)
    layer = NTPLinear(400, 300, 0.1)
    nn.init.zeros_(layer.bias)
    assert layer(torch.randn(500, 400)).var().item() == pytest.approx(1, rel=0.05)
    x = torch.randn(9, 400)
    module = pytest.importorskip("pytabkit.models.nn_models.nn")
    theirs = module.WeightFitter(300, weight_param="ntk").fit(as_theirs(x))
    theirs.weight.data = layer.weight.data.T.clone()
    torch.testing.assert_close(layer(x), theirs.forward_cont(x))


@pytest.mark.parametrize(
    ("make", "name", "rate"),
    [
        (lambda rate: Scale(3, rate), "scale", 6.0),
        (lambda rate: NTPLinear(3, 4, rate), "bias", 0.1),
        (lambda rate: ParametricActivation(3, "selu", rate), "share", 0.1),
    ],
)
def test_rates_are_multiples_of_the_learning_rate_under_adam(
    make: Any, name: str, rate: float
) -> None:
    """One layer with the rate, another without it and with so large a learning rate."""
    torch.manual_seed(0)
    ours, plain = make(rate), make(1.0)
    x = torch.randn(8, 3)
    plain.load_state_dict(ours.state_dict())
    getattr(plain, name).data = rate * getattr(ours, name).data
    pairs = [
        (layer, getattr(layer, name), lr) for layer, lr in ((ours, 0.01), (plain, 0.01 * rate))
    ]
    for layer, parameter, lr in pairs:
        optimizer = torch.optim.Adam([parameter], lr, eps=1e-20)
        for _ in range(5):
            optimizer.zero_grad()
            (layer(x) - 1).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": []}, "model.hidden"),
        ({"clip": 0.0}, "model.clip"),
        ({"scale_rate": 0.0}, "model.scale_rate"),
        ({"activation": "sellu"}, "did you mean 'selu'"),
        ({"training_inputs": None}, "training split"),
    ],
)
def test_what_does_not_fit_is_refused(rows: Tensor, changed: Any, message: str) -> None:
    options: dict[str, Any] = {
        "hidden": [4], "activation": "selu", "clip": 3.0, "embedding": None,
        "initialization": "data", **RATES,
        "training_inputs": rows,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        RealMLP((4,), 2, **options | changed)


def test_images_that_memory_holds_as_bytes_are_learned_from() -> None:
    images = ArrayImages(np.arange(5 * 3 * 2 * 2, dtype=np.uint8).reshape(5, 3, 2, 2))
    rows = images[np.array([4, 0, 3])]
    ours, theirs = RobustScale(12, 3.0), RobustScale(12, 3.0)
    ours.fit(cast(Tensor, rows))
    theirs.fit(rows[:])
    flat = rows[:].flatten(1)
    torch.testing.assert_close(ours(flat), theirs(flat))
