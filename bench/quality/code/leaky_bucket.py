import asyncio
import time


class LeakyBucket:
    """Lets work through at an even pace; callers queue up and wait their turn."""

    def __init__(self, per_second, max_waiting=100):
        self.interval = 1.0 / per_second
        self.max_waiting = max_waiting
        self._next_slot = 0.0
        self._waiting = 0

    async def __aenter__(self):
        await self.acquire()
        return self

    async def __aexit__(self, *exc):
        return False

    async def acquire(self):
        if self._waiting >= self.max_waiting:
            raise OverflowError("bucket is full")
        now = time.monotonic()
        slot = max(now, self._next_slot)
        self._next_slot = slot + self.interval
        self._waiting += 1
        try:
            await asyncio.sleep(slot - now)
        finally:
            self._waiting -= 1

    @property
    def backlog(self):
        """Seconds until a caller that comes now would get its slot."""
        return max(0.0, self._next_slot - time.monotonic())
