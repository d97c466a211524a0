"""Jobs that Hydra's launchers start, collected to their ends whatever others do."""

from regexp.sweeps.launchers.jobs import Jobs
from regexp.sweeps.launchers.start import starter

__all__ = ["Jobs", "starter"]
