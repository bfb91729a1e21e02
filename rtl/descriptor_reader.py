"""Fetches a descriptor from memory."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .descriptor import FIELDS, WORDS
from .payloads import ADDRESS_BITS
from .registers import REGISTER_BITS


def word_layout(name: str) -> data.Layout | object:
    """The shape of one descriptor word: its fields, or a number."""
    word = FIELDS[name]
    if not word.fields:
        return unsigned(REGISTER_BITS)
    return data.FlexibleLayout(REGISTER_BITS, {part.name: data.Field(part.width, part.lsb) for part in word.fields})


def descriptor_layout() -> data.Layout:
    """A descriptor's words by lower-case name."""
    return data.StructLayout({name.lower(): word_layout(name) for name in FIELDS})


class DescriptorReader(wiring.Component):
    """Reads the `descriptor.WORDS` words of a descriptor and holds them.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        Fetch the descriptor at ``address`` (memory words); not while one is being fetched.
    address : In(ADDRESS_BITS)
    reads, answers : Out(stream(ADDRESS_BITS)), In(stream(bus_bits))
        Memory; answers are always taken.
    descriptor : Out(descriptor_layout)
        Valid from ``done`` until the next ``start``.
    reserved : Out(1)
        A bit that belongs to no field is 1.
    done : Out(1)
        One-cycle pulse.

    Latency: one memory access per memory word, all sent at once. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "address": In(ADDRESS_BITS),
                "reads": Out(stream.Signature(ADDRESS_BITS)),
                "answers": In(stream.Signature(config.bus_bits)),
                "descriptor": Out(descriptor_layout()),
                "reserved": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus_bits = self._config.bus_bits
        count = WORDS * REGISTER_BITS // bus_bits
        words = [Signal(bus_bits, name=f"words_{i}") for i in range(count)]
        wanted = Signal(range(count + 1))  # reads that were not sent yet
        missing = Signal(range(count + 1))  # answers that have not come yet
        address = Signal(ADDRESS_BITS)
        m.d.comb += [
            self.reads.valid.eq(wanted != 0),
            self.reads.payload.eq(address),
            self.answers.ready.eq(1),
            self.descriptor.eq(Cat(words)[: self.descriptor.shape().size]),
            self.reserved.eq((Cat(words) & reserved_mask()).any()),
        ]
        with m.If(self.start):
            m.d.sync += [wanted.eq(count), missing.eq(count), address.eq(self.address)]
        with m.If(self.reads.valid & self.reads.ready):
            m.d.sync += [wanted.eq(wanted - 1), address.eq(address + 1)]
        m.d.sync += self.done.eq(0)
        with m.If(self.answers.valid & (missing != 0)):
            m.d.sync += [missing.eq(missing - 1), self.done.eq(missing == 1)]
            m.d.sync += [word.eq(above) for word, above in zip(words, [*words[1:], self.answers.payload], strict=True)]
        return m


def reserved_mask() -> int:
    """The bits of a whole descriptor that belong to no field."""
    used = 0
    for word in FIELDS.values():
        for lsb, width in [(part.lsb, part.width) for part in word.fields] or [(0, REGISTER_BITS)]:
            used |= ((1 << width) - 1) << 8 * word.offset + lsb
    return ~used & (1 << WORDS * REGISTER_BITS) - 1
