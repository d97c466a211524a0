"""The command line: `regexp [-m] key=value ...`, and commands such as `regexp ui`."""

import sys
from collections.abc import Sequence

from regexp.errors import INTERRUPTED

FAILED = 1
USAGE_ERROR = 2


def main() -> None:
    """Run the command line and leave with its exit status.

    0: every run finished. 1: a run or a job failed. 2: the configuration is wrong, and nothing
    was written. 130: Ctrl-C. 128 + n: signal n.
    """
    from regexp.commands.terminal import close, outlast, plain_warnings, wants_traceback
    from regexp.config.collector import spare_imports
    from regexp.config.postponed import postpone

    spare_imports()
    postpone()
    outputs = outlast()
    if not wants_traceback(sys.argv):
        plain_warnings()
    status = run(sys.argv[1:])
    sys.exit((close(outputs) and not status) or status)


def run(arguments: Sequence[str]) -> int:
    """What `main` does, without leaving the interpreter.

    Args:
        arguments: without the program's name.
    """
    from regexp.commands.terminal import print_error, wants_traceback

    trace = wants_traceback(arguments)
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # before or after the jobs: a sweep tells of its own
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if workers := sys.modules.get("regexp.sweeps.workers"):
            workers.stop_server()
        return USAGE_ERROR if print_error(error, trace=trace) else FAILED


def _run(arguments: Sequence[str]) -> int:
    # Imported here, so that Ctrl-C meanwhile is caught as well.
    from regexp.commands import COMMANDS, run_command
    from regexp.commands.arguments import (
        check_alone,
        check_first,
        check_words,
        parse,
        read_words,
        starts_jobs,
    )
    from regexp.config.jobs import compose, compose_config

    arguments = read_words(arguments)
    words = [argument for argument in arguments if argument != "--debug"]
    if words and words[0] in COMMANDS:
        after = list(arguments)
        after.remove(words[0])
        return run_command(words[0], after)
    check_first(arguments)
    options, arguments = parse(arguments)
    check_words(options, COMMANDS)
    if options.help:
        compose_config(options)
        _help(arguments)
        return 0
    check_alone(options)
    if not starts_jobs(options):
        if options.cfg:
            compose(options)  # Hydra's own words for a mistake are long
        from regexp.config.launching import answer

        answer(arguments)
        return 0
    from regexp.sweeps.workers import start_importing

    sweep = compose(options, start_importing)
    if sweep.config.dry_run:
        from regexp.commands.dry_run import show_dry_run

        show_dry_run(sweep)
        return 0
    from regexp.sweeps.execute import execute

    return execute(sweep)


def _help(arguments: Sequence[str]) -> None:
    """Print Hydra's help, its long lines wrapped."""
    import contextlib
    import io

    from regexp.commands.terminal import wrapped
    from regexp.config.launching import answer

    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        answer(arguments)
    print(wrapped(told.getvalue()))


if __name__ == "__main__":
    main()
