"""The study of recipes: `python -m experiments.recipes paths.data=FOLDER_OF_THE_TABLES`.

Each table is searched for a recipe, for its best single technique and for the numbers of gradient
boosting, with the same budget, and the page is written after each, with what other tables came to
before. What has finished is not done again: the same command goes on where it was broken off.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from benchmarks.harness import one_thread

TABLES = ("vehicle", "car", "credit_g", "segment", "kr_vs_kp", "phoneme", "breast_cancer", "wine",
          "digits")  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.recipes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--budget", default="30min", help="of each search: 30min, 90s")
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES, metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path("experiments/recipes"))
    parser.add_argument("--cache", type=Path, default=Path("mlruns/recipes"), metavar="FOLDER")
    parser.add_argument("overrides", nargs="*", help="of the searches: paths.data=tables")
    options = parser.parse_intermixed_args(arguments)
    one_thread()
    from experiments.recipes.page import tables_by_budget, write
    from experiments.recipes.stored import stored
    from experiments.recipes.worth import worth_of
    from regexp.errors import ConfigError

    elsewhere = ("paths.", "tracking.")  # is another's folder
    shared = [one for one in options.overrides if not one.startswith(elsewhere)]
    if any(one.startswith("paths.data=") for one in options.overrides):
        shared.insert(0, "paths.data=FOLDER")
    found = {one.table: one for one in stored(options.folder)}
    for table in options.tables:
        try:
            found[table] = worth_of(table, options.budget, options.overrides, options.cache)
        except ConfigError as error:
            parser.exit(2, f"{error}\n")
        every = [found[name] for name in TABLES if name in found]
        commands = []
        for budget, names in tables_by_budget(every).items():
            some = ["--tables", *names] if len(names) < len(TABLES) else []
            words = ["python", "-m", "experiments.recipes", *some, "--budget", budget, *shared]
            commands.append(shlex.join(words))
        write(options.folder, every, commands)


if __name__ == "__main__":
    main()
