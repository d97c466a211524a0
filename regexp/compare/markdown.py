"""A comparison in Markdown: a page for a folder, a study's, and a short description for MLflow."""

import re
from collections.abc import Iterable, Sequence

from regexp.compare.claims import Finding, columns_of
from regexp.compare.document import Document
from regexp.compare.formats import NOTHING
from regexp.compare.tables import Column, shortened
from regexp.errors import count, printable

DESCRIPTION = 7500
"""Characters of a description: MLflow cuts a tag at 8,000."""

_NAMED = 100  # characters of a technique's name
_LEFT_OUT = 80  # room for the line that says how many rows are left out


def page(document: Document) -> str:
    """Everything that the HTML page says."""
    parts = [f"# {escaped(document.title)}"]
    parts.append(_list(f"{name}: {value}" for name, value in document.facts))
    parts += ["## Answer", _answer(document)]
    for family in document.families:
        head = f": {escaped(family.name)}" if family.name else ""
        parts += [f"## Verdicts{head}", _table(family.verdicts)]
        parts += [f"### Tests{head}", _table(family.tests)]
        parts += [f"### Scores and costs{head}", _table(family.measures)]
    parts += [*_across(document), *_tuned(document)]
    parts += [*_pictures("## Pictures", document), *_method(document)]
    parts += ["## Again", "```bash\n" + "\n".join(document.commands) + "\n```"]
    return "\n\n".join(parts) + "\n"


def study_page(document: Document) -> str:
    """What a study's page says below its question: answer, verdicts, pictures, method."""
    gap = "\n\n" if len(document.families) > 1 else " "  # several answers are a list
    parts = [f"**Answer.**{gap}{_answer(document)}", "## Verdicts"]
    for family in document.families:
        parts += [f"### {escaped(family.name)}"] * bool(family.name) + [_table(family.verdicts)]
    parts += [*_across(document), *_tuned(document)]
    parts += [*_pictures("## Figures", document), *_method(document)]
    parts.append("All numbers: [results.csv](results.csv).")
    return "\n\n".join(parts) + "\n"


def claims_table(findings: Sequence[Finding]) -> str:
    """What a paper claims, and what came of it."""
    return _table(columns_of(findings))


def description(document: Document, length: int = DESCRIPTION) -> str:
    """Answer and a short table, for the parent run's page in MLflow, which has the title above.

    Args:
        document: of the comparison.
        length: characters; rows beyond it are left out, the best stay.
    """
    tail = "\n\nMore, with pictures: the artifact `comparison/comparison.html`.\n"
    room = length - len(tail)
    text = _answer(document)
    if len(text) > room // 2:
        cut = text[: room // 2].rpartition("\n")[0] or text[: room // 2]
        text = f"{cut}\n\n(The rest of the answer stands in the artifacts.)"
    left = 0
    for family in document.families:
        heading = f"\n\n**{escaped(family.name)}**" if family.name else ""
        head, rule, *rows = _table(family.summary).splitlines()
        left += len(rows)
        while rows:
            table = f"{heading}\n\n" + "\n".join([head, rule, *rows])
            if len(text) + len(table) < room - _LEFT_OUT:
                text += table
                break
            rows.pop()
        left -= len(rows)
    if left:
        text += f"\n\n{count(left, 'row')} left out here; the artifacts have all."
    return text + tail


def escaped(text: str) -> str:
    """A text from elsewhere as Markdown that shows it as it is, on one line."""
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", " ".join(printable(text).split()))
    text = re.sub(r"&(?=#|\w)", "&amp;", text)
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text)


def _answer(document: Document) -> str:
    answers = [*document.answers, *document.details]
    if len(answers) == 1:
        return escaped(answers[0][1])
    return "\n".join(f"- **{escaped(subject)}**: {escaped(text)}" for subject, text in answers)


def _across(document: Document) -> list[str]:
    if document.across is None:
        return []
    return ["## Across datasets", document.across.friedman, _table(document.across.ranks)]


def _tuned(document: Document) -> list[str]:
    if not document.tuned:
        return []
    return ["## Numbers that were chosen on validation data", _table(document.tuned)]


def _pictures(heading: str, document: Document) -> list[str]:
    parts = [heading] if document.pictures else []
    for picture in document.pictures:
        title = escaped(picture.title)
        parts += [f"### {title}", f"![{title}](figures/{picture.name}.png)"]
        parts.append(escaped(picture.caption))
    return parts


def _method(document: Document) -> list[str]:
    parts = ["## Method"]
    for subject, sentences in document.notes:
        parts += [f"{escaped(subject)}:"] * bool(subject) + [_list(sentences)]
    return parts


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _table(columns: Sequence[Column]) -> str:
    """A table, whose first column names the rows."""
    names = [shortened(name, _NAMED) for name in columns[0].cells]
    cells = [names, *(column.cells for column in columns[1:])]
    head = [escaped(column.title) for column in columns]
    rule = ["---" if column.words else "---:" for column in columns]
    rows = ([escaped(cell) or NOTHING for cell in row] for row in zip(*cells, strict=True))
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])
