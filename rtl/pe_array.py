"""A complete PE array: buffers, feeder, MAC array and psum queue."""

from amaranth.hdl import Module, Signal
from amaranth.lib import enum, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TURNS, Config
from .dense_feeder import DenseFeeder
from .mac_array import MacArray
from .sparse_feeder import SparseFeeder


class PeKind(enum.Enum, shape=1):
    """Which feeder drives the array."""

    DENSE = 0
    SPARSE = 1


class PeArray(wiring.Component):
    """Dense or sparse PE array: one psum per output pixel and lane, over the channels in the array's slots.

    ``psum[l] = sum over slots, channels, taps of act * weight[l]``, exact; an 8-bit activation is 16 times its digit in
    the plane HIGH plus its digit in the plane LOW. Source: DPE and SPE of SQ-DM.

    Parameters
    ----------
    config : Config
    kind : PeKind
    first_slot : int
        Number of slot 0 among all slots of the accelerator; writes to slots of other arrays are ignored.

    Members
    -------
    activation_writes : Array of In(stream(payloads.activation_write), always ready), `TURNS` of them
        Stream i writes to the slots with number % TURNS == i.
    weight_writes : In(stream(payloads.weight_write), always ready)
        Both fill the buffers; must not touch rows of jobs that have not ``finished``.
    jobs : In(stream(payloads.job))
    psums : Out(stream(payloads.psums))
        Output pixels in raster order, jobs in order; lanes x signed(acc_bits).
    ops : Out(range(slots + 1))
        Slots that multiply (each with all lanes); one cycle before the multiplication.
    blocked : Out(1)
        The array has a finished pixel and no room for it.
    finished : Out(1)
        A job's operands have all been read.

    Latency: from a job to its first psum at least the feeder's and the MAC array's `LATENCY` and 1 cycle of queue.
    Initiation interval: see the feeders. Reset: idle, queue empty, buffers keep their content.
    """

    def __init__(self, config: Config, kind: PeKind, first_slot: int = 0):
        self._config = config
        self._kind = PeKind(kind)
        self._first_slot = first_slot
        slots = config.slots
        activation_writes = stream.Signature(payloads.activation_write(config), always_ready=True)
        super().__init__(
            {
                "activation_writes": In(activation_writes).array(TURNS),
                "weight_writes": In(stream.Signature(payloads.weight_write(config), always_ready=True)),
                "jobs": In(stream.Signature(payloads.job(config))),
                "psums": Out(stream.Signature(payloads.psums(config))),
                "ops": Out(range(slots + 1)),
                "blocked": Out(1),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        feeder_class = DenseFeeder if self._kind is PeKind.DENSE else SparseFeeder
        m.submodules.feeder = feeder = feeder_class(config)
        m.submodules.mac = mac = MacArray(config)
        wiring.connect(m, wiring.flipped(self.jobs), feeder.jobs)
        m.d.comb += [
            self.ops.eq(feeder.ops),
            self.blocked.eq(feeder.blocked),
            self.finished.eq(feeder.finished),
            mac.step.eq(feeder.step),
            mac.last.eq(feeder.last),
            mac.shift.eq(feeder.shift),
            mac.acts.eq(feeder.acts),
        ]

        for slot in range(config.slots):
            number = self._first_slot + slot
            acts = memory.Memory(shape=payloads.activation_word(), depth=config.act_rows, init=[])
            m.submodules[f"acts_{slot}"] = acts
            write = acts.write_port()
            writes = self.activation_writes[number % TURNS]
            read = acts.read_port()
            m.d.comb += [
                write.addr.eq(writes.payload.row),
                write.data.eq(writes.payload.word),
                write.en.eq(writes.valid & (writes.payload.slot == number)),
                read.addr.eq(feeder.act_rows[slot]),
                read.en.eq(feeder.act_reads[slot]),
                feeder.act_words[slot].eq(read.data),
            ]
            weights = memory.Memory(shape=payloads.weight_row(config), depth=2 * config.weight_rows, init=[])
            m.submodules[f"weights_{slot}"] = weights
            write = weights.write_port()
            read = weights.read_port()
            m.d.comb += [
                write.addr.eq(self.weight_writes.payload.row),
                write.data.eq(self.weight_writes.payload.weights),
                write.en.eq(self.weight_writes.valid & (self.weight_writes.payload.slot == number)),
                read.addr.eq(feeder.weight_rows[slot]),
                read.en.eq(feeder.weight_reads[slot]),
                mac.weights[slot].eq(read.data),
            ]

        # The MAC pipeline does not stall: a place in the queue is taken when the feeder closes a pixel.
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=payloads.psums(config).size, depth=config.psum_depth)
        places = Signal(range(config.psum_depth + 1))
        m.d.sync += [
            places.eq(places + feeder.closes - (self.psums.valid & self.psums.ready)),
            feeder.room.eq(places < config.psum_depth - 1),  # one more may be taken meanwhile
        ]
        m.d.comb += [
            queue.w_en.eq(mac.psums_valid),
            queue.w_data.eq(mac.psums.as_value()),
            self.psums.payload.eq(queue.r_data),
            self.psums.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.psums.ready),
        ]
        return m
