"""`python -m tests.kills.experiment`: a sweep killed twenty times against one undisturbed.

Both are `regexp -m` over every technique that has memory, in folders of their own; with `--search`
both are `regexp search`, in which some runs end at rungs. The second is
ended by SIGKILL at moments drawn from a seed, and started again after each: inside an epoch,
inside a checkpoint, inside a flush of what is recorded, between jobs. Then every metric of every
epoch, every tensor of the checkpoints, and what else is stored are compared bit for bit. The exit
status is 0 only if nothing differs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.kills.moments import BEHIND, Moment, draw
from tests.kills.stored import Stored, left_over, stored

ROOT = Path(__file__).parents[2]
SMALL = (
    "dataset=digits", "dataset.train_size=200", "model.hidden=[16]", "yardsticks=false",
    "seeds=2",
    "trainer.epochs=8", "trainer.batch_size=32", "trainer.device=cpu",
    "optimizer.lr=0.05", "scheduler=reduce_lr_on_plateau",
)  # fmt: skip
BUSY = (
    "early_stopping.patience=1", "early_stopping.min_delta=0.1", "ema.decay=0.9", "swa.start=0.3",
    "swag.start=0.3", "pruning.every=3",
)  # fmt: skip
"""Numbers with which techniques do something in so few steps: runs leave their stack, too."""

COCKTAILS = (
    "[dropout,batch_norm,ema,early_stopping]",
    "[mixup,gradient_noise,batch_norm,swa]",
    "[spectral_norm,lookahead,l2_sp]",
    "[dropout,pruning,prechelt]",
)

Launch = Callable[[Sequence[str]], int]
"""Starts a victim with arguments, and gives its exit status."""


def with_memory() -> list[str]:
    """The techniques that remember something from step to step, or from epoch to epoch."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from regexp.config.schema import conf_folder
    from regexp.regularizer.base import overrides

    found = []
    for path in sorted((conf_folder() / "regularizer").glob("*.yaml")):
        node = OmegaConf.load(path)
        if path.stem == "none":
            continue
        node.pop("search", None)  # type: ignore[call-arg, arg-type]
        if any(overrides(instantiate(node), hook) for hook in ("init", "track", "keep", "observe")):
            found.append(path.stem)
    return found


SEARCH = (
    "search", "dataset=digits", "dataset.train_size=200", "model.hidden=[16]", "figures=false",
    "yardsticks=false", "trainer.epochs=9", "trainer.batch_size=32", "trainer.device=cpu",
    "trainer.step=general", "checkpoint.every=1", "search.workers=1",
    "search.techniques=[dropout,batch_norm,mixup,ema,sam]", "search.schedulers=[constant]",
    "search.space.model.hidden='choice([16],[24])'", "search.trials=12", "search.batch=4",
    "search.together=2", "search.finalists=3", "search.seeds=2",
)  # fmt: skip
"""A search whose steps are made one by one, so that a victim can die between two."""


def places(mlruns: Path) -> list[str]:
    """Where a command writes."""
    return [f"paths.mlruns={mlruns}", f"search.folder={mlruns / 'recipe'}"]


def recipe(mlruns: Path) -> str:
    """What a search has chosen."""
    return (mlruns / "recipe" / "experiment" / "recipe.yaml").read_text(encoding="utf-8")


def course(events: Sequence[dict[str, Any]]) -> tuple[list[int], dict[str, list[int]]]:
    """How many epochs each job of a search trains, and behind which jobs it does what else.

    Args:
        events: of one that nothing disturbed.
    """
    epochs = [event["epoch"] for event in events if event["event"] == "trained"]
    ways = {"draws": "before a draw", "recipe": "before the recipe is written"}
    behind: dict[str, list[int]] = {way: [] for way in ways.values()}
    for event in events:
        if (way := ways.get(event["event"])) and event["job"] >= 0:
            behind[way].append(event["job"])
    return epochs, behind


def fresh(arguments: Sequence[str]) -> int:
    """Launch a victim in a Python of its own."""
    command = [sys.executable, "-m", "tests.kills.victim", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def undisturbed(command: Sequence[str]) -> None:
    """Give a command that nothing disturbs.

    Raises:
        SystemExit: if it fails.
    """
    given = [sys.executable, "-m", "regexp", *command]
    done = subprocess.run(given, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the undisturbed sweep failed:\n{done.stdout}{done.stderr}")


@dataclass(frozen=True)
class Kill:
    """What became of a process that was to be killed.

    Attributes:
        moment: that was drawn.
        events: what it told of itself, in order.
    """

    moment: Moment
    events: list[dict[str, Any]]

    def row(self, number: int, restarted: list[dict[str, Any]]) -> list[str]:
        """Of the table; `restarted` is what the next process told of itself."""
        at = self.events[-1]
        epoch = str(at["epoch"]) if at["epoch"] < BEHIND else ""
        where = [str(at["job"] + 1), at["technique"], epoch] if at["job"] >= 0 else []
        way = [self.moment.kind, self.moment.way]
        return [str(number), *way, *(where or ["", "", ""]), went_on(restarted)]


def went_on(events: Sequence[dict[str, Any]]) -> str:
    """How a process that was started again went on, in words."""
    ended = [event["ended"] for event in events if event["event"] == "earlier"]
    if not ended:
        return "killed before it could look"
    told = f"{ended[0]} runs skipped"
    starts = [event for event in events if event["event"] == "start"]
    if not starts:
        return told
    first = [event for event in starts if event["job"] == starts[0]["job"]]
    again = [event for event in first if event["resumed"]]
    at = [e["at"] for e in events if e["event"] == "resumed" and e["job"] == first[0]["job"]]
    technique = first[0]["technique"]
    if again:
        where = f"after epoch {at[0]}" if at else "at the beginning"
        told += f"; {len(again)} of {technique} resumed {where}"
    if len(again) < len(first):
        told += f"; {len(first) - len(again)} of {technique} begun"
    return told


def sweep(jobs: Sequence[str], every: int = 1) -> list[str]:
    """The command, but for its folder.

    Args:
        jobs: each has a technique, or several as `[a,b]`.
        every: how many epochs a checkpoint is written.
    """
    used = {name for job in jobs for name in _techniques(job)}
    busy = [f"regularizer.{one}" for one in BUSY if one.partition(".")[0] in used]
    return ["-m", f"regularizer={','.join(jobs)}", *SMALL, f"checkpoint.every={every}", *busy]


def _techniques(job: str) -> list[str]:
    return job.strip("[]").split(",")


def epochs_of(found: Stored, jobs: Sequence[str]) -> list[int]:
    """How many epochs the longest run of each job trained."""
    longest = []
    for job in jobs:
        name = f"{'+'.join(_techniques(job))} seed="
        longest.append(
            max(
                int(float.fromhex(texts[0]))
                for key, texts in found.items()
                if key[0] == "metric" and key[1].startswith(name) and key[2] == "epochs"
            )
        )
    return longest


def kill(
    moments: Sequence[Moment], command: Sequence[str], folder: Path, launch: Launch
) -> tuple[list[Kill], list[dict[str, Any]]]:
    """Give a command, kill it at every moment in turn, and let it come to its end.

    Args:
        moments: in their order.
        command: for `regexp`.
        folder: for what the processes tell and print.
        launch: starts a process.

    Returns:
        (kills, events): the events are those of the last process.

    Raises:
        SystemExit: if a process ended in another way than it should.
    """
    kills = []
    for number, moment in enumerate([*moments, None], 1):
        log = folder / f"{number}.jsonl"
        status = launch([str(log), json.dumps(moment and asdict(moment)), *command])
        events = [json.loads(line) for line in log.read_text().splitlines()]
        if status != (-signal.SIGKILL if moment else 0):
            printed = log.with_suffix(".txt").read_text()
            sys.exit(f"process {number} ended with {status}, to die at {moment}:\n{printed}")
        if moment is None:
            break
        kills.append(Kill(moment, events))
        print(f"kill {number}: {moment.way}", file=sys.stderr, flush=True)
    return kills, events


def differing(one: Stored, other: Stored) -> list[str]:
    """What is not the same in both, or not there exactly once; for people."""
    return [
        f"{' '.join(key)}: {one.get(key)} undisturbed, {other.get(key)} killed"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key) or len(one[key]) != 1
    ]


def table(kills: Sequence[Kill], last: list[dict[str, Any]]) -> str:
    """The kills as a table in Markdown; `last` is what the last process told of itself."""
    head = ["kill", "kind", "where", "job", "technique", "epoch", "the process started after it"]
    restarts = [*(one.events for one in kills[1:]), last]
    rows = [
        one.row(number, restarted)
        for number, (one, restarted) in enumerate(zip(kills, restarts, strict=True), 1)
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def verdict(expected: Stored, found: Stored, left: Sequence[str]) -> tuple[str, bool]:
    """(a line, whether all is well) of two sweeps; `left` is what the killed one left over."""
    wrong = differing(expected, found)
    for line in [*wrong[:50], *left]:
        print(line, file=sys.stderr)
    counts = Counter(key[0] for key in expected)
    line = (
        f"Compared: {counts['status']} runs, {counts['metric']} points of metrics, "
        f"{counts['tensor']} tensors and {counts['number']} numbers of checkpoints. "
        f"Different: {len(wrong)}. Left over: {len(left)}."
    )
    return line, not wrong and not left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills.experiment", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="default 20")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument(
        "--techniques", nargs="+", metavar="WORD", help="jobs, such as ema or [dropout,swa]"
    )
    parser.add_argument("--search", action="store_true", help="a search in the place of a sweep")
    parser.add_argument("--folder", type=Path, help="an empty one, to keep what the sweeps leave")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = ["none", *(given.techniques or [*with_memory(), *COCKTAILS])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        whole, mlruns = folder / "undisturbed", folder / "killed"
        if given.search:
            command = [*SEARCH]
            whole.mkdir()
            _, events = kill([], [*command, *places(whole)], whole, fresh)
            moments = draw(given.kills, *course(events), given.seed)
        else:
            command = sweep(jobs)
            undisturbed([*command, *places(whole)])
            moments = draw(given.kills, epochs_of(stored(whole), jobs), {}, given.seed)
        kills, last = kill(moments, [*command, *places(mlruns)], folder, fresh)
        line, well = verdict(stored(whole), stored(mlruns), left_over(mlruns))
        if given.search and recipe(whole) != recipe(mlruns):
            line, well = f"{line} Another recipe.", False
    print(f"{table(kills, last)}\n\n{line}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
