"""`regexp search`: the best cocktail of techniques for data, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.commands.arguments import check_words, parse, starts_jobs
from regexp.config.searched import compose_search
from regexp.errors import ConfigError

SEARCH = """\
regexp search [key=value ...]

Find a recipe for data: which techniques together, with which numbers. Write it as an experiment,
and tell what it is worth against no technique, tuned with as many trials, with seeds that no trial
had; recipe/search.html has all of it. A search that was broken off goes on from there.
pip install 'regexp[search]' brings Optuna.

  search.trials=64          recipes that are tried, and as many configurations of none
  search.budget=30min       training time of all workers, instead of a number of trials
  search.techniques=[...]   those that take part; null: all that apply
  search.workers=2          processes that search together here; the same command elsewhere joins
  search.space.KEY=RANGE    what every recipe searches, such as optimizer.lr
  dry_run=true              tell the space and its size, and write nothing

All keys of `regexp --help` may be given, but a technique."""


def search(arguments: Sequence[str]) -> int:
    """`regexp search`: its exit status.

    Raises:
        ConfigError: the arguments, or what they ask for.
        TrackingError: the store cannot be used.
        OSError: the recipe cannot be written; the runs are kept.
    """
    options, _ = parse(arguments)
    check_words(options, ())
    if not starts_jobs(options):
        raise ConfigError(
            "a search prints no configuration of its own; leave the word search out for that of a "
            "run, or give dry_run=true for what is searched", key="regexp search",
        )  # fmt: skip
    searched = compose_search(options)
    from regexp.search import command

    if searched.config.dry_run:
        command.dry_run(searched)
        return 0
    return command.run_search(searched)
