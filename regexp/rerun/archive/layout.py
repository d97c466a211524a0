"""What stands where in an archive.

README.txt                  what this is and how to rerun it
sweep.json                  version of the format, the sweep, the SHA-256 of every other member
sweep.yaml                  the settings that all jobs have alike
runs/00001/run.json         id, name, status, reason, tags, digest of the final weights
runs/00001/config.yaml      the resolved configuration
runs/00001/stack.json       the stack that it trained in
runs/00001/environment.json what it ran on
runs/00001/metrics.json     every metric of every epoch
runs/00001/last.pt          the last checkpoint, if it was asked for
artifacts/...               tables and figures of the sweep, the uncommitted changes of its code
"""

from collections.abc import Callable, Iterable
from typing import Any

from regexp import __version__
from regexp.rerun.archive import schema
from regexp.rerun.original import OriginalSweep

MANIFEST = "sweep.json"
README = "README.txt"
SETTINGS = "sweep.yaml"
LAST = "last.pt"
ARTIFACTS = "artifacts/"

# The most bytes that a member may have.
DOCUMENT_BYTES = 16 * 2**20  # of JSON
SETTINGS_BYTES = 2**18  # of YAML
ARTIFACT_BYTES = 64 * 2**20
CHECKPOINT_BYTES = 4 * 2**30

YAML_WEIGHT = 32
"""So many bytes of JSON are read in the time of one of YAML."""

RUN: dict[str, tuple[Callable[[bytes], dict[str, Any]], int]] = {
    "run.json": (schema.read_run_fields, DOCUMENT_BYTES),
    "config.yaml": (schema.read_config, SETTINGS_BYTES),
    "stack.json": (schema.read_stack_json, DOCUMENT_BYTES),
    "environment.json": (schema.read_environment, DOCUMENT_BYTES),
    "metrics.json": (schema.read_metrics, DOCUMENT_BYTES),
}
"""The documents of every run, with their readers and the most bytes that they may have."""

_README = """\
A sweep of {runs} run(s) with regexp {version}:

    {name}

To train its runs again and hold every metric and the final weights against those in here:

    regexp rerun FILE.zip

That takes regexp, best with the versions in the file environment.json of a run: the rerun names
those that differ. Files of data must lie in the folder that paths.data names, if they are not
shipped or downloaded. The SHA-256 of the data:

{data}

sweep.json lists the members of this archive with their SHA-256, sweep.yaml the settings that all
jobs have alike. Each folder in runs/ is a run: config.yaml (its whole configuration), stack.json
(the runs that it trained with), environment.json, metrics.json ([epoch, value] of every metric;
step 0 holds those of the whole run), run.json (status, tags, digest of the final weights) and
perhaps last.pt (the last checkpoint). artifacts/ holds the sweep's tables and figures, and in
code.diff the changes of the code that were not committed.
"""


def folder(number: int) -> str:
    """The members of a run begin with this; runs are counted from 1."""
    return f"runs/{number:05}/"


def readme(sweep: OriginalSweep) -> str:
    """What a person reads first."""
    data = {
        f"    {run.tags.get('dataset', '?')}: {run.tags.get('data.checksum', 'unknown')}"
        for run in sweep.runs
    }
    return _README.format(
        version=__version__, name=sweep.name, runs=len(sweep.runs), data="\n".join(sorted(data))
    )


def check_members(names: set[str], runs: int, listed: Iterable[str]) -> None:
    """Hold the members of an archive against its manifest, and that against what there may be.

    Args:
        runs: how many the manifest tells of.
        listed: the names in the manifest.

    Raises:
        ValueError: something is missing, or there is more than that.
    """
    if runs > len(names):
        raise ValueError(f"{MANIFEST} tells of more runs than there are members")
    folders = [folder(number) for number in range(1, runs + 1)]
    required = {MANIFEST, README, SETTINGS} | {run + name for run in folders for name in RUN}
    allowed = required | {run + LAST for run in folders}
    listed = {MANIFEST, *listed}
    for name in sorted((required | listed) - names):
        raise ValueError(f"the member {name!a} is missing")
    for name in sorted(names - listed):
        raise ValueError(f"the member {name!a} is not listed in {MANIFEST}")
    for name in sorted(names - allowed):
        if not name.startswith(ARTIFACTS):
            raise ValueError(f"the member {name!a} is none that a sweep has")
