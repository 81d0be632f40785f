from datetime import date, timedelta


def easter(year):
    """Sunday of Easter in the Gregorian calendar (anonymous algorithm)."""
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    l = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * l) // 451
    month, day = divmod(h + l - 7 * m + 114, 31)
    return date(year, month, day + 1)


def movable_feasts(year):
    sunday = easter(year)
    return {
        "shrove_monday": sunday - timedelta(days=48),
        "good_friday": sunday - timedelta(days=2),
        "easter_monday": sunday + timedelta(days=1),
        "ascension": sunday + timedelta(days=39),
        "whit_monday": sunday + timedelta(days=50),
    }


def first_advent(year):
    """Fourth Sunday before Christmas Day."""
    christmas = date(year, 12, 25)
    fourth = christmas - timedelta(days=christmas.isoweekday())
    return fourth - timedelta(weeks=3)


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
