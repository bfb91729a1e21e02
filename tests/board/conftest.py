"""A simulated board behind a pseudo-terminal, and the host's end of it."""

from types import SimpleNamespace

import pytest
from small_board import SMALL, TIMEOUT

from sqdm.sim.board.simulated_board import SimulatedBoard
from sqdm.sim.board.terminal import Terminal
from sqdm.sim.uart.device import Board
from sqdm.sim.uart.link import Link
from sqdm.sim.uart.port import SerialPort


@pytest.fixture(scope="session")
def serial():
    """``name`` of the terminal, ``port``, ``link``, ``board`` and the ``simulated`` board itself, for `SMALL`."""
    simulated = SimulatedBoard(SMALL)
    with Terminal(simulated) as terminal:
        port = SerialPort(terminal.name, simulated.settings.baud)
        link = Link(port, TIMEOUT)
        yield SimpleNamespace(
            name=terminal.name, port=port, link=link, board=Board(link, SMALL), simulated=simulated, config=SMALL
        )
        port.close()
        assert simulated.broken == 0
