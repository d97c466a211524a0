"""C code that is compiled where it is needed: kept, made again, and done without."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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
@pytest.mark.parametrize("state", ["no folder", "broken", "no home"])
def test_a_cache_of_no_use_is_done_without(
    state: str, cache: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state == "no folder":
        cache.parent.write_text("a file")
    elif state == "broken":
        assert answer(source) == 41
        [kept] = cache.iterdir()
        source.write_text(SOURCE % 42)
        assert answer(source) == 42
        [new] = set(cache.iterdir()) - {kept}
        new.unlink()
        new.write_text("half of it")
        source.write_text(SOURCE % 42)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name")
    assert answer(source) == (42 if state == "broken" else 41)
    assert not list(tmp_path.glob("~*"))


@pytest.mark.parametrize("compiler", ["no-compiler-of-this-name", "false", " "])
def test_without_a_compiler_there_is_none(
    compiler: str, cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert answer(source) is None
    assert not list(cache.glob("*"))


@needs_compiler
def test_what_does_not_compile_is_none(cache: Path, source: Path) -> None:
    source.write_text("no C")
    assert answer(source) is None
    assert not list(cache.glob("*"))
