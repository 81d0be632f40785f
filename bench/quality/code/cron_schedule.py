"""Five-field cron expressions: minute, hour, day, month, weekday."""

from datetime import datetime, timedelta

_RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def parse_field(field, low, high):
    """Expand ``*/15``, ``1-5`` or ``2,4`` to a set of numbers."""
    numbers = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            start, end = low, high
        elif "-" in span:
            start, end = (int(n) for n in span.split("-"))
        else:
            start = int(span)
            end = high if step else start
        if not low <= start <= end <= high:
            raise ValueError(f"{part!r} is outside {low}-{high}")
        numbers.update(range(start, end + 1, int(step or 1)))
    return numbers


class CronSchedule:
    def __init__(self, expression):
        fields = expression.split()
        if len(fields) != 5:
            raise ValueError("need five fields")
        self.fields = [parse_field(f, *r) for f, r in zip(fields, _RANGES)]

    def matches(self, moment):
        minute, hour, day, month, weekday = self.fields
        return (
            moment.minute in minute
            and moment.hour in hour
            and moment.day in day
            and moment.month in month
            and (moment.weekday() + 1) % 7 in weekday
        )

    def next_after(self, moment):
        """First matching minute strictly later than ``moment``."""
        candidate = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = candidate + timedelta(days=366 * 4)
        while candidate < limit:
            if self.matches(candidate):
                return candidate
            candidate += timedelta(minutes=1)
        raise ValueError("schedule never matches")
