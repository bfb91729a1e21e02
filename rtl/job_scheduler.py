"""Hands out the jobs of a layer and knows which buffer halves are in use."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .load_scheduler import RESIDENT_IMAGES


class JobScheduler(wiring.Component):
    """Gives every array the job (output tile, image) as soon as what it reads is loaded.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        A layer begins; all counters restart.
    tiles, images : In
    template : In(payloads.job)
        The job's fields that are the same for the whole layer; halves and ``channels`` are filled in here.
    dense_depth, sparse_depth : In
        Channels per slot of the dense and of the sparse arrays.
    acts_issued, weights_issued, acts_loaded, weights_loaded : In(1)
        A load was sent to the address generator, or has ended.
    array_finished : In(arrays)
        `finished` of each array.
    jobs : Array of Out(stream(payloads.job)), one per array, dense arrays first
    act_free, weight_free : Out(1)
        A buffer half is free in every array.
    running : Out(1)
        Some array works on a job.
    waits_weights, waits_acts : Out(1)
        The next job waits for weights; has them and waits for activations.
    all_sent : Out(1)
        Every array has got its last job.
    finished : Out(1)
        All jobs of the layer are finished; 1 until ``start``.

    Latency: 1 cycle from the end of a load to the job. Reset: finished.
    """

    def __init__(self, config: Config):
        self._config = config
        depth = payloads.bits_for(config.slot_channels)
        super().__init__(
            {
                "start": In(1),
                "tiles": In(payloads.bits_for(config.max_tiles)),
                "images": In(payloads.bits_for(config.max_images)),
                "template": In(payloads.job(config)),
                "dense_depth": In(depth),
                "sparse_depth": In(depth),
                "acts_issued": In(1),
                "weights_issued": In(1),
                "acts_loaded": In(1),
                "weights_loaded": In(1),
                "array_finished": In(config.arrays),
                "jobs": Out(stream.Signature(payloads.job(config))).array(config.arrays),
                "act_free": Out(1),
                "weight_free": Out(1),
                "running": Out(1),
                "waits_weights": Out(1),
                "waits_acts": Out(1),
                "all_sent": Out(1),
                "finished": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        arrays = config.arrays
        resident = Signal()
        m.d.comb += resident.eq(self.images <= RESIDENT_IMAGES)

        # The next job, and the loads that have ended.
        tile = Signal.like(self.tiles)
        image = Signal.like(self.images)
        item_bits = len(self.tiles) + len(self.images)
        item = Signal(item_bits)
        loaded_items = Signal(item_bits)
        loaded_tiles = Signal.like(self.tiles)
        pending = Signal()
        ready = Signal()
        m.d.comb += [
            pending.eq(tile != self.tiles),
            self.all_sent.eq(~pending),
            self.waits_weights.eq(pending & (loaded_tiles <= tile)),
            self.waits_acts.eq(pending & ~self.waits_weights & (loaded_items <= Mux(resident, image, item))),
            ready.eq(pending & ~self.waits_weights & ~self.waits_acts),
        ]
        with m.If(self.acts_loaded):
            m.d.sync += loaded_items.eq(loaded_items + 1)
        with m.If(self.weights_loaded):
            m.d.sync += loaded_tiles.eq(loaded_tiles + 1)

        # A job goes to every array; arrays that were free earlier have it already.
        sent = Signal(arrays)
        sending = Signal(arrays)
        for number, jobs in enumerate(self.jobs):
            depth = self.dense_depth if number < config.dense_arrays else self.sparse_depth
            m.d.comb += [
                jobs.payload.eq(self.template),
                jobs.payload.channels.eq(depth),
                jobs.payload.act_half.eq(Mux(resident, image[0], item[0])),
                jobs.payload.weight_half.eq(tile[0]),
                jobs.valid.eq(ready & ~sent[number]),
                sending[number].eq(jobs.valid & jobs.ready),
            ]
        with m.If((sent | sending).all()):
            m.d.sync += [sent.eq(0), item.eq(item + 1)]
            with m.If(image == self.images - 1):
                m.d.sync += [image.eq(0), tile.eq(tile + 1)]
            with m.Else():
                m.d.sync += image.eq(image + 1)
        with m.Else():
            m.d.sync += sent.eq(sent | sending)

        # Per array: loads and jobs that it has not finished.
        working = Signal(arrays)
        act_halves_free = Signal(arrays)
        weight_halves_free = Signal(arrays)
        for number in range(arrays):
            finished = self.array_finished[number]
            acts = Signal(range(4), name=f"acts_in_use_{number}")  # means nothing while images are resident
            weights = Signal(range(4), name=f"weights_in_use_{number}")
            own_image = Signal.like(self.images, name=f"image_{number}")
            tile_finished = Signal(name=f"tile_finished_{number}")
            m.d.comb += [
                tile_finished.eq(finished & (own_image == self.images - 1)),
                act_halves_free[number].eq(acts < 2),
                weight_halves_free[number].eq(weights < 2),
            ]
            m.d.sync += [
                acts.eq(acts + self.acts_issued - finished),
                weights.eq(weights + self.weights_issued - tile_finished),
            ]
            with m.If(finished):
                m.d.sync += own_image.eq(Mux(tile_finished, 0, own_image + 1))
            with m.If(sending[number]):
                m.d.sync += working[number].eq(1)
            with m.Elif(finished):
                m.d.sync += working[number].eq(0)
            with m.If(self.start):
                m.d.sync += [acts.eq(0), weights.eq(0), own_image.eq(0)]
        m.d.comb += [
            self.act_free.eq(resident | act_halves_free.all()),
            self.weight_free.eq(weight_halves_free.all()),
            self.running.eq(working.any()),
        ]

        with m.If(self.start):
            m.d.sync += [tile.eq(0), image.eq(0), item.eq(0), loaded_items.eq(0), loaded_tiles.eq(0), sent.eq(0)]
            m.d.sync += self.finished.eq(0)
        with m.Elif(~pending & ~working.any()):
            m.d.sync += self.finished.eq(1)
        return m
