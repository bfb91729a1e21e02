"""What the host knows about the board's memory, so that only changes are sent."""

import numpy as np

from sqdm.sim.uart.link import Link

GAP = 256  #: bytes that are sent along rather than begin another frame: a USB adapter's round trip takes longer


class Mirror:
    """The board's memory of ``size`` bytes behind ``link``; memory words have ``word`` bytes."""

    def __init__(self, link: Link, size: int, word: int):
        self._link = link
        self._word = word
        self._content = np.zeros(size, np.uint8)
        self._known = np.zeros(size, bool)

    def send(self, address: int, content: np.ndarray) -> None:
        """Make the memory from ``address`` on hold ``content``, uint8; both are whole words."""
        place = slice(address, address + content.size)
        differs = ~self._known[place] | (self._content[place] != content)
        for first, end in runs(differs.reshape(-1, self._word).any(axis=1), GAP // self._word):
            part = content[first * self._word : end * self._word]
            self._link.write_memory(address + first * self._word, part.tobytes())
        self._content[place] = content
        self._known[place] = True

    def fetch(self, address: int, size: int) -> np.ndarray:
        """What the memory holds, uint8 (size,); whole words."""
        content = np.frombuffer(self._link.read_memory(address, size), np.uint8)
        self._content[address : address + size] = content
        self._known[address : address + size] = True
        return content


def runs(marked: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """First index and index behind the last of the runs of True; runs at most ``gap`` apart are one."""
    found: list[tuple[int, int]] = []
    for index in np.flatnonzero(marked).tolist():
        if found and index - found[-1][1] <= gap:
            found[-1] = (found[-1][0], index + 1)
        else:
            found.append((index, index + 1))
    return found
