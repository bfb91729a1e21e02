"""The PE arrays with the scheduler of their jobs: from loaded operands to the sums of all arrays."""

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import TURNS, Config
from .job_scheduler import JobScheduler
from .pe_array import PeArray, PeKind
from .psum_join import PsumJoin
from .running_layer import running_layer

DEPTHS = ("dense_low", "dense_high", "sparse_low", "sparse_high")  #: channels per slot, by pool and plane
PASSED = ("act_free", "act_low", "weight_free", "running", "waits_weights", "waits_acts", "loading", "acts_complete",
          "finished")  # fmt: skip


class Compute(wiring.Component):
    """All arrays, dense ones first, work on the same job: an image through an output tile.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        A CONV begins: the first cycle of its settings.
    layer : In(running_layer)
    acts_issued, weights_issued, acts_loaded, weights_loaded : In(1)
        As for `JobScheduler`.
    activation_writes (`TURNS` of them), weight_writes : In(always ready streams)
        Into the buffers of the slot that they name; see `PeArray`.
    psums : Out(stream(payloads.psums))
        Sums over all arrays: tile by tile, image by image, pixels in raster order.
    act_free .. finished : Out(1)
        Those of `JobScheduler`.
    blocked : Out(1)
        An array has a finished pixel and no room for it.
    ops : Out(range(slots + 1)) for each array
        Slots that multiply.

    Latency: `JobScheduler`, `PeArray` and `PsumJoin`. Reset: idle; buffers keep their content.
    """

    def __init__(self, config: Config):
        self._config = config
        activation_writes = stream.Signature(payloads.activation_write(config), always_ready=True)
        super().__init__(
            {
                "start": In(1),
                "layer": In(running_layer(config)),
                "acts_issued": In(1),
                "weights_issued": In(1),
                "acts_loaded": In(1),
                "weights_loaded": In(1),
                "activation_writes": In(activation_writes).array(TURNS),
                "weight_writes": In(stream.Signature(payloads.weight_write(config), always_ready=True)),
                "psums": Out(stream.Signature(payloads.psums(config))),
                "blocked": Out(1),
                "ops": Out(data.ArrayLayout(range(config.slots + 1), config.arrays)),
            }
            | {name: Out(1) for name in PASSED}
        )

    def elaborate(self, platform):
        m = Module()
        config, layer = self._config, self.layer
        m.submodules.jobs = jobs = JobScheduler(config)
        m.submodules.join = join = PsumJoin(config, config.arrays)
        m.d.comb += [
            jobs.start.eq(self.start),
            jobs.template.eq(layer.job),
            jobs.tiles.eq(layer.sizes.tiles),
            jobs.item_rows.eq(layer.sizes.item_rows),
        ]
        for name in ("images", "buffer_images", "image_weights", *DEPTHS):
            m.d.comb += getattr(jobs, name).eq(layer[name])
        for name in ("acts_issued", "weights_issued", "acts_loaded", "weights_loaded"):
            m.d.comb += getattr(jobs, name).eq(getattr(self, name))
        for name in PASSED:
            m.d.comb += getattr(self, name).eq(getattr(jobs, name))

        arrays = []
        kinds = [PeKind.DENSE] * config.dense_arrays + [PeKind.SPARSE] * config.sparse_arrays
        for number, kind in enumerate(kinds):
            array = PeArray(config, kind, number * config.slots)
            m.submodules[f"{kind.name.lower()}_array_{number}"] = array
            arrays.append(array)
            wiring.connect(m, jobs.jobs[number], array.jobs)
            wiring.connect(m, array.psums, join.array_psums[number])
            sources = (*self.activation_writes, self.weight_writes)
            for source, sink in zip(sources, (*array.activation_writes, array.weight_writes), strict=True):
                m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload)]
            m.d.comb += self.ops[number].eq(array.ops)
        wiring.connect(m, join.psums, wiring.flipped(self.psums))
        m.d.comb += [
            jobs.array_finished.eq(Cat(array.finished for array in arrays)),
            self.blocked.eq(Cat(array.blocked for array in arrays).any()),
        ]
        return m
