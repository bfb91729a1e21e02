"""The AXI4 and AXI4-Lite channels of the accelerator: member names as in the standard, widths and fixed values."""

from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from .config import Config

ADDRESS_BITS = 32  #: of a byte address
PAGE_BITS = 12  #: no burst crosses a 4 KiB boundary
MAX_BEATS = 16  #: memory words of the longest burst
OUTSTANDING = 64  #: words read, and write bursts, that may wait for their answer
INCR = 0b01
OKAY, SLVERR = 0b00, 0b10
CACHE = 0b0011  #: normal memory, not cacheable, bufferable


def word_offset(config: Config) -> int:
    """Bits of a byte address inside a memory word."""
    return (config.bus_bytes - 1).bit_length()


def word_bits(config: Config) -> int:
    """Bits of the number of a memory word that has a 32-bit byte address."""
    return ADDRESS_BITS - word_offset(config)


def burst() -> data.Layout:
    """What an address channel says: byte address of the first beat, beats minus one, and ID."""
    return data.StructLayout({"address": ADDRESS_BITS, "length": 8, "id": 1})


def _address(prefix: str) -> dict:
    return {
        f"{prefix}addr": Out(ADDRESS_BITS),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}id": Out(1),
        f"{prefix}prot": Out(3),
        f"{prefix}cache": Out(4),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


def drive_address(component, prefix: str, bursts) -> list:
    """Statements that put the stream `bursts` (of `burst`) on an address channel of a manager."""
    channel = {name: getattr(component, f"{prefix}{name}") for name in
               ("addr", "len", "size", "burst", "id", "prot", "cache", "valid", "ready")}  # fmt: skip
    return [
        channel["addr"].eq(bursts.payload.address),
        channel["len"].eq(bursts.payload.length),
        channel["size"].eq(word_offset(component.config)),
        channel["burst"].eq(INCR),
        channel["id"].eq(bursts.payload.id),
        channel["prot"].eq(0),
        channel["cache"].eq(CACHE),
        channel["valid"].eq(bursts.valid),
        bursts.ready.eq(channel["ready"]),
    ]


def read_channels(config: Config) -> dict:
    """AR and R of a manager, data as wide as a memory word."""
    return _address("ar") | {
        "rdata": In(config.bus_bits),
        "rresp": In(2),
        "rid": In(1),
        "rlast": In(1),
        "rvalid": In(1),
        "rready": Out(1),
    }


def write_channels(config: Config) -> dict:
    """AW, W and B of a manager."""
    return _address("aw") | {
        "wdata": Out(config.bus_bits),
        "wstrb": Out(config.bus_bytes),
        "wlast": Out(1),
        "wvalid": Out(1),
        "wready": In(1),
        "bresp": In(2),
        "bid": In(1),
        "bvalid": In(1),
        "bready": Out(1),
    }


def lite_channels(address_bits: int) -> dict:
    """AXI4-Lite of a subordinate, 32-bit data."""
    return {
        "awaddr": In(address_bits),
        "awprot": In(3),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(32),
        "wstrb": In(4),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(address_bits),
        "arprot": In(3),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(32),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }
