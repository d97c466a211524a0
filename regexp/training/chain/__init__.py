"""The whole step of a plain network as one program, without autograd.

A chain of linear layers, batch normalizations, activations and dropout, trained by Adam or SGD on
a plain loss, needs no graph: its backward pass is known when the network is. `Program` computes
what `train_step` does, forward, backward and update, in buffers that are made once, for a few runs
at a time, so that what they work on stays in the processor's cache. It draws the same masks, to
the bit; sums are made in another order, so that weights are equal to rounding.

- `structure`: whether a stack is such a chain.
- `layers`, `dropout`, `activations`, `losses`: forward and backward of each part.
- `block`: a few runs, with memory for their parameters and passes.
- `updates`: all parameters of some runs, and their optimizer's state, as flat vectors.
- `program`: an epoch of a stack.
"""
