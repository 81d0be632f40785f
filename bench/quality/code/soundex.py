_CODES = {}
for digit, letters in enumerate(["bfpv", "cgjkqsxz", "dt", "l", "mn", "r"], start=1):
    for letter in letters:
        _CODES[letter] = str(digit)


def soundex(name):
    letters = [c for c in name.lower() if c.isalpha()]
    if not letters:
        return ""
    code = letters[0].upper()
    previous = _CODES.get(letters[0], "")
    for c in letters[1:]:
        digit = _CODES.get(c, "")
        if digit and digit != previous:
            code += digit
        if c not in "hw":
            previous = digit
    return (code + "000")[:4]


def group_by_sound(names):
    groups = {}
    for name in names:
        groups.setdefault(soundex(name), []).append(name)
    return groups


def likely_duplicates(names):
    return [group for group in group_by_sound(names).values() if len(group) > 1]
