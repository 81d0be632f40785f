import re

_SECTION = re.compile(r"^\[(?P<name>[^\]]+)\]$")
_PAIR = re.compile(r"^(?P<key>[\w.-]+)\s*[=:]\s*(?P<value>.*)$")


class IniError(ValueError):
    def __init__(self, line_number, line):
        super().__init__(f"line {line_number}: cannot read {line!r}")
        self.line_number = line_number


def parse_ini(text):
    sections = {"": {}}
    current = sections[""]
    for number, raw in enumerate(text.splitlines(), start=1):
        line = strip_comment(raw).strip()
        if not line:
            continue
        match = _SECTION.match(line)
        if match:
            current = sections.setdefault(match["name"].strip(), {})
            continue
        match = _PAIR.match(line)
        if not match:
            raise IniError(number, raw)
        current[match["key"]] = convert(match["value"])
    return sections


def strip_comment(line):
    quote = None
    for i, c in enumerate(line):
        if quote:
            if c == quote:
                quote = None
        elif c in "\"'":
            quote = c
        elif c in "#;":
            return line[:i]
    return line


def convert(value):
    lowered = value.lower()
    if lowered in ("yes", "true", "on"):
        return True
    if lowered in ("no", "false", "off"):
        return False
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    return value.strip("\"'")
