"""C code that is compiled where it is needed: kept, made again, and done without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from regexp.random import compiled

SOURCE = "int answer(void) { return %d; }\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "regexp"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "sums.c"
    file.write_text(SOURCE % 41)
    return file


def answer(source: Path) -> int | None:
    """What a library says that is loaded as by a process that begins."""
    library = compiled.library.__wrapped__(source)
    return None if library is None else library.answer()


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@needs_compiler
def test_what_was_compiled_is_kept_for_the_text_that_it_was_made_of(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(source) == 41
    [kept] = cache.iterdir()
    with monkeypatch.context() as context:
        context.setattr("subprocess.run", None)  # nothing is compiled any more
        assert answer(source) == 41
    source.write_text(SOURCE % 42)
    assert answer(source) == 42
    assert kept in cache.iterdir()
    assert len(list(cache.iterdir())) == 2


@needs_compiler
@pytest.mark.parametrize("state", ["no folder", "no home"])
def test_a_cache_of_no_use_is_done_without(
    state: str, cache: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state == "no folder":
        cache.parent.write_text("a file")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name")
    assert answer(source) == 41
    assert not list(tmp_path.glob("~*"))


@needs_compiler
def test_what_others_can_write_into_is_not_loaded(cache: Path, source: Path) -> None:
    assert answer(source) == 41
    [kept] = cache.iterdir()
    cache.chmod(0o777)
    other = source.with_name("other.c")
    other.write_text(SOURCE % 42)
    assert answer(other) == 42
    assert [*cache.iterdir()] == [kept]


@needs_compiler
def test_half_of_what_was_kept_is_compiled_anew(cache: Path, source: Path) -> None:
    other = source.with_name("other.c")
    other.write_text(SOURCE % 41)
    assert answer(source) == answer(other) == 41
    [kept] = cache.glob("sums-*.so")
    [whole] = cache.glob("other-*.so")
    content = kept.read_bytes()
    kept.unlink()  # what this process has loaded stays what it is
    kept.write_bytes(whole.read_bytes()[:9000])  # to load it would end the process
    assert answer(source) == 41
    assert [one.read_bytes() for one in cache.glob("sums-*.so")] == [content]


@pytest.mark.parametrize("compiler", ["no-compiler-of-this-name", "false", " ", 'cc "', "cc\\"])
def test_without_a_compiler_there_is_none(
    compiler: str, cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert answer(source) is None
    assert not list(cache.glob("*"))


def test_a_compiler_that_takes_too_long_is_waited_for_once(
    cache: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[object] = []

    def run(command: list[str], **_: object) -> None:
        waited.append(command)
        raise subprocess.TimeoutExpired(command, 20)

    monkeypatch.setenv("CC", sys.executable)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(compiled, "_hanging", [])
    assert answer(source) is None
    source.write_text(SOURCE % 42)
    assert answer(source) is None
    assert len(waited) == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiler_of_another_language_takes_it_for_c(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "g++")
    assert answer(source) == 41


@needs_compiler
def test_a_function_that_is_not_there_is_no_library(cache: Path, source: Path) -> None:
    assert compiled.library.__wrapped__(source, "answer", "question") is None


@needs_compiler
def test_denormal_numbers_stay_what_they_are(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a compiler that is asked for fast mathematics they would be 0 in the whole process."""
    monkeypatch.setenv("CC", "cc -ffast-math")
    assert answer(source) == 41
    assert torch.tensor(1e-40) * 0.5 > 0


@needs_compiler
def test_what_does_not_compile_is_none(cache: Path, source: Path) -> None:
    source.write_text("no C")
    assert answer(source) is None
    assert not list(cache.glob("*"))
