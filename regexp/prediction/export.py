"""A run's program as a file that needs no regexp: of torch.export, or of ONNX."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from regexp.errors import ConfigError, first_line
from regexp.prediction.model import Model
from regexp.prediction.program import Program
from regexp.regularizer.conflicts import ONE_PASS

ROWS = "rows"
"""The name of the program's input, and of its first axis, which has any length."""


def description_of(path: Path) -> Path:
    """The file that describes a program: `model.pt2.json`."""
    return path.with_name(f"{path.name}.json")


def export(model: Model, path: Path, kind: str) -> list[str]:
    """Write a program and, beside it, what goes in and what comes out.

    Args:
        model: of a run.
        path: a new file; the description is that with `.json` behind it.
        kind: `torch` or `onnx`.

    Returns:
        Lines for people.

    Raises:
        ConfigError: the network cannot be exported, a package is missing, or the disk is full.
    """
    program = Program(model.record).eval()
    example = program.example(model.record)
    averaged = [name for name, technique in _techniques(model) if _predicts(technique)]
    description = _description(model, program, example, averaged)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _quiet():
            if kind == "torch":
                _to_torch(program, example, partial)
            else:
                _to_onnx(program, example, partial)
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        description_of(path).write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}", key=str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    lines = [f"{path}: the program of the run; {description_of(path)}: its input and output"]
    if not program.prepares:
        kind_of = type(model.record.preparation.pipeline).__name__
        lines.append(
            f"It takes prepared inputs: there is no program for the preprocessing ({kind_of}), "
            "which regexp.load(RUN_ID) has"
        )
    precision, computes_in = model.record.config["trainer"]["precision"], description["computes_in"]
    if precision != computes_in:
        lines.append(
            f"It computes in {computes_in}, the run in {precision}: their outputs differ by the "
            "rounding of that"
        )
    if averaged:
        lines.append(
            f"It is the network with its final weights: the mean over several passes that "
            f"{', '.join(averaged)} predicts is not in it"
        )
    return lines


def _techniques(model: Model) -> list[tuple[str, Any]]:
    from regexp.sweeps.ingredients import build_regularizer

    cocktail = build_regularizer(model.record.config["regularizer"])
    return list(cocktail.techniques.items())


def _predicts(technique: Any) -> bool:
    """Whether it predicts in a way that is not in a program."""
    from regexp.regularizer.cocktail import Cocktail

    predicts = Cocktail({"technique": technique}).uses("predict")
    return predicts and ONE_PASS not in technique.provides


def _to_torch(program: Program, example: torch.Tensor, path: Path) -> None:
    with _explained(program):
        exported = torch.export.export(
            program, (example,), dynamic_shapes={"rows": {0: torch.export.Dim(ROWS)}}
        )
        buffer = io.BytesIO()
        torch.export.save(exported, buffer)
    path.write_bytes(buffer.getvalue())


def _to_onnx(program: Program, example: torch.Tensor, path: Path) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"ONNX files are written with {error.name}, which is not installed",
            cure="pip install 'regexp[onnx]', or export a program of torch (FILE.pt2)",
        ) from error
    with _explained(program):
        exported = torch.onnx.export(
            program, (example,), dynamo=True, input_names=[ROWS], output_names=["outputs"],
            dynamic_shapes={"rows": {0: torch.export.Dim(ROWS)}}, verbose=False,
        )  # fmt: skip
        assert exported is not None
        exported.save(str(path), external_data=False)


@contextlib.contextmanager
def _explained(program: Program) -> Any:
    """Tell in one line what torch cannot export; a user's module may make it raise anything."""
    try:
        yield
    except (ConfigError, OSError):
        raise
    except Exception as error:
        kind = type(program.network).__name__
        raise ConfigError(
            f"{kind} cannot be exported ({type(error).__name__}: {first_line(error)[:300]})",
            key="regexp export-model",
        ) from error


@contextlib.contextmanager
def _quiet() -> Any:
    """Without the progress and warnings of torch's exporters."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _description(
    model: Model, program: Program, example: torch.Tensor, averaged: list[str]
) -> dict[str, Any]:
    """What goes in and what comes out, for JSON."""
    preparation = model.record.preparation
    scale = preparation.target_scale
    taken = preparation.columns if program.prepares else preparation.features
    return {
        "task": model.task,
        "input": {
            "name": ROWS,
            "dtype": str(example.dtype).removeprefix("torch."),
            "shape": [ROWS, *example.shape[1:]],
            "prepared": not program.prepares,
            "columns": list(taken),
            "levels": {name: list(levels) for name, levels in preparation.levels.items()},
        },
        "output": {
            "dtype": "float64",
            "shape": [ROWS, model.record.outputs],
            "what": "values in the target's own unit" if not model.classes else "probabilities",
            "names": list(model.classes) or model.record.columns,
        },
        "computes_in": str(program.dtype).removeprefix("torch."),
        "target_scale": None if scale is None else vars(scale),
        "not_in_it": averaged,
    }
