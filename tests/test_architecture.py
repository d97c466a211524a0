"""The arrows between modules: what may import what. Read from the source, nothing is imported."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "regexp"

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TECHNIQUES = {path.stem for path in (ROOT / "conf" / "regularizer").glob("*.yaml")} - {"none"}

# From the command line down to randomness: a module imports its own level or deeper ones.
# Whatever stands here not at all is a part of its package's level.
LEVELS = [
    {"regexp.__main__"},
    {"regexp.commands", "regexp.terminal"},
    {"regexp.dry_run", "regexp.study"},
    {"regexp.sweep", "regexp.rerun", "regexp.compare.command"},
    {"regexp.cli", "regexp.progress"},
    {"regexp.job", "regexp.compare", "regexp.illustrate", "regexp.own_loop"},
    {
        "regexp.plan",
        "regexp.resume",
        "regexp.derived_metrics",
        "regexp.diagnostics",
        "regexp.device",
    },
    {"regexp.outcome"},
    {"regexp.planned_run"},
    {"regexp.validation", "regexp.composition", "regexp.overridden", "regexp.tuning"},
    {"regexp.schema", "regexp.search_space"},
    {"regexp.config", "regexp.tracking", "regexp.train"},
    {"regexp.standing"},
    {"regexp.nodes", "regexp.checkpoint", "regexp.ensemble", "regexp.evaluate", "regexp.stack"},
    {"regexp.calibration"},
    {"regexp.member", "regexp.running_statistics", "regexp.trainable"},
    {"regexp.lift_regularizer", "regexp.lift", "regexp.stepping", "regexp.rows", "regexp.loss"},
    {"regexp.stacked_random", "regexp.network"},
    {"regexp.vmapped"},
    {
        "regexp.regularizer",
        "regexp.model",
        "regexp.dataset",
        "regexp.optimizer",
        "regexp.scheduler",
    },
    {"regexp.layers", "regexp.recurrent"},
    {"regexp.random"},
]


def imports(path: Path, *, early: bool = False) -> set[str]:
    """Names of the modules that a file imports; "a.b.name" for a name out of a.b.

    Args:
        path: of the file.
        early: only those that are imported with it; not in functions, nor for type checking.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not (early and (lazy or typing)):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def of_package(names: set[str], package: str) -> set[str]:
    """Those of `names` that belong to a package."""
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def level(name: str) -> int | None:
    """The level of a module, or of the module that holds a name."""
    while name:
        for number, members in enumerate(LEVELS):
            if name in members:
                return number
        name = name.rpartition(".")[0]
    return None


def test_every_module_has_a_level() -> None:
    lost = [module for module in MODULES if module != "regexp" and level(module) is None]
    assert not lost, "say in LEVELS where these modules stand"


def test_arrows_point_down() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in of_package(imports(path), "regexp")
        if (level(name) or len(LEVELS)) < (level(module) or 0)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        (
            "hydra",
            (
                "__main__",
                "cli",
                "composition",
                "config",
                "nodes",
                "search_space",
                "sweep",
                "validation",
            ),
        ),
        ("mlflow", ("tracking",)),
    ],
)
def test_a_library_is_known_in_one_place(library: str, allowed: tuple[str, ...]) -> None:
    users = {module for module, path in MODULES.items() if of_package(imports(path), library)}
    assert users, f"nobody imports {library}: this test sees nothing"
    assert {module.split(".")[1] for module in users} <= set(allowed)


def test_mlflow_is_imported_late() -> None:
    early = [m for m, path in MODULES.items() if of_package(imports(path, early=True), "mlflow")]
    assert not early, "it takes seconds: import it inside functions"


FRAME = {"__init__", "base", "cocktail", "common"}  # of the package of techniques


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((PACKAGE / "regularizer").glob("*.py")) if path.stem not in FRAME],
    ids=lambda path: path.stem,
)
def test_a_technique_imports_base_common_and_random_alone(path: Path) -> None:
    found = of_package(imports(path), "regexp")
    assert found
    allowed = ("regexp.regularizer.base", "regexp.regularizer.common", "regexp.random")
    assert found == set().union(*(of_package(found, module) for module in allowed))


def test_what_techniques_share_knows_none_of_them() -> None:
    found = of_package(imports(MODULES["regexp.regularizer.common"]), "regexp.regularizer")
    assert found
    assert found == of_package(found, "regexp.regularizer.base")


def test_the_core_names_no_technique() -> None:
    wrong = []
    for module, path in MODULES.items():
        if module.startswith(("regexp.regularizer", "regexp.dataset")):
            continue
        for name in of_package(imports(path), "regexp.regularizer"):
            if name.split(".")[2] not in ("base", "cocktail"):
                wrong.append(f"{module} imports {name}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                texts = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                if texts & TECHNIQUES:
                    wrong.append(f"{module}:{node.lineno} decides by {ast.unparse(node)}")
    assert not wrong
