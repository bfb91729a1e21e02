"""Sums and sums of squares of the output planes."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import OUT_BITS, STATISTICS_BITS, Config, ceil_div
from .plane_walker import PlaneWalker, placed_word


class Statistics(wiring.Component):
    """Adds up the pixels of every plane, exactly, and gives a memory write when its last word has passed.

    A word is added in two halves, so that ``bus_bits / 32`` squarers suffice. The running sums of the lanes of a tile
    are in a memory: a lane comes back after at least 16 words, long after its sums were stored.

    The entry of output channel k and image n is {sum int64, sum of squares uint64} at memory word
    ``base + (k * images + n) * parts``, ``parts = max(1, 128 / bus_bits)``. A memory word of more than 128 bit holds
    one entry and zeros, since memory words are written whole and neighbouring entries are complete at other times.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    words : In(stream of placed_word)
        Words of INT16 pixels, lane by lane, pixels behind the end of the plane being 0.
    passed : Out(stream of placed_word)
        The same words; combinational.
    entries : Out(stream of payloads.memory_write)
        The statistics of planes of channels that exist, in the order of their last words; `parts` writes each.
    pending : Out(1)
        Words that were passed may still give an entry.
    enable : In(1)
        Add up; otherwise words are just passed. This and the next two are constant from `start` until all is written.
    base : In(ADDRESS_BITS)
        Memory word address of the statistics.
    planes : In(payloads.planes)
        `channels`, `images` and `wide` of the output.
    start : In(1)
        Strobe: a layer begins, from any state; drops sums and entries.

    Timing: `LATENCY` from a plane's last word to its first entry write; initiation interval 2 words when enabled, plus
    the time that entries take in `entries`, 1 otherwise. After reset nothing is added.
    """

    LATENCY = 5  #: cycles: take a half, square, add the half, add to the lane's sums, the second half

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "words": In(stream.Signature(placed_word(config))),
                "passed": Out(stream.Signature(placed_word(config))),
                "entries": Out(stream.Signature(payloads.memory_write(config))),
                "pending": Out(1),
                "enable": In(1),
                "base": In(payloads.ADDRESS_BITS),
                "planes": In(payloads.planes(config)),
                "start": In(1),
            }
        )

    def elaborate(self, platform):
        config = self._config
        pixels = config.bus_bits // OUT_BITS
        half_pixels = pixels // 2
        most = config.max_size**2
        sums = data.StructLayout(
            {
                "sum": signed(config.signed_bits(most << OUT_BITS - 1)),
                "squares": unsigned(payloads.bits_for(most << 2 * (OUT_BITS - 1))),
            }
        )
        word = self.words.payload
        m = Module()

        m.submodules.memory = memory = Memory(shape=sums, depth=config.lanes, init=[])
        write = memory.write_port()
        read = memory.read_port()

        # A word goes on as soon as it can, and is added half by half; it is taken when both have happened
        advance = Signal()  # all stages move
        passed = Signal()
        half = Signal()
        added = Signal()
        adds = Signal()
        complete = Signal()  # both halves are added in this cycle or were before
        m.d.comb += [
            self.passed.payload.eq(word),
            self.passed.valid.eq(self.words.valid & ~passed),
            adds.eq(self.words.valid & self.enable & ~added & advance),
            complete.eq(~self.enable | added | (half & advance)),
            self.words.ready.eq((passed | self.passed.ready) & complete),
        ]
        with m.If(adds):
            m.d.sync += half.eq(~half)
        with m.If(self.words.valid):
            m.d.sync += [
                passed.eq((passed | self.passed.ready) & ~complete),
                added.eq(self.enable & complete & ~self.words.ready),
            ]

        # Pixels of a half, straight from registers to the squarers; stage 1: square
        place = data.StructLayout({"half": 1, "first": 1, "last": 1})
        valid_taken = Signal()
        place_taken = Signal(place)
        valid = [Signal(name=f"valid_{stage}") for stage in (1, 2)]
        places = [Signal(place, name=f"place_{stage}") for stage in (1, 2)]
        values = [Signal(signed(OUT_BITS), name=f"value_{pixel}") for pixel in range(half_pixels)]
        squares = [Signal(2 * OUT_BITS - 1, name=f"square_{pixel}") for pixel in range(half_pixels)]
        for pixel in range(half_pixels):
            value = Signal(signed(OUT_BITS), name=f"taken_{pixel}")
            with m.If(adds):
                m.d.sync += value.eq(word.word.word_select(pixel + Mux(half, half_pixels, 0), OUT_BITS))
            with m.If(advance):
                m.d.sync += [values[pixel].eq(value), squares[pixel].eq(value * value)]

        # Stage 2: add the half, read the lane's sums
        lane = Signal(range(config.lanes))  # of stage 1
        write_lane = Signal.like(lane)  # of stage 2
        half_sum = Signal(signed(OUT_BITS + payloads.bits_for(half_pixels)))
        half_squares = Signal(2 * OUT_BITS - 1 + payloads.bits_for(half_pixels))
        m.d.comb += [read.addr.eq(lane), read.en.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid_taken.eq(adds),
                place_taken.half.eq(half),
                place_taken.first.eq(word.first),
                place_taken.last.eq(word.last),
                valid[0].eq(valid_taken),
                places[0].eq(place_taken),
                valid[1].eq(valid[0]),
                places[1].eq(places[0]),
                half_sum.eq(sum(values)),
                half_squares.eq(sum(squares)),
                write_lane.eq(lane),
            ]
            with m.If(valid[0] & places[0].half):
                m.d.sync += lane.eq(Mux(lane == (config.lanes >> self.planes.wide) - 1, 0, lane + 1))

        # Stage 3: the first half is added to the lane's sums, the second one to the outcome
        running = Signal(sums)
        total = Signal(sums)
        held = Signal()  # `running` are the sums of a plane
        with m.If(places[1].half):
            m.d.comb += total.sum.eq(running.sum + half_sum)
            m.d.comb += total.squares.eq(running.squares + half_squares)
        with m.Else():
            m.d.comb += total.sum.eq(Mux(places[1].first, 0, read.data.sum) + half_sum)
            m.d.comb += total.squares.eq(Mux(places[1].first, 0, read.data.squares) + half_squares)
        m.d.comb += [
            write.addr.eq(write_lane),
            write.data.eq(total),
            write.en.eq(advance & valid[1] & places[1].half),
        ]
        with m.If(advance):
            m.d.sync += held.eq(valid[1] & places[1].half & places[1].last)
            with m.If(valid[1]):
                m.d.sync += running.eq(total)

        # Entries: planes of one word
        parts = ceil_div(STATISTICS_BITS, config.bus_bits)
        m.submodules.walker = walker = PlaneWalker(config)
        part = Signal(range(max(2, parts)))
        entry = Signal(payloads.statistics(config))
        sent = Signal()
        m.d.comb += [
            walker.planes.base.eq(self.base),
            walker.planes.stride.eq(self.planes.images * parts),
            walker.planes.image_stride.eq(parts),
            walker.planes.words.eq(1),
            walker.planes.channels.eq(self.planes.channels),
            walker.planes.images.eq(self.planes.images),
            walker.planes.wide.eq(self.planes.wide),
            walker.start.eq(self.start),
            walker.step.eq(held & advance),
            entry.sum.eq(running.sum),
            entry.squares.eq(running.squares),
            self.entries.valid.eq(held & walker.exists),
            self.entries.payload.address.eq(walker.address + part),
            self.entries.payload.data.eq(entry.as_value() if parts == 1 else entry.as_value().word_select(part, 64)),
            sent.eq(self.entries.ready & (part == parts - 1)),
            advance.eq(~held | ~walker.exists | sent),
            self.pending.eq(self.enable & (self.words.valid | valid_taken | valid[0] | valid[1] | held)),
        ]
        with m.If(self.entries.valid & self.entries.ready):
            m.d.sync += part.eq(Mux(sent, 0, part + 1))

        with m.If(self.start):
            for flag in (passed, half, added, valid_taken, *valid, held, lane, part):
                m.d.sync += flag.eq(0)

        return m
