class IntervalTree:
    """Static set of half-open intervals that answers overlap questions."""

    def __init__(self, intervals):
        intervals = list(intervals)
        self._root = self._build(intervals) if intervals else None

    def _build(self, intervals):
        if not intervals:
            return None
        ends = sorted(x for start, end, _ in intervals for x in (start, end))
        centre = ends[len(ends) // 2]
        here, left, right = [], [], []
        for item in intervals:
            if item[1] <= centre:
                left.append(item)
            elif item[0] > centre:
                right.append(item)
            else:
                here.append(item)
        if not here:
            here, left = left, []
        return {
            "centre": centre,
            "by_start": sorted(here, key=lambda i: i[0]),
            "left": self._build(left),
            "right": self._build(right),
        }

    def at(self, point):
        """Payloads of all intervals that contain the point."""
        return self.overlapping(point, point + 1e-12)

    def overlapping(self, start, end):
        found = []
        stack = [self._root]
        while stack:
            node = stack.pop()
            if node is None:
                continue
            for s, e, payload in node["by_start"]:
                if s >= end:
                    break
                if e > start:
                    found.append(payload)
            stack.append(node["left"])
            if end > node["centre"]:
                stack.append(node["right"])
        return found


def merge_touching(spans):
    merged = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
