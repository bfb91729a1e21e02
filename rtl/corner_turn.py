"""Transposes activation words: 16 pixels of one channel in, 16 channels of one pixel out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import WORD_NIBBLES, Config


def block_row(config: Config) -> data.Layout:
    """One row of a 16 x 16 block on its way in: 16 pixels of one channel.

    ``slot`` and ``row`` say where the transposed block goes, word i to ``row + i``; the block's first row decides.
    ``end``: the block's remaining rows are zero. ``marker``: no row but the end of an image, between two blocks; its
    other fields mean nothing.
    """
    write = payloads.activation_write(config)
    return data.StructLayout(
        {"slot": write["slot"].shape, "row": write["row"].shape, "end": 1, "marker": 1, "word": write["word"].shape}
    )


class CornerTurn(wiring.Component):
    """16 x 16 nibble transpose: ``out[i][j] = in[j][i]``.

    A square of registers that shifts in along one axis while the block before leaves along the same axis; the axis
    turns with every block, so one square keeps up with a word per cycle. Source: channel-last mapping of SQ-DM.

    Parameters
    ----------
    config : Config

    Members
    -------
    rows : In(stream(block_row))
        16 in a row, or fewer with ``end``, make a block; gaps are allowed anywhere. A marker between two blocks is
        taken when all blocks before it have left.
    words : Out(stream(payloads.activation_write), always ready)
    finished : Out(1)
        A marker is taken: with the last word of the block before it, or later.

    Latency: a block leaves while the next one comes in. A marker shifts zeros in instead, 16 cycles, and none when no
    block waits (it then takes 1 cycle). A block with neither behind it waits, however late they come. Initiation
    interval: 1 word per cycle. Reset: empty.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "rows": In(stream.Signature(block_row(config))),
                "words": Out(stream.Signature(payloads.activation_write(config), always_ready=True)),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size = WORD_NIBBLES
        cells = [[Signal(4, name=f"cell_{i}_{j}") for j in range(size)] for i in range(size)]
        count = Signal(range(size))  # rows of this block that are in
        down = Signal()  # axis: rows enter at the top and move down, or enter at the left and move right
        filled = Signal()  # the block before is complete and leaves
        filling = Signal()  # the block's remaining rows are zeros
        target_slot = Signal.like(self.words.payload.slot)
        target_row = Signal.like(self.words.payload.row)
        slot = Signal.like(self.words.payload.slot)
        row = Signal.like(self.words.payload.row)

        marker = Signal()  # zeros only push the block before out
        row_in = Signal()
        shift = Signal()
        full = Signal()
        m.d.comb += [
            marker.eq(self.rows.valid & self.rows.payload.marker & ~filling),
            row_in.eq(self.rows.valid & ~self.rows.payload.marker & ~filling),
            full.eq(count == size - 1),
            shift.eq(row_in | filling | (marker & filled)),
            self.finished.eq(marker & (~filled | full)),
            self.rows.ready.eq(row_in | self.finished),
        ]
        with m.If(row_in):
            m.d.sync += filling.eq(self.rows.payload.end & ~full)
        with m.Elif(full):
            m.d.sync += filling.eq(0)
        with m.If(shift):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 0):
                m.d.sync += [slot.eq(self.rows.payload.slot), row.eq(self.rows.payload.row)]
            with m.If(full):
                m.d.sync += [down.eq(~down), filled.eq(~marker), target_slot.eq(slot), target_row.eq(row)]
            entering = [Mux(row_in, self.rows.payload.word[i], 0) for i in range(size)]
            for i in range(size):
                for j in range(size):
                    from_above = cells[i - 1][j] if i else entering[j]
                    from_left = cells[i][j - 1] if j else entering[i]
                    m.d.sync += cells[i][j].eq(Mux(down, from_above, from_left))

        # The word at the far edge is the last pixel (what came in first moved farthest), channels in reverse likewise.
        m.d.comb += [
            self.words.valid.eq(shift & filled),
            self.words.payload.slot.eq(target_slot),
            self.words.payload.row.eq(target_row + (size - 1 - count)),
        ]
        for j in range(size):
            far = size - 1
            m.d.comb += self.words.payload.word[j].eq(Mux(down, cells[far][far - j], cells[far - j][far]))
        return m
