import heapq
import itertools
import threading
import time


class DelayQueue:
    """Hands out items not before their time has come."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._heap = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._cancelled = set()

    def schedule(self, item, delay):
        with self._changed:
            ticket = next(self._order)
            heapq.heappush(self._heap, (self._clock() + delay, ticket, item))
            self._changed.notify()
            return ticket

    def cancel(self, ticket):
        with self._changed:
            self._cancelled.add(ticket)
            self._changed.notify()

    def take(self):
        """Block until an item is due, then return it."""
        with self._changed:
            while True:
                self._drop_cancelled()
                if not self._heap:
                    self._changed.wait()
                    continue
                due, _, item = self._heap[0]
                remaining = due - self._clock()
                if remaining <= 0:
                    heapq.heappop(self._heap)
                    return item
                self._changed.wait(remaining)

    def _drop_cancelled(self):
        while self._heap and self._heap[0][1] in self._cancelled:
            self._cancelled.discard(self._heap[0][1])
            heapq.heappop(self._heap)
