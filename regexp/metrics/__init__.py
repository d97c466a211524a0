"""From outputs to numbers, and the names of these numbers.

Any module may be imported; they know tensors alone, not runs.
"""
