"""The compiled board system behind ctypes: bytes in, bytes out, clock by clock."""

import ctypes
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path

from sqdm.errors import UserError
from sqdm.rtl.board.settings import BoardSettings
from sqdm.rtl.config import Config
from sqdm.sim import emit, library

HARNESS = (Path(__file__).with_name("harness.cpp"),)
ROOM = 4096

#: Of the simulated board: as few clock cycles for a bit as the hardware allows.
SETTINGS = BoardSettings(clock_hz=12_000_000, baud=3_000_000)


@cache
def _load(path: Path) -> ctypes.CDLL:
    """The shared library with the signatures of `harness.cpp`."""
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    signatures = {
        "board_create": (handle, (u32,)),
        "board_destroy": (None, (handle,)),
        "board_reset": (None, (handle,)),
        "board_send": (None, (handle, ctypes.c_char_p, u64)),
        "board_run": (None, (handle, u64)),
        "board_sending": (ctypes.c_int, (handle,)),
        "board_take": (u64, (handle, ctypes.c_char_p, u64)),
        "board_cycle": (u64, (handle,)),
        "board_broken": (u64, (handle,)),
    }
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"the compiled board {str(path)!r} must be loadable: {error}") from None
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def verilog(config: Config, settings: BoardSettings) -> str:
    """SystemVerilog of the board system, from the cache when nothing that it depends on has changed."""
    path = library.cache_dir() / f"board-{library.digest(library.rtl_digest(config), settings)}.sv"
    if path.exists():
        return path.read_text()
    from sqdm.rtl.board.board_system import BoardSystem

    text = emit.to_verilog(BoardSystem(config, settings), library.TOP)
    emit.write_once(path, text)
    return text


class SimulatedBoard:
    """A board with ``config`` in simulation, compiled when it is not in the cache (`library.build`).

    ``on_build(message)`` is called before it is compiled.
    """

    def __init__(
        self, config: Config, settings: BoardSettings = SETTINGS, on_build: Callable[[str], None] | None = None
    ):
        self.settings = settings
        text = verilog(config, settings)
        message = f"compiling the board with the {config.name} accelerator"
        self._lib = _load(library.build_text(text, config.bus_bits, message, on_build, HARNESS))
        self._board = self._lib.board_create(settings.clocks_per_bit)
        self._finalizer = weakref.finalize(self, self._lib.board_destroy, self._board)
        self._taken = ctypes.create_string_buffer(ROOM)

    def reset(self) -> None:
        """Reset the board and forget what is on the lines."""
        self._lib.board_reset(self._board)

    def send(self, content: bytes) -> None:
        """Put bytes behind those that wait for the line."""
        self._lib.board_send(self._board, content, len(content))

    def run(self, cycles: int) -> None:
        """Run for so many clock cycles, or less when a reply has come."""
        self._lib.board_run(self._board, cycles)

    def take(self) -> bytes:
        """The bytes that the board has sent since the last call."""
        found = b""
        while count := self._lib.board_take(self._board, self._taken, ROOM):
            found += self._taken.raw[:count]
        return found

    @property
    def sending(self) -> bool:
        """Whether bytes are on the way to the board."""
        return bool(self._lib.board_sending(self._board))

    @property
    def cycle(self) -> int:
        """Clock cycles so far."""
        return self._lib.board_cycle(self._board)

    @property
    def broken(self) -> int:
        """Bytes of the board without start or stop bit."""
        return self._lib.board_broken(self._board)
