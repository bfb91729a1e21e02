"""The order in which a feeder visits the input pixels of a convolution."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import MAX_TAPS, WORD_NIBBLES, Config


def position(config: Config) -> data.Layout:
    """One activation word to read.

    ``row``: row of the activation buffer without the half; ``tap`` = 3*r + s (0 for 1x1); ``group``: 16 channels;
    ``pixel_end``: last word of this output pixel; ``job_end``: last word of the image.
    """
    return data.StructLayout(
        {
            "row": payloads.bits_for(config.act_rows - 1),
            "tap": payloads.bits_for(MAX_TAPS - 1),
            "group": payloads.bits_for((config.slot_channels - 1) // WORD_NIBBLES),
            "pixel_end": 1,
            "job_end": 1,
        }
    )


class TapWalker(wiring.Component):
    """Walks (output pixel in raster order) x (tap) x (channel group), leaving out taps that fall on the zero padding.

    ``row = group * plane_rows + (y + r - 1) * width + (x + s - 1)``, r, s = 0..2 for 3x3 and 1 for 1x1.

    Parameters
    ----------
    config : Config

    Members
    -------
    job : In(payloads.job)
        Held constant from ``start`` until the walk has ended. ``channels`` = 0 gives one position per pixel.
    start : In(1)
        Go to the first position; it is there in the next cycle.
    step : In(1)
        Go to the next position; ignored when ``active`` is 0.
    active : Out(1)
        ``position`` is one of the job's. Falls after the step from ``job_end``.
    position : Out(tap_walker.position)

    Latency: 1 cycle from ``start`` or ``step`` to the new position. Reset: not active.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "job": In(payloads.job(config)),
                "start": In(1),
                "step": In(1),
                "active": Out(1),
                "position": Out(position(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        job = self.job
        size_bits = payloads.bits_for(self._config.max_size)
        y = Signal(size_bits)
        x = Signal(size_bits)
        r = Signal(2)
        s = Signal(2)
        group = Signal.like(self.position.group)
        group_row = Signal.like(self.position.row)  # group * plane_rows
        pixel = Signal.like(self.position.row)  # y * width + x

        kernel3 = Signal()
        m.d.comb += kernel3.eq(job.kernel3 & (job.channels != 0))

        # The taps of this pixel that lie inside the map: r_low..r_high x s_low..s_high.
        bottom = Signal()
        right = Signal()
        r_high = Signal(2)
        s_high = Signal(2)
        m.d.comb += [
            bottom.eq(y == job.height - 1),
            right.eq(x == job.width - 1),
            r_high.eq(Mux(kernel3 & ~bottom, 2, 1)),
            s_high.eq(Mux(kernel3 & ~right, 2, 1)),
        ]

        def low(at_edge):
            return Mux(kernel3 & ~at_edge, 0, 1)

        last_group = Signal.like(group)
        group_end = Signal()
        s_end = Signal()
        r_end = Signal()
        m.d.comb += [
            last_group.eq(Mux(job.channels == 0, 0, (job.channels - 1)[4:])),
            group_end.eq(group == last_group),
            s_end.eq(s == s_high),
            r_end.eq(r == r_high),
            self.position.pixel_end.eq(group_end & s_end & r_end),
            self.position.job_end.eq(self.position.pixel_end & bottom & right),
        ]

        # Row of the word: a tap shifts the pixel by one line up or down and one column left or right.
        line_shift = Signal(signed(size_bits + 1))
        with m.Switch(r):
            with m.Case(0):
                m.d.comb += line_shift.eq(-job.width)
            with m.Case(2):
                m.d.comb += line_shift.eq(job.width)
        tap_pixel = Signal(signed(len(pixel) + 2))
        m.d.comb += [
            tap_pixel.eq(pixel + line_shift + s - 1),
            self.position.row.eq(group_row + tap_pixel),
            self.position.tap.eq(Mux(kernel3, (r << 1) + r + s, 0)),
            self.position.group.eq(group),
        ]

        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                y.eq(0),
                x.eq(0),
                pixel.eq(0),
                group.eq(0),
                group_row.eq(0),
                r.eq(1),  # the first pixel lies in the top left corner: its first tap inside the map is the centre
                s.eq(1),
            ]
        with m.Elif(self.step):
            with m.If(~group_end):
                m.d.sync += [group.eq(group + 1), group_row.eq(group_row + job.plane_rows)]
            with m.Else():
                m.d.sync += [group.eq(0), group_row.eq(0)]
                with m.If(~s_end):
                    m.d.sync += s.eq(s + 1)
                with m.Elif(~r_end):
                    m.d.sync += [r.eq(r + 1), s.eq(low(x == 0))]
                with m.Elif(~right):
                    m.d.sync += [x.eq(x + 1), pixel.eq(pixel + 1), s.eq(low(0)), r.eq(low(y == 0))]
                with m.Elif(~bottom):
                    m.d.sync += [x.eq(0), y.eq(y + 1), pixel.eq(pixel + 1), s.eq(1), r.eq(low(0))]
                with m.Else():
                    m.d.sync += self.active.eq(0)
        return m
