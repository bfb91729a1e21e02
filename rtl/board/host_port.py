"""How the host bridge reaches memory and registers: one request and its answer at a time."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def request(address_bits: int, data_bits: int) -> data.StructLayout:
    """An access: byte address, aligned to the data; 1 to write; what to write."""
    return data.StructLayout({"address": address_bits, "write": 1, "data": data_bits})


def answer(data_bits: int) -> data.StructLayout:
    """What was read, and whether the access failed. Every request is answered, a write too."""
    return data.StructLayout({"data": data_bits, "failed": 1})


def signature(address_bits: int, data_bits: int) -> wiring.Signature:
    """The port of a manager: requests out, answers in."""
    return wiring.Signature(
        {
            "requests": Out(stream.Signature(request(address_bits, data_bits))),
            "answers": In(stream.Signature(answer(data_bits), always_ready=True)),
        }
    )
