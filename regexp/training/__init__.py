"""THE loop, its state, its checkpoints, and the same step in a loop of ones own.

`loop.train` trains a stack; `own_loop.Regularized` is for users; `checkpoint` reads and writes.
"""
