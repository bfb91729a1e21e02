"""Transposes activation words: 16 pixels of one channel in, 16 channels of one pixel out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import WORD_NIBBLES, Config


def block_row(config: Config) -> data.Layout:
    """One row of a 16 x 16 block on its way in: 16 pixels of one channel.

    ``slot`` and ``row`` say where the transposed block goes, word i to ``row + i``; the block's first row decides.
    ``end``: the block's remaining rows are zero. ``last`` on the block's last row: no other block need follow to push
    this one out.
    """
    write = payloads.activation_write(config)
    return data.StructLayout(
        {"slot": write["slot"].shape, "row": write["row"].shape, "end": 1, "last": 1, "word": write["word"].shape}
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
        16 in a row, or fewer with ``end``, make a block; gaps are allowed anywhere.
    words : Out(stream(payloads.activation_write), always ready)
    finished : Out(1)
        With the last word of a block whose last row was marked ``last``.

    Latency: a block leaves while the next one comes in. When no row comes in the cycle after a block that is marked
    ``last``, zeros are shifted in to push it out; a row that comes during these 16 cycles waits. Other blocks wait for
    the next one, however late it comes. Initiation interval: 1 word per cycle. Reset: empty.
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
        flushing = Signal()  # this block is made of zeros and only pushes the block before out
        filling = Signal()  # the block's remaining rows are zeros
        in_last = Signal()  # `last` of the row that came last
        target_slot = Signal.like(self.words.payload.slot)
        target_row = Signal.like(self.words.payload.row)
        slot = Signal.like(self.words.payload.slot)
        row = Signal.like(self.words.payload.row)
        last = Signal()

        begin = Signal()
        shift = Signal()
        flush = Signal()
        m.d.comb += [
            begin.eq(count == 0),
            flush.eq(Mux(begin, filled & last & ~self.rows.valid, flushing)),
            self.rows.ready.eq(~flush & ~filling),
            shift.eq(flush | filling | self.rows.valid),
        ]
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += [in_last.eq(self.rows.payload.last), filling.eq(self.rows.payload.end & (count != size - 1))]
        with m.Elif(count == size - 1):
            m.d.sync += filling.eq(0)
        with m.If(shift):
            m.d.sync += count.eq(count + 1)
            with m.If(begin):
                m.d.sync += [flushing.eq(flush), slot.eq(self.rows.payload.slot), row.eq(self.rows.payload.row)]
            with m.If(count == size - 1):
                m.d.sync += [
                    down.eq(~down),
                    filled.eq(~flushing),
                    target_slot.eq(slot),
                    target_row.eq(row),
                    last.eq(Mux(filling, in_last, self.rows.payload.last)),
                ]
            entering = [Mux(flush | filling, 0, self.rows.payload.word[i]) for i in range(size)]
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
            self.finished.eq(self.words.valid & last & (count == size - 1)),
        ]
        for j in range(size):
            far = size - 1
            m.d.comb += self.words.payload.word[j].eq(Mux(down, cells[far][far - j], cells[far - j][far]))
        return m
