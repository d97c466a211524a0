"""The documents that are read: what they must look like, wherever they come from.

Addresses in them are made public: what older versions recorded may have passwords.
Readers raise `ValueError` and `RecursionError` alone, whatever they are given.
"""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    Strict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from regexp.addresses import public, public_all
from regexp.config.yaml_text import LOADER
from regexp.errors import first_line
from regexp.rerun.archive.encode import WORD, WORDS

FORMAT = 1
_DEPTH = 32  # of nested settings
_DIGITS = 400  # of a number: a float's own digits are fewer
# Steering characters of terminals, and halves of characters, which no file can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER_LIKE = re.compile(r"[-+0-9.:_]+")

_Checked = TypeVar("_Checked")


def _matching(pattern: str, expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("expected a text without control characters")
    return public(text)


Text = Annotated[str, Strict(), AfterValidator(_printable)]
RunId = Annotated[str, _matching(r"[0-9A-Za-z_-]{1,128}", "the id of a run")]
Sha256 = Annotated[str, _matching(r"[0-9a-f]{64}", "a SHA-256")]
_Step = Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]
_Value = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Word = Literal["NaN", "Infinity", "-Infinity"]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Version(BaseModel):
    format: Annotated[int, Strict()]


class Manifest(_Document):
    """The contents of `sweep.json`; `members` holds the SHA-256 of all other members."""

    format: Literal[1]
    written_by: Text
    sweep_id: RunId
    name: Text
    runs: PositiveInt
    members: dict[Text, Sha256]


class RunFields(_Document):
    """The contents of `run.json`: the texts and tags of an `Original`."""

    run_id: RunId
    sweep_id: RunId
    name: Text
    status: Literal["FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED"]
    reason: Text
    weights_sha256: Annotated[str, _matching(r"([0-9a-f]{64})?", "a SHA-256, or nothing")]
    tags: dict[Text, Text]


class _Stack(_Document):
    position: NonNegativeInt
    members: list[dict[str, Any]]
    variants: list[Text]
    at_once: PositiveInt | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.position >= len(self.members):
            raise ValueError("position: expected that of one of the members")
        if len(self.variants) != len(self.members):
            raise ValueError("variants: expected one for each member")
        return self


def _each_step_once(points: list[tuple[int, float | str]]) -> list[tuple[int, float | str]]:
    if len(dict(points)) < len(points):
        raise ValueError("expected every step once")
    return points


_Points = Annotated[list[tuple[_Step, _Value | _Word]], AfterValidator(_each_step_once)]
_METRICS = TypeAdapter(dict[Text, _Points])


def read_version(content: bytes) -> int:
    """Of the format, in `sweep.json`: everything else there may be new."""
    return _checked(_Version.model_validate, _json(content)).format


def read_manifest(content: bytes) -> Manifest:
    """Read `sweep.json` of this version of the format."""
    return _checked(Manifest.model_validate, _json(content))


def read_run_fields(content: bytes) -> dict[str, Any]:
    """Read `run.json`."""
    return _checked(RunFields.model_validate, _json(content)).model_dump()


def read_metrics(content: bytes) -> dict[str, dict[int, float]]:
    """Read `metrics.json`."""
    return {
        name: {step: WORDS[value] if isinstance(value, str) else value for step, value in points}
        for name, points in _checked(_METRICS.validate_python, _json(content)).items()
    }


def read_environment(content: bytes) -> dict[str, Any]:
    """Read `environment.json`."""
    return _plain(_json(content))


def read_settings(content: bytes) -> dict[str, Any]:
    """Read `sweep.yaml`."""
    return _plain(_yaml(content))


def read_config(content: bytes) -> dict[str, Any]:
    """Read `config.yaml`, in which nothing is left to be looked up."""
    return _plain(_yaml(content), resolved=True)


def read_stack(content: bytes) -> dict[str, Any]:
    """Read `stack.yaml`, as runs have it in the store."""
    return _stack(_yaml(content))


def read_stack_json(content: bytes) -> dict[str, Any]:
    """Read `stack.json`, as archives have it: a large stack is read at once."""
    return _stack(_with_numbers(_json(content)))


def _stack(value: object) -> dict[str, Any]:
    """A stack; it is empty for a run that was recorded without one."""
    document = _plain(value, resolved=True)
    if document:
        _checked(_Stack.model_validate, document)
    return document


def _checked(validate: Callable[[object], _Checked], document: object) -> _Checked:
    """A document of the right form.

    Raises:
        ValueError: naming the first field that is wrong.
    """
    try:
        return validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = str(first.get("ctx", {}).get("error", first["msg"]))
        raise ValueError(f"{place}: {problem}" if place else problem) from None


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
        for event in yaml.parse(text, Loader=LOADER):
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
        return yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(f"it is no YAML ({first_line(error) or '?'})") from error


def _long_number(text: str) -> bool:
    """Whether reading a number would take long: times such as 1:1:1:1... are read as one."""
    return len(text) > _DIGITS and _NUMBER_LIKE.fullmatch(text) is not None


def _plain(document: object, *, resolved: bool = False) -> dict[str, Any]:
    """A document that is a mapping and holds nothing but plain values.

    Args:
        resolved: refuse what would be looked up, such as environment variables.
    """

    def check(node: object, depth: int) -> None:
        if depth > _DEPTH:
            raise ValueError(f"it is nested deeper than {_DEPTH}")
        if isinstance(node, dict):
            for key, item in node.items():
                if type(key) not in (str, int):
                    raise ValueError(f"{key!a}: expected a name or a whole number as key")
                check(key, depth)
                check(item, depth + 1)
        elif isinstance(node, list):
            for item in node:
                check(item, depth + 1)
        elif isinstance(node, str):
            _printable(node)
            if resolved and "${" in node:
                raise ValueError(f"{ascii(node)[:100]}: expected a value, not what is looked up")
        elif not isinstance(node, bool | int | float | None):
            raise ValueError(f"{ascii(node)[:100]}: expected a text, a number, true, false or null")

    check(document, 0)
    if not isinstance(document, dict):
        raise ValueError("expected names with values")
    public_document: dict[str, Any] = public_all(document)
    return public_document
