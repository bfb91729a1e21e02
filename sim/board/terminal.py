"""A simulated board behind a pseudo-terminal: what a serial port is to a real one."""

import os
import select
import tty
from threading import Event, Thread

from sqdm.sim.board.simulated_board import SimulatedBoard

CHUNK = 1 << 16
SLICE = 4096  #: clock cycles between two looks at the terminal while bytes are on the way
GLANCE = 0.05  #: seconds between two looks at ``stop`` while nothing happens


class Terminal:
    """Gives ``board`` a pseudo-terminal with the file name ``name`` and moves bytes between them in a thread.

    The clock stands still when the host is silent and all time-outs of the board are over. Use it in a
    ``with`` block.
    """

    def __init__(self, board: SimulatedBoard):
        self._board = board
        self._stop = Event()
        self._master, self._slave = os.openpty()  # the slave stays open, so that hosts may come and go
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Terminal":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        board = self._board
        awake = 2 * board.settings.idle_cycles  # longer than any time-out
        asleep_at = board.cycle + awake
        while not self._stop.is_set():
            active = board.cycle < asleep_at
            if select.select([self._master], [], [], 0 if active else GLANCE)[0]:
                board.send(os.read(self._master, CHUNK))
                asleep_at = board.cycle + awake
                active = True
            if active:
                board.run(SLICE)
                if board.sending:
                    asleep_at = board.cycle + awake
            if sent := board.take():
                asleep_at = board.cycle + awake
                os.write(self._master, sent)
