"""One run of a job: its configuration, its name and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regexp.config.values import cocktail_name
from regexp.config.yaml_text import as_yaml
from regexp.dataset.base import Data
from regexp.errors import ConfigError
from regexp.sweeps.identity import DECIDES, Node, basis, code, fingerprint, fingerprint_of_seeds

_TUPLES = ("trial_for", "remarks", "summary")
"""The attributes of a run that are lists in a file."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a job.

    Attributes:
        name: for people: technique, numbers of the grid, seed.
        technique: the techniques' names joined by `+`, or `none`.
        variant: the run's numbers of the grid, such as `strength=0.001`; empty without a grid.
        seed: keys every draw of the run.
        fingerprint: hash of the resolved configuration, the data's checksum and the code; see
            `identity`.
        config: the resolved configuration.
        dataset: the name of the data.
        checksum: their SHA-256.
        source: where the data come from.
        shared_split: whether all seeds have the same rows in each split.
        trial_for: of a trial of a search, the seeds of the runs that it chooses the numbers of;
            empty for a run that counts.
        chosen_by: of a trial, the metric that chooses, if it is not the usual one.
        tuned: the numbers that a search has chosen for the run, for people.
        stage: `tuning` of a trial, `final` of a run that follows from trials; empty without them.
        remarks: what a user must know before it is trained, such as of its data; one line each. A
            command says each once, whatever number of runs has it.
        basis: what it has alike with runs of other techniques, seeds and numbers.
        code: what it calls, by module: the version of this package, and of a user's own modules.
        summary: what its data are, for people; one line each, said before training alone.
        training_rows: how many it learns from, at the first seed of its configuration.
    """

    name: str
    technique: str
    variant: str
    seed: int
    fingerprint: str
    config: Node
    dataset: str
    checksum: str
    source: str
    shared_split: bool
    trial_for: tuple[int, ...] = ()
    chosen_by: str = ""
    tuned: str = ""
    stage: str = ""
    remarks: tuple[str, ...] = ()
    basis: str = ""
    code: dict[str, str] = field(default_factory=dict)
    summary: tuple[str, ...] = ()
    training_rows: int = 0

    @property
    def asked(self) -> str:
        """What is asked for by planning the run: the run, and those that follow from a trial."""
        if not self.trial_for:
            return self.fingerprint
        return f"{self.fingerprint} {self.trial_for} {self.chosen_by}".rstrip()

    def as_plain(self) -> Node:
        """The run as plain containers, for a file; runs of one configuration share its parts."""
        return vars(self) | {key: list(getattr(self, key)) for key in _TUPLES}

    @classmethod
    def from_plain(cls, content: Node) -> PlannedRun:
        """The run that `as_plain` wrote."""
        return cls(**(content | {key: tuple(content[key]) for key in _TUPLES}))

    def with_seeds(self) -> Callable[[int], PlannedRun]:
        """Makes the runs of the same configuration and data by their seeds."""
        prints = fingerprint_of_seeds(self.config, self.code, self.dataset, self.checksum)
        return lambda seed: replace(
            self,
            config=self.config | {"seed": seed},
            seed=seed,
            name=_name(self.technique, self.variant, seed),
            fingerprint=prints(seed),
        )

    def by_itself(self, remark: str) -> PlannedRun:
        """The run as one that trains in no stack; `remark` says why."""
        config = self.config | {"stack": False}
        return replace(
            self,
            config=config,
            fingerprint=fingerprint(config, self.code, self.dataset, self.checksum),
            remarks=(*self.remarks, remark),
        )

    @property
    def of_project(self) -> bool:
        """Whether network, techniques and loss are the project's, which its tests have tried."""
        if self.config["trainer"]["loss"] is not None:
            return False
        nodes = self.config["model"], *self.config["regularizer"].values()
        return all(node["_target_"].startswith("regexp.") for node in nodes)

    @property
    def params(self) -> Node:
        """What MLflow shows as the run's parameters."""
        return {key: self.config[key] for key in ("seed", *DECIDES)}

    @property
    def config_yaml(self) -> str:
        """The resolved configuration as YAML."""
        return as_yaml(self.config)


def planned(config: Node, variant: str, data: Data) -> PlannedRun:
    """The run of a resolved configuration.

    Args:
        config: of one run, its `seed` and no `grid`; as `as_declared` gives it.
        variant: the run's numbers of the grid.
        data: its data.
    """
    seed, techniques = config["seed"], config["regularizer"]
    technique = cocktail_name(techniques)
    called = code(config)
    return PlannedRun(
        name=_name(technique, variant, seed),
        technique=technique,
        variant=variant,
        seed=seed,
        fingerprint=fingerprint(config, called, data.name, data.checksum),
        basis=basis(config, data.checksum),
        code=called,
        config=config,
        dataset=data.name,
        checksum=data.checksum,
        source=data.source,
        shared_split=data.shared_split,
        remarks=data.remarks,
        summary=data.summary,
        training_rows=len(data.train),
    )


def _name(technique: str, variant: str, seed: int) -> str:
    return " ".join(filter(None, (technique, variant, f"seed={seed}")))


def check_code(run: PlannedRun) -> None:
    """Check that what a run calls is here as it was when the run was planned.

    Raises:
        ConfigError: it is not, as where a job waited in a queue while its technique was edited.
    """
    here = code(run.config)
    changed = sorted(
        name for name in here.keys() | run.code if here.get(name) != run.code.get(name)
    )
    if changed:
        raise ConfigError(
            f"the code of {', '.join(changed)} was changed since this sweep was planned",
            cure="give the command again, for runs of the code that is here now",
        )


def key_of(
    planned: Sequence[Sequence[PlannedRun]],
    command: Sequence[str],
    settings: Sequence[str] = (),
    *,
    reuse: bool = True,
    auto: bool = False,
) -> str:
    """What makes two sweeps the same one, to be continued: the same runs, which jobs train
    together and call alike, in whatever order.

    Args:
        planned: the runs of each job.
        command: the overrides, which stand for the runs where only a sweeper knows them.
        settings: of each job, see `regexp.config.jobs.Job`; none where nothing else varies.
        reuse: whether it takes runs that exist already; it is another sweep if not.
        auto: whether it stops when it is decided, and may never have all of the runs.
    """
    jobs = zip(planned, settings or [""] * len(planned), strict=True)
    names = sorted({
        json.dumps([setting, *((run.asked, run.variant) for run in runs)])
        for runs, setting in jobs if runs
    }) or command  # fmt: skip
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    return key + " auto" * auto + " afresh" * (not reuse)


def key_of_job(runs: Sequence[PlannedRun]) -> str:
    """Tells a job of a sweep by what it trains."""
    names = "\n".join(run.asked for run in runs)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def repeats(planned: Sequence[Sequence[PlannedRun]]) -> dict[int, int]:
    """Jobs that an earlier job of the sweep does already: number -> number of the earlier one.

    A sweep over a number of one technique asks for every other technique several times.
    """
    first: dict[str, int] = {}
    repeated = {}
    for number, runs in enumerate(planned):
        if runs and all(run.asked in first for run in runs):
            repeated[number] = first[runs[0].asked]
        for run in runs:
            first.setdefault(run.asked, number)
    return repeated


def stack_of(runs: Sequence[PlannedRun], at_once: int | None = None) -> Node:
    """The stack that runs train in, without which their bits cannot be made again.

    Args:
        runs: of the stack.
        at_once: how many of them train side by side; None for all.

    Returns:
        For the artifact `stack.yaml` of each, which has its `position` too: `members`, for each run
        the dotted keys of its configuration in which the stack's runs differ; `variants`, one a
        run; and `at_once` where not all train side by side.
    """
    each = [dict(_leaves(run.config)) for run in runs]
    differing = [key for key in each[0] if any(one.get(key) != each[0][key] for one in each)]
    members = [{key: one[key] for key in differing or ["seed"]} for one in each]
    stack = {"members": members, "variants": [run.variant for run in runs]}
    return stack if at_once in (None, len(runs)) else stack | {"at_once": at_once}


def _leaves(node: Node, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in a configuration that is no mapping."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
