"""Hooks that write memory within a step, that know which rows they see, and that see outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.regularizer.base import (
    Batch,
    Evaluation,
    GradientView,
    Memory,
    NotApplicable,
    ParameterKinds,
    PenaltyView,
    Regularizer,
    Step,
    Tensors,
)
from tests.support import make_data, make_member, run, technique

SGD = partial(torch.optim.SGD, lr=0.05)


@dataclass(frozen=True)
class Momentum(Regularizer, kind="gradient", capturable=True):
    """m <- mu * m + g in the place of g."""

    mu: float

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {name: torch.zeros_like(state[name]) for name in kinds}

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        m = {name: self.mu * step.memory[name] + g for name, g in view.gradients.items()}
        return m, m


@dataclass(frozen=True)
class Again(Regularizer, kind="gradient", capturable=True):
    """Asks for the gradient again where it is, as what stands before it in a cocktail gives it."""

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        return view.regradient(view.parameters)


@dataclass(frozen=True)
class Rows(Regularizer, kind="label", uses_rows=True, capturable=True):
    """Remembers how often each row was seen, its targets, and that of which its batch was."""

    def penalty(self, step: Step, view: PenaltyView) -> tuple[Tensor | float, Memory]:
        assert step.split is not None
        assert view.batch.rows is not None
        split = step.split
        if not step.memory:  # at the first step: the size of the split is known now
            seen = view.outputs.new_zeros(split.rows)
            step = replace(step, memory={"seen": seen, "targets": seen[:, None].expand(-1, 3)})
        seen = step.memory["seen"].index_add(
            0, view.batch.rows, torch.ones_like(view.outputs[:, 0])
        )
        targets = step.memory["targets"].index_copy(0, view.batch.rows, view.batch.targets)
        # what is remembered of outputs has no gradient, whoever forgets to say so
        memory = {"seen": seen, "targets": targets, "outputs": view.outputs.mean()}
        return 0.0, memory | {"counts": split.class_counts}

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        assert "outputs" in step.memory, "what `penalty` remembers is there in the same step"
        return view.gradients


@dataclass(frozen=True)
class Scores(Regularizer, kind="control"):
    """The accuracy, by the outputs that it sees."""

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        right = evaluation.outputs.argmax(-1) == evaluation.targets
        return {"accuracy": right.double().mean(), "expected": evaluation.metrics["accuracy"]}


@dataclass(frozen=True)
class Twice(Regularizer, kind="input"):
    """Gives each row twice, and does not say which they are."""

    def batch(self, step: Step, batch: Batch) -> Batch:
        return Batch(batch.inputs.repeat(2, 1), batch.targets.repeat(2, 1))


def trained(
    *runs: dict[str, Any], optimizer: Any = SGD, way: str = "general", **options: Any
) -> list[Any]:
    members = [make_member(seed, own, optimizer, **options) for seed, own in enumerate(runs)]
    return run(members, epochs=12, batch_size=32, way=way, precision="float64")[0]


@pytest.mark.parametrize("way", ["general", "auto"])
@pytest.mark.parametrize("runs", [1, 2])
def test_gradients_with_a_memory_are_torchs_momentum(way: str, runs: int) -> None:
    """torch.optim.SGD(momentum=...), which has no dampening."""
    for seed, ours in enumerate(trained(*[{"own": Momentum(0.8)}] * runs, way=way)):
        theirs = trained(*[{}] * runs, optimizer=partial(SGD, momentum=0.8))[seed]
        for name, value in theirs.last["weights"].items():
            assert torch.allclose(ours.last["weights"][name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("way", ["general", "auto"])
def test_memory_moves_once_a_step(way: str) -> None:
    """A second pass of the same step starts from the same memory, and changes none."""
    (once,) = trained({"own": Momentum(0.8)}, way=way)
    (twice,) = trained({"own": Momentum(0.8), "again": Again()}, way=way)
    for name, value in once.last["weights"].items():
        assert torch.allclose(twice.last["weights"][name], value, rtol=1e-10, atol=1e-12)


class OnFrozen(nn.Module):
    """A layer on one that is not trained, whose weights are buffers or parameters."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
        if kind == "frozen parameter":
            self.weight = nn.Parameter(weight, requires_grad=False)
        else:
            self.register_buffer("weight", weight)
        if kind == "parameter without use":
            self.unused = nn.Parameter(torch.zeros(7))
        self.last = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.tanh(inputs @ self.weight))
        return outputs


BEFORE_SECOND_PASSES: tuple[dict[str, dict[str, float]], ...] = (
    {"gradient_clipping": {"limit": 0.1}, "sam": {"rho": 0.5}},
    {"gradient_noise": {}, "gsam": {}},
    {"look_sam": {}, "gsam": {}},
)


@pytest.mark.parametrize("kind", ["frozen parameter", "parameter without use"])
@pytest.mark.parametrize("names", BEFORE_SECOND_PASSES, ids=lambda names: "+".join(names))
@pytest.mark.parametrize("runs", [1, 2])
def test_second_passes_have_the_gradients_of_the_first(
    kind: str, names: dict[str, dict[str, float]], runs: int
) -> None:
    """What a technique before them takes the norm of, draws for and remembers."""
    techniques = {name: technique(name, **changes) for name, changes in names.items()}
    ends = [trained(*[techniques] * runs, model=partial(OnFrozen, one)) for one in ("buffer", kind)]
    for buffer, other in zip(*ends, strict=True):
        weights = other.last["weights"]
        for name in ("last.weight", "last.bias"):
            assert torch.equal(weights[name], buffer.last["weights"][name])


@pytest.mark.parametrize("way", ["general", "auto"])
@pytest.mark.parametrize("runs", [1, 2])
def test_batches_know_their_rows(way: str, runs: int) -> None:
    for result in trained(*[{"own": Rows()}] * runs, way=way):
        memory, train = result.last["memory"]["own"], make_data(result.run).train
        assert memory["seen"].eq(12).all()
        assert torch.equal(memory["targets"].argmax(-1), train.targets)
        assert torch.equal(memory["counts"], train.targets.bincount(minlength=3).double())
        assert not memory["outputs"].requires_grad


def test_what_changes_the_number_of_rows_has_to_say_which_they_are() -> None:
    with pytest.raises(NotApplicable, match=r"twice: .*does not say which they are"):
        trained({"own": Rows(), "twice": Twice()})


@pytest.mark.parametrize("runs", [1, 2])
def test_validation_outputs_are_seen(runs: int) -> None:
    for result in trained(*[{"own": Scores()}] * runs):
        memory = result.last["memory"]["own"]
        assert float(memory["accuracy"]) == pytest.approx(float(memory["expected"]))
        assert 0 < float(memory["accuracy"]) < 1
