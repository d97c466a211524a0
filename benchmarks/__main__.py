"""`python -m benchmarks`: see README.md beside this file."""

from benchmarks.harness import one_thread

one_thread()

from benchmarks.throughput import main  # noqa: E402

main()
