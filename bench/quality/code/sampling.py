import math
import random


def reservoir(stream, k, rng=random):
    """Choose k items from a stream of unknown length, each equally likely."""
    chosen = []
    for i, item in enumerate(stream):
        if i < k:
            chosen.append(item)
        else:
            j = rng.randint(0, i)
            if j < k:
                chosen[j] = item
    return chosen


def shuffle(items, rng=random):
    """Fisher-Yates, in place."""
    for i in range(len(items) - 1, 0, -1):
        j = rng.randint(0, i)
        items[i], items[j] = items[j], items[i]


def weighted_choice(weights, rng=random):
    """Key drawn in proportion to its weight."""
    target = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        target -= weight
        if target < 0:
            return key
    return key


def normal_pair(rng=random):
    """Two independent standard normal numbers (Box-Muller)."""
    radius = math.sqrt(-2 * math.log(1 - rng.random()))
    angle = 2 * math.pi * rng.random()
    return radius * math.cos(angle), radius * math.sin(angle)
