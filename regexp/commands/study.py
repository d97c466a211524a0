"""`regexp study`: a sweep that is worth keeping, run and written up in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.commands.arguments import CommandParser, check_words, parse
from regexp.config.homes import at_home
from regexp.config.jobs import Sweep, compose
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from regexp.compare.figures import Picture
    from regexp.compare.report import ComparisonReport

STUDY = """\
regexp study NAME [key=value ...]

Run experiment=NAME as a sweep and write it up: question, command, answer, table and figures in
FOLDER/NAME/README.md, all numbers in results.csv. What has finished before is not run again.

  --folder FOLDER    where the study's folder is made; by default experiments
  --overwrite        even if it holds a README.md that is no study's"""

PAGE, TABLE = "README.md", "results.csv"
_QUESTION, _COMMAND = "**Question.**", "**Command.**"
"""What the page of each study has."""

FAMILIES = 3
"""Datasets and settings of which all pictures are kept; of more, those that sum them up."""

SUMMARIES = ("heat_map", "critical_difference", "settings", "budget", "forest", "overfitting")
"""The kinds of pictures that sum up."""

DECIDED = """\
Differences are of runs at equal seeds; a direction is told where p, corrected for all claims of
this table, is below 5% ([how](../../docs/comparing.md#what-a-paper-claims)). The verdicts below are
the usual ones, of all arms against one baseline."""


@dataclass(frozen=True)
class Cost:
    """What a study has taken.

    Attributes:
        seconds: wall time of all its commands together.
        environment: what it ran on, as of `environment.arithmetic`.
        cores: of that machine.
    """

    seconds: float
    environment: Mapping[str, str]
    cores: int

    def __str__(self) -> str:
        minutes = self.seconds / 60
        time = f"{minutes:.0f} minutes" if minutes >= 2 else f"{self.seconds:.0f} seconds"
        on = self.environment
        return f"{time} on {self.cores} cores ({on['processor']}, torch {on['torch']})"


def study(arguments: Sequence[str]) -> int:
    """`regexp study`: the exit status of its sweep.

    Raises:
        ConfigError: the arguments, or what they ask for.
        OSError: the folder cannot be written; the runs are kept.
    """
    parser = CommandParser("study")
    parser.add_argument("--folder", type=at_home, default=Path("experiments"))
    parser.add_argument("--overwrite", action="store_true")
    given, rest = parser.parse_known_args(list(arguments))
    if not rest or "=" in rest[0] or rest[0].startswith(("-", "~")):
        parser.error(
            "expected as its first word the name of an experiment of conf/experiment, got "
            f"{rest[0] if rest else 'none'}"
        )
    name, *rest = rest
    options, _ = parse(["-m", f"experiment={name}", *rest, *["--debug"] * given.debug])
    check_words(options, [name])
    from regexp.sweeps.workers import start_importing

    sweep = compose(options, start_importing)
    if sweep.config.dry_run:
        from regexp.commands.dry_run import show_dry_run

        show_dry_run(sweep)
        return 0
    if not given.overwrite:
        check_folder(given.folder / name)
    shared = _without_machine(rest)
    command = f"make study NAME={name}"
    if shared:
        command = shlex.join(["regexp", "study", name, *shared])
    from regexp.sweeps.execute import execute

    def write_up(report: ComparisonReport, seconds: float) -> None:
        from regexp.tracking import environment

        if not report.comparison.table["finished"].any():
            return
        cost = Cost(seconds, environment.arithmetic(), os.cpu_count() or 1)
        write(given.folder / name, sweep, command, report, cost)
        print(f"\nThe study is written up: {given.folder / name / 'README.md'}", flush=True)

    return execute(sweep, write_up)


def check_folder(folder: Path) -> None:
    """Check that what a folder holds is a study, if anything, which may be written again.

    Raises:
        ConfigError: it is something else.
    """
    page = folder / PAGE
    theirs = [one for one in (page, folder / TABLE) if one.exists()]
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    if theirs and not (_QUESTION in text and _COMMAND in text):
        raise ConfigError(
            "no study wrote it, and one would take its place",
            key=str(theirs[0]),
            cure="give another --folder, or --overwrite",
        )


def write(folder: Path, sweep: Sweep, command: str, report: ComparisonReport, cost: Cost) -> None:
    """Write README.md, results.csv and the figures of a study; its older figures are removed.

    Raises:
        OSError: the folder cannot be written.
    """
    from regexp.compare import markdown
    from regexp.compare.document import document
    from regexp.compare.report import table_csv

    comparison = report.comparison
    kept = worth_keeping(report.pictures, len(comparison.families))
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "figures"
    for older in figures.glob("*.png"):
        older.unlink()
    with contextlib.suppress(OSError):  # somebody has put other files there, or there is none
        figures.rmdir()
    for picture in kept:
        figures.mkdir(exist_ok=True)
        (figures / f"{picture.name}.png").write_bytes(picture.png)
        shrink(figures / f"{picture.name}.png")
    (folder / TABLE).write_text(table_csv(comparison), encoding="utf-8")
    head = [
        f"# {sweep.name}",
        f"{_QUESTION} {sweep.config.study.question or 'Which technique helps?'}",
        f"{_COMMAND} {cost}, {len(comparison.runs) + len(comparison.trials)} runs:",
        f"```bash\n{command}\n```",
        *_paper(sweep, report),
    ]
    body = markdown.study_page(document(comparison, kept))
    (folder / PAGE).write_text("\n\n".join([*head, body]), encoding="utf-8")


def _paper(sweep: Sweep, report: ComparisonReport) -> list[str]:
    """What a paper says and what came of it, of a study that tries a paper's claims."""
    from regexp.compare import markdown

    if not report.claims:
        return []
    asked = sweep.config.study
    return [
        *[f"**Paper.** {asked.paper}"] * bool(asked.paper),
        *[f"**Reduced.** {asked.reduced}"] * bool(asked.reduced),
        "## Paper and ours",
        markdown.claims_table(report.claims),
        DECIDED,
    ]


def worth_keeping(pictures: Sequence[Picture], families: int) -> list[Picture]:
    """The pictures that a study keeps, which has so many datasets and settings."""
    if families <= FAMILIES:
        return list(pictures)
    return [picture for picture in pictures if picture.kind in SUMMARIES]


def shrink(path: Path) -> None:
    """Write a PNG again with a palette of 64 colours: a third of the bytes, for it is committed."""
    from PIL import Image

    with Image.open(path) as image:
        few = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _without_machine(overrides: Sequence[str]) -> list[str]:
    """Overrides but for a machine's folders and how its jobs are launched."""
    machine = ("paths.", "tracking.", "hydra/launcher", "hydra.launcher", "launch.")
    return [override for override in overrides if not override.startswith(machine)]
