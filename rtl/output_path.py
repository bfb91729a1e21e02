"""The way of a layer's outputs from partial sums, or from a MAP, to memory."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from . import payloads
from .config import OUT_BITS, Config
from .output_turn import OutputTurn
from .output_writer import OutputWriter
from .payloads import OutputShape
from .plane_walker import PlaneWalker, place_layout, placed_word
from .post_processor import PostProcessor, param_write
from .residual_adder import ResidualAdder
from .residual_reader import ResidualReader
from .statistics import Statistics
from .stream_register import StreamRegister
from .weight_packer import WeightPacker


class OutputPath(wiring.Component):
    """Requantises partial sums, turns them into planes, adds the residual, adds up statistics and writes to memory.

    Words come from one of three sources: the partial sums by way of the turn (planes) or of the packer
    (Output.WEIGHTS), or `map_words`. Each gets its place; then all go through the residual adder and the statistics,
    which just pass them when they are not asked for, to the writer.

    Parameters
    ----------
    config : Config
        The accelerator.

    Members
    -------
    psums : In(stream of payloads.psums)
        Output pixels of a CONV: tile by tile, image by image, in raster order.
    param_writes : In(always-ready stream of param_write)
        Requantisation parameters, into the half that no layer uses.
    map_words : In(stream of bus_bits)
        With `settings.map`: for every tile of `lanes` channels, image, word of the plane, lane; dummy words for lanes
        past the last channel.
    settings : In(payloads.output_settings)
        The layer; constant from `start` until `finished`. Residual and statistics need INT16 planes; with
        Output.WEIGHTS, `mode.raw` is 0. `planes.wide` = `mode.wide`; for a MAP both are 0.
    start : In(1)
        Strobe: a layer begins; drops what is in flight. No residual read may be unanswered. A layer is given up by a
        reset, which may be synchronous: it stops reads and writes.
    residual_reads : Out(stream of ADDRESS_BITS)
        Memory word addresses of the residual.
    residual_answers : In(stream of bus_bits)
        The words read, in order; always taken at once.
    writes : Out(stream of payloads.memory_write)
        Memory writes; a register. A plane's statistics follow its last word.
    finished : Out(1)
        All outputs and statistics since `start` have been accepted; 1 after reset.

    Timing: `WORD_LATENCY` from a word (of the turn, the packer or `map_words`) to its write, `RESIDUAL_LATENCY` with a
    residual. Initiation interval 1 word, 2 with residual or statistics; every entry of the statistics takes one
    further cycle for each of its memory words.
    """

    WORD_LATENCY = ResidualAdder.BYPASS_LATENCY + OutputWriter.LATENCY
    RESIDUAL_LATENCY = ResidualAdder.LATENCY + OutputWriter.LATENCY

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "psums": In(stream.Signature(payloads.psums(config))),
                "param_writes": In(stream.Signature(param_write(config), always_ready=True)),
                "map_words": In(stream.Signature(config.bus_bits)),
                "settings": In(payloads.output_settings(config)),
                "start": In(1),
                "residual_reads": Out(stream.Signature(payloads.ADDRESS_BITS)),
                "residual_answers": In(stream.Signature(config.bus_bits)),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self._config
        settings = self.settings
        m = Module()
        m.submodules.post = post = PostProcessor(config)
        m.submodules.turn = turn = OutputTurn(config)
        m.submodules.packer = packer = WeightPacker(config)
        m.submodules.walker = walker = PlaneWalker(config)
        m.submodules.reader = reader = ResidualReader(config)
        m.submodules.adder = adder = ResidualAdder(config)
        m.submodules.statistics = statistics = Statistics(config)
        m.submodules.writer = writer = OutputWriter(config)

        weights = Signal()
        m.d.sync += weights.eq((settings.output == OutputShape.WEIGHTS) & ~settings.map)
        for part in (post, turn, packer, walker, reader, adder, statistics, writer):
            m.d.comb += part.start.eq(self.start)

        # Registers between the parts: a stall would pass all of them in one cycle otherwise
        def register(name, shape):
            part = StreamRegister(shape)
            m.submodules[name] = ResetInserter(self.start)(part)
            return part

        places = register("places", place_layout(config))
        placed = register("placed", placed_word(config))
        summed = register("summed", placed_word(config))

        # Partial sums to words
        connect(m, flipped(self.psums), post.psums)
        connect(m, flipped(self.param_writes), post.param_writes)
        m.d.comb += [
            post.mode.eq(settings.mode),
            post.param_half.eq(settings.param_half),
            post.tile_pixels.eq(settings.all_pixels),
            turn.wide.eq(settings.mode.wide),
            turn.raw.eq(settings.mode.raw),
            turn.pixels.eq(settings.pixels),
            turn.groups.payload.eq(post.groups.payload),
            packer.groups.payload.eq(post.groups.payload),
            turn.groups.valid.eq(post.groups.valid & ~weights),
            packer.groups.valid.eq(post.groups.valid & weights),
            post.groups.ready.eq(Mux(weights, packer.groups.ready, turn.groups.ready)),
        ]

        # Every word gets its place
        connect(m, placed.sink, adder.words)
        word = placed.source.payload
        place = places.sink.payload
        m.d.comb += [
            walker.planes.eq(settings.planes),
            walker.weights.eq((settings.output == OutputShape.WEIGHTS) & ~settings.map),  # it steps at once
            walker.pixels.eq(settings.pixels),
            walker.step.eq(walker.active & places.source.ready),
            places.source.valid.eq(walker.active),
            *(places.source.payload[name].eq(getattr(walker, name)) for name, _ in place_layout(config)),
            *(word[name].eq(place[name]) for name, _ in place_layout(config)),
            places.sink.ready.eq(placed.source.valid & placed.source.ready),
        ]
        sources = {"map": self.map_words, "packer": packer.words, "turn": turn.words}
        chosen = {"map": settings.map, "packer": weights, "turn": ~settings.map & ~weights}
        for name, source in sources.items():
            with m.If(chosen[name]):
                m.d.comb += [
                    placed.source.valid.eq(source.valid & places.sink.valid),
                    source.ready.eq(placed.source.ready & places.sink.valid),
                    word.word.eq(source.payload),
                ]

        # Residual; the plane's last word is cut when pixels mean something
        word_pixels = config.bus_bits // OUT_BITS
        rest = settings.pixels[: word_pixels.bit_length() - 1]
        whole = ~(settings.residual.enable | settings.statistics) | (rest == 0)
        connect(m, reader.residuals, adder.residuals)
        connect(m, reader.reads, flipped(self.residual_reads))
        connect(m, flipped(self.residual_answers), reader.answers)
        m.d.comb += [
            reader.enable.eq(settings.residual.enable),
            reader.planes.eq(settings.planes),
            reader.planes.base.eq(settings.residual_base),
            reader.planes.stride.eq(settings.residual_stride),
            reader.planes.image_stride.eq(settings.residual_image_stride),
            adder.mode.eq(settings.residual),
            adder.tail.eq(Mux(whole, word_pixels, rest)),
        ]

        # Statistics and memory
        connect(m, adder.sums, summed.source)
        connect(m, summed.sink, statistics.words)
        connect(m, statistics.passed, writer.words)
        connect(m, statistics.entries, writer.entries)
        connect(m, writer.writes, flipped(self.writes))
        m.d.comb += [
            statistics.enable.eq(settings.statistics),
            statistics.base.eq(settings.statistics_base),
            statistics.planes.eq(settings.planes),
            writer.pending.eq(statistics.pending),
            self.finished.eq(writer.finished),
        ]

        return m
