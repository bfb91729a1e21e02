"""Tables of a cell library."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """Values over input transition time (s, rows) and load (F, columns)."""

    slews: list[float]
    loads: list[float]
    values: list[list[float]]

    def at(self, slew: np.ndarray | float, load: np.ndarray | float) -> np.ndarray:
        """Bilinear between the points, constant outside of them."""
        values = np.array(self.values)
        rows, row = place(self.slews, slew)
        columns, column = place(self.loads, load)
        next_row = np.minimum(rows + 1, len(self.slews) - 1)
        next_column = np.minimum(columns + 1, len(self.loads) - 1)
        low = values[rows, columns] * (1 - column) + values[rows, next_column] * column
        high = values[next_row, columns] * (1 - column) + values[next_row, next_column] * column
        return low * (1 - row) + high * row


def place(points: list[float], value: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Index of the point below each value, and the fraction of the way to the next one."""
    inside = np.clip(value, points[0], points[-1])
    below = np.clip(np.searchsorted(points, inside, side="right") - 1, 0, max(0, len(points) - 2))
    if len(points) == 1:
        return below, np.zeros_like(inside)
    points = np.array(points)
    return below, (inside - points[below]) / (points[below + 1] - points[below])
