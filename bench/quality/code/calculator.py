"""Evaluates arithmetic such as ``2 * (3 + x) ^ 2`` without ``eval``."""

import operator
import re

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*)|([a-zA-Z_]\w*)|(.))")
_OPERATORS = {
    "+": (1, "left", operator.add),
    "-": (1, "left", operator.sub),
    "*": (2, "left", operator.mul),
    "/": (2, "left", operator.truediv),
    "^": (3, "right", operator.pow),
}


def to_postfix(expression):
    """Shunting-yard: infix text to a list in reverse Polish order."""
    output, stack = [], []
    for number, name, symbol in _TOKEN.findall(expression):
        if number:
            output.append(float(number))
        elif name:
            output.append(name)
        elif symbol == "(":
            stack.append(symbol)
        elif symbol == ")":
            while stack and stack[-1] != "(":
                output.append(stack.pop())
            if not stack:
                raise SyntaxError("unbalanced parenthesis")
            stack.pop()
        elif symbol in _OPERATORS:
            level, side, _ = _OPERATORS[symbol]
            while stack and stack[-1] != "(":
                top = _OPERATORS[stack[-1]][0]
                if top < level or (top == level and side == "right"):
                    break
                output.append(stack.pop())
            stack.append(symbol)
        else:
            raise SyntaxError(f"unexpected {symbol!r}")
    return output + stack[::-1]


def evaluate(expression, variables=None):
    values = []
    for item in to_postfix(expression):
        if isinstance(item, float):
            values.append(item)
        elif item in _OPERATORS:
            right, left = values.pop(), values.pop()
            values.append(_OPERATORS[item][2](left, right))
        else:
            values.append((variables or {})[item])
    return values.pop()
