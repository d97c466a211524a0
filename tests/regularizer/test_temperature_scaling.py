"""Temperature scaling: scipy's minimum of the cross-entropy of the same logits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from regexp.errors import ConfigError
from regexp.random import Rng
from regexp.regularizer.base import Evaluation, PredictionView
from regexp.regularizer.cocktail import Cocktail
from tests.support import BY_NAME, make_data, make_member, run, technique


def loss(log_t: float, logits: Tensor, classes: Tensor) -> float:
    chosen = log_softmax(logits.double().numpy() / np.exp(log_t), axis=1)
    return -float(chosen[np.arange(len(classes)), classes.numpy()].mean())


def least(logits: Tensor, classes: Tensor) -> float:
    """The temperature that scipy finds."""
    found = minimize_scalar(loss, (-1, 1), args=(logits, classes), options={"xtol": 1e-10})
    return float(np.exp(found.x))


def drawn(scale: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that are `scale` times those by whose chances the classes were drawn."""
    generator = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(400, 5, generator=generator, dtype=torch.float64)
    classes = torch.multinomial(true.softmax(1), 1, generator=generator).squeeze(1)
    return scale * true, classes


def observed(logits: Tensor, classes: Tensor, temperature: float, limit: float = 20.0) -> float:
    """What is fitted, where the outputs that are seen were divided by a temperature before."""
    memory = {"temperature": torch.tensor(temperature, dtype=torch.float64)}
    evaluation = Evaluation({}, {}, logits / temperature, classes)
    after = technique("temperature_scaling", limit=limit).observe(memory, evaluation)
    return float(after["temperature"])


@pytest.mark.parametrize("scale", [0.1, 0.9, 4.0, 15.0])
@pytest.mark.parametrize("before", [1.0, 0.05, 20.0])
def test_the_temperature_is_scipys_whatever_it_was_before(scale: float, before: float) -> None:
    logits, classes = drawn(scale)
    expected = least(logits, classes)
    assert expected == pytest.approx(scale, rel=0.2)  # what the classes were drawn with
    assert observed(logits, classes, before) == pytest.approx(expected, rel=1e-7)


def test_stacks_find_the_temperature_of_each_run() -> None:
    """Also where their limits differ, of which the last one binds."""
    scales, limits = (0.2, 3.0, 9.0), torch.tensor([20.0, 5.0, 2.0], dtype=torch.float64)
    runs = [drawn(scale, seed) for seed, scale in enumerate(scales)]
    logits, classes = (torch.stack(parts) for parts in zip(*runs, strict=True))

    def each(limit: Tensor, logits: Tensor, classes: Tensor) -> Tensor:
        made = technique("temperature_scaling").with_values({"limit": limit})
        memory = made.init({"w": logits.float()}, BY_NAME)
        after: Tensor = made.observe(memory, Evaluation({}, {}, logits, classes))["temperature"]
        return after

    found = torch.vmap(each)(limits, logits, classes)
    expected = [least(*one) for one in runs[:2]] + [2.0]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_rows_that_are_all_right_have_the_least_temperature() -> None:
    logits = 0.5 * torch.eye(3).double()
    assert observed(logits, torch.arange(3), 1.0) == pytest.approx(1 / 20, rel=1e-4)
    assert observed(logits, torch.arange(3).roll(1), 1.0) == pytest.approx(20, rel=1e-4)


def test_outputs_are_divided() -> None:
    memory = {"temperature": torch.tensor(2.5, dtype=torch.float64)}
    view = PredictionView({}, lambda x: 3 * x, torch.ones(2, 4), Rng(0))
    outputs = technique("temperature_scaling").predict(memory, view)
    assert torch.equal(outputs, torch.full((1, 2, 4), 3 / 2.5))


@pytest.mark.parametrize("runs", [1, 2])
def test_a_run_ends_with_the_temperature_of_its_last_outputs(runs: int) -> None:
    """And is the run without, but for what is predicted: scipy's fit on that one's outputs."""
    wild, data = partial(torch.optim.Adam, lr=0.02), make_data(rows=40)
    scaled, plain = (
        run([make_member(seed, own, wild, data=data) for seed in range(runs)], epochs=40)[0]
        for own in ({"temperature_scaling": technique("temperature_scaling")}, {})
    )
    for ours, other in zip(scaled, plain, strict=True):
        for name, value in other.last["weights"].items():
            assert torch.equal(ours.last["weights"][name], value)
        temperature = least(other.validation_outputs, data.validation.targets)
        memory = ours.last["memory"]["temperature_scaling"]
        assert temperature > 1.2, "the test shows nothing"
        assert float(memory["temperature"]) == pytest.approx(temperature, rel=1e-4)
        torch.testing.assert_close(ours.outputs, other.outputs / temperature, rtol=1e-4, atol=1e-6)
        assert ours.metrics["test/accuracy"] == other.metrics["test/accuracy"]
        assert ours.metrics["test/loss"] < other.metrics["test/loss"]


def test_refuses_a_rule_that_goes_back_to_other_weights() -> None:
    """Which would be evaluated with the temperature of the last ones."""
    with pytest.raises(ConfigError, match=r"temperature_scaling: .*a stopping rule"):
        Cocktail({name: technique(name) for name in ("temperature_scaling", "early_stopping")})
