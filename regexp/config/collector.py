"""Python's collector of cyclic garbage, which takes a sixth of a short command if left alone.

Imports leave three quarters of a million objects that live as long as the process. The collector
goes through the new ones time and again, and through all whenever a quarter has come to what there
was, and finds nothing.
"""

from __future__ import annotations

import gc

_DEFAULT = gc.get_threshold()
_SPARING = (2_000_000, 10, 1_000)
"""New objects before the collector looks through them (Python's own is 700), more than imports and
the planning of a hundred jobs bring about; such rounds before one of the objects that they left,
and those before one of all."""


def spare_imports() -> None:
    """Look through new objects alone, and less often, until `keep_imports`."""
    gc.set_threshold(*_SPARING)


def keep_imports() -> None:
    """Leave out what there is now from every collection to come, and collect as Python does.

    Processes that are forked afterwards share the memory of these objects, as nobody writes to
    what the collector keeps of them. Without `spare_imports` before, nothing changes: in a program
    or notebook of a user's, garbage would be kept with them.
    """
    if gc.get_threshold() == _SPARING:
        gc.freeze()
        gc.set_threshold(*_DEFAULT)
