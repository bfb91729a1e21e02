"""Turns output pixels (neighbouring lanes) into memory words (neighbouring pixels of one lane)."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import OUT_BITS, RAW_BITS, Config


def rotated(items: list, amount: Value) -> list:
    """Item (i - amount) mod n at place i: a barrel shifter of log2(n) levels; n is a power of two."""
    for level in range((len(items) - 1).bit_length()):
        step = 1 << level
        items = [Mux(amount[level], items[(place - step) % len(items)], items[place]) for place in range(len(items))]
    return items


class OutputTurn(wiring.Component):
    """Collects a block of pixels and gives one memory word per lane: that lane of all pixels of the block.

    A block is ``bus_bits / 16`` pixels (INT16) or ``bus_bits / 32`` pixels (`raw`), fewer at the end of an image, where
    the missing pixels are 0. Two blocks are buffered: one is collected while the other one goes out.

    The buffer is `post_lanes` memories ("banks") of 32 bit. Entry (lane j of a group, place q of the memory word)
    is in bank (j + q) mod post_lanes, so that the lanes of one pixel are written together and the places of one memory
    word are read together. An entry is one raw value or two INT16 values.

    Parameters
    ----------
    config : Config
        The accelerator; ``groups = lanes / post_lanes``.

    Members
    -------
    groups : In(stream of payloads.output_group)
        Pixels in raster order, image by image; `groups` payloads per pixel, half as many when wide, lanes ascending.
    wide : In(1)
        8-bit weights: a pixel has half the groups, a block half the words; constant from `start` on.
    raw : In(1)
        32 instead of 16 bits per value (the upper half is dropped); constant from `start` on.
    pixels : In(bits of max_size**2)
        Pixels of one image, at least 1; constant from `start` on.
    start : In(1)
        Strobe: the next group is the first of an image; drops what is buffered.
    words : Out(stream of bus_bits)
        Memory words: block by block, lanes ascending.

    Timing: `LATENCY` from the last group of a block to its first word. Initiation interval 1 group and 1 word: with
    full blocks, `groups` never stalls while `words.ready` is 1. After reset as after `start`.
    """

    LATENCY = 2  #: cycles: block complete, memory read

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "groups": In(stream.Signature(payloads.output_group(config))),
                "wide": In(1),
                "raw": In(1),
                "pixels": In(payloads.bits_for(config.max_size**2)),
                "start": In(1),
                "words": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        config = self._config
        banks = config.post_lanes
        groups = config.lanes // banks
        halves = RAW_BITS // OUT_BITS
        m = Module()

        group_count = Signal(range(groups + 1))  # of a pixel
        m.d.comb += group_count.eq(groups >> self.wide)

        # A bank's row is (buffer, group, place)
        depth = 2 * groups * banks
        writes = []
        reads = []
        for bank in range(banks):
            memory = Memory(shape=RAW_BITS, depth=depth, init=[])
            m.submodules[f"bank_{bank}"] = memory
            writes.append(memory.write_port(granularity=OUT_BITS))
            reads.append(memory.read_port())

        filled = [Signal(name=f"filled_{buffer}") for buffer in range(2)]  # the block is complete and not read yet
        sizes = [Signal(range(halves * banks + 1), name=f"size_{buffer}") for buffer in range(2)]  # pixels in the block

        # Collect: `place` and `half` say where the pixel is in its memory word
        into = Signal()  # buffer
        group = Signal(range(groups))
        place = Signal(range(banks))
        half = Signal()
        pixel = Signal.like(self.pixels)
        pixels_end = Signal.like(self.pixels)
        m.d.sync += pixels_end.eq(self.pixels - 1)
        last_group = Signal()
        last_pixel = Signal()
        block_end = Signal()
        m.d.comb += [
            self.groups.ready.eq(~Array(filled)[into]),
            last_group.eq(group == group_count - 1),
            last_pixel.eq(pixel == pixels_end),
            block_end.eq(last_pixel | ((place == banks - 1) & (half | self.raw))),
        ]
        values = rotated([value.as_unsigned() for value in self.groups.payload], place)
        for write, value in zip(writes, values, strict=True):
            m.d.comb += [
                write.addr.eq(Cat(place, group, into)),
                write.data.eq(Mux(self.raw, value, value[:OUT_BITS].replicate(halves))),
                write.en.eq(Mux(self.groups.valid & self.groups.ready, Cat(self.raw | ~half, self.raw | half), 0)),
            ]

        # Give: one memory word per cycle; row (from_buffer, out_group, q) of the bank that has lane `lane` in place q
        from_buffer = Signal()
        out_group = Signal(range(groups))
        lane = Signal(range(banks))
        reading = Signal()
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.words.valid | self.words.ready),
            reading.eq(Array(filled)[from_buffer]),
        ]
        for bank, read in enumerate(reads):
            m.d.comb += [
                read.addr.eq(Cat((bank - lane)[: len(lane)], out_group, from_buffer)),
                read.en.eq(advance & reading),
            ]

        word_lane = Signal(range(banks))  # of the word in the memories' output registers
        word_size = Signal.like(sizes[0])
        with m.If(advance):
            m.d.sync += [
                self.words.valid.eq(reading),
                word_lane.eq(lane),
                word_size.eq(Array(sizes)[from_buffer]),
            ]
        unrotated = Cat(rotated([read.data for read in reads], (-word_lane)[: len(word_lane)]))
        for index in range(halves * banks):  # missing pixels are 0
            present = Signal(name=f"present_{index}")
            m.d.comb += [
                present.eq(word_size > Mux(self.raw, index // halves, index)),
                self.words.payload.word_select(index, OUT_BITS).eq(
                    Mux(present, unrotated.word_select(index, OUT_BITS), 0)
                ),
            ]

        # Counters
        with m.If(self.groups.valid & self.groups.ready):
            m.d.sync += group.eq(Mux(last_group, 0, group + 1))
            with m.If(last_group):
                m.d.sync += [
                    pixel.eq(Mux(last_pixel, 0, pixel + 1)),
                    half.eq(~half & ~self.raw & ~block_end),
                ]
                with m.If(block_end):
                    m.d.sync += [
                        place.eq(0),
                        into.eq(~into),
                        Array(filled)[into].eq(1),
                        Array(sizes)[into].eq(Mux(self.raw, place, Cat(half, place)) + 1),
                    ]
                with m.Elif(half | self.raw):
                    m.d.sync += place.eq(place + 1)
        with m.If(advance & reading):
            m.d.sync += lane.eq(lane + 1)  # banks is a power of two: wraps
            with m.If(lane == banks - 1):
                m.d.sync += out_group.eq(out_group + 1)
                with m.If(out_group == group_count - 1):
                    m.d.sync += [out_group.eq(0), from_buffer.eq(~from_buffer), Array(filled)[from_buffer].eq(0)]
        with m.If(self.start):
            for counter in (into, group, place, half, pixel, from_buffer, out_group, lane, *filled, self.words.valid):
                m.d.sync += counter.eq(0)

        return m
