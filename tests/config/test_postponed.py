"""Modules that wait for their first use, and commands that do without what is heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

# Imported by name alone, or not at all, by a run of the defaults: minutes of a sweep's workers.
HEAVY = (
    "alembic", "fastapi", "fontTools.agl", "mako", "numpy.f2py", "scipy.interpolate",
    "scipy.io", "scipy.stats", "skops", "sympy", "torch._dynamo", "torch._inductor",
)  # fmt: skip

RUN = """
import sys
from regexp.__main__ import main
try:
    main()
except SystemExit as end:
    from regexp.config.postponed import waits
    print([name for name in {heavy} if name in sys.modules and not waits(name)])
    sys.exit(end.code)
"""


def python(code: str, folder: Path, *arguments: str) -> str:
    """The last line that a new process writes."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_a_run_imports_nothing_heavy_that_it_does_not_use(
    tmp_path: Path, empty_store: Path
) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / empty_store.name).write_bytes(empty_store.read_bytes())
    arguments = ("trainer.epochs=2", "yardsticks=false", "dataset.train_size=64")
    assert python(RUN.format(heavy=HEAVY), tmp_path, *arguments) == "[]"
    assert (tmp_path / "mlruns" / "artifacts").is_dir()


def test_a_dry_run_imports_no_figures(tmp_path: Path) -> None:
    heavy = (*HEAVY, "matplotlib")
    assert python(RUN.format(heavy=heavy), tmp_path, "dry_run=true") == "[]"


MODULES = {
    "slow/__init__.py": "from slow import part\nRAN = True\nready = 'own'\n__version__ = '2'\n"
    "def late(*a, **k): return a, k\nclass Kind:\n    made = late\n",
    "slow/part.py": "import sys\nBEFORE = hasattr(sys.modules['slow'], 'RAN')\n"
    "sys.loads = getattr(sys, 'loads', 0) + 1\n",
    "slow/other.py": "import slow\nWHOLE = 'RAN' in vars(slow)\nSEEN = slow.RAN\n",
}


def waiting(folder: Path, code: str) -> str:
    """What is printed where the package `slow` waits, with `ready` before it runs."""
    for name, content in MODULES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    start = (
        "from regexp.config import postponed\n"
        "names = postponed._standing_in('slow', 'late', 'Kind')\n"
        "postponed.POSTPONED = {'slow': {'ready': 'stand-in', **names}}\n"
        "postponed.postpone()\n"
        "import slow, sys\n"
        "import slow\n"
        "assert postponed.waits('slow') and 'RAN' not in vars(slow)\n"
    )
    return python(start + code, folder)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print(slow.ready, slow.__name__, postponed.waits('slow'))", "stand-in slow True"),
        ("print(slow.RAN, slow.ready, slow.part.BEFORE, postponed.waits('slow'))",
         "True own False False"),
        ("print(slow.__version__)", "2"),
        ("from slow import RAN; print(RAN)", "True"),
        ("import slow.other; print(slow.other.SEEN)", "True"),
        ("import slow.part; print(slow.part is sys.modules['slow.part'], sys.loads, "
         "slow.part.__spec__.loader.name)", "True 1 slow.part"),
        ("from slow import part; print(part.BEFORE, sys.loads)", "False 1"),
        ("from slow import ready; print(ready, postponed.waits('slow'))", "stand-in True"),
        ("from slow import late; print(postponed.waits('slow'), late(1, b=2), slow.RAN)",
         "True ((1,), {'b': 2}) True"),
        ("from slow import Kind; print(postponed.waits('slow'), type(Kind()) is slow.Kind, "
         "isinstance(slow.Kind(), Kind), isinstance(slow, Kind), Kind.made is slow.late)",
         "True True True False True"),
        ("from slow import Kind\nclass Mine(Kind): pass\nprint(Mine.__bases__ == (slow.Kind,))",
         "True"),
        ("print(hasattr(slow, 'absent'), slow.RAN)", "False True"),
        ("print(hasattr(slow, '__wrapped__'), postponed.waits('slow'))", "False True"),
    ],
)  # fmt: skip
def test_a_module_runs_when_it_is_asked_for_what_it_has_not(
    tmp_path: Path, code: str, told: str
) -> None:
    assert waiting(tmp_path, code) == told


def test_a_part_that_is_postponed_too_leaves_the_whole_waiting(tmp_path: Path) -> None:
    code = (
        "seen = postponed._standing_in('slow.other', 'SEEN')\n"
        "postponed.POSTPONED['slow.other'] = seen\n"
        "from slow.other import SEEN\n"
        "assert postponed.waits('slow') and postponed.waits('slow.other')\n"
        "print(SEEN.real, slow.other.WHOLE, postponed.waits('slow'))"
    )
    assert waiting(tmp_path, code) == "1 True False"  # the whole ran first


def test_threads_wait_for_the_one_that_runs_it(tmp_path: Path) -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(all(pool.map(lambda _: slow.RAN and slow.part.BEFORE is False, range(64))))\n"
    )
    assert waiting(tmp_path, code) == "True"


def test_optimizers_step_without_the_compiler_and_know_it_afterwards(tmp_path: Path) -> None:
    code = (
        "from regexp.config.postponed import postpone, waits\n"
        "postpone()\n"
        "import torch\n"
        "weight = torch.nn.Parameter(torch.ones(2))\n"
        "optimizer = torch.optim.SGD([weight], lr=0.5)\n"
        "weight.grad = torch.ones(2)\n"
        "optimizer.step()\n"
        "assert waits('torch._dynamo')\n"
        "import torch._dynamo.config, torch._dynamo.eval_frame\n"
        "assert torch._dynamo.eval_frame.config is torch._dynamo.config\n"
        "assert not waits('torch._dynamo')\n"
        "optimizer.step()\n"
        "assert torch._dynamo.is_compiling() is False\n"
        "print(weight.tolist())\n"
    )
    assert python(code, tmp_path) == "[0.0, 0.0]"


def test_splines_and_ranks_are_scipys(tmp_path: Path) -> None:
    code = (
        "from regexp.config.postponed import postpone, waits\n"
        "postpone()\n"
        "from sklearn.metrics import label_ranking_average_precision_score as ranking\n"
        "from sklearn.preprocessing import SplineTransformer\n"
        "before = waits('scipy.stats'), waits('scipy.interpolate')\n"
        "spline = SplineTransformer(degree=1, n_knots=3).fit_transform([[0.0], [1.0], [4.0]])\n"
        "ranks = ranking([[1, 0, 0]], [[0.5, 0.9, 0.1]])\n"
        "from scipy.stats import norm\n"
        "print(before, spline[1].tolist(), ranks, norm.cdf(0), waits('scipy.stats'))\n"
    )
    assert python(code, tmp_path) == "(True, True) [0.5, 0.5, 0.0] 0.5 0.5 False"
