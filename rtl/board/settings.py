"""What a board adds to an accelerator: clock, baud rate, memory. Plain Python: importable without Amaranth."""

import json
import zlib
from dataclasses import dataclass

from sqdm.errors import UserError
from sqdm.rtl.config import Config, is_power_of_two

MIN_CLOCKS = 4  #: clock cycles of a bit, so that a sample hits its middle half
MAX_CLOCKS = 1 << 16
MAX_ERROR = 0.015  #: of the baud rate: 10 bits drift by 15% of one, and the other side may drift too
BAUDS = (3_000_000, 2_000_000, 1_000_000, 921_600, 115_200)  #: what `fastest_baud` tries
PAGE = 4096  #: no burst crosses a multiple of it


@dataclass(frozen=True)
class BoardSettings:
    """Parameters of a board system. Raises `UserError` for a broken rule.

    ``idle_bytes``: a frame that stops for the time of so many bytes counts as truncated; longer than a host's gaps.
    ``led_cycles``: shortest time that an LED is on.
    """

    clock_hz: int = 60_000_000
    baud: int = 3_000_000
    memory_bytes: int = 128 * 1024
    idle_bytes: int = 4096
    led_cycles: int = 1 << 22

    def __post_init__(self):
        for name in ("clock_hz", "baud", "memory_bytes", "idle_bytes", "led_cycles"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise UserError(f"{name} must be an integer >= 1, not {value!r}")
        if not is_power_of_two(self.memory_bytes) or not PAGE <= self.memory_bytes <= 1 << 24:
            raise UserError(f"memory_bytes must be a power of two from {PAGE} to {1 << 24}, not {self.memory_bytes}")
        if not MIN_CLOCKS <= self.clocks_per_bit <= MAX_CLOCKS or abs(self.baud_error) > MAX_ERROR:
            raise UserError(
                f"baud must be a clock of {self.clock_hz / 1e6:g} MHz divided by {MIN_CLOCKS} to {MAX_CLOCKS}, within "
                f"{MAX_ERROR:.1%}, not {self.baud}"
            )

    @property
    def clocks_per_bit(self) -> int:
        """Clock cycles of a bit."""
        return round(self.clock_hz / self.baud)

    @property
    def baud_error(self) -> float:
        """By how much the bits of the board are faster than asked for."""
        return self.clock_hz / self.clocks_per_bit / self.baud - 1 if self.clocks_per_bit else 1.0

    @property
    def idle_cycles(self) -> int:
        """Clock cycles after which a silent line ends a frame."""
        return self.idle_bytes * 10 * self.clocks_per_bit


def fastest_baud(clock_hz: int) -> int:
    """The highest of the usual baud rates that a clock can make; `UserError` when there is none."""
    for baud in BAUDS:
        clocks = round(clock_hz / baud)
        if clocks >= MIN_CLOCKS and abs(clock_hz / clocks / baud - 1) <= MAX_ERROR:
            return baud
    raise UserError(f"the clock must make one of {', '.join(map(str, BAUDS))} baud, but {clock_hz} Hz does not")


def configuration_number(config: Config) -> int:
    """32 bits that tell accelerators apart: a hash of all parameters but the name."""
    parameters = {key: value for key, value in config.to_dict().items() if key != "name"}
    return zlib.crc32(json.dumps(parameters, sort_keys=True).encode())
