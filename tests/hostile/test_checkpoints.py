"""Checkpoints that others made, or that were damaged, are refused, or hold the whole's bits."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from regexp.errors import ConfigError
from regexp.stack.stack import Stack
from regexp.training.checkpoint import load, save
from regexp.training.loop import train
from regexp.training.state import TrainingState, Unfit
from tests.hostile.support import mutated, refused, searching
from tests.hostile.values import scalars
from tests.support import make_member, technique

WEIGHTS = {"net.0.weight": torch.arange(12.0).reshape(3, 4), "net.0.bias": torch.zeros(3)}
WHOLE: dict[str, Any] = {"weights": WEIGHTS, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}}


@cache
def whole() -> bytes:
    """A checkpoint, as a file has it."""
    file = io.BytesIO()
    torch.save(WHOLE, file)
    return file.getvalue()


def same(one: Any, other: Any) -> bool:
    """Whether nested values are equal, to the bit and in type."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@searching()
@given(content=mutated(whole()) | st.binary(max_size=200))
@example(content=whole())
@example(content=b"")
def test_a_damaged_checkpoint_is_refused_or_whole(nowhere: Path, content: bytes) -> None:
    path = nowhere / "last.pt"
    path.write_bytes(content)
    with refused(nowhere, ConfigError, naming=(str(path),)):
        assert same(load(path), WHOLE)


def members() -> dict[str, bytes]:
    """The members of a checkpoint's zip file."""
    with zipfile.ZipFile(io.BytesIO(whole())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def canary(path: str) -> tuple[bytes, ...]:
    """Pickles that make a file when they are run, or do something else that a reader must not."""
    import os
    import subprocess

    return tuple(
        pickle.dumps(one, protocol)
        for protocol in (0, 2, 4)
        for one in (
            Calls(Path.touch, Path(path)),
            Calls(os.mkdir, path),
            Calls(eval, f"__import__('os').mkdir({path!r})"),
            Calls(subprocess.check_call, ["touch", path]),
            {"weights": Calls(open, path, "w")},
            {"weights": OrderedDict(a=Calls(torch.load, path))},
            Calls(torch.hub.load, "a/b", "c"),
            Calls(pickle.loads, b"cos\nsystem\n."),
        )
    )


CANARIES = canary("executed")
OPERATIONS = (
    b"(", b")", b".", b"0", b"2", b"N", b"}", b"]", b"a", b"s", b"u", b"e", b"t", b"R", b"b", b"o",
    b"\x81", b"\x85", b"\x86", b"\x87", b"\x88", b"\x89", b"\x8f", b"\x93", b"\x94", b"K\x01",
    b"h\x00", b"q\x00", b"r\xff\xff\xff\xff", b"cos\nsystem\n", b"cbuiltins\neval\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"P0\n", b"\x80\x02",
    b"X\x07\x00\x00\x00weights", b"X\xff\xff\xff\x7f", b"\x8a\xff", b"Q", b"ctorch\nFloatStorage\n",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"I1\n", b"G\x3f" + bytes(7),
)  # fmt: skip


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """A zip file of such members, some of which were dropped, renamed, doubled or replaced."""
    made = list(members().items())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(made) - 1)) if made else 0
        name, content = made.pop(place) if made else ("a/data.pkl", b"")
        match draw(st.sampled_from(("drop", "rename", "double", "replace", "replace", "pickle"))):
            case "rename":
                made.append(
                    (draw(st.sampled_from(("../x", "/x", "x/data.pkl", "a/version"))), content)
                )
            case "double":
                made += [(name, content), (name, content + b"x")]
            case "replace":
                made.append((name, draw(mutated(content, OPERATIONS))))
            case "pickle":
                code = st.lists(st.sampled_from(OPERATIONS), max_size=25).map(b"".join)
                content = draw(
                    code | st.sampled_from(CANARIES) | mutated(members_pickle(), OPERATIONS)
                )
                made.append((f"{prefix()}/data.pkl", content))
    file = io.BytesIO()
    packed = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", packed) as archive:
        warnings.simplefilter("ignore")  # two of one name
        for name, content in made:
            archive.writestr(name, content)
    return file.getvalue()


def prefix() -> str:
    """The folder that torch puts the members in."""
    return next(iter(members())).partition("/")[0]


def members_pickle() -> bytes:
    """The pickle in a checkpoint."""
    return members()[f"{prefix()}/data.pkl"]


@searching()
@given(content=rewritten() | st.sampled_from(CANARIES))
def test_a_foreign_checkpoint_is_refused_and_runs_nothing(nowhere: Path, content: bytes) -> None:
    path = nowhere / "last.pt"
    path.write_bytes(content)
    with refused(nowhere, ConfigError, naming=(str(path),)):
        weights = load(path)["weights"]
        assert all(isinstance(one, Tensor) for one in weights.values())


tensors = st.sampled_from(
    (
        torch.ones(2), torch.ones(()).expand(10**6, 10**6), torch.eye(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64), torch.tensor(True), torch.ones(2, device="meta"),
        torch.nn.Parameter(torch.ones(2)), torch.empty(0),
    )
)  # fmt: skip
others = st.sampled_from(
    (
        torch.float32,
        torch.device("cpu"),
        torch.Size([1]),
        OrderedDict(a=1),
        (1, 2),
        b"bytes",
        {1},
        1j,
    )
)
nested: st.SearchStrategy[Any] = st.recursive(
    scalars | tensors | others,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("weights", "a", 1, None)), inner, max_size=3)
    ),
    max_leaves=8,
)


@searching()
@given(content=nested | st.dictionaries(st.just("weights"), nested, min_size=1))
def test_a_checkpoint_of_any_content_is_refused_or_has_weights(nowhere: Path, content: Any) -> None:
    path = nowhere / "last.pt"
    torch.save(content, path)
    with refused(nowhere, ConfigError, naming=(str(path),)):
        weights = load(path)["weights"]
        assert all(one.nbytes <= path.stat().st_size + 2**20 for one in weights.values())


@cache
def standing() -> dict[str, Any]:
    """Where a small stack stands after an epoch, as read from its checkpoint."""
    kept: list[dict[str, Any]] = []

    def keep(epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        kept.append(copy.deepcopy(content()))

    train(made_stack(), 2, lambda run, epoch, metrics: None, keep)
    return kept[0]


def made_stack() -> Stack:
    """Two runs with a memory."""
    techniques = {"ema": technique("ema")}
    return Stack([make_member(seed, techniques) for seed in (0, 1)], 2, 32)


def places(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in nested dicts and lists."""
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    found = [place] if place else []
    for key, value in inner:
        if isinstance(value, dict | list):
            found += places(value, (*place, key))
        else:
            found.append((*place, key))
    return found


@searching(0.5)
@given(data=st.data())
def test_a_stack_takes_a_standing_or_refuses_it(nowhere: Path, data: st.DataObject) -> None:
    content = copy.deepcopy(standing())
    *way, last = data.draw(st.sampled_from(places(content)))
    node = content
    for key in way:
        node = node[key]
    if data.draw(st.integers(0, 4)):
        node[last] = data.draw(nested)
    else:
        del node[last]
    path = nowhere / "stack.pt"
    save(path, {"training": content, "history": []})
    with refused(nowhere, ConfigError, Unfit):
        TrainingState.resumed(made_stack(), load(path, holds="training")["training"])
