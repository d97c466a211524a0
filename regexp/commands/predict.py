"""`regexp predict` and `regexp export-model`: a finished run in use."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.commands.arguments import CommandParser
from regexp.commands.rerun import STORE_KEYS
from regexp.config.homes import at_home
from regexp.errors import ConfigError, count, in_a_file

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from regexp.prediction.model import Model

_ALLOW = """\
  --allow NAME     a class or function that is no part of regexp and that the run's configuration
                   may call, such as my_package.MyModel; with a dot at the end, all that begins
                   so. May be given several times"""

PREDICT = f"""\
regexp predict RUN_ID FILE [--output FILE.csv] [paths.mlruns=FOLDER ...]

What a finished run predicts for the rows of a file, as CSV: the number of the row in FILE, from 0
(of a series that of the last step known, after which the forecast begins), then the class and the
probability of each class, or the value in the target's own unit. FILE is written as the run's own
file was (separator, encoding, decimals, words for missing values); the target need not be in it,
and other columns are left alone. Where a run was trained on arrays, FILE is a .npy; of images, also
an image or a folder of them.

  --output FILE    a new file; without it, the table is printed
  --fast           compute the run without those that it was trained with: equal to rounding, and
                   faster by their number
{_ALLOW}"""

EXPORT_MODEL = f"""\
regexp export-model RUN_ID FILE [--format onnx|torch] [paths.mlruns=FOLDER ...]

Write what a finished run predicts with as one new file, which needs no regexp: preprocessing,
network, and probabilities or values in the target's own unit. FILE.pt2 is a program of
torch.export, FILE.onnx of ONNX (pip install 'regexp[onnx]'). FILE.json beside it says what goes in
and what comes out.

  --format NAME    torch or onnx, if the name of the file does not tell
{_ALLOW}"""

FORMATS = {"torch": ".pt2", "onnx": ".onnx"}


def predict(arguments: Sequence[str]) -> int:
    """Write or print predictions.

    Returns:
        0.

    Raises:
        ConfigError: the arguments, the run, or rows that it does not take.
        TrackingError: the store cannot be used, or has no such run.
    """
    parser = CommandParser("predict")
    parser.add_argument("--output", default="")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--allow", action="append", default=[])
    given = parser.split(arguments, STORE_KEYS)
    if len(given.words) != 2:
        parser.error(f"expected RUN_ID FILE, got {' '.join(given.words) or 'neither'}")
    run_id, rows = given.words[0], at_home(given.words[1])
    output = at_home(given.output) if given.output else None
    from regexp.dataset.new_images import ARRAYS, files_of
    from regexp.rerun.archive.archive import check_new

    if not rows.exists():
        raise ConfigError(f"no file {str(rows)!r}", key="regexp predict")
    if output is not None:
        check_new(output)
    model = _load(given.config, run_id, given.allow, exact=not given.fast)
    table = model.table(rows)
    if rows.is_dir():
        table.insert(0, "file", [str(file.relative_to(rows)) for file in files_of(rows)])
    first = 0 if rows.suffix.lower() in ARRAYS else model.record.dataset.last_known
    table.insert(0, "row", range(first, first + len(table)))
    text = in_a_file(table.to_csv(index=False, lineterminator="\n"))
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
        print(f"{output}: predictions of {count(len(table), 'row')}")
    return 0


def export_model(arguments: Sequence[str]) -> int:
    """Write the program of a run.

    Returns:
        0.

    Raises:
        ConfigError: the arguments, the run, or a network that cannot be exported.
        TrackingError: the store cannot be used, or has no such run.
    """
    parser = CommandParser("export-model")
    parser.add_argument("--format", choices=[*FORMATS], default=None)
    parser.add_argument("--allow", action="append", default=[])
    given = parser.split(arguments, STORE_KEYS)
    if len(given.words) != 2:
        parser.error(f"expected RUN_ID FILE, got {' '.join(given.words) or 'neither'}")
    path = at_home(given.words[1])
    by_suffix = {suffix: name for name, suffix in FORMATS.items()}
    kind = given.format or by_suffix.get(path.suffix)
    if kind is None:
        parser.error(f"expected FILE.pt2 or FILE.onnx, or --format, got {path}")
    from regexp.prediction.export import description_of, export
    from regexp.rerun.archive.archive import check_new

    check_new(path)
    check_new(description_of(path))
    model = _load(given.config, given.words[0], given.allow)
    for line in export(model, path, kind):
        print(line)
    return 0


def _load(
    config: "DictConfig", run_id: str, allow: Sequence[str], *, exact: bool = True
) -> "Model":
    from regexp.prediction.model import load_model

    model = load_model(config, run_id, allow, exact=exact)
    for remark in model.record.remarks:
        print(f"regexp: {remark}", file=sys.stderr)
    return model


def _write(path: Path, text: str) -> None:
    """Write a new file; a reader sees the whole of it or nothing."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", key=str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
