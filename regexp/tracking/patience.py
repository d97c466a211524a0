"""Wait for a store that does not answer for now."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from regexp.tracking.error import StoreAwayError, TrackingError

_logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_LONGEST_PAUSE = 10.0


class Patience:
    """Repeats requests to the store for a while.

    Once it has waited in vain it asks only once a request, until the store answers again: the
    jobs of a sweep must not wait one after the other.

    Args:
        seconds: `tracking.wait`, how long to go on asking; 0 to ask once.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._in_vain = False

    def __call__(self, request: Callable[[], _Answer]) -> _Answer:
        """The answer to a request that may be repeated.

        Raises:
            TrackingError: there was none for so long, or the store answers with a mistake.
        """
        try:
            answer = request()
        except StoreAwayError as error:
            if self._seconds <= 0 or self._in_vain:
                raise
            answer = self._wait(request, error)
        self._in_vain = False
        return answer

    def _wait(self, request: Callable[[], _Answer], error: StoreAwayError) -> _Answer:
        _logger.warning(
            "The store of runs does not answer (%s). Waiting for it, at most %g s (tracking.wait).",
            error.why,
            self._seconds,
        )
        end = self._clock() + self._seconds
        pause = 1.0
        while (left := end - self._clock()) > 0:
            self._sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                answer = request()
            except StoreAwayError as again:
                error = again
                continue
            _logger.warning("The store of runs answers again.")
            return answer
        self._in_vain = True
        raise TrackingError(
            f"the store of runs did not answer for {self._seconds:g} s (tracking.wait): {error.why}"
        ) from error
