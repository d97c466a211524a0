"""What a configuration may hold: the typed schema of conf/config.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import MISSING


@dataclass
class Trainer:
    """`trainer.*`: the loop's own numbers."""

    epochs: int = MISSING
    batch_size: int = MISSING
    device: str = MISSING
    threads: int = MISSING
    precision: str = MISSING
    step: str = MISSING
    class_weight: Any = MISSING
    loss: Any = MISSING
    metrics: Any = MISSING
    sharpness: int = MISSING
    bars: Any = MISSING


EARLIER_TRAINER: Mapping[str, Any] = MappingProxyType(
    {"step": "general", "class_weight": None, "loss": None, "metrics": None, "sharpness": 0}
    | {"bars": None}
)
"""What runs did that were recorded before a setting of `trainer` was there, by setting."""


@dataclass
class Lengths:
    """`lengths.*`: how long a run is, filled in by the job once the data are known."""

    epochs: int = MISSING
    steps_per_epoch: int = MISSING
    steps: int = MISSING


@dataclass
class Tracking:
    """`tracking.*`: where runs are recorded; see `regexp.config.variables` for what is null."""

    uri: str | None = MISSING
    experiment: str | None = MISSING
    wait: float = MISSING
    host: str = MISSING
    port: int = MISSING


@dataclass
class Checkpoint:
    """`checkpoint.*`: how often the state of unfinished runs is kept, see `every_of`, and where."""

    every: Any = MISSING
    store: Any = MISSING
    elsewhere: str = MISSING


@dataclass
class Launch:
    """`launch.*`: how jobs are given to a launcher; the last three are the command's own."""

    retries: int = MISSING
    jobs_per_task: int = MISSING
    elsewhere: bool = MISSING
    folder: str = MISSING
    plan: str | None = MISSING


@dataclass
class Tune:
    """`tune.*`: the search for each technique's numbers; none where the budget is 0."""

    budget: int = MISSING
    seeds: int = MISSING
    search: dict[str, Any] = field(default_factory=dict)


@dataclass
class Rungs:
    """`search.rungs.*`: of successive halving."""

    eta: int | None = MISSING
    first: int | None = MISSING


@dataclass
class Search:
    """`search.*`: what `regexp search` looks through, and for how long."""

    trials: int = MISSING
    budget: str | None = MISSING
    batch: int = MISSING
    parallel: int = MISSING
    workers: int | None = MISSING
    together: int = MISSING
    most: int | None = MISSING
    portfolio: Any = MISSING
    techniques: Any = MISSING
    models: Any = MISSING
    schedulers: Any = MISSING
    rungs: Rungs = field(default_factory=Rungs)
    space: dict[str, Any] = field(default_factory=dict)
    finalists: int | None = MISSING
    seeds: int = MISSING
    seed: int = MISSING
    folder: str = MISSING


@dataclass
class Compare:
    """`compare.*`: what the sweep's own comparison is asked, see `regexp.compare.Question`."""

    metric: str | None = MISSING
    factor: str | None = MISSING
    baseline: str | None = MISSING
    matters: float | None = MISSING


@dataclass
class Study:
    """`study.*`: what an experiment is for."""

    question: str = MISSING
    paper: str = MISSING
    reduced: str = MISSING
    claims: Any = MISSING


@dataclass
class Paths:
    """`paths.*`: folders, relative to the working directory of the command."""

    data: str = MISSING
    mlruns: str = MISSING


@dataclass
class Config:
    """A job. The six groups are open here: each is checked against the class that it names.

    Every default stands in conf/config.yaml, and nowhere else.
    """

    dataset: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    regularizer: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    seeds: Any = MISSING
    seeds_max: int = MISSING
    grid: dict[str, Any] = field(default_factory=dict)
    stack: bool = MISSING
    reuse: bool = MISSING
    figures: bool = MISSING
    yardsticks: Any = MISSING
    dry_run: bool = MISSING
    debug: bool = MISSING
    trainer: Trainer = field(default_factory=Trainer)
    lengths: Lengths = field(default_factory=Lengths)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    tune: Tune = field(default_factory=Tune)
    search: Search = field(default_factory=Search)
    launch: Launch = field(default_factory=Launch)
    compare: Compare = field(default_factory=Compare)
    study: Study = field(default_factory=Study)
    tracking: Tracking = field(default_factory=Tracking)
    paths: Paths = field(default_factory=Paths)


def register() -> None:
    """Make the schema known to Hydra, as the entry `schema` of the defaults list."""
    from hydra.core.config_store import ConfigStore

    known = ConfigStore.instance()
    if "schema.yaml" not in known.list(""):  # to make it takes as long as a tenth of a job's
        known.store(name="schema", node=Config, provider="regexp")


def conf_folder() -> Path:
    """The absolute folder of the YAMLs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"
