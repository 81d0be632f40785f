#include <algorithm>
#include <cstddef>
#include <vector>

struct Point {
    double x;
    double y;
};

// Positive if o -> a -> b turns left.
static double cross(const Point& o, const Point& a, const Point& b) {
    return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

// Monotone chain. The result runs counter-clockwise, without collinear points.
std::vector<Point> convexHull(std::vector<Point> points) {
    if (points.size() < 3) return points;
    std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
        return a.x < b.x || (a.x == b.x && a.y < b.y);
    });
    std::vector<Point> hull(2 * points.size());
    std::size_t k = 0;
    for (const Point& p : points) {
        while (k >= 2 && cross(hull[k - 2], hull[k - 1], p) <= 0) --k;
        hull[k++] = p;
    }
    const std::size_t lower = k + 1;
    for (std::size_t i = points.size() - 1; i-- > 0;) {
        while (k >= lower && cross(hull[k - 2], hull[k - 1], points[i]) <= 0) --k;
        hull[k++] = points[i];
    }
    hull.resize(k - 1);
    return hull;
}

// Largest distance between two corners, by walking opposite points.
double diameterSquared(const std::vector<Point>& hull) {
    double best = 0;
    const std::size_t n = hull.size();
    std::size_t j = 1;
    for (std::size_t i = 0; i < n; ++i) {
        const Point& a = hull[i];
        const Point& b = hull[(i + 1) % n];
        while (cross(a, b, hull[(j + 1) % n]) > cross(a, b, hull[j])) j = (j + 1) % n;
        const double dx = a.x - hull[j].x;
        const double dy = a.y - hull[j].y;
        best = std::max(best, dx * dx + dy * dy);
    }
    return best;
}
