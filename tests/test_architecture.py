"""The arrows between rooms: what may import what. Read from the source, nothing is imported."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "regexp"

# From the command line down to the ground floor: a room imports itself and rooms of lines below.
LEVELS = [line.split() for line in """
    __main__
    commands
    prediction
    rerun search
    sweeps
    compare training
    config stack tracking
    dataset regularizer
    model
    metrics optimizer scheduler
    addresses errors random
""".strip().splitlines()]  # fmt: skip

TECHNIQUES = {path.stem for path in (ROOT / "conf" / "regularizer").glob("*.yaml")} - {"none"}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(source: str, *, early: bool = False) -> set[str]:
    """Names of the modules that a file imports; "a.b.name" for a name out of a.b.

    Args:
        source: the file's text.
        early: only those that are imported with it; not in functions, nor for type checking.
    """
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not (early and (lazy or typing)):
                visit(child)

    visit(ast.parse(source))
    return names


def of_package(names: set[str], package: str) -> set[str]:
    """Those of `names` that belong to a package."""
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def room(module: str) -> str:
    """The room of a module: "sweeps" of regexp.sweeps.plan; nothing of the package itself."""
    return [*module.split("."), ""][1]


def forbidden(module: str, source: str) -> list[str]:
    """The imports of a file that the arrows do not allow."""
    level = {name: number for number, line in enumerate(LEVELS) for name in line}
    here = room(module)
    others = {name for name in of_package(imports(source), "regexp") if room(name) != here}
    return sorted(
        f"{module} imports {name}"
        for name in others - {"regexp.__version__"}
        if level[room(name)] <= level[here]
    )


def test_rooms_are_few_and_each_says_what_it_is_for() -> None:
    rooms = {room(module) for module in FILES} - {""}
    assert rooms == {name for line in LEVELS for name in line}
    assert len(rooms) <= 20  # the last: a search says which runs are made next, and makes none
    assert len(LEVELS) <= 11
    for name in rooms:
        assert ast.get_docstring(ast.parse(FILES[f"regexp.{name}"].read_text(encoding="utf-8")))


def test_arrows_point_down() -> None:
    sources = {module: path.read_text(encoding="utf-8") for module, path in FILES.items()}
    assert not [
        one for module in sources if room(module) for one in forbidden(module, sources[module])
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("regexp.commands.ui", "from regexp.__main__ import main"),  # the highest level
        ("regexp.errors", "import regexp.random"),  # of one level
        ("regexp.training.loop", "from regexp.compare import table"),
        ("regexp.model.mlp", "def f():\n    from regexp.regularizer.base import Step"),
        ("regexp.random", "if TYPE_CHECKING:\n    from regexp.stack.stack import Stack"),
        ("regexp.stack.stack", "import regexp.config"),
    ],
)
def test_an_arrow_that_points_up_is_seen(module: str, source: str) -> None:
    assert len(forbidden(module, source)) == 1
    assert not forbidden("regexp.__main__", source.replace("regexp.__main__", "regexp.commands"))


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("hydra", {"__main__", "commands", "config", "sweeps"}), ("mlflow", {"tracking"})],
)
def test_a_library_is_known_in_few_rooms(library: str, allowed: set[str]) -> None:
    users = {
        room(module)
        for module, path in FILES.items()
        if of_package(imports(path.read_text(encoding="utf-8")), library)
    }
    assert users, f"nobody imports {library}: this test sees nothing"
    assert users <= allowed


def test_mlflow_is_imported_late() -> None:
    early = [
        module
        for module, path in FILES.items()
        if of_package(imports(path.read_text(encoding="utf-8"), early=True), "mlflow")
    ]
    assert not early, "it takes seconds: import it inside functions"


# of the room of techniques
FRAME = {
    "__init__", "base", "cocktail", "common", "conflicts", "depth", "flat_minima",
    "hyperparameters", "image_operations", "ranges", "returned", "schedule", "training_rows",
    "turns", "views",
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((PACKAGE / "regularizer").glob("*.py")) if path.stem not in FRAME],
    ids=lambda path: path.stem,
)
def test_a_technique_imports_no_other_technique(path: Path) -> None:
    names = of_package(imports(path.read_text(encoding="utf-8")), "regexp")
    assert names
    shared = ("base", "common", "depth", "flat_minima", "image_operations", "training_rows")
    allowed = (*(f"regexp.regularizer.{name}" for name in shared), "regexp.random")
    assert names == set().union(*(of_package(names, module) for module in allowed))


def test_what_techniques_share_knows_none_of_them() -> None:
    source = FILES["regexp.regularizer.common"].read_text(encoding="utf-8")
    names = of_package(imports(source), "regexp.regularizer")
    assert names
    assert names == of_package(names, "regexp.regularizer.base")


def test_the_core_names_no_technique() -> None:
    wrong = []
    for module, path in FILES.items():
        if room(module) in ("regularizer", "dataset"):
            continue
        source = path.read_text(encoding="utf-8")
        for name in of_package(imports(source), "regexp.regularizer"):
            if name.split(".")[2] not in ("base", "cocktail", "conflicts"):
                wrong.append(f"{module} imports {name}")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Compare):
                texts = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                if texts & TECHNIQUES:
                    wrong.append(f"{module}:{node.lineno} decides by {ast.unparse(node)}")
    assert not wrong
