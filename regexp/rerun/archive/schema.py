"""The documents that are read: what they must look like, wherever they come from.

Readers raise `ValueError` and `RecursionError` alone, whatever they are given.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

import yaml

from regexp.rerun.archive.encode import WORD, WORDS

FORMAT = 1
STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED")
_DEPTH = 32  # of nested settings
_DIGITS = 400  # of a number: a float's own digits are fewer
_STEPS = 2**63
# Steering characters of terminals, and halves of characters, which no file can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER_LIKE = re.compile(r"[-+0-9.:_]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")
RUN_FIELDS = ("run_id", "sweep_id", "name", "status", "reason", "weights_sha256", "tags")

# libyaml is ten times as fast; not every PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Manifest:
    """The contents of `sweep.json`.

    Attributes:
        version: of the archive's format.
        sweep_id: of the sweep.
        name: of the sweep, for people.
        runs: how many it has.
        members: name -> SHA-256 of all other members.
    """

    version: int
    sweep_id: str
    name: str
    runs: int
    members: dict[str, str]


def manifest(content: bytes) -> Manifest:
    """Read `sweep.json`; of another version of the format only the version is looked at."""
    document = _json(content)
    version = _mapping(document, "the document").get("format")
    if not _is_int(version):
        raise ValueError("format: expected a whole number")
    if version != FORMAT:
        return Manifest(version, "", "", 0, {})
    fields = _fields(document, ("format", "written_by", "sweep_id", "name", "runs", "members"))
    _text(fields["written_by"], "written_by")
    runs = fields["runs"]
    if not _is_int(runs) or runs < 1:
        raise ValueError("runs: expected how many runs there are, at least 1")
    members = _strings(fields["members"], "members")
    for name, digest in members.items():
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"members: {name!a}: expected a SHA-256")
    sweep_id, name = _id(fields["sweep_id"], "sweep_id"), _text(fields["name"], "name")
    return Manifest(version, sweep_id, name, runs, members)


def run_fields(content: bytes) -> dict[str, Any]:
    """Read `run.json`: the texts and tags of an `Original`."""
    fields = _fields(_json(content), RUN_FIELDS)
    for name in ("run_id", "sweep_id"):
        _id(fields[name], name)
    for name in ("name", "reason"):
        _text(fields[name], name)
    if fields["status"] not in STATUSES:
        raise ValueError(f"status: expected one of {', '.join(STATUSES)}")
    digest = _text(fields["weights_sha256"], "weights_sha256")
    if digest and not _SHA256.fullmatch(digest):
        raise ValueError("weights_sha256: expected a SHA-256, or nothing")
    _strings(fields["tags"], "tags")
    return fields


def metrics(content: bytes) -> dict[str, dict[int, float]]:
    """Read `metrics.json`."""
    found: dict[str, dict[int, float]] = {}
    for name, points in _mapping(_json(content), "the document").items():
        _text(name, "a metric's name")
        if not isinstance(points, list):
            raise ValueError(f"{name!a}: expected a list of [step, value]")
        values = found.setdefault(name, {})
        for point in points:
            if not isinstance(point, list) or len(point) != 2:
                raise ValueError(f"{name!a}: expected [step, value]")
            step, value = point
            if not _is_int(step) or not -_STEPS <= step < _STEPS or step in values:
                raise ValueError(f"{name!a}: expected every step once, as a whole number")
            values[step] = _value(value, name)
    return found


def environment(content: bytes) -> dict[str, Any]:
    """Read `environment.json`."""
    return _plain(_mapping(_json(content), "the document"))


def settings(content: bytes) -> dict[str, Any]:
    """Read `sweep.yaml`."""
    return _plain(_mapping(_yaml(content), "the document"))


def config(content: bytes) -> dict[str, Any]:
    """Read `config.yaml`, in which nothing is left to be looked up."""
    return _plain(_mapping(_yaml(content), "the document"), resolved=True)


def stack(content: bytes) -> dict[str, Any]:
    """Read `stack.yaml`, as runs have it in the store."""
    return _stack(_yaml(content))


def stack_json(content: bytes) -> dict[str, Any]:
    """Read `stack.json`, as archives have it: a large stack is read at once."""
    return _stack(_with_numbers(_json(content)))


def _stack(value: object) -> dict[str, Any]:
    """A stack; it is empty for a run that was recorded without one."""
    document = _plain(_mapping(value, "the document"), resolved=True)
    if not document:
        return document
    fields = _fields(document, ("position", "members", "variants"))
    position, members, variants = (fields[key] for key in ("position", "members", "variants"))
    if not isinstance(members, list) or not all(isinstance(one, dict) for one in members):
        raise ValueError("members: expected a list of mappings")
    if not all(isinstance(key, str) for one in members for key in one):
        raise ValueError("members: expected dotted keys")
    if not _is_int(position) or not 0 <= position < len(members):
        raise ValueError("position: expected that of one of the members")
    if not isinstance(variants, list) or len(variants) != len(members):
        raise ValueError("variants: expected one for each member")
    for variant in variants:
        _text(variant, "variants")
    return fields


def _json(content: bytes) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) < len(pairs):
            raise ValueError("a key stands twice")
        return document

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(content.decode(), object_pairs_hook=unique, parse_constant=refuse)


def _with_numbers(node: Any) -> Any:
    """A document with the numbers in it that `stack_bytes` wrote as words."""
    if isinstance(node, dict):
        if set(node) == {WORD} and isinstance(node[WORD], str) and node[WORD] in WORDS:
            return WORDS[node[WORD]]
        return {key: _with_numbers(item) for key, item in node.items()}
    return [_with_numbers(item) for item in node] if isinstance(node, list) else node


def _yaml(content: bytes) -> object:
    """Plain YAML. Aliases are refused: a few lines of them unfold into gigabytes."""
    text = content.decode()
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH:
                raise ValueError(f"it is nested deeper than {_DEPTH}")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ValueError("it has anchors or aliases, which are refused")
            if getattr(event, "tag", None):
                raise ValueError("it has tags, which are refused")
            if isinstance(event, yaml.ScalarEvent) and _long_number(event.value):
                raise ValueError("it has a number that is too long")
        return yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(f"it is no YAML ({(str(error).splitlines() or ['?'])[0]})") from error


def _long_number(text: str) -> bool:
    """Whether reading a number would take long: times such as 1:1:1:1... are read as one."""
    return len(text) > _DIGITS and _NUMBER_LIKE.fullmatch(text) is not None


def _plain(value: dict[str, Any], *, resolved: bool = False) -> dict[str, Any]:
    """The mapping itself, if it holds nothing but plain values.

    Args:
        value: of any content.
        resolved: refuse what would be looked up, such as environment variables.
    """

    def check(node: object, depth: int) -> None:
        if depth > _DEPTH:
            raise ValueError(f"it is nested deeper than {_DEPTH}")
        if isinstance(node, dict):
            for key, item in node.items():
                if not isinstance(key, str) and not _is_int(key):
                    raise ValueError(f"{key!a}: expected a name or a whole number as key")
                check(key, depth)
                check(item, depth + 1)
        elif isinstance(node, list):
            for item in node:
                check(item, depth + 1)
        elif isinstance(node, str):
            _text(node, "a text")
            if resolved and "${" in node:
                raise ValueError(f"{ascii(node)[:100]}: expected a value, not what is looked up")
        elif not isinstance(node, bool | int | float | None):
            raise ValueError(f"{ascii(node)[:100]}: expected a text, a number, true, false or null")

    check(value, 0)
    return value


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected names with values")
    return value


def _fields(value: object, names: tuple[str, ...]) -> dict[str, Any]:
    fields = _mapping(value, "the document")
    if set(fields) != set(names):
        raise ValueError(f"expected the keys {', '.join(names)}")
    return fields


def _strings(value: object, what: str) -> dict[str, str]:
    mapping = _mapping(value, what)
    for key, item in mapping.items():
        _text(key, what)
        _text(item, what)
    return mapping


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what}: expected a text")
    if _UNPRINTABLE.search(value):
        raise ValueError(f"{what}: expected a text without control characters")
    return value


def _id(value: object, what: str) -> str:
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise ValueError(f"{what}: expected the id of a run")
    return value


def _value(value: object, name: str) -> float:
    """A metric's value, which JSON may hold as a number or as one of `WORDS`."""
    if isinstance(value, str) and value in WORDS:
        return WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name!a}: expected a number or one of {', '.join(WORDS)}")
    return float(value)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
