"""The order of a layer's loads."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import STRIDE_BITS, Config
from .job_scheduler import IMAGES_AHEAD
from .payloads import HIGH, LOW, LoadKind


def load_settings(config: Config) -> data.Layout:
    """What the scheduler knows about a layer; constant from ``start`` to ``finished``.

    ``buffer_images`` in the activation buffers at a time, each in ``item_rows`` rows; ``tile_words`` memory words from
    an output tile's weights to the next one's; ``weight_image_stride``, ``constant_stride`` in memory words,
    ``act_image_stride`` in granules; ``count``: the detector counts the activations of the first tile.
    """
    return data.StructLayout(
        {
            "tiles": payloads.bits_for(2 * config.max_tiles),
            "images": payloads.bits_for(config.max_images),
            "buffer_images": payloads.bits_for(config.max_images),
            "item_rows": payloads.bits_for(config.act_rows),
            "raw": 1,
            "count": 1,
            "two_planes": 1,
            "int16_acts": 1,
            "image_weights": 1,
            "tile_words": 8 + payloads.bits_for(config.row_words),
            "weight_image_stride": STRIDE_BITS,
            "act_image_stride": STRIDE_BITS,
            "constant_stride": STRIDE_BITS,
        }
    )


class LoadScheduler(wiring.Component):
    """Issues PARAMS and the first WEIGHTS, then ACTS and WEIGHTS as the buffers get free.

    Activations of few images ahead go before the next output tile's weights, since an image is loaded faster (but not
    before an image's own weights, without which it would only wait). So the second tile's weights also wait for ``go``,
    unless there are so few images that the arrays would soon wait for them. When all images fit the activation buffers
    they are loaded once and stay for all tiles. A plane HIGH is loaded before its LOW.

    Parameters
    ----------
    config : Config

    Members
    -------
    settings : In(load_settings)
    start : In(1)
        Issue parameters and the first weights (``scan`` = 0), or count all activations once (``scan`` = 1).
    scan : In(1)
        With ``start``.
    go : In(1)
        Activations may be loaded; constant 1 for a scan.
    act_free, act_low, weight_free : In(1)
        There is room for another image; few images are loaded ahead; a weight buffer half is free.
    commands : Out(stream(payloads.load_command))
    acts_issued, weights_issued : Out(1)
        One-cycle pulse with the last command of an image's activations, of a tile's weights; not in a scan.
    param_half : Out(1)
        Half of the parameter memory that the current layer uses.
    finished : Out(1)
        All commands were accepted; 1 until ``start``.

    Latency: 1 cycle from a condition to the command. Reset: finished.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "settings": In(load_settings(config)),
                "start": In(1),
                "scan": In(1),
                "go": In(1),
                "act_free": In(1),
                "act_low": In(1),
                "weight_free": In(1),
                "commands": Out(stream.Signature(payloads.load_command(config))),
                "acts_issued": Out(1),
                "weights_issued": Out(1),
                "param_half": Out(1),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        settings = self.settings
        command = self.commands.payload
        accepted = self.commands.valid & self.commands.ready
        scanning = Signal()
        resident = Signal()
        plane = Signal()
        last_plane = Signal()
        m.d.comb += [
            resident.eq(settings.images <= settings.buffer_images),
            last_plane.eq(plane == LOW),
            command.plane.eq(plane),
        ]
        first_plane = Mux(settings.two_planes, HIGH, LOW)

        # Where the weights are: tile by tile, with image_weights image by image within a tile.
        weight_half = Signal()
        weight_tile = Signal.like(settings.tiles)
        weight_image = Signal.like(settings.images)
        tile_offset = Signal.like(command.offset)
        weight_offset = Signal.like(command.offset)
        weights_left = Signal()
        row_end = Signal()
        m.d.comb += [
            weights_left.eq((weight_tile != settings.tiles) & ~scanning),
            row_end.eq(~settings.image_weights | (weight_image == settings.images - 1)),
        ]
        with m.If(self.weights_issued):
            m.d.sync += weight_half.eq(~weight_half)
            with m.If(row_end):
                m.d.sync += [
                    weight_image.eq(0),
                    weight_tile.eq(weight_tile + 1),
                    tile_offset.eq(tile_offset + settings.tile_words),
                    weight_offset.eq(tile_offset + settings.tile_words),
                ]
            with m.Else():
                m.d.sync += [
                    weight_image.eq(weight_image + 1),
                    weight_offset.eq(weight_offset + settings.weight_image_stride),
                ]

        # Where the activations are: image by image, again for every tile unless they stay in the buffers.
        act_tile = Signal.like(settings.tiles)
        image = Signal.like(settings.images)
        act_offset = Signal.like(command.offset)
        constant_offset = Signal.like(command.offset)
        row = Signal.like(settings.item_rows)
        place = Signal.like(settings.buffer_images)
        acts_left = Signal()
        image_end = Signal()
        fresh_constants = Signal()  # the constants of the next image are not there yet
        acts_done = Signal()
        m.d.comb += [
            acts_left.eq(act_tile != settings.tiles),
            acts_done.eq(accepted & (command.kind == LoadKind.ACTS) & last_plane),
            image_end.eq(image == settings.images - 1),
            fresh_constants.eq(settings.int16_acts & ((image == 0) | (settings.constant_stride != 0))),
        ]
        with m.If(acts_done):
            with m.If(image_end):
                m.d.sync += [image.eq(0), act_offset.eq(0), constant_offset.eq(0)]
                m.d.sync += act_tile.eq(Mux(resident | scanning, settings.tiles, act_tile + 1))
            with m.Else():
                m.d.sync += [
                    image.eq(image + 1),
                    act_offset.eq(act_offset + settings.act_image_stride),
                    constant_offset.eq(constant_offset + settings.constant_stride),
                ]
            with m.If((place == settings.buffer_images - 1) | scanning):
                m.d.sync += [place.eq(0), row.eq(0)]
            with m.Else():
                m.d.sync += [place.eq(place + 1), row.eq(row + settings.item_rows)]

        acts_ready = Signal()
        weights_ready = Signal()
        first_weights = Signal()
        held = Signal()  # activations will come first as soon as they may
        m.d.comb += [
            first_weights.eq((weight_tile == 0) & (weight_image == 0)),
            held.eq(~self.go & (settings.images >= IMAGES_AHEAD)),
            acts_ready.eq(acts_left & self.go & (self.act_free | scanning)),
            weights_ready.eq(weights_left & self.weight_free & (first_weights | settings.image_weights | ~held)),
            self.acts_issued.eq(acts_done & ~scanning),
            self.weights_issued.eq(accepted & (command.kind == LoadKind.WEIGHTS) & last_plane),
        ]

        with m.FSM():
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
                with m.If(self.start):
                    m.d.sync += [
                        scanning.eq(self.scan), weight_tile.eq(0), weight_image.eq(0), tile_offset.eq(0),
                        weight_offset.eq(0), act_tile.eq(0), image.eq(0), act_offset.eq(0), constant_offset.eq(0),
                        row.eq(0), place.eq(0), plane.eq(first_plane),
                    ]  # fmt: skip
                    with m.If(self.scan):
                        m.next = "CHOOSE"
                    with m.Else():
                        m.d.sync += self.param_half.eq(~self.param_half)
                        m.next = "PARAMS"
            with m.State("PARAMS"):
                m.d.comb += [
                    self.commands.valid.eq(~settings.raw),
                    command.kind.eq(LoadKind.PARAMS),
                    command.half.eq(self.param_half),
                ]
                with m.If(accepted | settings.raw):
                    m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += plane.eq(first_plane)
                with m.If(~weights_left & ~acts_left):
                    m.next = "FINISHED"
                with m.Elif(weights_ready & (first_weights | ~acts_ready | ~self.act_low | settings.image_weights)):
                    m.next = "WEIGHTS"
                with m.Elif(acts_ready & ~(weights_left & first_weights)):
                    with m.If(fresh_constants):
                        m.next = "CONSTANTS"
                    with m.Else():
                        m.next = "ACTS"
            with m.State("WEIGHTS"):
                m.d.comb += [
                    self.commands.valid.eq(1),
                    command.kind.eq(LoadKind.WEIGHTS),
                    command.offset.eq(weight_offset),
                    command.half.eq(weight_half),
                ]
                with m.If(accepted):
                    m.d.sync += plane.eq(LOW)
                    with m.If(last_plane):
                        m.next = "CHOOSE"
            with m.State("CONSTANTS"):
                m.d.comb += [
                    self.commands.valid.eq(1),
                    command.kind.eq(LoadKind.CONSTANTS),
                    command.offset.eq(constant_offset),
                ]
                with m.If(accepted):
                    m.next = "ACTS"
            with m.State("ACTS"):
                m.d.comb += [
                    self.commands.valid.eq(1),
                    command.kind.eq(LoadKind.ACTS),
                    command.offset.eq(act_offset),
                    command.row.eq(row),
                    command.count.eq(scanning | (settings.count & (act_tile == 0))),
                    command.first.eq(image == 0),
                ]
                with m.If(accepted):
                    m.d.sync += plane.eq(LOW)
                    with m.If(last_plane):
                        m.next = "CHOOSE"
        return m
