"""What workers that draw and fit have imported before; see `regexp.sweeps.workers`."""

from regexp.sweeps.preloading import preload

MODULES = (
    "regexp.compare.figures",
    "regexp.sweeps.illustrate",
    "regexp.sweeps.yardsticks",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
)

preload(MODULES)
