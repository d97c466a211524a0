"""docs/names.md: every name leads to a technique, and every equation holds, against torch,
scikit-learn and the formulas of the papers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from torch import Tensor, nn
from torch.nn import functional as F

from regexp.metrics.loss import LOSSES
from regexp.regularizer.base import Batch, GradientView, PenaltyView
from tests.support import BY_NAME, NAMES, make_member, make_step, make_view, not_called, run
from tests.support import technique as made

PAGE = Path(__file__).parents[1] / "docs" / "names.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "here |" not in line
]
generator = partial(torch.Generator().manual_seed, 0)


def test_every_row_leads_to_techniques_that_exist() -> None:
    for _, here, _ in ROWS:
        linked = re.findall(r"\[`(\w+)`\]\(techniques/(\w+)\.md\)", here)
        assert linked, here
        assert all(shown == page and page in NAMES for shown, page in linked), here


def test_no_name_stands_twice() -> None:
    names = [name for row in ROWS for name in re.split(r"[,;:] ", row[0])]
    assert len(names) == len(set(names))


def test_the_settings_that_are_named_exist() -> None:
    for _, here, numbers in ROWS:
        (first, *_) = re.findall(r"techniques/(\w+)\.md", here)
        for key in re.findall(r"^`(\w+)`", numbers):
            assert hasattr(made(first), key), (first, key)
        for key, value in re.findall(r"`(\w+)=(\w+)`", here):
            owner = re.findall(r"techniques/(\w+)\.md", here.partition(f"`{key}={value}`")[0])[-1]
            made(owner, **{key: value})


# --- the equations ----------------------------------------------------------------------------


def value_of(name: str, parameters: dict[str, Tensor], memory: Any = None, **numbers: Any) -> float:
    """Of a penalty."""
    step = make_step(memory=memory)
    return float(made(name, **numbers).penalty(step, make_view(parameters)))


WEIGHTS = {"w": torch.randn(4, 3, generator=generator()).double()}


def trained(techniques: dict[str, Any], optimizer: Callable[..., Any]) -> dict[str, Tensor]:
    (result,), _ = run([make_member(0, techniques, optimizer)], 3, precision="float64")
    weights: dict[str, Tensor] = result.last["weights"]
    return weights


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12)


def decay_of_torchs_sgd_and_adam() -> None:
    for kind in (
        partial(torch.optim.SGD, lr=0.05, momentum=0.9),
        partial(torch.optim.Adam, lr=0.01),
    ):
        theirs = trained({}, partial(kind, weight_decay=0.02))
        same(trained({"l2": made("l2", strength=0.01, include="all")}, kind), theirs)
        decay = made("weight_decay", strength=0.02, mode="coupled", include="all")
        same(trained({"weight_decay": decay}, kind), theirs)


def decay_of_adamw() -> None:
    decay = {"weight_decay": made("weight_decay", strength=0.3, include="all")}
    plain = partial(torch.optim.AdamW, lr=0.01, weight_decay=0)
    same(trained(decay, plain), trained({}, partial(plain, weight_decay=0.3)))


def keras_l2() -> None:
    assert value_of("l2", WEIGHTS, strength=0.3) == pytest.approx(
        0.3 * float((WEIGHTS["w"] ** 2).sum())
    )


def keras_l1() -> None:
    assert value_of("l1", WEIGHTS, strength=0.3) == pytest.approx(
        0.3 * float(WEIGHTS["w"].abs().sum())
    )


def data(rows: int = 60) -> tuple[Tensor, Tensor]:
    draws = generator()
    x = torch.randn(rows, 3, generator=draws).double()
    return x, x @ torch.tensor([1.0, -2.0, 0.0]).double() + torch.randn(rows, generator=draws)


def slope(objective: Callable[[Tensor], Tensor], point: Any) -> Tensor:
    return torch.func.grad(objective)(torch.tensor(point).double())


def penalized(name: str, strength: float, w: Tensor) -> Tensor:
    penalty = made(name, strength=strength).penalty(make_step(), make_view({"w": w[None]}))
    assert isinstance(penalty, Tensor)
    return penalty


def ridge() -> None:
    x, y = data()
    found = Ridge(alpha=7.0, fit_intercept=False, tol=1e-12).fit(x, y).coef_
    loss = lambda w: LOSSES["regression"]((x @ w)[:, None], y[:, None]).mean()
    assert slope(lambda w: loss(w) + penalized("l2", 7.0 / len(x), w), found).abs().max() < 1e-9


def logistic_regression() -> None:
    x, y = data()
    classes = (y > 0).long()
    fit = LogisticRegression(C=0.2, fit_intercept=False, tol=1e-10, max_iter=1000).fit(x, classes)
    loss = lambda w: F.binary_cross_entropy_with_logits(x @ w, classes.double())
    strength = 1 / (2 * 0.2 * len(x))
    assert slope(lambda w: loss(w) + penalized("l2", strength, w), fit.coef_[0]).abs().max() < 1e-6


def lasso() -> None:
    """Where a weight is zero the slope of the loss is no more than the strength."""
    x, y = data()
    found = Lasso(alpha=0.6, fit_intercept=False, tol=1e-12).fit(x, y).coef_
    loss = lambda w: LOSSES["regression"]((x @ w)[:, None], y[:, None]).mean()
    slopes = slope(loss, found)
    assert (found == 0).tolist() == [False, False, True]
    pull = slope(lambda w: penalized("l1", 1.2, w), found)
    assert (slopes + pull)[:2].abs().max() < 1e-6
    assert slopes[2].abs() < 1.2
    proximal, new = made("proximal_l1", strength=1.2), torch.tensor(found)[None]
    stepped = {"w": new - 0.01 * slopes}  # a step of gradient descent from the lasso's weights
    step = make_step(learning_rate=0.01)
    torch.testing.assert_close(proximal.constrain(step, stepped, {"w": new})["w"], new)


def l2_init() -> None:
    start = {"w": torch.zeros(4, 3).double() + 0.5, "bias": torch.ones(3).double()}
    memory = made("l2_sp", include="all").init(start, BY_NAME)
    now = {"w": WEIGHTS["w"], "bias": torch.full((3,), 3.0).double()}
    kumar = 0.3 * sum(float((now[name] - start[name]).norm() ** 2) for name in now)
    step = make_step(memory=memory, kinds={"w": "weight", "bias": "bias"})
    ours = made("l2_sp", strength=0.3, include="all").penalty(step, make_view(now))
    assert float(ours) == pytest.approx(kumar)


def spectral_decoupling() -> None:
    outputs = torch.randn(8, 5, generator=generator()).double()
    pezeshki = 0.3 / 2 * float(outputs.square().sum(1).mean())
    batch = Batch(outputs, F.one_hot(torch.arange(8) % 5, 5).double())
    view = PenaltyView({}, outputs, batch, not_called, not_called, {})
    ours = made("logit_penalty", strength=0.3 * 5 / 2).penalty(make_step(), view)
    assert float(ours) == pytest.approx(pezeshki)


def label_smoothing() -> None:
    outputs = torch.randn(8, 5, generator=generator()).double()
    classes = torch.arange(8) % 5
    batch = Batch(outputs, F.one_hot(classes, 5).double())
    ours = made("label_smoothing", smoothing=0.2).batch(make_step(), batch)
    theirs = F.cross_entropy(outputs, classes, label_smoothing=0.2)
    assert float(LOSSES["classification"](outputs, ours.targets).mean()) == pytest.approx(
        float(theirs)
    )


def clipping() -> None:
    gradients = {"a": WEIGHTS["w"] * 3, "b": WEIGHTS["w"][0]}
    for mode in ("norm", "value"):
        parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients.values()]
        for parameter, gradient in zip(parameters, gradients.values(), strict=True):
            parameter.grad = gradient.clone()
        if mode == "norm":
            nn.utils.clip_grad_norm_(parameters, 0.5)
        else:
            nn.utils.clip_grad_value_(parameters, 0.5)
        view = GradientView(gradients, gradients, not_called)
        ours = made("gradient_clipping", limit=0.5, mode=mode).gradient(make_step(), view)
        for found, parameter in zip(ours.values(), parameters, strict=True):
            torch.testing.assert_close(found, parameter.grad, rtol=1e-5, atol=0)  # torch adds 1e-6


def averaging() -> None:
    """Of schedule_free without interpolation: the mean of the weights after every step."""
    technique, w, path = made("schedule_free", beta=0.0), WEIGHTS["w"], []
    memory = technique.init({"w": w}, BY_NAME)
    for index in range(10):
        step, old = make_step(index, memory=memory), w
        w = technique.constrain(step, {"w": 0.9 * old}, {"w": old})["w"]
        memory = technique.track(step, {"w": w})
        path.append(w)
    torch.testing.assert_close(technique.weights(memory, {"w": w})["w"], torch.stack(path).mean(0))


EQUATIONS: dict[str, Callable[[], None]] = {
    "`weight_decay` of torch's SGD and Adam": decay_of_torchs_sgd_and_adam,
    "`weight_decay` of torch's AdamW": decay_of_adamw,
    "Keras's `L2(λ)`": keras_l2,
    "Keras's `L1(λ)`": keras_l1,
    "ridge regression": ridge,
    "scikit-learn's `LogisticRegression(C)`": logistic_regression,
    "lasso": lasso,
    "L2 Init": l2_init,
    "spectral decoupling": spectral_decoupling,
    "`label_smoothing` of torch and Keras": label_smoothing,
    "torch's `clip_grad_norm_(max_norm)`": clipping,
    "Polyak-Ruppert averaging of every step": averaging,
}


@pytest.mark.parametrize("name", [row[0] for row in ROWS if "=" in row[2]])
def test_equations_hold(name: str) -> None:
    [equation] = [check for start, check in EQUATIONS.items() if name.startswith(start)]
    equation()


def test_every_equation_is_on_the_page() -> None:
    assert len(EQUATIONS) == sum("=" in row[2] for row in ROWS)
