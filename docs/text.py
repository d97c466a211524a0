"""Docstrings are plain text: as Markdown or reStructuredText they must come out as written.

Two things in them are markup: `names` are code, and a block that is indented after an empty line
is a formula or an example, to be shown as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

COLON = "\ue000"
CODE = re.compile(r"(`+[^`]+`+)")
ADDRESS = re.compile(r"(https?://[^\s,;)]*[^\s,;).])")
OUTER = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")  # underscores but those within a word
SECTION = re.compile(
    r"^(Args|Attributes|Class attributes|Class keywords|Raises|References?|Returns|Helps|Costs):"
)  # fmt: skip


def markdown(text: str, link: Callable[[str], str] = "`{}`".format) -> str:
    """`text` as Markdown.

    Args:
        text: a docstring, or a part of one.
        link: turns what stands between backticks into Markdown.
    """
    result: list[str] = []
    in_list = False
    for line, verbatim in _lines(text.splitlines()):
        begins = line.startswith("- ") and (in_list or not result or not result[-1].strip())
        in_list = begins or (in_list and line.startswith("  "))
        if not verbatim:
            line = _inline(line, link)
        if not (verbatim or begins):  # a sign of a wrapped formula begins no list
            line = re.sub(r"^(\s*)([-+=>])(?=\s|$)", r"\1\\\2", line)
        result.append(line)
    return "\n".join(result)


def _inline(line: str, link: Callable[[str], str]) -> str:
    parts = []
    for part in CODE.split(line):
        if part.startswith("`"):
            parts.append(link(part.strip("`")))
            continue
        for piece in ADDRESS.split(part):
            plain = OUTER.sub(_escape, re.sub(r"[\\*<\[\]#]", _escape, piece))
            parts.append(f"<{piece}>" if ADDRESS.fullmatch(piece) else plain)
    return "".join(parts)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\{sign}" for sign in match.group())


def restructured(lines: list[str], *, whole: bool = False) -> list[str]:
    """The lines of a docstring as reStructuredText, its sections left for napoleon.

    Args:
        lines: of the docstring.
        whole: whether a colon parts nothing in it. Napoleon takes what stands before one for a
            type, in attributes and in the section on what is returned: there it is `COLON`, to be
            turned back afterwards.
    """
    result: list[str] = []
    inside = returns = False
    for line, verbatim in _lines(lines):
        if verbatim and not inside:
            result += ["::", ""]
        inside = verbatim or (inside and not line.strip())
        if heading := SECTION.match(line):
            returns = heading.group(1) == "Returns"
        elif not verbatim:
            line = _escaped(line)
            line = line.replace(":", COLON) if whole or returns else line
        result.append(line)
    return result


def _escaped(line: str) -> str:
    parts = CODE.split(line)
    for place, part in enumerate(parts):
        if part.startswith("`"):
            before = "\\ " if re.search(r"\w$", parts[place - 1]) else ""
            after = "\\ " if re.match(r"\w", parts[place + 1]) else ""
            parts[place] = f"{before}``{part.strip('`')}``{after}"
        else:
            parts[place] = OUTER.sub(_escape, re.sub(r"[\\*|]", _escape, part))
    return "".join(parts)


def _lines(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it stands in a block that is shown as it is."""
    verbatim = in_section = False
    after_empty = True
    for line in lines:
        in_section = in_section or bool(SECTION.match(line))
        if line.strip():
            indented = line.startswith("    ") and not in_section
            verbatim = indented and (verbatim or after_empty)
        after_empty = not line.strip()
        yield line, verbatim and not after_empty
