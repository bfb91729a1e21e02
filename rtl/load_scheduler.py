"""The order of a layer's loads."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .payloads import LoadKind

RESIDENT_IMAGES = 2  #: so many images fit the two buffer halves and stay there for all output tiles


class LoadScheduler(wiring.Component):
    """Issues PARAMS, WEIGHTS(0), then per tile ACTS of its first image, WEIGHTS of the next tile, ACTS of the others.

    So the next output tile's weights arrive while the current one is computed. Up to two images stay in the activation
    buffers for all tiles.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
    tiles, images, raw, update : In
        Output tiles, images; ``raw``: no parameters; ``update``: the first tile's activations are counted.
    act_free, weight_free : In(1)
        A buffer half is free. Stays 1 until the next load into it is issued.
    commands : Out(stream(payloads.load_command))
    finished : Out(1)
        All commands were accepted; 1 until ``start``.

    Latency: 1 cycle from a condition to the command. Reset: finished.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "tiles": In(payloads.bits_for(config.max_tiles)),
                "images": In(payloads.bits_for(config.max_images)),
                "raw": In(1),
                "update": In(1),
                "act_free": In(1),
                "weight_free": In(1),
                "commands": Out(stream.Signature(payloads.load_command(config))),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        weight_tile = Signal.like(self.tiles)
        act_tile = Signal.like(self.tiles)
        image = Signal.like(self.images)
        half = Signal()
        acts_end = Signal()  # the activation load being issued is the last one
        command = self.commands.payload
        accepted = self.commands.valid & self.commands.ready
        m.d.comb += acts_end.eq(
            (image == self.images - 1) & ((act_tile == self.tiles - 1) | (self.images <= RESIDENT_IMAGES))
        )
        acts_done = Signal()

        with m.FSM():
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
                with m.If(self.start):
                    m.d.sync += [weight_tile.eq(0), act_tile.eq(0), image.eq(0), half.eq(0), acts_done.eq(0)]
                    with m.If(self.raw):
                        m.next = "WEIGHTS"
                    with m.Else():
                        m.next = "PARAMS"
            with m.State("PARAMS"):
                m.d.comb += [self.commands.valid.eq(1), command.kind.eq(LoadKind.PARAMS)]
                with m.If(accepted):
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += [
                    self.commands.valid.eq(self.weight_free),
                    command.kind.eq(LoadKind.WEIGHTS),
                    command.tile.eq(weight_tile),
                    command.half.eq(weight_tile[0]),
                ]
                with m.If(accepted):
                    m.d.sync += weight_tile.eq(weight_tile + 1)
                    with m.If(~acts_done):
                        m.next = "ACTS"
                    with m.Elif(weight_tile == self.tiles - 1):
                        m.next = "FINISHED"
            with m.State("ACTS"):
                m.d.comb += [
                    self.commands.valid.eq(self.act_free),
                    command.kind.eq(LoadKind.ACTS),
                    command.image.eq(image),
                    command.half.eq(half),
                    command.count.eq(self.update & (act_tile == 0)),
                ]
                with m.If(accepted):
                    m.d.sync += [half.eq(~half), acts_done.eq(acts_end)]
                    with m.If(image == self.images - 1):
                        m.d.sync += [image.eq(0), act_tile.eq(act_tile + 1)]
                    with m.Else():
                        m.d.sync += image.eq(image + 1)
                    # A tile's weights go before its activations; the next ones are due after the tile's first image.
                    with m.If((weight_tile != self.tiles) & ((image == 0) | acts_end)):
                        m.next = "WEIGHTS"
                    with m.Elif(acts_end):
                        m.next = "FINISHED"
        return m
