"""Prefix codes whose length follows the frequency of symbols."""

import heapq
from collections import Counter


def build_codes(text):
    heap = [(count, i, symbol) for i, (symbol, count) in enumerate(sorted(Counter(text).items()))]
    if len(heap) == 1:
        return {heap[0][2]: "0"}
    heapq.heapify(heap)
    serial = len(heap)
    while len(heap) > 1:
        count_a, _, a = heapq.heappop(heap)
        count_b, _, b = heapq.heappop(heap)
        heapq.heappush(heap, (count_a + count_b, serial, (a, b)))
        serial += 1
    codes = {}

    def walk(node, prefix):
        if isinstance(node, tuple):
            walk(node[0], prefix + "0")
            walk(node[1], prefix + "1")
        else:
            codes[node] = prefix

    walk(heap[0][2], "")
    return codes


def encode(text, codes):
    return "".join(codes[c] for c in text)


def decode(bits, codes):
    symbols = {code: symbol for symbol, code in codes.items()}
    out, current = [], ""
    for bit in bits:
        current += bit
        if current in symbols:
            out.append(symbols[current])
            current = ""
    if current:
        raise ValueError("bits end inside a code")
    return "".join(out)


def mean_length(text, codes):
    """Bits per symbol, to compare with the entropy."""
    return len(encode(text, codes)) / len(text)
