"""How the network of `problem.py` is trained in JAX as people write it: jit, scan, vmap."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.peers import Trainer
from benchmarks.problem import BATCH, LEARNING_RATE, Problem

if TYPE_CHECKING:
    import jax

BETAS, ADAM_EPS = (0.9, 0.999), 1e-8  # torch's, as the next ones
MOMENTUM, NORM_EPS = 0.1, 1e-5


class State(NamedTuple):
    """Of one run, or of K with a leading axis."""

    params: dict[str, jax.Array]
    statistics: dict[str, jax.Array]
    first: dict[str, jax.Array]
    second: dict[str, jax.Array]
    steps: jax.Array
    key: jax.Array


def stack(problem: Problem, runs: int) -> Trainer:
    """An epoch of one run is a scan over its batches; `vmap` makes it K runs, `jit` one program.

    Losses are those of the first run.
    """
    # before JAX is imported, which has no other switch
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    import jax
    import numpy as np
    from jax import numpy as jnp

    def normalized(x: Any, params: Any, statistics: Any, name: str) -> tuple[Any, Any]:
        mean, variance = x.mean(0), x.var(0)
        unbiased = variance * (len(x) / (len(x) - 1))
        new = {
            f"{name}.mean": (1 - MOMENTUM) * statistics[f"{name}.mean"] + MOMENTUM * mean,
            f"{name}.var": (1 - MOMENTUM) * statistics[f"{name}.var"] + MOMENTUM * unbiased,
        }
        x = (x - mean) * jax.lax.rsqrt(variance + NORM_EPS)
        return x * params[f"{name}.weight"] + params[f"{name}.bias"], new

    def loss_of(params: Any, statistics: Any, key: Any, x: Any, y: Any) -> tuple[Any, Any]:
        new: dict[str, Any] = {}
        for index in (0, 1):
            x = x @ params[f"linear{index}.weight"] + params[f"linear{index}.bias"]
            x, seen = normalized(x, params, statistics, f"norm{index}")
            new |= seen
            x = jax.nn.relu(x)
            if problem.dropout:
                kept = jax.random.bernoulli(
                    jax.random.fold_in(key, index), 1 - problem.dropout, x.shape
                )
                x = jnp.where(kept, x / (1 - problem.dropout), 0)
        outputs = x @ params["linear2.weight"] + params["linear2.bias"]
        rows = jnp.arange(len(y))
        return -jax.nn.log_softmax(outputs)[rows, y].mean(), new

    def step(state: State, rows: Any, x: Any, y: Any) -> tuple[State, Any]:
        key, use = jax.random.split(state.key)
        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            state.params, state.statistics, use, x[rows], y[rows]
        )
        steps = state.steps + 1
        first, second = (
            jax.tree.map(
                lambda old, g, b=beta, p=power: b * old + (1 - b) * g**p, moment, gradients
            )
            for moment, beta, power in zip((state.first, state.second), BETAS, (1, 2), strict=True)
        )
        rate = LEARNING_RATE / (1 - BETAS[0] ** steps)
        root = jnp.sqrt(1 - BETAS[1] ** steps)
        params = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + ADAM_EPS),
            state.params,
            first,
            second,
        )
        return State(params, statistics, first, second, steps, key), loss

    def epoch(state: State, batches: Any, x: Any, y: Any) -> tuple[State, Any]:
        return jax.lax.scan(lambda carry, rows: step(carry, rows, x, y), state, batches)

    program = jax.jit(jax.vmap(epoch, in_axes=(0, 0, None, None)), donate_argnums=0)

    network = problem.network()
    params, statistics = {}, {}
    for index, place in enumerate((0, 4, 8)):
        params[f"linear{index}.weight"] = network[place].weight.T
        params[f"linear{index}.bias"] = network[place].bias
    for index, place in enumerate((1, 5)):
        params[f"norm{index}.weight"], params[f"norm{index}.bias"] = network[place].parameters()
        statistics[f"norm{index}.mean"] = network[place].running_mean
        statistics[f"norm{index}.var"] = network[place].running_var
    stacked = lambda tensors: {
        name: jnp.stack([jnp.asarray(tensor.detach().numpy())] * runs)
        for name, tensor in tensors.items()
    }
    zeros = partial(jax.tree.map, jnp.zeros_like)
    params = stacked(params)
    keys = jax.vmap(jax.random.key)(problem.seed + jnp.arange(runs))
    state = State(params, stacked(statistics), zeros(params), zeros(params), jnp.zeros(runs), keys)
    x, y = jnp.asarray(problem.inputs.numpy()), jnp.asarray(problem.targets.numpy())
    orders = [problem.orders(problem.seed + run) for run in range(runs)]

    def train(epochs: int, losses: list[float] | None = None) -> float:
        nonlocal state
        start = problem.clock()
        for _ in range(epochs):
            order = np.stack([next(one).numpy() for one in orders]).astype(np.int32)
            state, found = program(state, order.reshape(runs, -1, BATCH), x, y)
            if losses is not None:
                losses += found[0].tolist()
        jax.block_until_ready(state)
        return problem.clock() - start

    return train
