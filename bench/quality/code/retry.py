import functools
import logging
import time

log = logging.getLogger(__name__)


class GaveUp(Exception):
    """Raised after the last attempt; the cause is chained."""

    def __init__(self, attempts, elapsed):
        super().__init__(f"gave up after {attempts} attempts in {elapsed:.1f}s")
        self.attempts = attempts
        self.elapsed = elapsed


def retry_on(*exceptions, attempts=3, wait=0.5, factor=2.0, deadline=None, sleep=time.sleep):
    """Decorator that calls a function again when it raises one of ``exceptions``.

    ``deadline`` limits the whole time in seconds, waiting included.
    """

    def decorate(fn):
        @functools.wraps(fn)
        def wrapper(*args, **kwargs):
            started = time.monotonic()
            pause = wait
            for attempt in range(1, attempts + 1):
                try:
                    return fn(*args, **kwargs)
                except exceptions as error:
                    elapsed = time.monotonic() - started
                    too_late = deadline is not None and elapsed + pause > deadline
                    if attempt == attempts or too_late:
                        raise GaveUp(attempt, elapsed) from error
                    log.warning("%s failed (%s), next try in %.2fs", fn.__name__, error, pause)
                    sleep(pause)
                    pause *= factor

        return wrapper

    return decorate
