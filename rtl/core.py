"""The core: everything between the registers and the memory port."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from . import layer_settings, payloads
from .address_generator import AddressGenerator
from .config import Config
from .descriptor_reader import DescriptorReader
from .job_scheduler import JobScheduler
from .layer_settings import pool_depth
from .layer_setup import LayerSetup, sizes
from .load_scheduler import LoadScheduler
from .loader import Loader
from .map_engine import MapEngine
from .normaliser import Normaliser
from .output_path import OutputPath
from .pe_array import PeArray, PeKind
from .psum_join import PsumJoin
from .run_counters import CAUSES
from .sequencer import Sequencer
from .sparsity_detector import SparsityDetector
from .table_reader import TableReader
from .table_update import TableUpdate, update_settings
from .table_writer import TableWriter


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


def running_layer(config: Config) -> data.Layout:
    """What the parts that compute keep about their layer while the next one is being prepared."""
    depth = payloads.bits_for(config.max_depth)
    return data.StructLayout(
        {
            "job": payloads.job(config),
            "sizes": sizes(config),
            "images": payloads.bits_for(config.max_images),
            "buffer_images": payloads.bits_for(config.max_images),
            "image_weights": 1,
            "dense_low": depth,
            "dense_high": depth,
            "sparse_low": depth,
            "sparse_high": depth,
            "update": 1,
            "updates": update_settings(config),
            "outputs": payloads.output_settings(config),
            "map": payloads.map_settings(config),
            "normalise": payloads.normalise_mode(),
        }
    )


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
        m.submodules.jobs = jobs = JobScheduler(config)
        m.submodules.join = join = PsumJoin(config, config.arrays)
        m.submodules.outputs = outputs = OutputPath(config)
        m.submodules.map = mapper = MapEngine(config)
        m.submodules.detector = detector = SparsityDetector(config)
        m.submodules.update = update = TableUpdate(config)
        m.submodules.table_writer = table_writer = TableWriter(config)
        kinds = [PeKind.DENSE] * config.dense_arrays + [PeKind.SPARSE] * config.sparse_arrays
        arrays = [PeArray(config, kind, number * config.slots) for number, kind in enumerate(kinds)]
        for number, (kind, array) in enumerate(zip(kinds, arrays, strict=True)):
            m.submodules[f"{kind.name.lower()}_array_{number}"] = array

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
        wiring.connect(m, table_writer.writes, wiring.flipped(self.writes[Writer.TABLES]))

        layer = descriptors.descriptor
        run, begin = self._running_layer(m, layer, setup.sizes, sequencer, loads, table_reader, update)
        self._preparation(m, layer, sequencer, descriptors, setup, table_reader, loads, addresses, loader, jobs, update)
        self._normalising(m, layer, setup.sizes, run, sequencer, normaliser, loader, mapper)
        parts = (sequencer, loader, jobs, detector, update, table_writer, table_reader, addresses)
        self._tables(m, layer, setup.sizes, run, begin, parts)

        # Jobs.
        m.d.comb += [
            jobs.start.eq(begin & ~run.outputs.map),
            jobs.template.eq(run.job),
            jobs.tiles.eq(run.sizes.tiles),
            jobs.item_rows.eq(run.sizes.item_rows),
            jobs.acts_issued.eq(loads.acts_issued),
            jobs.weights_issued.eq(loads.weights_issued),
            jobs.acts_loaded.eq(loader.acts_loaded & ~sequencer.scanning),
            jobs.weights_loaded.eq(loader.weights_loaded),
            jobs.array_finished.eq(Cat(array.finished for array in arrays)),
            loads.act_free.eq(jobs.act_free),
            loads.act_low.eq(jobs.act_low),
            loads.weight_free.eq(jobs.weight_free),
        ]
        for name in (
            "images",
            "buffer_images",
            "image_weights",
            "dense_low",
            "dense_high",
            "sparse_low",
            "sparse_high",
        ):
            m.d.comb += getattr(jobs, name).eq(run[name])
        for number, array in enumerate(arrays):
            wiring.connect(m, jobs.jobs[number], array.jobs)
            wiring.connect(m, array.psums, join.array_psums[number])
            for name in ("activation_writes", "weight_writes"):
                source, sink = getattr(loader, name), getattr(array, name)
                m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload)]
            m.d.comb += self.ops[number].eq(array.ops)

        # Outputs.
        wiring.connect(m, join.psums, outputs.psums)
        wiring.connect(m, mapper.words, outputs.map_words)
        wiring.connect(m, loader.param_writes, outputs.param_writes)
        m.d.comb += [outputs.settings.eq(run.outputs), outputs.start.eq(begin)]
        m.d.comb += [mapper.settings.eq(run.map), mapper.start.eq(begin & run.outputs.map)]

        # Completion, and what the cycles are charged to.
        computed = Signal()
        m.d.comb += [
            computed.eq(jobs.finished & ~mapper.running & ~begin),
            sequencer.complete.eq(computed & outputs.finished & update.idle & ~run.update & self.writes_idle),
            self.blocked.eq(Cat(array.blocked for array in arrays).any()),
            self.running.eq(jobs.running),
            self.resting.eq(sequencer.waiting & ~jobs.loading & addresses.commands.ready),
            self.waits_weights.eq(jobs.waits_weights | (sequencer.waiting & ~self.resting)),
            self.waits_acts.eq(jobs.waits_acts),
            self.mapping.eq(mapper.running),
            self.draining.eq(computed & ~(outputs.finished & self.writes_idle)),
            self.detecting.eq(sequencer.scanning | ~update.idle),
        ]
        return m

    def _running_layer(self, m, layer, layer_sizes, sequencer, loads, table_reader, update):
        """Registers of the layer that computes; (registers, 1 in the first cycle in which they hold a new layer)."""
        config = self._config
        taken = Signal(running_layer(config))
        run = Signal(running_layer(config))
        begin = Signal()
        dense_low = Mux(sequencer.tables_sorted, update.dense_low, table_reader.dense_low)
        dense_high = Mux(sequencer.tables_sorted, update.dense_high, table_reader.dense_high)
        layer_settings.connect_job(m, taken.job, layer, layer_sizes)
        layer_settings.connect_update(m, config, taken.updates, layer, layer_sizes)
        layer_settings.connect_outputs(m, config, taken.outputs, layer, layer_sizes, loads.param_half)
        layer_settings.connect_map(m, config, taken.map, layer, layer_sizes)
        layer_settings.connect_normalise(m, taken.normalise, layer, layer_sizes)
        m.d.comb += [
            taken.sizes.eq(layer_sizes),
            taken.images.eq(layer.images),
            taken.buffer_images.eq(layer.buffers.images),
            taken.image_weights.eq(layer.mode.image_weights),
            taken.update.eq(layer.mode.update & self.renew & sequencer.run_start),
        ]
        for name, dense in (("low", dense_low), ("high", dense_high)):
            sparse = Signal.like(
                layer.channels[: payloads.bits_for(config.max_channels)], name=f"sparse_channels_{name}"
            )
            m.d.comb += [
                sparse.eq(layer.channels - dense),
                taken[f"dense_{name}"].eq(pool_depth(dense, config.dense_slots, config.max_channels)),
                taken[f"sparse_{name}"].eq(pool_depth(sparse, config.sparse_slots, config.max_channels)),
            ]
        m.d.sync += begin.eq(sequencer.run_start | sequencer.map_start)
        with m.If(sequencer.run_start | sequencer.map_start):
            m.d.sync += run.eq(taken)
        with m.If(sequencer.run_start):
            m.d.comb += self.added_dense_channels.eq(dense_low + Mux(layer.mode.two_planes, dense_high, 0))
        return run, begin

    def _preparation(
        self, m, layer, sequencer, descriptors, setup, table_reader, loads, addresses, loader, jobs, update
    ):
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
            sequencer.load_finished.eq(loads.finished & ~jobs.loading),
            loader.int16_acts.eq(layer.mode.int16_acts),
            addresses.layer.dense_low.eq(Mux(sequencer.tables_sorted, update.dense_low, table_reader.dense_low)),
            addresses.layer.dense_high.eq(Mux(sequencer.tables_sorted, update.dense_high, table_reader.dense_high)),
        ]
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
        m.d.comb += [
            normaliser.mode.eq(Mux(mapper.running, run.normalise.as_value(), loading.as_value())),
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

    def _tables(self, m, layer, layer_sizes, run, begin, parts):
        """Counting, sorting, and where the sorted table goes: to the address generator or to memory."""
        config = self._config
        sequencer, loader, jobs, detector, update, writer, reader, addresses = parts
        wiring.connect(m, loader.counted_words, detector.words)
        wiring.connect(m, update.sorts, detector.commands)
        wiring.connect(m, detector.labels, update.labels)

        scanned = Signal.like(layer_sizes.all_pixels)  # images of a scan that were counted
        with m.If(sequencer.load_scan):
            m.d.sync += scanned.eq(0)
        with m.Elif(loader.acts_loaded):
            m.d.sync += scanned.eq(scanned + 1)
        m.d.comb += [
            sequencer.scan_complete.eq(scanned == layer.images),
            sequencer.update_idle.eq(update.idle),
        ]

        # After a run the sort goes on beside the computation; before one it is waited for.
        counted = Signal()
        m.d.comb += [
            counted.eq(run.update & jobs.acts_complete & ~begin),
            update.policy.eq(self.policy),
            update.start.eq(counted | sequencer.scan_sort),
            update.store.eq(counted),
        ]
        with m.If(counted):
            m.d.sync += run.update.eq(0)
        scan_settings = Signal(update_settings(config))
        layer_settings.connect_update(m, config, scan_settings, layer, layer_sizes)
        scanning = Signal()
        with m.If(sequencer.scan_sort):
            m.d.sync += scanning.eq(1)
        with m.Elif(counted):
            m.d.sync += scanning.eq(0)
        m.d.comb += update.settings.eq(
            Mux(scanning | sequencer.scan_sort, scan_settings.as_value(), run.updates.as_value())
        )

        entries = detector.table_writes
        m.d.comb += [
            writer.table_writes.valid.eq(entries.valid & update.storing),
            writer.table_writes.payload.eq(entries.payload),
            addresses.table_writes.valid.eq(reader.table_writes.valid | (entries.valid & ~update.storing)),
            addresses.table_writes.payload.eq(
                Mux(reader.table_writes.valid, reader.table_writes.payload, entries.payload)
            ),
            writer.channels.eq(run.updates.channels),
            writer.dense_channels.eq(update.write_dense),
            writer.base.eq(update.write_base),
            writer.start.eq(update.write_start),
            update.write_finished.eq(writer.finished),
        ]
        stored = Signal()
        m.d.sync += stored.eq(update.idle)
        with m.If(update.idle & ~stored & update.storing):
            m.d.comb += self.added_nonzeros.eq(update.nonzeros)
