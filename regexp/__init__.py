"""Controlled experiments on how to regularize a neural network.

In Python and notebooks: `sweep` trains as the command `regexp -m` does, `open_sweep` finds what was
trained before, and `load` gives the model of a run, which predicts. Importing this imports nothing
else; what is asked of it does.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regexp.commands.python import Sweep, open_sweep, sweep
    from regexp.prediction.model import Model, load

__all__ = ["Model", "Sweep", "load", "open_sweep", "sweep"]

__version__ = "0.1.0"

# Before MKL is called first: else it rounds a product by where in memory its matrices begin, on
# some processors, and a run's bits depend on what else is in its stack.
os.environ.setdefault("MKL_CBWR", "AUTO")

_HOMES = {
    "Model": "regexp.prediction.model",
    "Sweep": "regexp.commands.python",
    "load": "regexp.prediction.model",
    "open_sweep": "regexp.commands.python",
    "sweep": "regexp.commands.python",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
