"""The state machine that takes a program from its first descriptor to its end."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .descriptor import BYTES, Kind
from .descriptor_reader import descriptor_layout
from .payloads import LoadKind
from .registers import Status


class Sequencer(wiring.Component):
    """Fetches descriptors and starts their parts; the next layer is prepared while the one before still computes.

    Prepared means: descriptor fetched and checked, channel table, parameters and first weights loaded. Everything else
    waits until the layer before is complete in memory ("barrier").

    Parameters
    ----------
    config : Config

    Members
    -------
    start, base : In(1), In(ADDRESS_BITS)
        Run the program at ``base`` (memory words).
    resume, pause : In(1)
        The host lets a waiting program go on; wait after every descriptor.
    fetch, fetch_address, fetched, descriptor : Out, Out, In, In
        `DescriptorReader`.
    setup_start, setup_done, setup_status : Out, In, In
        `LayerSetup`.
    commands : Out(stream(payloads.load_command))
        The TABLE load and a MAP's CONSTANTS.
    constants_loaded : In(1)
        All normalisation constants of that load have come.
    table_start, table_finished, table_bad : Out, In, In
        `TableReader`.
    load_start, load_scan, load_go, load_finished : Out, Out, Out, In
        `LoadScheduler`; ``load_finished``: all of its loads have ended.
    scan_complete : In(1)
        The activations of all images of the scan have been counted.
    scan_sort : Out(1), update_idle : In(1)
        Sort before a layer; nothing is being sorted or stored.
    tables_sorted : Out(1)
        The layer runs with the table of its scan, not with that from memory.
    run_start : Out(1)
        The layer begins: its settings are taken over by the parts that compute.
    map_start : Out(1)
        Likewise for a MAP.
    complete : In(1)
        Jobs, outputs and table updates are finished and all writes have reached the memory.
    waiting : Out(1)
        The program waits for the host: a WAIT lies between what is complete and what comes next.
    finished, status : Out
        ``finished``: one-cycle pulse, ``status`` is valid then.
    tag : Out(16)
        Tag of the descriptor that is being prepared; while waiting, that of the WAIT.
    scanning : Out(1)
        Nothing but counting or sorting before a layer goes on.

    Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(payloads.ADDRESS_BITS),
                "resume": In(1),
                "pause": In(1),
                "fetch": Out(1),
                "fetch_address": Out(payloads.ADDRESS_BITS),
                "fetched": In(1),
                "descriptor": In(descriptor_layout()),
                "setup_start": Out(1),
                "setup_done": In(1),
                "setup_status": In(8),
                "commands": Out(stream.Signature(payloads.load_command(config))),
                "constants_loaded": In(1),
                "table_start": Out(1),
                "table_finished": In(1),
                "table_bad": In(1),
                "load_start": Out(1),
                "load_scan": Out(1),
                "load_go": Out(1),
                "load_finished": In(1),
                "scan_complete": In(1),
                "scan_sort": Out(1),
                "update_idle": In(1),
                "tables_sorted": Out(1),
                "run_start": Out(1),
                "map_start": Out(1),
                "complete": In(1),
                "waiting": Out(1),
                "finished": Out(1),
                "status": Out(8),
                "tag": Out(16),
                "scanning": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        control = self.descriptor.control
        mode = self.descriptor.mode
        commands = self.commands
        address = Signal(payloads.ADDRESS_BITS)
        failed = Signal(8)
        tag = Signal(16)
        m.d.comb += [self.fetch_address.eq(address), self.status.eq(failed)]

        # The barrier: what is behind it begins when everything before it is complete and the host has done its part.
        owed = Signal()  # the host has a part
        wait_tag = Signal(16)
        barrier = Signal()
        passed = Signal()
        m.d.comb += [
            passed.eq(barrier & self.complete & ~owed),
            self.waiting.eq(barrier & self.complete & owed),
            self.tag.eq(Mux(self.waiting, wait_tag, Mux(self.finished, control.tag, tag))),
        ]
        with m.If(self.waiting & self.resume):
            m.d.sync += owed.eq(0)

        def fail(status):
            """End the program once the layer before is complete."""
            m.d.sync += failed.eq(status)
            m.next = "END"

        def wait_for_host(then):
            """The next barrier needs the host."""
            m.d.sync += [owed.eq(1), wait_tag.eq(control.tag)]
            m.next = then

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [address.eq(self.base), failed.eq(Status.OK)]
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += self.fetch.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"):
                with m.If(self.fetched):
                    m.d.sync += [
                        address.eq(address + BYTES // self._config.bus_bytes),
                        self.tables_sorted.eq(0),
                    ]
                    with m.If(control.kind != Kind.END):  # until END is reached, what fails belongs to those before it
                        m.d.sync += tag.eq(control.tag)
                    with m.Switch(control.kind):
                        with m.Case(Kind.END):
                            m.next = "END"
                        with m.Case(Kind.WAIT):
                            m.next = "WAIT"
                        with m.Case(Kind.CONV, Kind.MAP):
                            m.next = "SETUP"
                        with m.Default():
                            fail(Status.BAD_DESCRIPTOR)
            with m.State("WAIT"):
                m.d.comb += barrier.eq(owed)  # one WAIT at a time
                with m.If(~owed):
                    wait_for_host("FETCH")
            with m.State("SETUP"):
                m.d.comb += self.setup_start.eq(1)
                m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(self.setup_done):
                    with m.If(self.setup_status != Status.OK):
                        fail(self.setup_status)
                    with m.Elif(control.kind == Kind.MAP):
                        m.next = "MAP"
                    with m.Elif(control.prefetch):
                        m.next = "TABLE"
                    with m.Else():
                        m.next = "BEFORE_TABLE"
            with m.State("BEFORE_TABLE"):
                m.d.comb += barrier.eq(1)
                with m.If(passed):
                    m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [commands.valid.eq(1), commands.payload.kind.eq(LoadKind.TABLE)]
                m.d.comb += self.table_start.eq(commands.ready)
                with m.If(commands.ready):
                    m.next = "READ_TABLE"
            with m.State("READ_TABLE"):
                with m.If(self.table_finished):
                    with m.If(self.table_bad):
                        fail(Status.BAD_TABLE)
                    with m.Elif(mode.scan):
                        m.next = "SCAN"
                    with m.Else():
                        m.next = "PREPARE"

            # Count all activations, sort, and only then load weights: they follow the table.
            with m.State("SCAN"):
                m.d.comb += barrier.eq(1)
                with m.If(passed):
                    m.d.comb += [self.load_start.eq(1), self.load_scan.eq(1)]
                    m.next = "SCANNING"
            with m.State("SCANNING"):
                m.d.comb += [self.scanning.eq(1), self.load_go.eq(1)]
                with m.If(self.load_finished & self.scan_complete):
                    m.d.comb += self.scan_sort.eq(1)
                    m.next = "SORTING"
            with m.State("SORTING"):
                m.d.comb += self.scanning.eq(1)
                with m.If(self.update_idle):
                    m.d.sync += self.tables_sorted.eq(1)
                    m.next = "PREPARE"

            with m.State("PREPARE"):
                m.d.comb += self.load_start.eq(1)
                m.next = "BARRIER"
            with m.State("BARRIER"):
                m.d.comb += barrier.eq(1)
                with m.If(passed):
                    m.d.comb += self.run_start.eq(1)
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += self.load_go.eq(1)
                with m.If(self.load_finished):
                    m.next = "NEXT"

            with m.State("MAP"):
                m.d.comb += barrier.eq(1)
                with m.If(passed):
                    with m.If(mode.codes):
                        m.next = "CONSTANTS"
                    with m.Else():
                        m.next = "START_MAP"
            with m.State("CONSTANTS"):
                m.d.comb += [commands.valid.eq(1), commands.payload.kind.eq(LoadKind.CONSTANTS)]
                with m.If(commands.ready):
                    m.next = "LOAD_CONSTANTS"
            with m.State("LOAD_CONSTANTS"):
                with m.If(self.constants_loaded):
                    m.next = "START_MAP"
            with m.State("START_MAP"):
                m.d.comb += self.map_start.eq(1)
                m.next = "NEXT"

            with m.State("NEXT"):
                m.next = "FETCH"
                with m.If(self.pause):
                    wait_for_host("PAUSE")
            with m.State("PAUSE"):
                m.d.comb += barrier.eq(1)
                with m.If(passed):
                    m.next = "FETCH"
            with m.State("END"):
                m.d.comb += barrier.eq(1)
                with m.If(passed & self.load_finished):
                    m.d.comb += self.finished.eq(1)
                    m.d.sync += tag.eq(control.tag)
                    m.next = "IDLE"
        return m
