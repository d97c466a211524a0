"""All that knows the run axis: K runs trained as one tensor program.

`stack.Stack` is what the loop trains, `trainable.Trainable` what a step of it needs; the other
modules are for these two.
"""
