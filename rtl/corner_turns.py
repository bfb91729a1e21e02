"""Two corner turns side by side, for the slots with even and for those with odd numbers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TURNS, WORD_NIBBLES, Config
from .corner_turn import CornerTurn, block_row


def image_row(config: Config) -> data.Layout:
    """16 pixels of one channel for one slot: a `block_row`, and ``last`` on the last one of an image."""
    fields = {name: field.shape for name, field in block_row(config) if name != "marker"}
    return data.StructLayout(fields | {"last": 1})


class CornerTurns(wiring.Component):
    """Transposes the activations of two slots at a time.

    A corner turn writes 16 words for a block, however few rows of it come from memory; two of them keep up with memory
    from 8 channels of a slot on. Rows wait in front of each, so that a slot's blocks leave while the next slot's come.

    Parameters
    ----------
    config : Config

    Members
    -------
    rows : In(stream(image_row))
        Block by block; every slot's blocks in the order in which they are to be written.
    writes : Array of Out(stream(payloads.activation_write), always ready), `TURNS` of them
        To the slots with even numbers, to those with odd ones.
    finished : Out(1)
        Everything of an image is in the buffers after this cycle; one pulse for each image.

    Latency: 1 cycle of queue, then `CornerTurn`, which also serves ``last``. Initiation interval: 1 row per cycle until
    the `DEPTH` rows in front of a turn are full; after ``last`` each queue needs 1 cycle. Reset: empty.
    """

    DEPTH = WORD_NIBBLES  #: rows in front of each turn

    def __init__(self, config: Config):
        self._config = config
        writes = stream.Signature(payloads.activation_write(config), always_ready=True)
        super().__init__(
            {
                "rows": In(stream.Signature(image_row(config))),
                "writes": Out(writes).array(TURNS),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = block_row(self._config)
        row = self.rows.payload

        # An image ends with a marker in each queue. A row waits for its queue's marker; an image's last row for both,
        # so that the turns stay less than a queue's depth of images apart.
        owed = Signal(TURNS)
        ready = Signal(TURNS)
        own = Signal(TURNS)  # the queue that this row takes
        m.d.comb += [
            own.eq(1 << row.slot[0]),
            self.rows.ready.eq((own & ready & ~owed).any() & ~(row.last & owed.any())),
        ]
        with m.If(self.rows.valid & self.rows.ready & row.last):
            m.d.sync += owed.eq(~0)
        with m.Else():
            m.d.sync += owed.eq(owed & ~ready)

        ends = Signal(TURNS)
        for number in range(TURNS):
            m.submodules[f"queue_{number}"] = queue = fifo.SyncFIFOBuffered(width=layout.size, depth=self.DEPTH)
            m.submodules[f"turn_{number}"] = turn = CornerTurn(self._config)
            entry = Signal(layout, name=f"entry_{number}")
            m.d.comb += [
                entry.slot.eq(row.slot),
                entry.row.eq(row.row),
                entry.end.eq(row.end),
                entry.marker.eq(owed[number]),
                entry.word.eq(row.word),
                queue.w_data.eq(entry.as_value()),
                queue.w_en.eq(owed[number] | (self.rows.valid & self.rows.ready & own[number])),
                ready[number].eq(queue.w_rdy),
                turn.rows.payload.eq(queue.r_data),
                turn.rows.valid.eq(queue.r_rdy),
                queue.r_en.eq(turn.rows.ready),
                ends[number].eq(turn.finished),
            ]
            wiring.connect(m, turn.words, wiring.flipped(self.writes[number]))

        # An image has ended when it has in both turns; one of them may be images ahead.
        lead = Signal(range(-self.DEPTH, self.DEPTH + 1))  # images that turn 0 is ahead of turn 1
        m.d.comb += self.finished.eq(ends.all() | (ends[0] & (lead < 0)) | (ends[1] & (lead > 0)))
        m.d.sync += lead.eq(lead + ends[0] - ends[1])
        return m
