"""Record sweeps and their runs with MLflow. Nothing else in the package imports MLflow.

Importing this package does not import MLflow, which takes seconds; opening a `Tracker` does.
"""

from regexp.tracking.claims import TakenError, TakenOverError
from regexp.tracking.copies import CheckpointCopy
from regexp.tracking.error import StoreAwayError, TrackingError
from regexp.tracking.patience import Patience
from regexp.tracking.query import DIVERGED, Earlier
from regexp.tracking.record import RunRecord, now
from regexp.tracking.redelivery import deliver
from regexp.tracking.server import serve
from regexp.tracking.signals import Terminated, held_back, interruptible, pending
from regexp.tracking.tracker import Tracker

__all__ = [
    "DIVERGED",
    "CheckpointCopy",
    "Earlier",
    "Patience",
    "RunRecord",
    "StoreAwayError",
    "TakenError",
    "TakenOverError",
    "Terminated",
    "Tracker",
    "TrackingError",
    "deliver",
    "held_back",
    "interruptible",
    "now",
    "pending",
    "serve",
]
