"""`python -m tests.kills.real`: what a team has is killed twenty times while a sweep runs on Slurm.

The victims take turns that a seed draws: the command itself, MLflow's server, its database, the
task of a job, and slurmd, each ended by SIGKILL when the jobs have come to an epoch that the seed
draws as well.
What was killed is started again, the command by giving it again, and in the end every metric of
every epoch, every tensor of the checkpoints, and what else is stored are compared bit for bit with
the same sweep that nothing disturbed, in processes of this machine. The exit status is 0 only if
nothing differs. It needs PostgreSQL, moto and a Slurm on this machine, as `make real` has them.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient

from regexp.__main__ import USAGE_ERROR
from regexp.config import plan_file
from regexp.training import checkpoint
from tests.kills.experiment import ROOT, undisturbed, verdict
from tests.kills.stored import left_over, stored
from tests.real import servers, slurm
from tests.real.sweeps import PATIENCE

TECHNIQUES = ("none", "dropout", "ema", "mixup", "swa", "early_stopping", "lookahead",
              "[dropout,batch_norm,ema]", "gradient_noise", "pruning")  # fmt: skip
EPOCHS = 200
SWEEP = (
    "-m", f"regularizer={','.join(TECHNIQUES)}", "seeds=2", "dataset=digits", "model.hidden=[32]",
    f"trainer.epochs={EPOCHS}", "trainer.device=cpu", "regularizer.early_stopping.patience=1000",
    "checkpoint.every=20", "figures=false", "yardsticks=false", "launch.jobs_per_task=3",
)  # fmt: skip
NAME = "regexp-kills"
"""Of the tasks in Slurm."""

NO_SERVER = r"tracking\.uri=\S+ cannot be used|no MLflow server answers there"
TOLD = (
    r"its process died \(.*\); it is given again",
    r"\d+ jobs? of an earlier command on the way",
    r"The store of runs does not answer \([^)]*\)",
    NO_SERVER,
)
"""What is told of kills."""

VICTIMS = ("command", "server", "database", "task", "slurmd")


@dataclass(frozen=True)
class Moment:
    """When what is killed: when the checkpoints of all jobs have so many epochs together."""

    victim: str
    epochs: int


def draw(kills: int, epochs: int, seed: int) -> list[Moment]:
    """The moments in their order; the victims have equal shares.

    Args:
        kills: how many.
        epochs: of all jobs together; the last tenth is left alone.
        seed: of the stream that they are drawn from.
    """
    stream = random.Random(seed)
    turns: list[str] = []
    for _ in range(0, kills, len(VICTIMS)):
        turns += stream.sample(VICTIMS, len(VICTIMS))
    share = epochs * 9 // 10 // kills
    places = [at * share + stream.randint(1, share) for at in range(kills)]
    return [Moment(victim, place) for victim, place in zip(turns[:kills], places, strict=True)]


@dataclass
class Sweep:
    """The sweep that is disturbed.

    Attributes:
        folder: in which its command is given.
        team: the servers.
        given: the command as it was given last.
        times: how often it was.
    """

    folder: Path
    team: servers.Servers
    given: subprocess.Popen[bytes] | None = None
    times: int = 0
    _first: dict[int, str] = field(default_factory=dict)  # fingerprint of each job

    def give(self) -> None:
        """Give the command, for the first time or again."""
        self.times += 1
        words = [*SWEEP, "hydra/launcher=slurm", f"hydra.launcher.name={NAME}",
                 f"tracking.uri={self.team.mlflow.address}"]  # fmt: skip
        with self._log.open("wb") as log:
            self.given = subprocess.Popen(
                [sys.executable, "-m", "regexp", *words], cwd=self.folder, stdout=log, stderr=log,
                env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.times}.txt"

    @property
    def printed(self) -> str:
        """What the command has printed since it was given last."""
        return self._log.read_text()

    def epochs(self) -> int:
        """The epochs that the checkpoints of all jobs have together; all of one that has ended."""
        ended = slurm.plans(self.folder, "json")
        return sum(
            EPOCHS if str(job) in ended else self._epoch_of(job) for job in range(len(TECHNIQUES))
        )

    def _epoch_of(self, job: int) -> int:
        plans = [*self.folder.glob(f"mlruns/hydra/*/plans/{job}.yaml")]
        if plans and job not in self._first:
            self._first[job] = plan_file.read(plans[0])["runs"][0]["fingerprint"]
        found = self.folder.glob(f"mlruns/checkpoints/*/{self._first.get(job)}-*.pt")
        with suppress(OSError):  # it is gone: the job has ended
            for file in found:
                history = checkpoint.load(file, holds="training")["history"]
                return max(int(run["epoch"][-1]) for run in history if len(run["epoch"]))
        return 0

    def wait_for(self, moment: Moment) -> None:
        """Wait until the moment has come.

        Raises:
            SystemExit: the command ended before, or it does not come.
        """
        until = time.monotonic() + PATIENCE
        while self.epochs() < moment.epochs:
            if self.ended() or time.monotonic() > until:
                sys.exit(f"waited in vain for {moment}:\n{self.printed}")
            time.sleep(0.2)

    def ended(self) -> bool:
        """Whether the command has come to its end; one that met no server is given again."""
        if self.given is None or self.given.poll() is None:
            return False
        if self.given.returncode == USAGE_ERROR and re.search(NO_SERVER, self.printed):
            self.give()
            return False
        return True

    def end(self) -> int:
        """The exit status of the command when it has ended."""
        until = time.monotonic() + PATIENCE
        while not self.ended():
            if time.monotonic() > until:
                sys.exit(f"it does not end:\n{self.printed}")
            time.sleep(0.2)
        assert self.given is not None
        return self.given.returncode

    def close(self) -> None:
        """End what still runs of it."""
        if self.given is not None and self.given.poll() is None:
            self.given.kill()
        subprocess.run(["scancel", f"--name={NAME}"], check=True)

    def kill(self, moment: Moment) -> str:
        """Kill what is to be killed, and start it again; which job's task it was."""
        match moment.victim:
            case "command":
                assert self.given is not None
                self.given.send_signal(signal.SIGKILL)
                self.given.wait()
                self.give()
            case "server":
                self.team.mlflow.stop(signal.SIGKILL)
                self.team.mlflow.start()
            case "database":
                self.team.postgres.stop(signal.SIGKILL)
                self.team.postgres.start()
            case "slurmd":
                slurm.kill_slurmd()
            case "task":
                return self._kill_a_task()
        return ""

    def _kill_a_task(self) -> str:
        """Kill the process of a job that trains; its technique."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not self.ended():
            training = self._training()
            alive = [one for one in slurm.tasks(self.folder) if one.pid in training]
            for process in sorted(alive, key=lambda one: training[one.pid]):
                process.send_signal(signal.SIGKILL)
                return training[process.pid]
            time.sleep(0.2)
        sys.exit(f"there was no task to kill:\n{self.printed}")

    def _training(self) -> dict[int, str]:
        """The processes that train, by the store, and the technique of each."""
        client = MlflowClient(self.team.mlflow.address)
        experiments = [one.experiment_id for one in client.search_experiments()]
        wanted = "attributes.status = 'RUNNING' and tags.fingerprint != ''"
        runs = client.search_runs(experiments, wanted)
        return {int(run.data.tags["pid"]): run.data.tags["technique"] for run in runs}

    def sizes(self) -> dict[Path, int]:
        """How long each file is that tells of something."""
        logs = [*self.folder.glob("*.txt"), *self.folder.glob("mlruns/hydra/*/.submitit/*/*.out")]
        return {log: log.stat().st_size for log in logs}

    def told(self, before: Mapping[Path, int]) -> str:
        """What was told of kills since the files were so long."""
        new = "".join(
            log.read_bytes()[before.get(log, 0) : size].decode(errors="replace")
            for log, size in self.sizes().items()
        )
        found = [match.group() for match in re.finditer("|".join(TOLD), new)]
        ids = r"Slurm job [\d_]+: |; its log: [^)]+"
        return "; ".join(dict.fromkeys(re.sub(ids, "", one) for one in found))


def disturb(sweep: Sweep, moments: Sequence[Moment]) -> list[list[str]]:
    """Give the sweep's command, kill at each moment, and let it come to its end; rows of the table.

    Raises:
        SystemExit: it fails.
    """
    rows: list[list[str]] = []
    sweep.give()
    before = sweep.sizes()
    for number, moment in enumerate([*moments, None], 1):
        if moment is None:
            if sweep.end():
                sys.exit(f"the sweep failed:\n{sweep.printed}")
        else:
            sweep.wait_for(moment)
        if rows:
            rows[-1].append(sweep.told(before))
        if moment is not None:
            before = sweep.sizes()
            reached = sweep.epochs()
            killed = sweep.kill(moment)
            victim = moment.victim + f" of {killed}" * bool(killed)
            rows.append([str(number), victim, f"{reached / (len(TECHNIQUES) * EPOCHS):.0%}"])
            print(f"kill {number}: {moment.victim}", file=sys.stderr, flush=True)
    return rows


def table(rows: Sequence[Sequence[str]]) -> str:
    """The kills in Markdown."""
    head = ["kill", "of", "epochs in checkpoints", "what was told"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills.real", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="default 20")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    given = parser.parse_args()
    if absent := servers.missing() or slurm.missing():
        sys.exit(absent)
    os.environ |= {"OMP_NUM_THREADS": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    moments = draw(given.kills, len(TECHNIQUES) * EPOCHS, given.seed)
    with tempfile.TemporaryDirectory() as temporary, servers.servers() as team:
        folder = Path(temporary).resolve()
        experiment = "tracking.experiment=undisturbed"
        undisturbed([*SWEEP, f"tracking.uri={team.mlflow.address}", experiment,
                     f"paths.mlruns={folder / 'undisturbed'}"])  # fmt: skip
        sweep = Sweep(folder, team)
        try:
            rows = disturb(sweep, moments)
        finally:
            sweep.close()
        print(table(rows), flush=True)
        address = team.mlflow.address
        expected = stored(folder / "undisturbed", address, "undisturbed")
        found = stored(folder / "mlruns", address, "regexp")
        line, well = verdict(expected, found, left_over(folder / "mlruns", address, "regexp"))
    print(f"\n{line}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
