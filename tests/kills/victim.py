"""A `regexp` that kills itself at one moment: `python -m tests.kills.victim LOG MOMENT ARG...`.

The functions in which it may die are wrapped; everything else is as `python -m regexp ARGUMENT...`.
What happens is told in the file LOG, one JSON object a line, as a process killed by SIGKILL can
tell nothing thereafter.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.kills.moments import BEHIND, Moment
from tests.kills.ways import WAYS, Function, around


class Victim:
    """What the process knows of itself.

    Attributes:
        moment: at which it dies; None if it does not.
        job: number of the job that it is in; of a search, all count that it has come past.
        technique: of the job.
        epoch: that it trains, from 1; 0 before the job's first.
    """

    def __init__(self, moment: Moment | None, log: Path) -> None:
        self.moment = moment
        self.job = -1
        self.technique = ""
        self.epoch = 0
        self._log = log
        self._left = moment.after if moment else 0

    @property
    def armed(self) -> bool:
        """Whether the epoch of the moment has come."""
        if self.moment is None:
            return False
        return (self.job, self.epoch) >= (self.moment.job, self.moment.epoch)

    def due(self) -> bool:
        """Whether this opportunity is the one; asked once at each."""
        if not self.armed:
            return False
        self._left -= 1
        return self._left < 0

    def tell(self, event: str, **values: object) -> None:
        """Add a line to the log."""
        at = {"job": self.job, "technique": self.technique, "epoch": self.epoch}
        with self._log.open("a") as file:
            file.write(json.dumps({"event": event} | at | values) + "\n")

    def die(self) -> NoReturn:
        """Send SIGKILL to this process."""
        self.tell("killed")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


def observe(victim: Victim) -> None:
    """Let the victim know where it is, and tell how it began."""
    from regexp.config.values import cocktail_name
    from regexp.search import lead
    from regexp.search.shared import Shared
    from regexp.sweeps import launched
    from regexp.tracking import Tracker
    from regexp.training.state import TrainingState
    from regexp.training.steps import Steps

    def of_job(whole: Function) -> Function:
        def _train(config: Any, content: Any, *given: Any) -> Any:
            victim.job, victim.epoch = content["job"]["number"], 0
            victim.technique = cocktail_name(config.regularizer)
            return whole(config, content, *given)

        return _train

    def of_step(whole: Function) -> Function:
        def step(steps: Any, *given: Any) -> Any:
            victim.epoch = steps.stack.epoch + 1
            return whole(steps, *given)

        return step

    def of_tries(whole: Function) -> Function:
        def tries(*given: Any) -> Any:
            found = whole(*given)
            victim.tell("earlier", ended=sum(one.ended for one in found))
            return found

        return tries

    def of_start(whole: Function) -> Function:
        def start(*given: Any, **named: Any) -> Any:
            victim.tell("start", name=named["name"], resumed=named.get("resume") is not None)
            return whole(*given, **named)

        return start

    def of_resumed(whole: Function) -> Function:
        def resumed(stack: Any, content: Any) -> Any:
            standing = whole(stack, content)
            victim.tell("resumed", at=stack.epoch)
            return standing

        return resumed

    def of_searched(whole: Function) -> Function:
        def _train(shared: Any, job: Any) -> Any:
            victim.job, victim.epoch = victim.job + 1, 0
            victim.technique = job[0].technique
            outcomes = whole(shared, job)
            victim.tell("trained")
            victim.epoch = BEHIND
            return outcomes

        return _train

    def told(event: str) -> Callable[[Function], Function]:
        def wrapper(whole: Function) -> Function:
            def telling(*given: Any) -> Any:
                victim.tell(event)
                return whole(*given)

            return telling

        return wrapper

    around(launched, "_train", of_job)
    around(Shared, "_train", of_searched)
    around(lead, "propose", told("draws"))
    around(lead, "write", told("recipe"))
    around(Steps, "step", of_step)
    around(Tracker, "tries", of_tries)
    around(Tracker, "start", of_start)
    around(TrainingState, "resumed", of_resumed)


def main(arguments: list[str]) -> None:
    """Be a victim; see the module.

    Args:
        arguments: the log; the moment as JSON, or `null`; what `regexp` is given.
    """
    log, moment, *rest = arguments
    tempfile.tempdir = str(Path(log).parent)  # where it leaves what it cannot remove
    with Path(log).with_suffix(".txt").open("w") as file:
        for output in (1, 2):
            os.dup2(file.fileno(), output)
    given = json.loads(moment)
    victim = Victim(Moment(**given) if given else None, Path(log))
    if victim.moment:
        WAYS[victim.moment.way](victim)
    observe(victim)
    victim.tell("began")
    from regexp.__main__ import main as regexp

    sys.argv = ["regexp", *rest]
    regexp()


if __name__ == "__main__":
    main(sys.argv[1:])
