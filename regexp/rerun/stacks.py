"""The stacks that recorded runs trained in: their bits are those of the whole stack."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regexp.config.values import cocktail_name
from regexp.errors import ConfigError, first_line
from regexp.rerun.original import Original
from regexp.sweeps.identity import DECIDES
from regexp.tracking import DIVERGED


@dataclass
class RecordedStack:
    """A stack, with those of its runs that are asked for.

    Attributes:
        members: the configuration of every run of the stack, in order.
        variants: the numbers of the grid of each, for people.
        at_once: how many of them train side by side.
        runs: what is asked for, each with its position in the stack.
    """

    members: list[dict[str, Any]]
    variants: list[str]
    at_once: int
    runs: list[tuple[Original, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For people: the techniques of its runs."""
        return cocktail_name(self.members[0]["regularizer"])


LeftOut = list[tuple[Original, str]]
"""Runs that cannot be made again, with the reason."""


def stacks_of(runs: Sequence[Original]) -> tuple[list[RecordedStack], LeftOut]:
    """The stacks of recorded runs, each once, by their first runs; and what is left out."""
    stacks: dict[str, RecordedStack] = {}
    left_out: LeftOut = []
    for run in runs:
        try:
            _check_ended(run)
            members, variants, position = members_of(run)
            at_once = run.stack.get("at_once") or len(members)
        except ConfigError as error:
            left_out.append((run, str(error)))
            continue
        # all that the bits depend on; not sorted, for the order of techniques counts
        decisive = [{key: member[key] for key in ("seed", *DECIDES)} for member in members]
        key = json.dumps([decisive, variants, at_once])
        stack = stacks.setdefault(key, RecordedStack(members, variants, at_once))
        stack.runs.append((run, position))
    return list(stacks.values()), left_out


def _check_ended(run: Original) -> None:
    """Refuse a run that has nothing to be held against, or is not known well enough."""
    if run.status == "RUNNING":
        raise ConfigError("it is still running, or its end waits to be delivered (regexp deliver)")
    if run.status != "FINISHED" and run.tags.get(DIVERGED) != "true":
        reason = f" ({first_line(run.reason)})" if run.reason else ""
        raise ConfigError(
            f"it did not end by itself: {run.status}{reason}", cure="the sweep's command resumes it"
        )
    for name, content in (("config.yaml", run.config), ("stack.yaml", run.stack)):
        if not content:
            raise ConfigError(
                f"it has no {name}: an older version of regexp recorded it, or it is no run"
            )


def members_of(run: Original) -> tuple[list[dict[str, Any]], list[str], int]:
    """Configurations and variants of all runs of a run's stack, and its position among them.

    Raises:
        ConfigError: `config.yaml` and `stack.yaml` do not fit together.
    """
    where = f"the run {run.name!r} ({run.run_id})"
    wrong = [
        key
        for key in ("seed", *DECIDES)
        if key not in run.config or isinstance(run.config[key], dict) is (key in ("seed", "stack"))
    ]
    if wrong:
        raise ConfigError(f"its config.yaml has no proper {', '.join(wrong)}", key=where)
    position, members = run.stack["position"], run.stack["members"]
    try:
        configs = [replaced(run.config, member) for member in members]
    except KeyError as error:
        raise ConfigError(
            f"its stack.yaml names {error.args[0]}, which its config.yaml does not have", key=where
        ) from error
    if configs[position] != run.config:
        raise ConfigError(
            f"its config.yaml is not that of position {position} in its stack.yaml", key=where
        )
    return configs, run.stack.get("variants") or [""] * len(members), position


def replaced(config: dict[str, Any], member: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the values of some dotted keys replaced.

    Raises:
        KeyError: it does not have one of them.
    """
    made = copy.deepcopy(config)
    for dotted, value in member.items():
        _replace(made, dotted, value, dotted)
    return made


def _replace(node: dict[str, Any], dotted: str, value: Any, whole: str) -> None:
    if dotted in node:
        node[dotted] = value
        return
    for key, inner in node.items():  # a key may itself have dots
        if isinstance(inner, dict) and dotted.startswith(f"{key}."):
            _replace(inner, dotted.removeprefix(f"{key}."), value, whole)
            return
    raise KeyError(whole)
