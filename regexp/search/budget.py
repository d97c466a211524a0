"""What a search may still spend: the sizes of its next round, and what comes after the last one."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from regexp.config.searched import budget_of
from regexp.search.arm import Arm
from regexp.search.choice import seconds_of
from regexp.search.rungs import share_of_epochs
from regexp.search.seeds import finalist_runs, finalists_of


def next_round(arms: Sequence[Arm]) -> list[int]:
    """How many recipes each batch of the next round has, in each arm; none if it is enough.

    Of a budget, what the finalists and the verdict will take is kept, and a round is begun only
    where it fits in. What was recorded decides and no clock, so that a search that was broken off
    ends where it would have. It ends after a round in which all has failed, and where nothing of
    an arm has trained, of which nothing could be chosen.
    """
    config = arms[0].config
    done, budget = len(arms[0].trials), budget_of(config)
    batch, most = config.search.batch, config.search.parallel
    if budget is None:
        left = config.search.trials - done
        return [min(batch, left - start) for start in range(0, min(left, most * batch), batch)]
    if not done:
        return [batch] * most
    last = [seconds_of(arm.trials[-batch * most :]) for arm in arms]
    if not any(last) or not all(arm.seconds for arm in arms):
        return []
    spent = sum(arm.seconds for arm in arms)
    # those of the first round train in full, and say nothing of the next where there are others
    later = [arm.trials[batch * most :] for arm in arms]
    alike = later if later[0] else [arm.trials for arm in arms]
    each = sum(map(seconds_of, alike)) / len(alike[0])
    if not later[0]:
        each *= share_of_epochs(config)
    for trials in range(most * batch, 0, -batch):
        if spent + trials * each + seconds_after(arms, done + trials) <= budget:
            return [batch] * (trials // batch)
    return []


def seconds_after(arms: Sequence[Arm], trials: int) -> float:
    """Of training, that finalists and verdict will take: as trials of each arm did in full.

    Args:
        arms: of the search.
        trials: of each arm that there will be.
    """
    found = 0.0
    for arm, runs in zip(arms, runs_after(arms[0].config, trials), strict=True):
        whole = [trial.seconds for trial in arm.trials if trial.in_full and trial.trained]
        found += runs * sum(whole) / max(len(whole), 1)
    return found


def runs_after(config: DictConfig, trials: int) -> tuple[int, int]:
    """How many runs follow so many trials of each arm, of recipes and of `none`, at most.

    They are the finalists, and the verdict, which has none untuned too.
    """
    recipes, none = finalist_runs(finalists_of(trials, config.search.finalists))
    return recipes + config.search.seeds, none + 2 * config.search.seeds
