"""The accelerator: one convolution layer from memory to memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .address_generator import AddressGenerator
from .config import WORD_NIBBLES, Config
from .job_scheduler import JobScheduler
from .layer_controller import LayerController
from .layer_setup import SETTINGS, LayerSetup, round_up
from .load_scheduler import LoadScheduler
from .loader import Loader
from .output_turn import OutputTurn
from .output_writer import OutputWriter
from .payloads import LoadKind
from .pe_array import PeArray, PeKind
from .post_processor import PostProcessor
from .psum_join import PsumJoin
from .register_file import ADDRESS_BITS, RegisterFile
from .run_counters import COUNTED, RunCounters
from .sparsity_detector import SparsityDetector
from .table_reader import TableReader
from .table_writer import TableWriter

LOADED_BASES = ("act_base", "weight_base", "param_base", "table_base")
ADDRESSED_SIZES = ("plane_words", "act_words", "tile_words", "weight_words", "param_words", "table_words")


class RegisterPort(wiring.Signature):
    """The host's access to the registers, seen from the host.

    ``address``: byte offset; ``write``: strobe with ``write_data``; ``read_data`` belongs to the address of the cycle
    before.
    """

    def __init__(self):
        super().__init__({"address": Out(ADDRESS_BITS), "write": Out(1), "write_data": Out(32), "read_data": In(32)})


class Accelerator(wiring.Component):
    """Runs one convolution layer of run-time shape; docs/architecture.md is the specification.

    Parameters
    ----------
    config : Config

    Members
    -------
    registers : In(RegisterPort)
        Map in registers.py. Writes are ignored while a layer runs.
    reads : Out(stream(unsigned(32)))
        Memory word addresses.
    answers : In(stream(bus_bits))
        The words read, in the order of the reads, any latency. After a reset, answers to earlier reads are dropped;
        start a layer only after the last of them.
    writes : Out(stream(payloads.memory_write))
    interrupt : Out(1)
        From the end of a layer to the next start.

    Reset: idle; registers at their reset values; buffers and channel table keep their content.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "reads": Out(stream.Signature(unsigned(32))),
                "answers": In(stream.Signature(config.bus_bits)),
                "writes": Out(stream.Signature(payloads.memory_write(config))),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.registers = registers = RegisterFile(config)
        m.submodules.setup = setup = LayerSetup(config)
        m.submodules.controller = controller = LayerController(config)
        m.submodules.detector = detector = SparsityDetector(config)
        m.submodules.table_reader = table_reader = TableReader(config)
        m.submodules.table_writer = table_writer = TableWriter(config)
        m.submodules.loads = loads = LoadScheduler(config)
        m.submodules.addresses = addresses = AddressGenerator(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.jobs = jobs = JobScheduler(config)
        m.submodules.join = join = PsumJoin(config, config.arrays)
        m.submodules.post = post = PostProcessor(config)
        m.submodules.turn = turn = OutputTurn(config)
        m.submodules.writer = writer = OutputWriter(config)
        m.submodules.counters = counters = RunCounters(config)
        kinds = [PeKind.DENSE] * config.dense_arrays + [PeKind.SPARSE] * config.sparse_arrays
        arrays = [PeArray(config, kind, number * config.slots) for number, kind in enumerate(kinds)]
        for number, (kind, array) in enumerate(zip(kinds, arrays, strict=True)):
            m.submodules[f"{kind.name.lower()}_array_{number}"] = array

        layer = setup.settings
        sizes = setup.sizes

        # Host side. What a register says is stable while a layer runs, because writes are ignored then.
        m.d.comb += [
            registers.address.eq(self.registers.address),
            registers.write.eq(self.registers.write & ~controller.busy),
            registers.write_data.eq(self.registers.write_data),
            self.registers.read_data.eq(registers.read_data),
            self.interrupt.eq(controller.done),
            registers.status.eq(Cat(controller.busy, controller.done, Const(0, 6), controller.status)),
            registers.dense_channels.eq(controller.dense_channels),
            registers.nonzeros.eq(controller.nonzeros),
        ]
        m.d.comb += [getattr(registers, name).eq(getattr(counters, name)) for name in COUNTED]

        # Set-up and control.
        m.d.comb += [getattr(setup, name).eq(getattr(registers, name)) for name in SETTINGS]
        m.d.comb += [
            setup.start.eq(controller.setup_start),
            controller.start.eq(registers.start),
            controller.scan.eq(layer.scan),
            controller.update.eq(layer.update),
            controller.channels.eq(layer.channels),
            controller.setup_done.eq(setup.done),
            controller.setup_status.eq(setup.status),
            controller.scan_loaded.eq(loader.scan_loaded),
            controller.all_sent.eq(jobs.all_sent & loads.finished),
            controller.jobs_finished.eq(jobs.finished),
            controller.outputs_finished.eq(writer.finished),
        ]

        # Channel table: sorted by the detector or read from memory, kept in the address generator, stored to memory.
        sort = detector.commands.payload
        m.d.comb += [
            detector.commands.valid.eq(controller.sorts),
            controller.sorts_ready.eq(detector.commands.ready),
            sort.channels.eq(layer.channels),
            sort.policy.eq(layer.policy),
            sort.sparse_count.eq(layer.sparse_count),
            sort.count_shift.eq(layer.count_shift),
            sort.pixels.eq(sizes.all_pixels),
            table_reader.channels.eq(layer.channels),
            table_reader.start.eq(controller.table_start),
            controller.table_finished.eq(table_reader.finished),
            controller.table_bad.eq(table_reader.bad),
            controller.table_dense_channels.eq(table_reader.dense_channels),
            addresses.table_writes.valid.eq(detector.table_writes.valid | table_reader.table_writes.valid),
            addresses.table_writes.payload.eq(
                Mux(detector.table_writes.valid, detector.table_writes.payload, table_reader.table_writes.payload)
            ),
            table_writer.channels.eq(layer.channels),
            table_writer.dense_channels.eq(controller.new_dense_channels),
            table_writer.base.eq(layer.table_base),
            table_writer.start.eq(controller.store_start),
            controller.store_finished.eq(table_writer.finished),
            addresses.table_position.eq(table_writer.position),
            table_writer.channel.eq(addresses.table_channel),
        ]
        wiring.connect(m, detector.labels, controller.labels)
        wiring.connect(m, loader.counted_words, detector.words)
        wiring.connect(m, loader.table_words, table_reader.words)

        # Loads: the controller's before a run, the scheduler's during it.
        addressed = addresses.layer
        commands = addresses.commands
        m.d.comb += [addressed[name].eq(layer[name]) for name in ("channels", "kernel3", *LOADED_BASES)]
        m.d.comb += [addressed[name].eq(sizes[name]) for name in ADDRESSED_SIZES]
        m.d.comb += [
            addressed.dense_channels.eq(controller.dense_channels),
            commands.valid.eq(loads.commands.valid | controller.commands.valid),
            commands.payload.eq(Mux(loads.commands.valid, loads.commands.payload, controller.commands.payload)),
            loads.commands.ready.eq(commands.ready),
            controller.commands.ready.eq(commands.ready),
            loads.start.eq(controller.run_start),
            loads.tiles.eq(sizes.tiles),
            loads.images.eq(layer.images),
            loads.raw.eq(layer.raw),
            loads.update.eq(layer.update),
            loads.act_free.eq(jobs.act_free),
            loads.weight_free.eq(jobs.weight_free),
        ]
        wiring.connect(m, addresses.requests, loader.requests)
        wiring.connect(m, loader.reads, wiring.flipped(self.reads))
        wiring.connect(m, wiring.flipped(self.answers), loader.answers)

        # Jobs.
        issued = Signal()
        m.d.comb += issued.eq(loads.commands.valid & commands.ready)

        def depth(channels, slots):
            """Channels per slot of a pool."""
            return round_up(channels, slots) if slots else 0

        m.d.comb += [jobs.template[name].eq(layer[name]) for name in ("height", "width", "kernel3", "signed_acts")]
        sparse_channels = Signal.like(controller.dense_channels)
        m.d.comb += [
            sparse_channels.eq(layer.channels - controller.dense_channels),
            jobs.start.eq(controller.run_start),
            jobs.tiles.eq(sizes.tiles),
            jobs.images.eq(layer.images),
            jobs.template.plane_rows.eq(sizes.plane_words * WORD_NIBBLES),
            jobs.dense_depth.eq(depth(controller.dense_channels, config.dense_slots)),
            jobs.sparse_depth.eq(depth(sparse_channels, config.sparse_slots)),
            jobs.acts_issued.eq(issued & (loads.commands.payload.kind == LoadKind.ACTS)),
            jobs.weights_issued.eq(issued & (loads.commands.payload.kind == LoadKind.WEIGHTS)),
            jobs.acts_loaded.eq(loader.acts_loaded),
            jobs.weights_loaded.eq(loader.weights_loaded),
            jobs.array_finished.eq(Cat(array.finished for array in arrays)),
        ]
        for number, array in enumerate(arrays):
            wiring.connect(m, jobs.jobs[number], array.jobs)
            wiring.connect(m, array.psums, join.array_psums[number])
            for name in ("activation_writes", "weight_writes"):
                source, sink = getattr(loader, name), getattr(array, name)
                m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload)]

        # Outputs, and the channel table after them.
        wiring.connect(m, join.psums, post.psums)
        wiring.connect(m, post.groups, turn.groups)
        wiring.connect(m, turn.words, writer.words)
        wiring.connect(m, loader.param_writes, post.param_writes)
        m.d.comb += [
            post.mode.shift.eq(layer.shift),
            post.mode.raw.eq(layer.raw),
            post.tile_pixels.eq(sizes.all_pixels),
            post.start.eq(controller.run_start),
            turn.raw.eq(layer.raw),
            turn.pixels.eq(sizes.pixels),
            turn.start.eq(controller.run_start),
            writer.base.eq(layer.out_base),
            writer.channel_words.eq(sizes.channel_words),
            writer.channels.eq(layer.out_channels),
            writer.start.eq(controller.run_start),
            self.writes.valid.eq(writer.writes.valid | table_writer.writes.valid),
            self.writes.payload.eq(Mux(writer.writes.valid, writer.writes.payload, table_writer.writes.payload)),
            writer.writes.ready.eq(self.writes.ready),
            table_writer.writes.ready.eq(self.writes.ready),
        ]

        # Counters.
        m.d.comb += [
            counters.clear.eq(controller.setup_start),
            counters.busy.eq(controller.busy),
            counters.blocked.eq(Cat(array.blocked for array in arrays).any()),
            counters.running.eq(jobs.running),
            counters.waits_weights.eq(controller.computing & jobs.waits_weights),
            counters.waits_acts.eq(controller.computing & jobs.waits_acts),
            counters.detecting.eq(controller.detecting),
            counters.draining.eq(controller.computing & jobs.all_sent),
            counters.read.eq(self.reads.valid & self.reads.ready),
            counters.write.eq(self.writes.valid & self.writes.ready),
        ]
        m.d.comb += [counters.ops[number].eq(array.ops) for number, array in enumerate(arrays)]
        return m
