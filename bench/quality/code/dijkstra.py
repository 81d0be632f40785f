import heapq


def shortest_paths(graph, source):
    """Distances from ``source``; ``graph[u]`` is a list of (v, weight)."""
    distance = {source: 0}
    previous = {}
    heap = [(0, source)]
    while heap:
        d, u = heapq.heappop(heap)
        if d > distance[u]:
            continue
        for v, weight in graph.get(u, ()):
            if weight < 0:
                raise ValueError("negative weight")
            candidate = d + weight
            if candidate < distance.get(v, float("inf")):
                distance[v] = candidate
                previous[v] = u
                heapq.heappush(heap, (candidate, v))
    return distance, previous


def path_to(previous, source, target):
    """Walk the predecessor links back; empty if there is no way."""
    if target != source and target not in previous:
        return []
    path = [target]
    while path[-1] != source:
        path.append(previous[path[-1]])
    return path[::-1]


def eccentricity(graph, source):
    distance, _ = shortest_paths(graph, source)
    return max(distance.values())
