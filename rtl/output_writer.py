"""Addresses the memory words of the output and drops those of lanes past the last output channel."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, Config


class OutputWriter(wiring.Component):
    """Writes channel planes to memory.

    The w-th word of output channel k (over all images) goes to ``base + k * channel_words + w``. Words arrive tile by
    tile, for every w lane by lane, so the address is a running sum: + channel_words per lane; back to the tile's first
    lane, + 1, for the next w; and one past the tile's last address is the next tile's first.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    words : In(stream of bus_bits)
        `channel_words` times `lanes` words per output tile, lanes ascending. Words of lanes past `channels` are taken
        and dropped, words outside a layer are not taken.
    base : In(32)
        Memory word address of output channel 0.
    channel_words : In(COUNT_BITS)
        Memory words of one output channel: images * ceil(pixels * bits / bus_bits), at least 1.
    channels : In(bits of max_out_channels)
        Output channels K, at least 1. All three are constant from `start` until `finished`.
    start : In(1)
        Strobe: a layer begins. Not while another one runs.
    writes : Out(stream of payloads.memory_write)
        Memory writes; combinational from `words`.
    finished : Out(1)
        1 when all words since `start` have been accepted, from the cycle after the last one; 1 after reset.

    Timing: latency `LATENCY`, initiation interval 1. Addresses wrap at 32 bit.
    """

    LATENCY = 0  #: cycles from a word to its memory write

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "words": In(stream.Signature(config.bus_bits)),
                "base": In(32),
                "channel_words": In(COUNT_BITS),
                "channels": In(payloads.bits_for(config.max_out_channels)),
                "start": In(1),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "finished": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        lanes = self._config.lanes
        m = Module()

        lane = Signal(range(lanes))
        word = Signal(COUNT_BITS)  # of its channel
        address = Signal(32)
        first_address = Signal(32)  # of this word in the tile's first lane
        channels_left = Signal.like(self.channels)  # output channels from this tile on

        # Words of existing channels go to memory, the others nowhere
        active = Signal()
        exists = Signal()
        taken = Signal()
        m.d.comb += [
            active.eq(~self.finished),
            exists.eq(lane < channels_left),
            self.writes.valid.eq(self.words.valid & active & exists),
            self.writes.payload.address.eq(address),
            self.writes.payload.data.eq(self.words.payload),
            self.words.ready.eq(active & (self.writes.ready | ~exists)),
            taken.eq(self.words.valid & self.words.ready),
        ]

        # Running addresses
        with m.If(taken):
            m.d.sync += lane.eq(lane + 1)  # lanes is a power of two: wraps
            with m.If(lane != lanes - 1):
                m.d.sync += address.eq(address + self.channel_words)
            with m.Elif(word != self.channel_words - 1):
                m.d.sync += [
                    word.eq(word + 1),
                    address.eq(first_address + 1),
                    first_address.eq(first_address + 1),
                ]
            with m.Else():
                m.d.sync += [
                    word.eq(0),
                    address.eq(address + 1),
                    first_address.eq(address + 1),
                    channels_left.eq(channels_left - lanes),
                    self.finished.eq(channels_left <= lanes),
                ]
        with m.If(self.start):
            m.d.sync += [
                lane.eq(0),
                word.eq(0),
                address.eq(self.base),
                first_address.eq(self.base),
                channels_left.eq(self.channels),
                self.finished.eq(0),
            ]

        return m
