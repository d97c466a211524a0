"""Record sweeps and their runs with MLflow. Nothing else in the package imports MLflow.

Importing this package does not import MLflow, which takes seconds; opening a `Tracker` does.
"""

from regexp.tracking.error import TrackingError
from regexp.tracking.record import RunRecord, now
from regexp.tracking.server import serve
from regexp.tracking.signals import Terminated, interruptible
from regexp.tracking.tracker import DIVERGED, Earlier, Tracker

__all__ = [
    "DIVERGED",
    "Earlier",
    "RunRecord",
    "Terminated",
    "Tracker",
    "TrackingError",
    "interruptible",
    "now",
    "serve",
]
