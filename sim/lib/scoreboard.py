"""Expected against observed transfers, in order."""

from collections import deque
from collections.abc import Iterable
from typing import Any


def matches(expected: Any, observed: Any) -> bool:
    """Equality; an expected dict names only the fields that are defined, in a dict that may be nested."""
    if isinstance(expected, dict):
        return all(key in observed and matches(value, observed[key]) for key, value in expected.items())
    return expected == observed


class Scoreboard:
    """Compares transfers with expected ones; `close` fails unless everything expected came and something did."""

    def __init__(self, name: str):
        self.name = name
        self.compared = 0
        self._expected: deque = deque()

    def expect(self, items: Iterable[Any]):
        """Append expected transfers."""
        self._expected.extend(items)

    def observe(self, item: Any):
        """Compare one transfer with the oldest expected one."""
        assert self._expected, f"{self.name}: transfer {self.compared} was not expected: {item!r}"
        expected = self._expected.popleft()
        assert matches(expected, item), f"{self.name}: transfer {self.compared} must be {expected!r}, not {item!r}"
        self.compared += 1

    @property
    def pending(self) -> int:
        """Transfers that are still expected."""
        return len(self._expected)

    def close(self):
        """Everything expected was seen, and it was something."""
        assert not self._expected, f"{self.name}: {len(self._expected)} expected transfers are missing"
        assert self.compared > 0, f"{self.name}: nothing was compared"
