import math


def area(points):
    """Shoelace formula; positive for counter-clockwise order."""
    total = 0.0
    for (x1, y1), (x2, y2) in edges(points):
        total += x1 * y2 - x2 * y1
    return total / 2


def edges(points):
    return zip(points, points[1:] + points[:1])


def perimeter(points):
    return sum(math.dist(a, b) for a, b in edges(points))


def centroid(points):
    """Centre of mass of the filled shape, not the mean of the corners."""
    cx = cy = 0.0
    for (x1, y1), (x2, y2) in edges(points):
        cross = x1 * y2 - x2 * y1
        cx += (x1 + x2) * cross
        cy += (y1 + y2) * cross
    factor = 1 / (6 * area(points))
    return cx * factor, cy * factor


def contains(points, x, y):
    """Even-odd rule: count crossings of a ray going right."""
    inside = False
    for (x1, y1), (x2, y2) in edges(points):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
