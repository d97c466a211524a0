"""Every scheduler's learning rate over a whole run, as the loop steps it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR
from torch.optim.swa_utils import SWALR

from regexp.scheduler import Schedule

FOLDER = Path(__file__).parents[2] / "conf" / "scheduler"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
EPOCHS, STEPS_PER_EPOCH, LR = 12, 5, 0.4

# Rises and falls by hand; the plateau's patience is 2 in these tests.
LOSSES = [1.0, 0.9, 0.89999, 0.95, 0.91, 0.92, 0.93, 0.94, 0.5, 0.6, 0.6, 0.6]


def cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def one_cycle(t: int, n: int) -> float:
    low, top = LR / 25, 0.3 * n - 1
    if t <= top:
        return cosine(low, LR, t / top)
    return cosine(LR, low / 1e4, (t - top) / (n - 1 - top))


def cyclic(t: int, n: int) -> float:
    half = math.ceil(n / 8)
    return LR * (1 - abs(t / half - 2 * math.floor(t / (2 * half)) - 1))


def inverse_square_root(t: int, n: int) -> float:
    peak = math.ceil(n / 10)
    return LR * ((t + 1) / peak if t + 1 < peak else math.sqrt(peak / (t + 1)))


def warmup(t: int, n: int) -> float:
    return LR * min(1.0, 0.01 + 0.99 * t / math.ceil(n / 10))


def warmup_cosine(t: int, n: int) -> float:
    length = math.ceil(n / 10)
    return warmup(t, n) if t < length else cosine(LR, 0, (t - length) / (n - length))


def doubling(t: int, n: int) -> float:
    length = math.ceil(n / 7)
    while t >= length:
        t, length = t - length, 2 * length
    return cosine(LR, 0, t / length)


def constant_tail(t: int, n: int) -> float:
    start, anneal = math.ceil(0.75 * n), math.ceil(0.05 * n)
    return cosine(LR, LR / 2, min(max(t - start, 0) / anneal, 1))


def warmup_stable_decay(t: int, n: int) -> float:
    return min(warmup(t, n), LR * (n - t) / math.ceil(n / 5))


def plateau(t: int, n: int) -> float:
    """Of LOSSES with patience 2: .89999 is no improvement at threshold 1e-4, nor is what follows;
    the third bad epoch in a row (index 4) reduces, then the next three (5 to 7), then 9 to 11."""
    return LR * 0.1 ** ((t > 4) + (t > 7))


# name -> the learning rate of the t-th interval (from 0) of a run of n intervals
CLOSED_FORM: dict[str, Callable[[int, int], float]] = {
    "constant": lambda t, n: LR,
    "lambda_lr": inverse_square_root,
    "multiplicative_lr": lambda t, n: LR * 0.95**t,
    "step_lr": lambda t, n: LR * 0.1 ** (3 * t // n),
    "multi_step_lr": lambda t, n: LR * 0.1 ** ((2 * t >= n) + (4 * t >= 3 * n)),
    "exponential_lr": lambda t, n: LR * 0.95**t,
    "polynomial_lr": lambda t, n: LR * (1 - t / n),
    "linear_lr": lambda t, n: LR * (1 - t / n),
    "sgdr": doubling,
    "swa_lr": constant_tail,
    "cosine_annealing_lr": lambda t, n: cosine(LR, 0, t / n),
    "cosine_annealing_warm_restarts": lambda t, n: cosine(LR, 0, 4 * t / n % 1),
    "reduce_lr_on_plateau": plateau,
    "cyclic_lr": cyclic,
    "one_cycle_lr": one_cycle,
    "warmup": warmup,
    "warmup_cosine": warmup_cosine,
    "warmup_stable_decay": warmup_stable_decay,
}

# Those for which torch has a closed form of its own.
OF_TORCH = ["constant", "cosine_annealing_lr", "exponential_lr", "linear_lr", "multi_step_lr",
            "polynomial_lr", "step_lr", "warmup"]  # fmt: skip


def settings(name: str, **changes: Any) -> dict[str, Any]:
    """A scheduler's YAML within a job's configuration, resolved."""
    if name == "reduce_lr_on_plateau":
        changes = {"patience": 2, **changes}
    config = OmegaConf.create(
        {
            "optimizer": {"lr": LR},
            "lengths": {
                "epochs": EPOCHS,
                "steps_per_epoch": STEPS_PER_EPOCH,
                "steps": EPOCHS * STEPS_PER_EPOCH,
            },
            "scheduler": OmegaConf.load(FOLDER / f"{name}.yaml"),
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, f"scheduler.{key}", value)
    node = OmegaConf.to_container(config, resolve=True)
    assert isinstance(node, dict)
    return node["scheduler"]


def make(
    name: str, kind: type[torch.optim.Optimizer] = torch.optim.SGD, **changes: Any
) -> Schedule:
    node = settings(name, **changes)
    interval = node.pop("interval")
    optimizer = kind([torch.nn.Parameter(torch.zeros(2))], lr=LR)  # type: ignore[call-arg]
    return Schedule(instantiate(node), interval, optimizer)


def rates(schedule: Schedule, first: int = 0, last: int = EPOCHS) -> list[float]:
    """The learning rate of every step of the epochs first..last-1."""
    result = []
    for epoch in range(first, last):
        for _ in range(STEPS_PER_EPOCH):
            result.append(schedule.learning_rate)
            schedule.optimizer.step()
            schedule.step_batch()
        schedule.step_epoch(LOSSES[epoch])
    return result


def test_every_choice_has_a_closed_form() -> None:
    assert set(CLOSED_FORM) == set(NAMES)


@pytest.mark.parametrize("interval", ["default", "step", "epoch"])
@pytest.mark.parametrize("name", NAMES)
def test_learning_rate_is_the_closed_form(name: str, interval: str) -> None:
    if interval != "default" and name == "reduce_lr_on_plateau":
        interval = "epoch"  # steps are refused, see below
    changes: dict[str, Any] = {} if interval == "default" else {"interval": interval}
    schedule = make(name, **changes)
    actual = rates(schedule)
    by_step = schedule.interval == "step"
    n = EPOCHS * STEPS_PER_EPOCH if by_step else EPOCHS
    unit = 1 if by_step else STEPS_PER_EPOCH
    expected = [CLOSED_FORM[name](t // unit, n) for t in range(EPOCHS * STEPS_PER_EPOCH)]
    assert actual == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", OF_TORCH)
def test_torch_agrees_with_its_own_closed_form(name: str) -> None:
    schedule = make(name)
    closed_form = schedule.scheduler._get_closed_form_lr  # type: ignore[attr-defined]
    for epoch in range(EPOCHS):
        rates(schedule, epoch, epoch + 1)
        assert schedule.learning_rate == pytest.approx(closed_form()[0], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_resumed_goes_on_as_if_uninterrupted(name: str) -> None:
    expected = rates(make(name))
    broken = make(name)
    assert rates(broken, 0, 7) == expected[: 7 * STEPS_PER_EPOCH]
    file = io.BytesIO()
    torch.save((broken.optimizer.state_dict(), broken.state_dict()), file)
    file.seek(0)
    of_optimizer, of_schedule = torch.load(file, weights_only=True)
    resumed = make(name)
    resumed.optimizer.load_state_dict(of_optimizer)
    resumed.load_state_dict(of_schedule)
    assert rates(resumed, 7) == expected[7 * STEPS_PER_EPOCH :]


@pytest.mark.parametrize("name", NAMES)
def test_betas_are_left_alone(name: str) -> None:
    """One-cycle and cyclic schedules change Adam's first beta unless told not to."""
    schedule = make(name, torch.optim.Adam)
    rates(schedule, 0, 3)
    assert schedule.optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_warmup_cosine_is_torchs_chain_of_two() -> None:
    schedule = make("warmup_cosine")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=LR)
    length, steps = 6, EPOCHS * STEPS_PER_EPOCH
    parts = [LinearLR(optimizer, 0.01, 1.0, length), CosineAnnealingLR(optimizer, steps - length)]
    chain = Schedule(lambda of: SequentialLR(of, parts, [length]), "step", optimizer)
    assert rates(schedule) == pytest.approx(rates(chain), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("base", ["constant", "cosine"])
def test_constant_tail_is_torchs_swalr_after_a_base(base: str) -> None:
    n = EPOCHS * STEPS_PER_EPOCH
    changes: dict[str, Any] = {"lr_lambda.base": base, "lr_lambda.rate": 0.3}
    ours = rates(make("swa_lr", **changes))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=LR)
    before = {
        "constant": lambda: LinearLR(optimizer, 1.0, 1.0),
        "cosine": lambda: CosineAnnealingLR(optimizer, n),
    }[base]()
    tail = SWALR(optimizer, swa_lr=0.3 * LR, anneal_epochs=3)
    expected = []
    for t in range(n):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        (before if t < 45 else tail).step()
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_number_may_stand_where_a_share_does() -> None:
    schedule = make("step_lr", step_size=4)
    assert isinstance(schedule.scheduler, StepLR)
    assert schedule.scheduler.step_size == 4


@pytest.mark.parametrize("name", NAMES)
def test_equal_settings_make_equal_partials(name: str) -> None:
    """Runs with equal schedules can only then share an optimizer."""
    one, other = (instantiate(settings(name)) for _ in range(2))
    assert (one.func, one.keywords) == (other.func, other.keywords)


def test_only_the_plateau_uses_the_metric() -> None:
    assert [name for name in NAMES if make(name).uses_metric] == ["reduce_lr_on_plateau"]


def test_wrong_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scheduler\.interval: expected step or epoch, got 'b"):
        Schedule(lambda of: StepLR(of, 1), "batch", make("constant").optimizer)


def test_plateau_by_step_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scheduler\.interval: ReduceLROnPlateau .* expected ep"):
        make("reduce_lr_on_plateau", interval="step")
