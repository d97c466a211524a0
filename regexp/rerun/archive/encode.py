"""How the documents of an archive are written: readable by others, and exact to the last bit."""

import json
import math
from collections.abc import Mapping
from typing import Any

import yaml

WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How strict JSON says what it has no numbers for."""

WORD = "$number"
"""The key of such a word where it might be taken for a text."""


class _Dumper(yaml.SafeDumper):
    """Writes every value in full: readers refuse aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def json_bytes(value: object) -> bytes:
    """JSON that strict readers take; floats keep every bit.

    Raises:
        ValueError: NaN or an infinity in it.
    """
    return (json.dumps(value, allow_nan=False, indent=1) + "\n").encode()


def stack_bytes(value: Mapping[str, Any]) -> bytes:
    """A stack as JSON: `{"position": 0, "members": [{"seed": 0}], "variants": [""]}`.

    NaN and the infinities are written as `{"$number": "NaN"}`.
    """

    def strict(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: strict(item) for key, item in node.items()}
        if isinstance(node, list):
            return [strict(item) for item in node]
        finite = not isinstance(node, float) or math.isfinite(node)
        return node if finite else {WORD: _number(node)}

    return (json.dumps(strict(value), allow_nan=False) + "\n").encode()


def yaml_bytes(value: Mapping[str, Any]) -> bytes:
    """YAML in the order of the mapping; floats keep every bit."""
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False).encode()


def metrics_bytes(metrics: Mapping[str, Mapping[int, float]]) -> bytes:
    """Metrics as JSON, one a line: `{"val/loss": [[1, 0.5], [2, "NaN"]]}`."""
    lines = []
    for name in sorted(metrics):
        points = [[step, _number(metrics[name][step])] for step in sorted(metrics[name])]
        lines.append(f"{json.dumps(name)}: {json.dumps(points)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _number(value: float) -> float | str:
    """A value as JSON has it."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
