"""Magnitude pruning: the schedule's closed form, and the masks of torch.nn.utils.prune."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from tests.support import BY_NAME, make_step, technique

STEPS = 100  # of the step that `make_step` makes


def weights_of(generator, *shapes):
    return {
        f"{i}.weight": torch.randn(shape, generator=generator, dtype=torch.float64) * 2.0**i
        for i, shape in enumerate(shapes)
    }


def run(regularizer, steps=STEPS, decay=0.9):
    """A walk of weights under the regularizer; the state and the memory after each step."""
    generator = torch.Generator().manual_seed(0)
    state = weights_of(generator, (7, 5), (4, 3, 3, 3), (2, 7))
    memory, history = regularizer.init(state, BY_NAME), []
    for index in range(steps):
        step = dataclasses.replace(make_step(index, memory=memory), steps=steps)
        moved = {n: decay * w + torch.randn(w.shape, generator=generator) for n, w in state.items()}
        state = regularizer.constrain(step, moved, state)
        memory = regularizer.track(dataclasses.replace(step, memory=memory), state)
        history.append((state, memory))
    return history


def zeros(state):
    return sum(int((w == 0).sum()) for w in state.values())


def test_share_of_zeros_follows_the_cubic_schedule():
    pruning = technique("pruning", sparsity=0.8, start=0.2, end=0.7, every=1)
    history = run(pruning)
    total = sum(w.numel() for w in history[0][0].values())
    for done, (state, _) in enumerate(history, start=1):
        passed = min(max((done / STEPS - 0.2) / 0.5, 0), 1)
        # eq. 1 of the paper with s_i = 0, s_f = .8
        share = 0.8 + (0.0 - 0.8) * (1 - passed) ** 3
        assert abs(zeros(state) - share * total) <= 0.5 + 1e-9, done


def test_masks_only_grow_and_hold_whatever_moves_the_weights():
    history = run(technique("pruning", every=7))
    for (state, memory), (after, kept) in itertools.pairwise(history):
        for name, mask in memory.items():
            assert (after[name][~mask] == 0).all()
            assert not (kept[name] & ~mask).any()
            assert torch.equal(state[name] != 0, mask)
    counts = [zeros(state) for state, _ in history]
    changes = [one != other for one, other in itertools.pairwise(counts)]
    assert [i + 2 for i, changed in enumerate(changes) if changed] == list(range(7, 77, 7))


def test_the_last_step_reaches_the_sparsity_whatever_the_interval():
    for every in (1, 8, 1000):
        state, _ = run(technique("pruning", end=1.0, every=every), steps=30)[-1]
        assert zeros(state) == round(0.8 * (35 + 108 + 14))


def modules(state):
    layers = {name: nn.Module() for name in state}
    for name, layer in layers.items():
        layer.weight = nn.Parameter(state[name].clone())
    return layers


@pytest.mark.parametrize("share", [0.013, 0.5, 0.77])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_masks_are_those_of_torch(scope, share):
    state = weights_of(torch.Generator().manual_seed(3), (17, 5), (4, 3, 3, 3), (2, 17))
    pruning = technique("pruning", sparsity=share, end=0.5, every=1, scope=scope)
    ours = pruning.constrain(make_step(60, memory=pruning.init(state, BY_NAME)), state, state)
    layers = modules(state)
    if scope == "global":
        pairs = [(layer, "weight") for layer in layers.values()]
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=share)
    else:
        for layer in layers.values():
            prune.l1_unstructured(layer, "weight", share)
    for name, layer in layers.items():
        assert torch.equal(ours[name], layer.weight)


def test_training_is_that_of_torchs_pruned_network():
    """SGD with momentum; torch masks the weight in the forward pass, we after every step."""
    torch.manual_seed(0)
    state = {"weight": torch.randn(3, 6, dtype=torch.float64)}
    x, y = torch.randn(40, 6).double(), torch.randn(40, 3).double()
    theirs = nn.Linear(6, 3, bias=False).double()
    theirs.weight.data = state["weight"].clone()
    ours = state["weight"].clone().requires_grad_()
    optimizers = [torch.optim.SGD([p], lr=0.05, momentum=0.9) for p in (theirs.weight, ours)]
    pruning = technique("pruning", sparsity=0.6, end=0.5, every=5)
    memory, pruned = pruning.init(state, BY_NAME), 0
    for index in range(STEPS):
        for optimizer, outputs in zip(optimizers, (theirs(x), x @ ours.T), strict=True):
            optimizer.zero_grad()
            (outputs - y).square().mean().backward()
        old = {"weight": ours.detach().clone()}
        for optimizer in optimizers:
            optimizer.step()
        step = make_step(index, 0.05, memory)
        with torch.no_grad():
            new = pruning.constrain(step, {"weight": ours.detach().clone()}, old)
            ours.copy_(new["weight"])
        memory = pruning.track(step, new)
        wanted = int((new["weight"] == 0).sum())
        theirs(x)  # their `weight` is made of what was stepped by a call alone
        if wanted > pruned:  # their methods take the number of further weights to prune
            prune.l1_unstructured(theirs, "weight", wanted - pruned)
            pruned = wanted
        torch.testing.assert_close(ours.detach(), theirs.weight.detach(), rtol=0, atol=1e-14)
    assert pruned == round(0.6 * 18)


def test_averaged_weights_are_evaluated_pruned():
    pruning = technique("pruning", every=1)
    state, memory = run(pruning)[-1]
    average = {name: w + 1.0 for name, w in state.items()} | {"0.bias": torch.ones(7)}
    evaluated = pruning.weights(memory, average)
    for name, mask in memory.items():
        assert torch.equal(evaluated[name], average[name] * mask)
    assert torch.equal(evaluated["0.bias"], average["0.bias"])


def test_of_equal_sizes_the_right_number_goes():
    state = {"weight": torch.tensor([[1.0, -1.0, 1.0, 1.0, -1.0, 1.0]])}
    pruning = technique("pruning", sparsity=0.5)
    memory = pruning.init(state, BY_NAME)
    new = pruning.constrain(make_step(99, memory=memory), state, state)
    assert zeros(new) == 3


def test_initial_zeros_may_move_before_pruning_begins():
    pruning = technique("pruning", start=0.5, every=1)
    state = {"weight": torch.zeros(2, 2)}
    memory = pruning.init(state, BY_NAME)
    for index in (0, 40):
        step = make_step(index, memory=memory)
        memory = pruning.track(step, pruning.constrain(step, state, state))
    assert memory["weight"].all()


def test_sparsities_and_times_may_differ_from_run_to_run():
    kind = type(technique("pruning"))
    numbers = {"sparsity": (0.3, 0.9), "start": (0.0, 0.2), "end": (0.6, 1.0)}
    w = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    kept = torch.rand(2, 8, 5, generator=torch.Generator().manual_seed(1)) > 0.1
    for scope in ("global", "layer"):

        def constrain(own, w, kept, scope=scope):
            step = make_step(49, memory={"weight": kept})
            pruning = kind(**own, every=10, scope=scope)
            new = pruning.constrain(step, {"weight": w}, {"weight": w})
            return new["weight"], pruning.track(step, new)["weight"]

        stacked = {key: torch.tensor(values).double() for key, values in numbers.items()}
        both = torch.vmap(constrain)(stacked, w, kept)
        for run in range(2):
            own = {key: values[run] for key, values in numbers.items()}
            alone = constrain(own, w[run], kept[run])
            assert all(torch.equal(one[run], other) for one, other in zip(both, alone, strict=True))
