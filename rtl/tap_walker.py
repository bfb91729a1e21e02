"""The order in which a feeder visits the input pixels of a convolution."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import MAX_TAPS, Config
from .payloads import HIGH, LOW


def position(config: Config) -> data.Layout:
    """One activation word to read.

    ``row`` of the activation buffer; ``tap`` = 3*r + s (0 for 1x1); ``group``: 16 channels, those of the plane HIGH
    counted from ``job.groups`` on; ``high``: the word belongs to the plane HIGH; ``empty``: the plane has no channels,
    so the word means nothing; ``phase_end``: last word of this plane of this output pixel; ``pixel_end``: last word of
    this output pixel; ``job_end``: last word of the image.
    """
    return data.StructLayout(
        {
            "row": payloads.bits_for(config.act_rows - 1),
            "tap": payloads.bits_for(MAX_TAPS - 1),
            "group": payloads.bits_for(config.max_groups - 1),
            "high": 1,
            "empty": 1,
            "phase_end": 1,
            "pixel_end": 1,
            "job_end": 1,
        }
    )


class TapWalker(wiring.Component):
    """Walks (output pixel in raster order) x (plane, HIGH first) x (tap) x (channel group).

    Taps that fall on the zero padding are left out; those on a halo line are not. For output pixel (y, x)
    ``row = act_base + plane * high_rows + group * plane_rows + (y + halo_top + r - 1) * width + (x + s - 1)``,
    r, s = 0..2 for 3x3 and 1 for 1x1.

    Parameters
    ----------
    config : Config

    Members
    -------
    job : In(payloads.job)
        The job, constant from ``start`` until the walk has ended. A plane HIGH without channels is left out; a plane
        LOW without channels gives one ``empty`` position per pixel.
    start : In(1)
        Go to the first position; it is there in the next cycle. Allowed together with the step from ``job_end``.
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
        lines_left = Signal(size_bits)  # behind this output line
        columns_left = Signal(size_bits)
        top = Signal()
        left = Signal()
        r = Signal(2)
        s = Signal(2)
        high = Signal()
        group = Signal.like(self.position.group)
        groups_left = Signal.like(group)  # behind this one, in its plane
        group_row = Signal.like(self.position.row)  # from the plane LOW's group 0 to this group
        pixel = Signal.like(self.position.row)  # row of the output pixel in the plane LOW's group 0

        # Constant in a job, but too deep to be seen in every step.
        last_low = Signal.like(group)
        last_high = Signal.like(group)
        low_empty = Signal()
        has_high = Signal()
        starts_high = job.two_planes & (job.channels_high != 0)
        starts_low = job.channels_low != 0
        last_groups = {LOW: Mux(starts_low, (job.channels_low - 1)[4:], 0), HIGH: (job.channels_high - 1)[4:]}
        with m.If(self.start):
            m.d.sync += [
                last_low.eq(last_groups[LOW]),
                last_high.eq(last_groups[HIGH]),
                low_empty.eq(~starts_low),
                has_high.eq(starts_high),
            ]

        # The taps of this pixel that lie inside the input: r_low..r_high x s_low..s_high.
        kernel3 = Signal()
        bottom = Signal()
        right = Signal()
        r_high = Signal(2)
        s_high = Signal(2)
        m.d.comb += [
            self.position.empty.eq(low_empty & ~high),
            kernel3.eq(job.kernel3 & ~self.position.empty),
            bottom.eq(lines_left == 0),
            right.eq(columns_left == 0),
            r_high.eq(Mux(kernel3 & (~bottom | job.halo_bottom), 2, 1)),
            s_high.eq(Mux(kernel3 & ~right, 2, 1)),
        ]

        group_end = Signal()
        s_end = Signal()
        r_end = Signal()
        m.d.comb += [
            group_end.eq(groups_left == 0),
            s_end.eq(s == s_high),
            r_end.eq(r == r_high),
            self.position.phase_end.eq(group_end & s_end & r_end),
            self.position.pixel_end.eq(self.position.phase_end & ~high),
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
            self.position.high.eq(high),
        ]

        # The next position's plane, and whether it has more taps than the centre one.
        next_high = Signal()
        next_kernel3 = Signal()
        m.d.comb += [
            next_high.eq(Mux(self.position.pixel_end, has_high, high & ~self.position.phase_end)),
            next_kernel3.eq(job.kernel3 & (next_high | ~low_empty)),
        ]

        def low(at_edge):
            return Mux(next_kernel3 & ~at_edge, 0, 1)

        with m.If(self.step & group_end):
            m.d.sync += [
                group.eq(Mux(next_high, job.groups, 0)),
                group_row.eq(Mux(next_high, job.high_rows, 0)),
                groups_left.eq(Mux(next_high, last_high, last_low)),
                high.eq(next_high),
            ]
        with m.If(self.start):
            m.d.sync += [
                self.active.eq(1),
                group.eq(Mux(starts_high, job.groups, 0)),
                group_row.eq(Mux(starts_high, job.high_rows, 0)),
                groups_left.eq(Mux(starts_high, last_groups[HIGH], last_groups[LOW])),
                high.eq(starts_high),
                lines_left.eq(job.height - 1),
                columns_left.eq(job.width - 1),
                top.eq(1),
                left.eq(1),
                pixel.eq(job.act_base + Mux(job.halo_top, job.width, 0)),
                r.eq(Mux(job.kernel3 & (starts_high | starts_low) & job.halo_top, 0, 1)),
                s.eq(1),  # the left column is padding
            ]
        with m.Elif(self.step):
            with m.If(~group_end):
                m.d.sync += [
                    group.eq(group + 1),
                    groups_left.eq(groups_left - 1),
                    group_row.eq(group_row + job.plane_rows),
                ]
            with m.Elif(~s_end):
                m.d.sync += s.eq(s + 1)
            with m.Elif(~r_end):
                m.d.sync += [r.eq(r + 1), s.eq(low(left))]
            with m.Elif(high):
                m.d.sync += [r.eq(low(top & ~job.halo_top)), s.eq(low(left))]
            with m.Elif(~right):
                m.d.sync += [columns_left.eq(columns_left - 1), left.eq(0), pixel.eq(pixel + 1)]
                m.d.sync += [r.eq(low(top & ~job.halo_top)), s.eq(low(0))]
            with m.Elif(~bottom):
                m.d.sync += [columns_left.eq(job.width - 1), left.eq(1), lines_left.eq(lines_left - 1), top.eq(0)]
                m.d.sync += [pixel.eq(pixel + 1), r.eq(low(0)), s.eq(1)]
            with m.Else():
                m.d.sync += self.active.eq(0)
        return m
