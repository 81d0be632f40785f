def solve(matrix, right):
    """Solve ``A x = b`` by Gaussian elimination with partial pivoting."""
    n = len(matrix)
    rows = [list(map(float, row)) + [float(b)] for row, b in zip(matrix, right)]
    for col in range(n):
        pivot = max(range(col, n), key=lambda r: abs(rows[r][col]))
        if abs(rows[pivot][col]) < 1e-12:
            raise ArithmeticError("matrix is singular")
        rows[col], rows[pivot] = rows[pivot], rows[col]
        for r in range(col + 1, n):
            factor = rows[r][col] / rows[col][col]
            for c in range(col, n + 1):
                rows[r][c] -= factor * rows[col][c]
    return back_substitute(rows)


def back_substitute(rows):
    n = len(rows)
    x = [0.0] * n
    for r in range(n - 1, -1, -1):
        known = sum(rows[r][c] * x[c] for c in range(r + 1, n))
        x[r] = (rows[r][n] - known) / rows[r][r]
    return x


def fit_line(points):
    """Least-squares straight line; returns slope and intercept."""
    n = len(points)
    sx = sum(x for x, _ in points)
    sy = sum(y for _, y in points)
    sxx = sum(x * x for x, _ in points)
    sxy = sum(x * y for x, y in points)
    slope, intercept = solve([[sxx, sx], [sx, n]], [sxy, sy])
    return slope, intercept
