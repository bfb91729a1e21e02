"""The core: everything between the registers and the memory port."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from . import layer_settings, payloads
from .address_generator import AddressGenerator
from .compute import Compute
from .config import Config
from .descriptor_reader import DescriptorReader
from .layer_setup import LayerSetup
from .load_scheduler import LoadScheduler
from .loader import Loader
from .map_engine import MapEngine
from .normaliser import Normaliser
from .output_path import OutputPath
from .run_counters import CAUSES
from .running_layer import RunningLayer
from .sequencer import Sequencer
from .table_control import TableControl
from .table_reader import TableReader


class Reader(enum.IntEnum):
    """Clients that read memory, in the order of their priority."""

    DESCRIPTORS = 0
    RESIDUAL = 1
    MAP = 2
    LOADER = 3


class Writer(enum.IntEnum):
    """Clients that write memory, likewise."""

    OUTPUT = 0
    TABLES = 1


class Core(wiring.Component):
    """Runs a program; docs/architecture.md is the specification.

    Parameters
    ----------
    config : Config

    Members
    -------
    start, base : In(1), In(ADDRESS_BITS)
        Run the program at ``base`` (memory words).
    resume, pause, renew : In(1)
        See `Sequencer`; ``renew``: layers that ask for it sort their channels.
    policy : In(payloads.PolicyShape)
    reads, answers : arrays of streams, one per `Reader`
    writes : array of streams, one per `Writer`
    writes_idle : In(1)
        Every write has reached the memory.
    waiting, finished, status, tag : Out
        `Sequencer`.
    resting : Out(1)
        The program waits for the host and nothing is being loaded for what comes next.
    ops, CAUSES, added_dense_channels, added_nonzeros : Out
        For `RunCounters`.

    Reset: idle; buffers and channel table keep their content.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(payloads.ADDRESS_BITS),
                "resume": In(1),
                "pause": In(1),
                "renew": In(1),
                "policy": In(payloads.PolicyShape),
                "reads": Out(stream.Signature(payloads.ADDRESS_BITS)).array(len(Reader)),
                "answers": In(stream.Signature(config.bus_bits)).array(len(Reader)),
                "writes": Out(stream.Signature(payloads.memory_write(config))).array(len(Writer)),
                "writes_idle": In(1),
                "waiting": Out(1),
                "resting": Out(1),
                "finished": Out(1),
                "status": Out(8),
                "tag": Out(16),
                "ops": Out(data.ArrayLayout(range(config.slots + 1), config.arrays)),
                "added_dense_channels": Out(32),
                "added_nonzeros": Out(32),
            }
            | {name: Out(1) for name in CAUSES}
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.descriptors = descriptors = DescriptorReader(config)
        m.submodules.setup = setup = LayerSetup(config)
        m.submodules.table_reader = table_reader = TableReader(config)
        m.submodules.loads = loads = LoadScheduler(config)
        m.submodules.addresses = addresses = AddressGenerator(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.normaliser = normaliser = Normaliser(config)
        m.submodules.compute = compute = Compute(config)
        m.submodules.outputs = outputs = OutputPath(config)
        m.submodules.map = mapper = MapEngine(config)
        m.submodules.tables = tables = TableControl(config)
        m.submodules.running_layer = running = RunningLayer(config)

        clients = {
            Reader.DESCRIPTORS: (descriptors.reads, descriptors.answers),
            Reader.RESIDUAL: (outputs.residual_reads, outputs.residual_answers),
            Reader.MAP: (mapper.reads, mapper.answers),
            Reader.LOADER: (loader.reads, loader.answers),
        }
        for number, (reads, answers) in clients.items():
            wiring.connect(m, reads, wiring.flipped(self.reads[number]))
            wiring.connect(m, wiring.flipped(self.answers[number]), answers)
        wiring.connect(m, outputs.writes, wiring.flipped(self.writes[Writer.OUTPUT]))
        wiring.connect(m, tables.writes, wiring.flipped(self.writes[Writer.TABLES]))

        layer = descriptors.descriptor
        run, begin = running.layer, running.begin
        self._preparation(m, layer, sequencer, descriptors, setup, table_reader, loads, addresses, loader, compute)
        self._labels(m, layer, sequencer, table_reader, addresses, tables, running)
        self._counting(m, layer, setup.sizes, sequencer, loader, compute, tables, running)
        self._normalising(m, layer, setup.sizes, run, sequencer, normaliser, loader, mapper)
        m.d.comb += [
            running.descriptor.eq(layer),
            running.sizes.eq(setup.sizes),
            running.param_half.eq(loads.param_half),
            running.renew.eq(self.renew),
            running.run_start.eq(sequencer.run_start),
            running.map_start.eq(sequencer.map_start),
        ]

        # Jobs.
        for source, sink in zip(loader.activation_writes, compute.activation_writes, strict=True):
            wiring.connect(m, source, sink)
        wiring.connect(m, loader.weight_writes, compute.weight_writes)
        m.d.comb += [
            compute.start.eq(begin & ~run.outputs.map),
            compute.layer.eq(run),
            compute.acts_issued.eq(loads.acts_issued),
            compute.weights_issued.eq(loads.weights_issued),
            compute.acts_loaded.eq(loader.acts_loaded & ~sequencer.scanning),
            compute.weights_loaded.eq(loader.weights_loaded),
            loads.act_free.eq(compute.act_free),
            loads.act_low.eq(compute.act_low),
            loads.weight_free.eq(compute.weight_free),
            self.ops.eq(compute.ops),
        ]

        # Outputs.
        wiring.connect(m, compute.psums, outputs.psums)
        wiring.connect(m, mapper.words, outputs.map_words)
        wiring.connect(m, loader.param_writes, outputs.param_writes)
        m.d.comb += [outputs.settings.eq(run.outputs), outputs.start.eq(begin)]
        m.d.comb += [mapper.settings.eq(run.map), mapper.start.eq(begin & run.outputs.map)]

        # Completion, and what the cycles are charged to.
        computed = Signal()
        m.d.sync += sequencer.complete.eq(computed & outputs.finished & tables.stored & self.writes_idle)
        m.d.comb += [
            computed.eq(compute.finished & ~mapper.running & ~begin),
            self.blocked.eq(compute.blocked),
            self.running.eq(compute.running),
            self.resting.eq(sequencer.waiting & ~compute.loading & addresses.commands.ready),
            self.waits_weights.eq(compute.waits_weights | (sequencer.waiting & ~self.resting)),
            self.waits_acts.eq(compute.waits_acts),
            self.mapping.eq(mapper.running),
            self.draining.eq(computed & ~(outputs.finished & self.writes_idle)),
            self.detecting.eq(sequencer.scanning | ~tables.idle),
        ]
        return m

    def _preparation(self, m, layer, sequencer, descriptors, setup, table_reader, loads, addresses, loader, compute):
        """From the descriptor to the first weights."""
        config = self._config
        wiring.connect(m, addresses.requests, loader.requests)
        wiring.connect(m, loader.table_words, table_reader.words)
        layer_settings.connect_addresses(m, config, addresses.layer, layer, setup.sizes)
        layer_settings.connect_loads(m, config, loads.settings, layer, setup.sizes, self.renew)
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.base.eq(self.base),
            sequencer.resume.eq(self.resume),
            sequencer.pause.eq(self.pause),
            self.waiting.eq(sequencer.waiting),
            self.finished.eq(sequencer.finished),
            self.status.eq(sequencer.status),
            self.tag.eq(sequencer.tag),
            descriptors.start.eq(sequencer.fetch),
            descriptors.address.eq(sequencer.fetch_address),
            sequencer.fetched.eq(descriptors.done),
            sequencer.descriptor.eq(layer),
            setup.descriptor.eq(layer),
            setup.reserved.eq(descriptors.reserved),
            setup.start.eq(sequencer.setup_start),
            sequencer.setup_done.eq(setup.done),
            sequencer.setup_status.eq(setup.status),
            table_reader.channels.eq(layer.channels),
            table_reader.slot_channels.eq(layer.buffers.slot_channels),
            table_reader.two_planes.eq(layer.mode.two_planes),
            table_reader.start.eq(sequencer.table_start),
            sequencer.table_finished.eq(table_reader.finished),
            sequencer.table_bad.eq(table_reader.bad),
            loads.start.eq(sequencer.load_start),
            loads.scan.eq(sequencer.load_scan),
            loads.go.eq(sequencer.load_go),
            loader.int16_acts.eq(layer.mode.int16_acts),
        ]
        m.d.sync += sequencer.load_finished.eq(loads.finished & ~compute.loading)
        commands = addresses.commands
        m.d.comb += [
            commands.valid.eq(loads.commands.valid | sequencer.commands.valid),
            commands.payload.eq(Mux(sequencer.commands.valid, sequencer.commands.payload, loads.commands.payload)),
            loads.commands.ready.eq(commands.ready),
            sequencer.commands.ready.eq(commands.ready),
        ]

    def _normalising(self, m, layer, layer_sizes, run, sequencer, normaliser, loader, mapper):
        """The normaliser serves the loader, or a MAP: never both, since a MAP runs alone.

        A MAP runs while the next layer is being prepared, but a layer's activations are loaded before that.
        """
        loading = Signal(payloads.normalise_mode())
        layer_settings.connect_normalise(m, loading, layer, layer_sizes)
        m.d.sync += normaliser.mode.eq(Mux(mapper.running, run.normalise.as_value(), loading.as_value()))
        m.d.comb += [
            normaliser.constant_writes.valid.eq(loader.constant_writes.valid),
            normaliser.constant_writes.payload.eq(loader.constant_writes.payload),
            normaliser.words.valid.eq(loader.pixels.valid | mapper.pixels.valid),
            normaliser.words.payload.eq(Mux(mapper.running, mapper.pixels.payload, loader.pixels.payload)),
            loader.pixels.ready.eq(normaliser.words.ready),
            mapper.pixels.ready.eq(normaliser.words.ready),
            loader.codes.valid.eq(normaliser.codes.valid & ~mapper.running),
            loader.codes.payload.eq(normaliser.codes.payload),
            mapper.codes.valid.eq(normaliser.codes.valid & mapper.running),
            mapper.codes.payload.eq(normaliser.codes.payload),
            normaliser.codes.ready.eq(Mux(mapper.running, mapper.codes.ready, loader.codes.ready)),
        ]
        constants = Signal.like(layer_sizes.constant_words)  # that have come of the sequencer's load
        with m.If(sequencer.commands.valid):
            m.d.sync += constants.eq(0)
        with m.Elif(loader.constant_writes.valid):
            m.d.sync += constants.eq(constants + 1)
        m.d.comb += sequencer.constants_loaded.eq(constants == layer_sizes.constant_words)

    def _labels(self, m, layer, sequencer, table_reader, addresses, tables, running):
        """The channel table and labels of the layer that is being prepared: from memory, or from its scan."""
        for name in ("dense_low", "dense_high"):
            dense = Mux(sequencer.tables_sorted, getattr(tables, name), getattr(table_reader, name))
            m.d.comb += [addresses.layer[name].eq(dense), getattr(running, name).eq(dense)]
        with m.If(sequencer.run_start):
            high = Mux(layer.mode.two_planes, running.dense_high, 0)
            m.d.comb += self.added_dense_channels.eq(running.dense_low + high)
        from_memory = table_reader.table_writes
        m.d.comb += [
            addresses.table_writes.valid.eq(from_memory.valid | tables.entries.valid),
            addresses.table_writes.payload.eq(Mux(from_memory.valid, from_memory.payload, tables.entries.payload)),
        ]

    def _counting(self, m, layer, layer_sizes, sequencer, loader, compute, tables, running):
        """Counts what is loaded; sorts the channels of a scan, and those of a run."""
        wiring.connect(m, loader.counted_words, tables.words)
        layer_settings.connect_update(m, self._config, tables.prepared, layer, layer_sizes)
        m.d.comb += [
            tables.policy.eq(self.policy),
            tables.running.eq(running.layer.updates),
            tables.scan_sort.eq(sequencer.scan_sort),
            tables.scan_start.eq(sequencer.load_scan),
            tables.acts_loaded.eq(loader.acts_loaded),
            tables.images.eq(layer.images),
            tables.begin.eq(running.begin),
            tables.update.eq(running.layer.update),
            tables.acts_complete.eq(compute.acts_complete),
            sequencer.scan_complete.eq(tables.scan_complete),
            sequencer.update_idle.eq(tables.idle),
            self.added_nonzeros.eq(tables.added_nonzeros),
        ]
