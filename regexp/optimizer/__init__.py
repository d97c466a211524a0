"""Optimizers: torch's own, and what a stack of runs must know about them."""

from __future__ import annotations

import inspect

from torch import optim

ELEMENTWISE: frozenset[type[optim.Optimizer]] = frozenset(
    {
        optim.SGD,
        optim.Adam,
        optim.AdamW,
        optim.NAdam,
        optim.RAdam,
        optim.Adamax,
        optim.Adagrad,
        optim.Adadelta,
        optim.RMSprop,
        optim.ASGD,
        optim.Rprop,
    }
)
"""Optimizers that update an element from its own value, gradient and state alone.

One of them may step the stacked parameters [runs, ...] of runs whose settings, learning rates and
counts of steps are equal, exactly as one optimizer a run would: to the bit, but for fused SGD,
which rounds the last elements of a tensor (those beyond a full vector register) another way.

Only these exact types: a subclass may do anything. Left out are, for they mix the elements of a
parameter:

- Adafactor: row and column means, and the norms of the whole weight and of the whole update.
- Muon (alone and in `MuonWithAdam`): the singular vectors of the matrix; of another rank, a
  stacked matrix would be refused or, as [runs, columns], be mixed across runs.
- LBFGS: inner products and a line search over all parameters at once. It also calls the network
  several times a step, so it has no place in a first-order loop.
- SparseAdam: elementwise, but for sparse gradients, which no model here has.

Rprop counts although it branches on signs: each element's branch is its own. ASGD, NAdam, RAdam
and Adam keep counters a parameter: equal for all runs that began together and went on together;
a stack whose runs stopped at different steps must give frozen runs no step (not a zero gradient:
momentum would still move them).
"""

KERNELS = dict.fromkeys(("adam", "adamw"), "torch's fused kernel, once for runs of several rates")
"""What steps runs in a way that was changed since some were recorded, by the optimizer's name."""


def needs_closure(optimizer: optim.Optimizer) -> bool:
    """Whether an optimizer evaluates the loss itself, again and again, within a step."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty
