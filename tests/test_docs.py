"""The documentation: its generated pages, its examples and commands, and what it claims.

That Sphinx builds it without a warning is tested by `make docs`.
"""

from __future__ import annotations

import ast
import html
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from regexp.__main__ import run
from regexp.commands import COMMANDS as COMMANDS_BESIDE_TRAINING
from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.random import Rng
from regexp.sweeps.ingredients import load_data
from tests.processes import Forked
from tests.sandbox import Sandbox
from tests.shown import ROOT, blocks, commands, is_target, load_module, write_files

DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
NAMES = {path.stem for path in (ROOT / "conf" / "regularizer").glob("*.yaml")} - {"none"}


class Docs:
    """The programs that write the pages, and what they read."""

    def __init__(self) -> None:
        self.text = load_module(DOCS / "text.py")
        self.tables = load_module(DOCS / "tables.py")
        self.catalogue = load_module(DOCS / "catalogue.py")
        self.generate = load_module(DOCS / "generate.py")
        self.entries: list[Any] = self.catalogue.entries()
        self.by_name = {entry.name: entry for entry in self.entries}


OWN = ("text", "tables", "catalogue", "generate", "langevin", "test_langevin")


@pytest.fixture(scope="module")
def docs() -> Iterator[Docs]:
    before = {name: sys.modules.pop(name) for name in OWN if name in sys.modules}
    yield Docs()
    for name in OWN:
        sys.modules.pop(name, None)
    sys.modules.update(before)


# --- the pages on techniques ------------------------------------------------------------------


def test_every_technique_has_a_page(docs: Docs, tmp_path: Path) -> None:
    docs.generate.write(tmp_path, docs.entries)
    written = {path.stem: path.read_text() for path in (tmp_path / "techniques").glob("*.md")}
    assert set(written) == NAMES | {"index"}
    for name in NAMES:
        assert f"[{name}]({name}.md)" in written["index"]
        assert re.search(rf"^{name}$", written["index"], re.MULTILINE), "not in the toctree"
        assert written[name].startswith(f"# {name}\n")
        assert not re.search(r"^## .*\n+(## |\Z)", written[name], re.M), "an empty section"


def test_every_docstring_has_its_sections(docs: Docs) -> None:
    for entry in docs.entries:
        for section in ("Helps", "Costs", "Reference"):
            assert entry.sections.get(section), f"{entry.name}: no {section}"
        assert re.search(r"https?://\S+", entry.sections["Reference"]), f"{entry.name}: no address"
        assert set(docs.catalogue.arguments(entry)) == set(entry.values), entry.name
        assert set(entry.search) <= set(entry.values), entry.name
        assert entry.oracle, entry.name
        assert entry.fits, f"{entry.name} applies to no model"


def test_sections_are_told_apart(docs: Docs) -> None:
    summary, body, sections = docs.catalogue.parsed(
        "Pull w\nto zero.\n\nThe rule:\n\n    w <- w - d\n\nand no more.\n\n"
        "Helps: often: where rows\n    are few.\n\nCosts:\n    Nothing.\n\n"
        "Args:\n    strength: a number,\n        >= 0.\n    include: what.\n"
    )
    assert summary == "Pull w to zero."
    assert body == "The rule:\n\n    w <- w - d\n\nand no more."
    assert sections == {
        "Helps": "often: where rows\nare few.", "Costs": "Nothing.",
        "Args": "strength: a number,\n    >= 0.\ninclude: what.",
    }  # fmt: skip


def plain(text: str) -> str:
    """What a reader sees: no signs of code, of lists and of line breaks."""
    return "".join(re.sub(r"^- ", "", text.replace("`", ""), flags=re.MULTILINE).split())


FORMULAS = [
    "a * b * c, *x*, _y_, x_, __init__ and W' W^T",
    "w <- w - lr * (u + d * w), [rows, *features], [0, 1), {x | |x| < 1}",
    "loss\n+ strength * sum |w|\n- 1\n= 2\n> 0",
    "see `l2`s and `a * b`: https://doi.org/10.1007/3-540-49430-8_3.",
    "the rule:\n\n    h = x * y\n      + z_\n\nand more *",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_come_out_as_written(docs: Docs, text: str) -> None:
    assert seen_in_markdown(docs.text.markdown(text)) == plain(text)
    lines = docs.text.restructured(text.splitlines())
    assert seen_in_restructured("\n".join(lines)) == plain(text)


def test_docstrings_of_techniques_come_out_as_written(docs: Docs) -> None:
    for entry in docs.entries:
        for text in (entry.summary, entry.body, entry.sections["Helps"], entry.sections["Costs"]):
            assert seen_in_markdown(docs.text.markdown(text)) == plain(text), entry.name


def seen_in_markdown(text: str) -> str:
    markdown_it = pytest.importorskip("markdown_it")
    tags = re.compile(r"</?(p|li|ul|em|strong|code|pre|a|h\d|ol|blockquote)\b[^>]*>")
    return plain(html.unescape(tags.sub("", markdown_it.MarkdownIt("commonmark").render(text))))


def seen_in_restructured(text: str) -> str:
    core = pytest.importorskip("docutils.core")
    tree = core.publish_doctree(text, settings_overrides={"report_level": 5})
    return plain(tree.astext())


def test_where_a_technique_applies(docs: Docs) -> None:
    models = {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}
    fits = {name: entry.fits for name, entry in docs.by_name.items()}
    assert fits["l1"] == dict.fromkeys(sorted(models), "")
    assert set(fits["dropout"]) == models - {"logistic"}
    assert set(fits["zoneout"]) == {"gru", "lstm"}
    assert set(fits["stochastic_depth"]) == {"resnet_mlp"}
    assert set(fits["flip"]) == models - {"gru", "lstm"}
    assert fits["alpha_dropout"]["mlp"] == "selu"
    assert fits["mc_dropout"]["cnn"] == "dropout"


def test_cells_of_the_table(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    def cells(name: str, **costs: str) -> list[str]:
        fits = docs.by_name[name].fits
        monkeypatch.setattr(docs.catalogue, "where", lambda *_: fits)
        path = ROOT / "conf" / "regularizer" / f"{name}.yaml"
        entry = docs.catalogue.entry(path, costs)
        return [docs.generate.cost(entry, model) for model in docs.generate.SETTINGS]

    assert cells("l1", mlp="1.07", cnn="1.01") == ["1.07", "1.01", "✓", "✓"]
    assert cells("zoneout", lstm="1.50") == ["–", "–", "–", "1.50"]
    assert cells("mc_dropout") == ["dropout"] * 4


def test_conflicts_are_listed_on_both_sides(docs: Docs) -> None:
    ema, swa, l1 = (docs.by_name[name] for name in ("ema", "swa", "l1"))
    assert ema.refuses(swa)
    assert swa.refuses(ema)
    assert not ema.refuses(ema)
    assert not ema.refuses(l1)
    for entry in docs.entries:
        for other in docs.entries:
            assert entry.refuses(other) == other.refuses(entry)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("tag(log, interval(1e-4, 10))", "0.0001 to 10, logarithmic"),
        ("interval(0, 0.5)", "0 to 0.5"),
        ("choice(5, 10, a)", "5, 10, a"),
        (None, "–"),
    ],
)
def test_search_ranges_in_words(docs: Docs, override: str | None, words: str) -> None:
    assert docs.tables.search_range(override) == words


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("l1", "-m regularizer=none,l1"),
        ("drop_block", "-m model=cnn regularizer=none,drop_block"),
        ("stochastic_depth", "-m model=resnet_mlp regularizer=none,stochastic_depth"),
        ("zoneout", "-m dataset=series model=lstm regularizer=none,zoneout"),
        ("alpha_dropout", "-m model.activation=selu regularizer=none,alpha_dropout"),
        ("mc_dropout", "-m 'regularizer=dropout,[dropout,mc_dropout]'"),
        ("row_cutmix", "-m dataset=breast_cancer regularizer=none,row_cutmix"),
    ],
)
def test_commands_that_pages_show(docs: Docs, name: str, choices: str) -> None:
    assert docs.generate.command(docs.by_name[name]) == f"regexp {choices} seeds=10"


def test_calls_that_pages_show(docs: Docs) -> None:
    for entry in docs.entries:
        given: dict[str, Any] = {entry.technique.__qualname__: entry.technique}
        exec("\n".join(docs.generate.call(entry)), given)
        assert given["techniques"] == {entry.name: entry.technique(**entry.values)}


# --- the examples -----------------------------------------------------------------------------


@pytest.fixture
def examples(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The files that the pages show in the working directory, and that on Python's path."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(EXAMPLES, sandbox.folder, dirs_exist_ok=True, ignore=ignored)
    shown = write_files(PAGES["models"], sandbox.folder)
    assert shown == ["my_project.py", "my_conf/model/network.yaml"]
    shown = write_files(PAGES["losses"], sandbox.folder)
    assert shown == ["my_losses.py", "my_conf/experiment/robust.yaml"]
    monkeypatch.syspath_prepend(sandbox.folder)
    yield sandbox
    for name in ("langevin", "test_langevin", "my_project", "my_losses"):
        sys.modules.pop(name, None)


def test_the_example_of_a_technique_passes_its_own_test(examples: Sandbox) -> None:
    given = ["-q", "-p", "no:cacheprovider", "test_langevin.py"]
    status, printed = Forked(pytest.main, given).end()
    assert status == 0, printed
    assert "4 passed" in printed


def test_the_example_of_a_technique_trains(
    examples: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--config-dir", "conf", "-m", "regularizer=none,langevin", "seeds=2"]
    assert examples.run(*command, "trainer.epochs=2", "dataset.train_size=64") == 0
    assert "langevin: test accuracy" in capsys.readouterr().out


def test_the_example_of_a_technique_is_noise_of_its_own_stream() -> None:
    """Neutral numbers change nothing, to the bit; the noise is the stream's."""
    from regexp.regularizer.base import Step

    technique = load_module(EXAMPLES / "langevin.py").Langevin
    kinds = {"weight": "weight", "bias": "bias"}
    step = Step(Rng(0, "a"), Rng(0, "b"), 3, 8, 0, True, 0.1, {}, kinds)
    new = {"weight": torch.randn(3, 4), "bias": torch.randn(3)}
    assert torch.equal(technique(0).constrain(step, new, new)["weight"], new["weight"])
    step = Step(Rng(0, "a"), Rng(0, "b"), 3, 8, 0, True, 0.1, {}, kinds)
    changed = technique(5.0).constrain(step, new, new)
    expected = new["weight"] + Rng(0, "a").normal((3, 4))  # sqrt(2 * 0.1 * 5) is 1
    torch.testing.assert_close(changed["weight"], expected)
    assert changed["bias"] is new["bias"]


def test_the_example_of_a_loop_learns(capsys: pytest.CaptureFixture[str]) -> None:
    example = load_module(EXAMPLES / "own_loop.py")
    torch.manual_seed(0)
    assert example.main(epochs=12, rows=600) > 0.6, "chance is 0.1"
    assert len(capsys.readouterr().out.splitlines()) == 12


def test_the_example_of_a_model_takes_techniques() -> None:
    from regexp.regularizer.dropout import Dropout

    [code] = blocks(PAGES["models"], "python")
    given: dict[str, Any] = {}
    exec(code, given)
    network: Any = Dropout(hidden=0.5, inputs=0.2).build(given["Network"]((5,), 3, width=7))
    assert network(torch.zeros(2, 5)).shape == (2, 3)
    assert len(network.inputs) == len(network.hidden.dropout) == 1


def test_the_example_of_a_model_trains(
    examples: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    [command] = [words for words in commands(PAGES["models"]) if "--config-dir" in words]
    assert examples.run(*command[1:], "dataset.train_size=64") == 0
    assert "dropout: test accuracy" in capsys.readouterr().out


def test_the_example_of_a_loss_and_a_metric_trains(
    examples: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    [command] = [words for words in commands(PAGES["losses"]) if "--config-dir" in words]
    assert examples.run(*command[1:], "trainer.epochs=2") == 0
    told = capsys.readouterr().out
    assert re.search(r"^technique +runs +test/missed", told, re.MULTILINE)
    assert re.search(r"^mixup +2/2", told, re.MULTILINE)


def test_the_example_of_a_loss_is_between_cross_entropy_and_absolute_error(
    examples: Sandbox,
) -> None:
    generalized = load_module(examples.folder / "my_losses.py").generalized
    outputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).double()
    targets = torch.arange(7) % 3
    near = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    torch.testing.assert_close(generalized(outputs, targets, q=1e-9), near, rtol=1e-5, atol=1e-6)
    right = outputs.softmax(1)[torch.arange(7), targets]
    torch.testing.assert_close(generalized(outputs, targets, q=1.0), 1 - right)


@pytest.mark.parametrize("page", PAGES)
def test_imports_that_pages_show_work(page: str) -> None:
    for block in blocks(PAGES[page], "python"):
        for line in re.findall(r"^(?:from|import) .*", block, re.MULTILINE):
            exec(line, {})


# --- what the pages say -----------------------------------------------------------------------

# Sweeps of every technique are composed in a small part: the whole takes its time.
COMMANDS = [
    command
    for page in PAGES.values()
    for command in commands(page.replace("glob(*)", "glob(dro*)"))
    # tests/config/test_config.py has those
    if not re.fullmatch(r"regexp -m experiment=\w+", " ".join(command))
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("examples")
def test_commands_are_valid(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if command[0] == "make":
        assert is_target(command[1])
        return
    assert command[0] == "regexp"
    if command[1] in COMMANDS_BESIDE_TRAINING:
        assert run([command[1], "--help"]) == 0
        usage = capsys.readouterr().out
        options = {word for word in command if word.startswith("--")}
        assert options <= set(re.findall(r"--[\w-]+", usage))
        return
    for launcher, plugin in {"slurm": "submitit", "ray": "ray"}.items():
        if f"hydra/launcher={launcher}" in command:
            pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    if "hydra/sweeper=optuna" in command:  # whose jobs nobody knows before
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
        assert compose(parse(command[1:])[0]).swept
        return
    assert compose(parse(command[1:])[0]).jobs


@pytest.mark.parametrize(
    ("group", "page"),
    [("dataset", "datasets"), ("model", "models"), ("experiment", "quick_start")],
)
def test_every_choice_is_on_its_page(group: str, page: str) -> None:
    for path in (ROOT / "conf" / group).glob("*.yaml"):
        assert re.search(rf"\b{path.stem}\b", PAGES[page]), path.stem


@pytest.mark.parametrize("group", ["optimizer", "scheduler"])
def test_tables_of_choices_hold_every_one(docs: Docs, group: str) -> None:
    rows = docs.tables.choices(group).splitlines()
    for path in (ROOT / "conf" / group).glob("*.yaml"):
        [row] = [row for row in rows if row.startswith(f"| `{path.stem}` |")]
        assert len(row.split(" | ")[1].rstrip(" |")) > 10, path.stem
    assert f"{{{{ {group} }}}}" in PAGES["models"]


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "iris", "wine", "diabetes", "series"])
def test_rows_are_of_the_shape_that_is_said(name: str, tmp_path: Path) -> None:
    [row] = re.findall(rf"^\| `{name}`.*$", PAGES["datasets"], re.MULTILINE)
    _, _, rows, shape, task, _ = [cell.strip() for cell in row.split("|")]
    config = compose(parse([f"dataset={name}"])[0]).config
    data = load_data(dict(config.dataset), str(tmp_path), 0)
    assert str(list(data.train.inputs.shape[1:])) in shape
    if name != "series":  # whose rows overlap
        count = len(data.train) + len(data.validation) + len(data.test)
        assert rows.startswith(f"{count:,} ")
    classes = len(data.classes)
    assert task.startswith(f"{classes} classes" if classes else "regression")


def test_the_files_that_are_named_exist() -> None:
    named = re.compile(r"\b(?:benchmarks|conf|docs|regexp|tests)/[\w/]+\.(?:csv|md|py|yaml)")
    for page in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), ROOT / "conf" / "config.yaml"):
        for name in named.findall(page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists() or "langevin" in name, f"{page.name}: {name}"


def test_the_tests_that_show_a_fault_exist() -> None:
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", PAGES["faults"])
    assert len(named) > 30
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"
    rows = [line for line in PAGES["faults"].splitlines() if line.count(" | ") == 4]
    assert [row for row in rows if "::" not in row and not row.startswith("| fault |")] == []


def test_hooks_are_told_in_the_order_of_a_run() -> None:
    from regexp.regularizer.base import HOOKS

    told = re.findall(r"^\| [^|]*\| `(\w+)` \|", PAGES["concepts"], re.MULTILINE)
    assert set(told) == {*HOOKS, "init"}
    order = {hook: place for place, hook in enumerate(told)}
    for before, after in (
        ("build", "batch"), ("batch", "penalty"), ("penalty", "gradient"),
        ("gradient", "constrain"), ("constrain", "track"), ("track", "weights"),
        ("weights", "predict"), ("predict", "observe"), ("observe", "stop"), ("stop", "restore"),
    ):  # fmt: skip
        assert order[before] < order[after]
