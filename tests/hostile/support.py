"""What the properties over hostile input share: how many examples, and what counts as a fault.

`REGEXP_EXAMPLES=10000 pytest tests/hostile` searches as long as one likes, each time elsewhere;
without it every run tries the same few.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

GIVEN = os.environ.get("REGEXP_EXAMPLES")
EXAMPLES = int(GIVEN or 40)


def searching(share: float = 1.0) -> settings:
    """The decorator of a property.

    Args:
        share: of `EXAMPLES`, for what takes long.
    """
    return settings(
        max_examples=max(5, round(EXAMPLES * share)),
        deadline=120_000,  # ms: what takes longer hangs
        derandomize=GIVEN is None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def seen(folder: Path) -> dict[str, int]:
    """Everything in a folder, with its size."""
    return {str(path): path.lstat().st_size for path in sorted(folder.rglob("*"))}


@contextmanager
def refused(
    folder: Path, *documented: type[Exception], naming: tuple[str, ...] = ()
) -> Iterator[None]:
    """The block succeeds, or raises one of the documented errors; it leaves nothing in a folder.

    Args:
        folder: that the block may not change.
        documented: the errors; subclasses of them do not count.
        naming: one of these stands in the message.
    """
    before = seen(folder)
    message = ""
    try:
        yield
    except documented as error:
        if type(error) not in documented:
            raise
        message = str(error)
    named = not (message and naming) or any(name in message for name in naming)
    assert named, f"names neither the file nor the key: {message}"
    assert len(message) < 100_000, "a message that nobody can read"
    assert seen(folder) == before, "something was written"


@st.composite
def mutated(draw: st.DrawFn, content: bytes, tokens: tuple[bytes, ...] = ()) -> bytes:
    """Bytes with some of them changed, cut out, doubled, or put in.

    Args:
        content: to begin with.
        tokens: what is put in, beside any bytes.
    """
    pieces = st.binary(max_size=4)
    if tokens:
        pieces = st.sampled_from(tokens) | pieces
    for _ in range(draw(st.integers(1, 6))):
        first = draw(st.integers(0, len(content)))
        last = draw(st.integers(first, min(len(content), first + 40)))
        match draw(st.sampled_from(("put in", "replace", "double", "cut", "flip"))):
            case "put in":
                content = content[:first] + draw(pieces) + content[first:]
            case "replace":
                content = content[:first] + draw(pieces) + content[last:]
            case "double":
                content = content[:last] + content[first:]
            case "cut":
                content = content[:first]
            case "flip" if first < len(content):
                bit = 1 << draw(st.integers(0, 7))
                content = content[:first] + bytes([content[first] ^ bit]) + content[first + 1 :]
    return content
