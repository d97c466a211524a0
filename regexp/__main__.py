"""The command line: `regexp [-m] key=value ...` and `regexp ui`."""

import os
import sys
import traceback
from collections.abc import Sequence

from regexp.cli import compose, compose_one, parse, starts_jobs
from regexp.config import ConfigError

USAGE_ERROR = 2


def main() -> None:
    """Run the command line and leave with its exit status.

    0: every run finished. 1: a run or a job failed. 2: the configuration is wrong, and nothing
    was written. 130: Ctrl-C. 128 + n: signal n.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """What `main` does, without leaving the interpreter.

    Args:
        arguments: without the program's name.
    """
    traced = bool(os.environ.get("HYDRA_FULL_ERROR")) or "debug=true" in [
        argument.lower() for argument in arguments
    ]
    if not os.environ.get("REGEXP_DATA"):  # set to nothing is not set
        os.environ.pop("REGEXP_DATA", None)
    try:
        if arguments and arguments[0] == "ui":
            return _ui(arguments[1:])
        return _run(arguments)
    except KeyboardInterrupt:  # before or after the jobs: a sweep tells of its own
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _for_users(error):
            raise
        if traced:
            traceback.print_exc()
        print(f"regexp: {error}", file=sys.stderr)
        return USAGE_ERROR


def _run(arguments: Sequence[str]) -> int:
    options, arguments = parse(arguments)
    if not starts_jobs(options):
        if options.cfg:
            compose(options)  # Hydra's own words for a mistake are long
        elif options.help:
            compose_one(options)
        from regexp.sweep import hydra_main

        hydra_main(arguments)
        return 0
    sweep = compose(options)
    if sweep.config.dry_run:
        from regexp.dry_run import show

        show(sweep)
        return 0
    from regexp.sweep import execute

    return execute(sweep, arguments)


def _ui(arguments: Sequence[str]) -> int:
    """`regexp ui [tracking.uri=...] [paths.mlruns=...] [tracking.port=...]`."""
    config = compose_one(parse(arguments)[0])
    from regexp.tracking import serve

    return serve(config.tracking.uri, config.paths.mlruns, config.tracking.port)


def _for_users(error: Exception) -> bool:
    """Whether the message says all that a user needs."""
    if isinstance(error, ConfigError):
        return True
    from regexp.tracking import TrackingError

    return isinstance(error, TrackingError)


if __name__ == "__main__":
    main()
