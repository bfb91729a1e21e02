"""Memories of a design: what they are, and whether each one becomes a memory of the target."""

import re
from dataclasses import asdict, dataclass

from sqdm.rtl.config import Config

#: A memory with more bits must not become flip-flops.
SMALL_BITS = 1024

CELL = re.compile(r"^ *cell \$mem_v2 (\S+)\n(.*?)^ *end$", re.M | re.S)
PARAMETER = re.compile(r"^ *parameter (?:signed )?\\(\w+) (\S+)$", re.M)


@dataclass(frozen=True)
class Memory:
    """``rows`` words of ``width`` bits with synchronous ports, ``asynchronous`` of the read ports excepted."""

    name: str
    rows: int
    width: int
    read_ports: int
    write_ports: int
    asynchronous: int

    @property
    def bits(self) -> int:
        return self.rows * self.width

    @property
    def problem(self) -> str | None:
        """Why this is no memory that a generator of memories or an FPGA offers; None for small ones and for good ones.

        Good are those of one write port, and read ports whose data come a cycle later.
        """
        if self.bits <= SMALL_BITS:
            return None
        if self.asynchronous:
            return "reads without a clock"
        if self.write_ports > 1:
            return f"has {self.write_ports} write ports"
        return None

    def to_dict(self) -> dict:
        return asdict(self) | {"bits": self.bits}


def read_dump(text: str) -> list[Memory]:
    """The memories in yosys' ``dump t:$mem_v2``."""
    found = []
    for name, body in CELL.findall(text):
        values = dict(PARAMETER.findall(body))
        clocked = values["RD_CLK_ENABLE"].partition("'")[2] or f"{int(values['RD_CLK_ENABLE']):b}"
        read_ports = number(values["RD_PORTS"])
        found.append(
            Memory(
                name.lstrip("\\"),
                number(values["SIZE"]),
                number(values["WIDTH"]),
                read_ports,
                number(values["WR_PORTS"]),
                read_ports - clocked.count("1"),
            )
        )
    return found


def number(text: str) -> int:
    """An RTLIL constant: decimal, or width'bits."""
    width, _, bits = text.partition("'")
    return int(bits, 2) if bits else int(width)


def buffer_bits(config: Config) -> int:
    """Bits of one PE array's buffers and psum queue at least, from the configuration.

    The psum queue of `psum_depth` pixels has one of them in its output register.
    """
    acts = config.slots * config.act_rows * 64
    weights = config.slots * 2 * config.weight_rows * config.lanes * 4
    return acts + weights + (config.psum_depth - 1) * config.lanes * config.acc_bits
