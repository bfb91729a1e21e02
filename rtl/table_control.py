"""Counting, sorting and storing: the sparsity side of a layer."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .sparsity_detector import SparsityDetector
from .table_update import TableUpdate, update_settings
from .table_writer import TableWriter


class TableControl(wiring.Component):
    """The sparsity detector with what drives it and stores its tables.

    After a run the sort goes on beside the computation and its tables go to memory; before a run (`scan`) the table
    goes to the address generator.

    Parameters
    ----------
    config : Config

    Members
    -------
    words : In(stream(payloads.counted_word), always ready)
        Activations to count.
    policy : In(payloads.PolicyShape)
    prepared, running : In(update_settings)
        Of the layer that is being prepared, and of that which computes.
    scan_start, acts_loaded, images, scan_complete : In, In, In, Out
        A scan begins; an image has been loaded; so many make the scan complete.
    scan_sort : In(1)
        Sort for the address generator, by ``prepared``. Not while another sort goes on.
    begin, update, acts_complete, stored : In, In, In, Out
        A layer begins to compute; it renews its tables; all its activations have been counted, so that its channels can
        be sorted, by ``running``, and stored; that is done, or need not be.
    entries : Out(stream(payloads.table_write), always ready)
        For the address generator.
    dense_low, dense_high : Out
        Labels of the last sort.
    added_nonzeros : Out(32)
        Non-zeros of a stored layer in one cycle, otherwise 0.
    writes : Out(stream(payloads.memory_write))
    idle : Out(1)

    Latency: `SparsityDetector` and `TableWriter`. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        channels = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "words": In(stream.Signature(payloads.counted_word(config), always_ready=True)),
                "policy": In(payloads.PolicyShape),
                "prepared": In(update_settings(config)),
                "running": In(update_settings(config)),
                "scan_start": In(1),
                "acts_loaded": In(1),
                "images": In(payloads.bits_for(config.max_images)),
                "scan_complete": Out(1),
                "scan_sort": In(1),
                "begin": In(1),
                "update": In(1),
                "acts_complete": In(1),
                "stored": Out(1),
                "entries": Out(stream.Signature(payloads.table_write(config), always_ready=True)),
                "dense_low": Out(channels),
                "dense_high": Out(channels),
                "added_nonzeros": Out(32),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.detector = detector = SparsityDetector(self._config)
        m.submodules.update = update = TableUpdate(self._config)
        m.submodules.writer = writer = TableWriter(self._config)
        wiring.connect(m, wiring.flipped(self.words), detector.words)
        wiring.connect(m, update.sorts, detector.commands)
        wiring.connect(m, detector.labels, update.labels)
        wiring.connect(m, writer.writes, wiring.flipped(self.writes))

        scanned = Signal.like(self.images)
        m.d.comb += self.scan_complete.eq(scanned == self.images)
        with m.If(self.scan_start):
            m.d.sync += scanned.eq(0)
        with m.Elif(self.acts_loaded):
            m.d.sync += scanned.eq(scanned + 1)

        begun = Signal()  # the sort of the running layer
        store_sort = Signal()
        m.d.comb += [
            store_sort.eq(self.update & ~begun & self.acts_complete & ~self.begin),
            self.stored.eq((~self.update | begun) & update.idle),
        ]
        with m.If(self.begin):
            m.d.sync += begun.eq(0)
        with m.Elif(store_sort):
            m.d.sync += begun.eq(1)

        for_run = Signal()  # the sort that goes on is that of the running layer
        with m.If(self.scan_sort | store_sort):
            m.d.sync += for_run.eq(store_sort)
        start = Signal()
        m.d.sync += start.eq(self.scan_sort | store_sort)
        settings = Mux(for_run, self.running.as_value(), self.prepared.as_value())
        m.d.comb += [
            update.settings.eq(settings),
            update.policy.eq(self.policy),
            update.start.eq(start),
            update.store.eq(for_run),
            update.write_finished.eq(writer.finished),
            self.dense_low.eq(update.dense_low),
            self.dense_high.eq(update.dense_high),
            self.idle.eq(update.idle),
            writer.channels.eq(self.running.channels),
            writer.dense_channels.eq(update.write_dense),
            writer.base.eq(update.write_base),
            writer.start.eq(update.write_start),
            writer.table_writes.valid.eq(detector.table_writes.valid & update.storing),
            writer.table_writes.payload.eq(detector.table_writes.payload),
            self.entries.valid.eq(detector.table_writes.valid & ~update.storing),
            self.entries.payload.eq(detector.table_writes.payload),
        ]
        was_idle = Signal()
        m.d.sync += was_idle.eq(update.idle)
        with m.If(update.idle & ~was_idle & update.storing):
            m.d.comb += self.added_nonzeros.eq(update.nonzeros)
        return m
