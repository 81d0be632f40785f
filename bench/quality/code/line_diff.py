"""Line-by-line comparison of two texts by their longest common subsequence."""


def lcs_table(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            if a[i] == b[j]:
                table[i][j] = table[i + 1][j + 1] + 1
            else:
                table[i][j] = max(table[i + 1][j], table[i][j + 1])
    return table


def diff(a, b):
    """Yield pairs of a mark (' ', '-', '+') and a line."""
    table = lcs_table(a, b)
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            yield " ", a[i]
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            yield "-", a[i]
            i += 1
        else:
            yield "+", b[j]
            j += 1
    for line in a[i:]:
        yield "-", line
    for line in b[j:]:
        yield "+", line


def summary(a, b):
    added = removed = 0
    for mark, _ in diff(a, b):
        added += mark == "+"
        removed += mark == "-"
    return f"+{added} -{removed}"
