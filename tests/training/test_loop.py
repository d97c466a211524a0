"""The loop against loops written by hand, and runs in a stack against runs alone."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from regexp.model.layers import DropoutLayer, Noise, blocks, fill_noise, note_shapes
from regexp.random import Rng
from regexp.regularizer.base import (
    Evaluation,
    Memory,
    ParameterKinds,
    PenaltyView,
    Regularizer,
    Step,
    Tensors,
)
from regexp.stack.stack import Stack
from regexp.training.checkpoint import digest
from tests.support import make_data, make_member, run, stacked_and_alone, tensor

assert_same_bits = partial(assert_close, rtol=0, atol=0)

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=1e-2, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, lr=1e-3),
}


@dataclass(frozen=True)
class NormDropout(Regularizer):
    """Batch normalization and dropout in every block."""

    p: float
    norm: bool = True

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            if self.norm:
                block.norm.append(nn.BatchNorm1d(block.features))
            block.dropout.append(DropoutLayer(self.p))
        return model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_run_is_bit_equal_to_the_loop_written_by_hand(name: str) -> None:
    member = make_member(3, {"layers": NormDropout(0.3)}, OPTIMIZERS[name])
    data = member.data
    model = copy.deepcopy(member.model)
    (result,), history = run([member], epochs=4)

    optimizer = OPTIMIZERS[name](model.parameters())
    note_shapes(model, data.train.inputs[:1])
    step = 0
    for epoch in range(4):
        model.train()
        order = Rng(3, "order", epoch).permutation(90)
        for first in range(0, 90, 32):
            rows = order[first : first + 32]
            fill_noise(model, Rng(3, "step", step), len(rows))
            loss = F.cross_entropy(model(tensor(data.train.inputs)[rows]), data.train.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        model.eval()
        with torch.no_grad():
            outputs = model(data.validation.inputs)
        assert history[0][epoch]["val/loss"] == pytest.approx(
            float(F.cross_entropy(outputs, data.validation.targets)), rel=1e-6
        )

    assert len(result.last["weights"]) >= 14
    assert_same_bits(result.last["weights"], dict(model.state_dict()))
    with torch.no_grad():
        right = (model(data.test.inputs).argmax(1) == data.test.targets).float().mean()
    assert result.metrics["test/accuracy"] == float(right)
    assert_same_bits(result.last["optimizer"]["state"], optimizer.state_dict()["state"])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("epochs", [1, 50])
def test_a_run_in_a_stack_of_8_agrees_with_the_same_run_alone(name: str, epochs: int) -> None:
    """In float64, to rounding that 50 epochs of Adam's division have let grow."""

    def member(seed: int):
        return make_member(seed, {"layers": NormDropout(0.3)}, OPTIMIZERS[name])

    stacked, histories = run([member(seed) for seed in range(8)], epochs, precision="float64")
    (alone,), history = run([member(5)], epochs, precision="float64")
    tolerance = 1e-10 if epochs == 1 else 1e-6
    assert_close(stacked[5].last["weights"], alone.last["weights"], rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(histories[5], history[0], strict=True):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_in_a_stack_agrees_with_the_same_run_alone_in_float32(name: str) -> None:
    """Without batch normalization: a bias before it has no gradient but rounding error, which
    Adam scales up to whole steps."""

    def member(seed: int):
        return make_member(seed, {"layers": NormDropout(0.3, norm=False)}, OPTIMIZERS[name])

    _, histories = run([member(seed) for seed in range(8)], 3)
    _, history = run([member(5)], 3)
    for ours, theirs in zip(histories[5], history[0], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def stacked_job() -> str:
    """The digests of all weights and metrics of a stack of three runs."""
    results, histories = run([make_member(s, {"layers": NormDropout(0.3)}) for s in range(3)])
    return repr([[digest(result.last["weights"]) for result in results], histories])


def test_a_rerun_in_a_new_process_gives_the_same_bits() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import torch; torch.set_num_threads(1); torch.manual_seed(123)\n"
        "from tests.training.test_loop import stacked_job; print(stacked_job())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert done.stdout.strip() == stacked_job()
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class StopAt(Regularizer):
    """Stop after some epochs; the number may differ from run to run."""

    epochs: float

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {"seen": torch.zeros(())}

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        return {"seen": memory["seen"] + 1}

    def stop(self, memory: Memory) -> Tensor | bool:
        return memory["seen"] >= self.epochs


@pytest.mark.parametrize(
    "scheduler",
    [
        partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5),
        partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.5),
    ],
)
def test_runs_that_stop_early_are_frozen_while_the_others_go_on(scheduler) -> None:
    stops = [4.0, 2.0, 6.0, 2.0]

    def member(seed: int):
        techniques = {"layers": NormDropout(0.2), "stop": StopAt(stops[seed])}
        return make_member(seed, techniques, scheduler=scheduler)

    for result, metrics, alone, expected in stacked_and_alone(member, range(4), 6):
        assert result.epochs == stops[result.run]
        assert [e["epoch"] for e in metrics] == [e["epoch"] for e in expected]
        assert [e["lr"] for e in metrics] == [e["lr"] for e in expected]
        assert_close(result.last["weights"], alone.last["weights"])
        assert_close(result.last["optimizer"]["state"], alone.last["optimizer"]["state"])


def test_a_loss_that_is_no_number_ends_its_run_and_not_the_stack() -> None:
    def member(seed: int, rate: float):
        return make_member(seed, optimizer=partial(torch.optim.SGD, lr=rate))

    results, histories = run([member(0, 0.1), member(1, 1e20), member(2, 0.1)], 4)
    assert [result.status for result in results] == ["FINISHED", "FAILED", "FINISHED"]
    assert "epoch" in results[1].reason
    assert "lower optimizer.lr" in results[1].reason
    assert not math.isfinite(histories[1][-1]["train/loss"] + histories[1][-1]["val/loss"])
    assert len(histories[0]) == 4
    (alone,), _ = run([member(2, 0.1)], 4)
    assert_close(results[2].last["weights"], alone.last["weights"], rtol=1e-5, atol=1e-6)


def test_runs_of_different_learning_rates_share_a_stack() -> None:
    rates = [1e-3, 1e-3, 1e-2, 3e-2]

    def member(seed: int):
        return make_member(seed, optimizer=partial(torch.optim.Adam, lr=rates[seed]))

    for result, metrics, alone, _ in stacked_and_alone(member, range(4)):
        assert metrics[0]["lr"] == rates[result.run]
        assert_close(result.last["weights"], alone.last["weights"])


@dataclass(frozen=True)
class Everything(Regularizer):
    """Every hook at once, each of an effect that would show if it were lifted wrongly."""

    strength: float
    uses_hidden = True

    def batch(self, step, batch):
        noise = step.rng.normal(batch.inputs.shape).to(batch.inputs.dtype)
        lam = step.rng.beta(2.0, 1 + self.strength, ()).to(batch.inputs.dtype)
        targets = lam * batch.targets + (1 - lam) * batch.targets.flip(0)
        return batch._replace(inputs=batch.inputs + self.strength * noise, targets=targets)

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        again = view.network(view.batch.inputs + 0.1)
        own = sum(p.square().sum() for p in view.parameters.values())
        hidden = sum(h.abs().mean() for h in view.hidden.values())
        rows = view.loss(again, view.batch.targets).mean()
        return self.strength * (own + hidden + rows + (again - view.outputs).square().mean())

    def gradient(self, step, view):
        moved = {n: p + self.strength * 0.1 for n, p in view.parameters.items()}
        again, noise = view.regradient(moved), step.rng.uniform(())
        return {n: g + again[n] * noise for n, g in view.gradients.items()}

    def constrain(self, step, new, old):
        shrink = step.learning_rate * self.strength
        return {n: p - shrink * old[n] for n, p in new.items()}

    def init(self, state, kinds):
        return {"mean": {n: v.clone() for n, v in state.items()}, "loss": torch.zeros(())}

    def track(self, step, state):
        mean = {n: 0.9 * m + 0.1 * state[n] for n, m in step.memory["mean"].items()}
        return {**step.memory, "mean": mean}

    def observe(self, memory, evaluation):
        return {**memory, "loss": memory["loss"] + evaluation.metrics["loss"]}

    def weights(self, memory, state):
        return {n: memory["mean"][n] for n in state}

    def restore(self, memory, state):
        return {n: v * (1 + 1e-3 * memory["loss"]).to(v.dtype) for n, v in state.items()}


@pytest.mark.parametrize("same", [True, False])
def test_every_hook_agrees_stacked_and_alone(same: bool) -> None:
    strengths = [0.05, 0.05, 0.05] if same else [0.05, 0.0, 0.2]

    def member(seed: int):
        techniques = {"layers": NormDropout(0.2), "all": Everything(strengths[seed])}
        return make_member(seed, techniques, OPTIMIZERS["adam"])

    for result, metrics, alone, expected in stacked_and_alone(member, range(3)):
        # float32 numbers (strength, draws) meet float64 tensors: equal to float32's rounding
        assert_close(result.last["weights"], alone.last["weights"], rtol=1e-5, atol=1e-6)
        for ours, theirs in zip(metrics, expected, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)


def test_averaged_weights_get_their_own_running_statistics() -> None:
    """Against what torch's layers see of the same batches, by their rows."""

    @dataclass(frozen=True)
    class Average(Everything):
        averages = True
        uses_hidden = False
        batch = Regularizer.batch
        penalty = Regularizer.penalty  # type: ignore[assignment]
        gradient = Regularizer.gradient
        constrain = Regularizer.constrain
        restore = Regularizer.restore

    members = [make_member(s, {"n": NormDropout(0.0), "a": Average(0.0)}) for s in range(2)]
    models = [copy.deepcopy(member.model) for member in members]
    results, _ = run(members, 2)
    for model, member, result in zip(models, members, results, strict=True):
        model.load_state_dict(result.last["weights"], strict=False)
        seen: dict[str, list[Tensor]] = {}
        for name, norm in model.named_modules():
            if isinstance(norm, nn.BatchNorm1d):
                seen[name] = []
                note = lambda _, x, y, into=seen[name]: into.append(x[0].detach())
                norm.register_forward_hook(note)
        order = Rng(member.seed, "statistics").permutation(90)
        for batch in tensor(member.data.train.inputs)[order].split(32):
            model(batch)  # noise is one
        assert seen
        for name, batches in seen.items():
            mean = sum(len(x) * x.mean(0) for x in batches) / 90
            var = sum(len(x) * x.var(0) for x in batches) / 90
            assert_close(result.last["weights"][f"{name}.running_mean"], mean)
            assert_close(result.last["weights"][f"{name}.running_var"], var)


class Own(nn.Module):
    """A user's module, with layers that have state and noise of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = DropoutLayer(0.2)
        self.second = nn.Linear(8, 3)
        self.register_buffer("scale", torch.ones(8), persistent=False)
        self.frozen = nn.Parameter(torch.ones(8, 1), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.first(x)).relu()) * self.scale * self.frozen[:, 0]
        return self.second(hidden)


@dataclass(frozen=True)
class Decay(Regularizer):
    """Averages the weights and shrinks them."""

    averages = True

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {name: value.clone() for name, value in state.items()}

    def track(self, step: Step, state: Tensors) -> Memory:
        return {name: 0.8 * mean + 0.2 * state[name] for name, mean in step.memory.items()}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return memory

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        return {name: 0.99 * value for name, value in new.items()}


def test_a_users_module_with_state_and_noise_agrees_stacked_and_alone() -> None:
    stops = [3.0, 1.0, 2.0]

    def member(seed: int):
        techniques = {"stop": StopAt(stops[seed]), "decay": Decay()}
        return make_member(seed, techniques, OPTIMIZERS["sgd"], model=Own)

    for result, _, alone, _ in stacked_and_alone(member, range(3)):
        assert result.status == alone.status == "FINISHED"
        assert_close(result.last["weights"], alone.last["weights"])
        assert torch.equal(alone.last["state"]["frozen"], torch.ones(8, 1, dtype=torch.float64))


def test_noise_of_a_technique_does_not_depend_on_its_neighbours() -> None:
    def masks(techniques: dict[str, Regularizer]) -> list[Tensor]:
        stack = Stack([make_member(0, techniques)], 1, 32)
        stack.draw_noise(stack.step(), 4)
        layers = [m for m in stack.model.modules() if isinstance(m, Noise)]
        return [layer.noise for layer in layers if layer.stream == "own"]

    own = NormDropout(0.5, norm=False)
    alone, after = masks({"own": own}), masks({"other": NormDropout(0.1), "own": own})
    assert len(alone) == 2
    assert not torch.equal(alone[0], alone[1])
    for one, other in zip(alone, after, strict=True):
        assert torch.equal(one, other)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3))
    model[1].weight = model[0].weight
    return model


class TiedWithin(nn.Module):
    """One weight in two layers of a module that `vmap` lifts as a whole, and once more outside."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"first": nn.Linear(5, 5), "second": nn.Linear(5, 5)})
        self.inner["second"].weight = self.inner["first"].weight
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner["second"](self.inner["first"](x).relu()))


@pytest.mark.parametrize("model", [tied, TiedWithin, lambda: nn.Sequential(TiedWithin())])
def test_tied_layers_stay_tied_in_a_stack(model) -> None:
    def member(seed: int):
        return make_member(seed, optimizer=OPTIMIZERS["sgd"], model=model)

    for result, _, alone, _ in stacked_and_alone(member, range(2)):
        assert_close(result.last["weights"], alone.last["weights"])
        pair = [value for name, value in result.last["weights"].items() if value.shape == (5, 5)]
        assert len(pair) == 2
        assert torch.equal(*pair)
        model().load_state_dict(result.last["weights"])
        model().load_state_dict(result.best["weights"])
    stack = Stack([member(seed) for seed in range(2)], 1, 32)
    assert len(stack.parameters) == len(dict(model().named_parameters()))


def test_the_best_checkpoint_is_that_of_the_least_validation_loss() -> None:
    members = [make_member(s, optimizer=partial(torch.optim.Adam, lr=0.1)) for s in range(3)]
    models = [copy.deepcopy(member.model) for member in members]
    results, histories = run(members, 12)
    for seed, (model, result) in enumerate(zip(models, results, strict=True)):
        losses = [entry["val/loss"] for entry in histories[seed]]
        assert result.best["epoch"] == 1 + losses.index(min(losses))
        model.load_state_dict(result.best["weights"])
        data = make_data(seed)
        with torch.no_grad():
            loss = F.cross_entropy(model(data.validation.inputs), data.validation.targets)
        assert float(loss) == pytest.approx(min(losses), rel=1e-5)
    assert any(result.best["epoch"] < 12 for result in results), "none of them overfitted"


def test_a_single_row_left_over_is_skipped() -> None:
    member = make_member(0, {"layers": NormDropout(0.0)}, data=make_data(rows=65))
    (result,), _ = run([member], epochs=1, batch_size=32)
    assert result.last["step"] == 2


def test_autocast_trains_to_about_the_same_losses() -> None:
    half, _ = run([make_member(s) for s in range(2)], 12, precision="bfloat16")
    whole, _ = run([make_member(s) for s in range(2)], 12)
    for one, other in zip(half, whole, strict=True):
        assert one.metrics["test/loss"] == pytest.approx(other.metrics["test/loss"], rel=0.1)
        assert one.metrics["test/loss"] != other.metrics["test/loss"]
