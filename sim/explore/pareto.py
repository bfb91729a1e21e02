"""Pareto front: the points that no other point beats in both respects."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Numbers of the points (cycles, cost), both to be small, that are on the front, by ascending cycles.

    A point is left out when another one is at most as large in both and smaller in one; equal points stay together.

    >>> front([(10, 5), (20, 3), (20, 4), (30, 3)])
    [0, 1]
    """
    found: list[int] = []
    least = float("inf")
    for number in sorted(range(len(points)), key=lambda n: points[n]):
        if points[number][1] < least or (found and points[number] == points[found[-1]]):
            found.append(number)
            least = points[number][1]
    return found
