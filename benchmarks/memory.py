"""The memory of a sweep on a large table: `python -m benchmarks.memory`.

A table of made-up votes is written, of the shape of Galaxy Zoo 1's Table 2: 667,944 rows. A sweep
of stacks of 8 seeds is trained on it for an epoch in a process of its own, on 20 features, and with
splits, scales and choice of features of each seed's own. Told is the most memory that it had.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness import inside, make_parser, timed
from regexp.dataset.galaxies import FLAGS, VOTES

ROWS = 667_944
"""Of Table 2."""

SWEEP = "dataset=galaxies dataset.file=votes.csv dataset.sha256=null paths.data=. trainer.epochs=1"


def write_votes(path: Path, rows: int) -> None:
    """A table of `rows` made-up galaxies, whose class is the shape that most votes are for."""
    votes = np.random.default_rng(0).dirichlet(np.full(6, 0.5), rows)
    spiral = votes[:, 1:4].sum(axis=1)
    frame = pd.DataFrame(np.column_stack([votes, spiral]).round(4), columns=VOTES)
    shapes = {"SPIRAL": spiral > 0.5, "ELLIPTICAL": votes[:, 0] > 0.5}
    shapes["UNCERTAIN"] = ~(shapes["SPIRAL"] | shapes["ELLIPTICAL"])
    frame.assign(**{flag: shapes[flag].astype(int) for flag in FLAGS}).to_csv(path, index=False)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seeds", type=int, default=8, help="runs of a stack")
    parser.add_argument("--techniques", default="none,dropout", help="a stack of each")
    parser.add_argument("--tree", type=Path, help="another checkout, which is to be measured")
    parser.add_argument("--batch-size", type=int, default=4096)
    options = parser.parse_args(arguments)
    if options.smoke:
        options.rows, options.seeds, options.techniques, options.batch_size = 600, 2, "none", 90
    words = [*SWEEP.split(), f"regularizer={options.techniques}", f"seeds={options.seeds}"]
    words.append(f"trainer.batch_size={options.batch_size}")
    with tempfile.TemporaryDirectory() as name:
        write_votes(Path(name) / "votes.csv", options.rows)
        command = ["-m", "regexp", "-m", *words]
        if options.smoke:
            command += ["figures=false", "yardsticks=false"]
            whose, times = resource.RUSAGE_SELF, inside(command, Path(name))
        else:
            tree = {"tree": options.tree.absolute()} if options.tree else {}
            whose, times = resource.RUSAGE_CHILDREN, timed(command, Path(name), **tree)
    peak = resource.getrusage(whose).ru_maxrss  # KiB, on a Mac bytes
    unit = 2**30 if sys.platform == "darwin" else 2**20
    print(
        f"{options.rows} rows, {options.seeds} seeds, {options.techniques}: at most "
        f"{peak / unit:.2f} GiB, {times.cpu:.0f} seconds of the processor"
    )


if __name__ == "__main__":
    main()
