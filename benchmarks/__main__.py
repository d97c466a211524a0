"""`python -m benchmarks`: see README.md beside this file."""

import os

# Before numpy and torch are imported: one thread for every library.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

from benchmarks.throughput import main  # noqa: E402

main()
