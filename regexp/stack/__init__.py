"""All that knows the run axis: K runs trained as one tensor program.

- `stack`: K runs in training, which leave the stack when they end.
- `trainable`: what one step needs of a stack, and of a run in a loop of the user's own.
- `member`: one run's ingredients, and what those of a stack must agree on.
- `objective`: what a run minimizes beside its penalties.
- `at_once`: how many runs train side by side.
- `rows`: the runs' datasets, gathered for all at once.
- `streams`: the runs' random streams, and how code within a `vmap` reaches all runs.
- `lift`: K networks as one, of layers that know the axis; `vmapped`: of any layers, by `vmap`.
- `network`: a run's network as techniques call it.
- `lifted_cocktail`: the techniques' hooks for all runs, by `vmap`.
- `optimizers`: the runs' optimizers and schedules, shared where that is exact; `fused_adam`.
- `running_statistics`: those of batch normalization for weights they were not gathered with.
"""
