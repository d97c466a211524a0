"""`regexp export`: a sweep of the store, packed for another person."""

import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from regexp.commands.arguments import CommandParser
from regexp.commands.rerun import STORE_KEYS
from regexp.config.homes import at_home
from regexp.errors import count, few

if TYPE_CHECKING:
    from regexp.rerun.original import Original, OriginalSweep
    from regexp.tracking.stored import Reader

EXPORT = """\
regexp export SWEEP_ID FILE.zip [--checkpoints] [paths.mlruns=FOLDER ...]

Pack the configurations, stacks, environments, metrics, tables and figures of a sweep into a new
file, with which another person can run it again: regexp rerun FILE.zip

  --checkpoints    the last checkpoint of every run as well"""

# Who recorded a run, and in which process.
_PERSONAL = re.compile(r"mlflow\..*|host|pid|process")
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def export(arguments: Sequence[str]) -> int:
    """Write an archive of a sweep.

    Returns:
        0.

    Raises:
        ConfigError: the arguments, or a file that cannot be written.
        TrackingError: the store cannot be used, or has no such sweep.
    """
    parser = CommandParser("export")
    parser.add_argument("--checkpoints", action="store_true")
    given = parser.split(arguments, STORE_KEYS)
    if len(given.words) != 2 or not given.words[1].endswith(".zip"):
        parser.error(f"expected SWEEP_ID FILE.zip, got {' '.join(given.words) or 'neither'}")
    sweep_id, path, config = given.words[0], at_home(given.words[1]), given.config
    from regexp.rerun import recorded
    from regexp.rerun.archive.archive import check_new, write_archive
    from regexp.tracking.stored import Reader

    check_new(path)
    reader = Reader(config.tracking.uri, config.paths.mlruns)
    sweep, left_out = shareable(recorded.read_sweep(reader, sweep_id))
    _check_complete(sweep)
    with ExitStack() as open_files:
        files, unsuited = _files(reader, sweep.sweep_id, open_files)
        checkpoints = _checkpoints(reader, sweep, open_files) if given.checkpoints else {}
        write_archive(sweep, files, path, checkpoints)
    for line in [*left_out, *unsuited]:
        print(line, file=sys.stderr)
    print(
        f"{path}: {count(len(sweep.runs), 'run')}, {count(len(files), 'artifact')} of the sweep, "
        f"{count(len(checkpoints), 'checkpoint')}. To make the runs again: "
        f"regexp rerun {quote(str(path))}"
    )
    return 0


def shareable(sweep: "OriginalSweep") -> tuple["OriginalSweep", list[str]]:
    """A sweep without what is nobody else's business, and lines that say which runs are not in it.

    User names, hosts and processes are left out of the tags; runs that have not ended are left out
    as a whole. Addresses were read without names and passwords.
    """
    runs = [_shareable(run) for run in sweep.runs if run.status not in ("RUNNING", "SCHEDULED")]
    lines = []
    if len(runs) < len(sweep.runs):
        unfinished = len(sweep.runs) - len(runs)
        lines.append(f"left out: runs that have not ended ({unfinished})")
    return replace(sweep, name=_printable(sweep.name), runs=runs), lines


def _check_complete(sweep: "OriginalSweep") -> None:
    """Check that everything is there without which nobody can make the runs again.

    Raises:
        TrackingError: the store has not the artifacts of a run, or of the sweep.
    """
    from regexp.tracking import TrackingError

    missing = {
        f"{name} of the run {run.run_id}"
        for run in sweep.runs
        for name, content in (
            ("config.yaml", run.config),
            ("stack.yaml", run.stack),
            ("environment.json", run.environment),
        )
        if not content
    } | ({f"sweep.yaml of the sweep {sweep.sweep_id}"} if not sweep.settings else set())
    if missing:
        raise TrackingError(
            f"nothing was exported: {count(len(missing), 'artifact')} cannot be found where "
            f"{sweep.source} says that they are: {few(sorted(missing))}. If the folder was moved, "
            "give it by paths.mlruns=FOLDER; if records wait to be delivered, regexp deliver "
            "sends them."
        )


def _shareable(run: "Original") -> "Original":
    tags = {key: value for key, value in run.tags.items() if not _PERSONAL.fullmatch(key)}
    return replace(
        run,
        name=_printable(run.name),
        reason=_printable(run.reason),
        tags={_printable(key): _printable(value) for key, value in tags.items()},
    )


def _printable(text: str) -> str:
    """A text for people, without what would steer a terminal."""
    return _STEERING.sub(" ", text)


def _files(
    reader: "Reader", sweep_id: str, open_files: ExitStack
) -> tuple[dict[str, Path], list[str]]:
    """The sweep's tables and figures, and lines that say what is left out."""
    from regexp.rerun.archive import layout
    from regexp.rerun.archive.unpack import wrong_name

    files: dict[str, Path] = {}
    lines = []
    for name in reader.files(sweep_id):
        if name == layout.SETTINGS:
            continue  # written anew
        wrong = wrong_name(layout.ARTIFACTS + name)
        path = None if wrong else open_files.enter_context(reader.file(sweep_id, name))
        if path is not None and path.stat().st_size > layout.ARTIFACT_BYTES:
            wrong = f"it has more than {layout.ARTIFACT_BYTES} bytes"
        if wrong:
            lines.append(f"left out: the artifact {name!a} ({wrong})")
        elif path is not None:
            files[name] = path
    return files, lines


def _checkpoints(
    reader: "Reader", sweep: "OriginalSweep", open_files: ExitStack
) -> dict[str, Path]:
    """Run id -> its last checkpoint, of the runs that have one."""
    from regexp.rerun.recorded import LAST_CHECKPOINT

    found = {
        run.run_id: open_files.enter_context(reader.file(run.run_id, LAST_CHECKPOINT))
        for run in sweep.runs
    }
    return {run_id: path for run_id, path in found.items() if path is not None}
