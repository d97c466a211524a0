"""What a run says of its model in a file, read and checked."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from regexp.errors import ConfigError
from regexp.sweeps.model_files import DESCRIPTION, FORMAT

Node = dict[str, Any]


class _Stack(BaseModel):
    position: NonNegativeInt
    members: list[Node]
    together: list[NonNegativeInt]


class Description(BaseModel):
    """The file `model_files.DESCRIPTION`, as `sweeps.model_files` writes it."""

    model_config = ConfigDict(strict=True)

    format: int
    config: Node
    stack: _Stack
    data: dict[str, str]
    input_shape: list[PositiveInt]
    outputs: PositiveInt
    preparation: Node | None
    not_stored: str = ""


def read_description(content: bytes, where: str) -> Description:
    """The description in a file's content.

    Args:
        content: of the file.
        where: it is from, for messages.

    Raises:
        ConfigError: it is damaged, or a newer version wrote it.
    """
    try:
        found = Description.model_validate(json.loads(content))
    except (ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        place = ".".join(map(str, first.get("loc", ())))
        raise ConfigError(
            f"{DESCRIPTION} is not as regexp writes it: {place} {first['msg']}", key=where
        ) from error
    if found.format > FORMAT:
        raise ConfigError(
            f"a newer version of regexp recorded it (format {found.format}, known: {FORMAT})",
            key=where,
        )
    return found
