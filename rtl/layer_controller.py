"""The state machine that takes one layer from start to end."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .payloads import LoadKind
from .registers import Status


class LayerController(wiring.Component):
    """Set-up, channel table, run, new channel table, end: see "A layer, start to end" in docs/architecture.md.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        Ignored while ``busy``.
    scan, update : In(1)
        Fields of the MODE register.
    channels : In(range(max_channels + 1))
    setup_start, setup_done, setup_status : Out, In, In
        `LayerSetup`.
    commands : Out(stream(payloads.load_command))
        The TABLE and SCAN loads.
    scan_loaded : In(1)
    table_start, table_finished, table_bad, table_dense_channels : Out, In, In, In
        `TableReader`.
    sorts : Out(1), sorts_ready : In(1), labels : In(stream(payloads.labels))
        `SparsityDetector`; the command's payload does not change during a layer.
    run_start : Out(1)
        The schedulers and the output path begin.
    all_sent, jobs_finished, outputs_finished : In(1)
        All jobs were handed out (so all loads have ended); all jobs are finished; all outputs are in memory.
    store_start, store_finished : Out, In
        `TableWriter`.
    dense_channels : Out
        Dense channels of the table that this layer runs with.
    new_dense_channels, nonzeros : Out
        Outcome of the last sort.
    busy, done, status, computing, detecting : Out
        ``computing``: loads, jobs and outputs of the layer go on; ``detecting``: nothing but scanning, sorting, reading
        or storing the table goes on.

    Latency: set-up and the channel table lie between ``start`` and ``run_start``. Reset: idle, not done.
    """

    def __init__(self, config: Config):
        self._config = config
        count = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "start": In(1),
                "scan": In(1),
                "update": In(1),
                "channels": In(count),
                "setup_start": Out(1),
                "setup_done": In(1),
                "setup_status": In(8),
                "commands": Out(stream.Signature(payloads.load_command(config))),
                "scan_loaded": In(1),
                "table_start": Out(1),
                "table_finished": In(1),
                "table_bad": In(1),
                "table_dense_channels": In(count),
                "sorts": Out(1),
                "sorts_ready": In(1),
                "labels": In(stream.Signature(payloads.labels(config))),
                "run_start": Out(1),
                "all_sent": In(1),
                "jobs_finished": In(1),
                "outputs_finished": In(1),
                "store_start": Out(1),
                "store_finished": In(1),
                "dense_channels": Out(count),
                "new_dense_channels": Out(count),
                "nonzeros": Out(32),
                "busy": Out(1),
                "computing": Out(1),
                "done": Out(1),
                "status": Out(8),
                "detecting": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        commands = self.commands

        # A table from memory may have been stored by a configuration with arrays of both kinds.
        stored_label = self.table_dense_channels
        if not config.dense_arrays:
            stored_label = 0
        elif not config.sparse_arrays:
            stored_label = self.channels

        drained = self.jobs_finished & self.outputs_finished
        m.d.comb += self.busy.eq(1)
        with m.If(self.labels.valid & self.labels.ready):
            m.d.sync += [
                self.new_dense_channels.eq(self.labels.payload.dense_channels),
                self.nonzeros.eq(self.labels.payload.nonzeros),
            ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), self.setup_start.eq(self.start)]
                with m.If(self.start):
                    m.d.sync += [self.done.eq(0), self.dense_channels.eq(0), self.nonzeros.eq(0)]
                    m.next = "SETUP"
            with m.State("SETUP"):
                with m.If(self.setup_done):
                    m.d.sync += self.status.eq(self.setup_status)
                    with m.If(self.setup_status != Status.OK):
                        m.next = "END"
                    with m.Else():
                        m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += [
                    self.detecting.eq(1),
                    commands.valid.eq(1),
                    commands.payload.kind.eq(Mux(self.scan, LoadKind.SCAN, LoadKind.TABLE)),
                ]
                with m.If(commands.ready):
                    with m.If(self.scan):
                        m.next = "SCAN"
                    with m.Else():
                        m.d.comb += self.table_start.eq(1)
                        m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += self.detecting.eq(1)
                with m.If(self.table_finished & self.table_bad):
                    m.d.sync += self.status.eq(Status.BAD_TABLE)
                    m.next = "END"
                with m.Elif(self.table_finished):
                    m.d.sync += self.dense_channels.eq(stored_label)
                    m.next = "START"
            with m.State("SCAN"):
                m.d.comb += self.detecting.eq(1)
                with m.If(self.scan_loaded):
                    m.next = "SORT_FIRST"
            with m.State("SORT_FIRST"):
                m.d.comb += [self.detecting.eq(1), self.sorts.eq(1)]
                with m.If(self.sorts_ready):
                    m.next = "LABEL_FIRST"
            with m.State("LABEL_FIRST"):
                m.d.comb += [self.detecting.eq(1), self.labels.ready.eq(1)]
                with m.If(self.labels.valid):
                    m.d.sync += self.dense_channels.eq(self.labels.payload.dense_channels)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += self.run_start.eq(1)
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.computing.eq(1)
                with m.If(self.all_sent):
                    with m.If(self.update):
                        m.next = "SORT"
                    with m.Else():
                        m.next = "DRAIN"
            # The next run's table: sorted while the last image is computed.
            with m.State("SORT"):
                m.d.comb += [self.computing.eq(1), self.detecting.eq(drained), self.sorts.eq(1)]
                with m.If(self.sorts_ready):
                    m.next = "LABEL"
            with m.State("LABEL"):
                m.d.comb += [self.computing.eq(1), self.detecting.eq(drained), self.labels.ready.eq(1)]
                with m.If(self.labels.valid):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += self.computing.eq(1)
                with m.If(drained):
                    with m.If(self.update):
                        m.d.comb += self.store_start.eq(1)
                        m.next = "STORE"
                    with m.Else():
                        m.next = "END"
            with m.State("STORE"):
                m.d.comb += self.detecting.eq(1)
                with m.If(self.store_finished):
                    m.next = "END"
            with m.State("END"):
                m.d.sync += self.done.eq(1)
                m.next = "IDLE"
        return m
