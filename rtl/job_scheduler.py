"""Hands out the jobs of a layer and knows which buffers are in use."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import Config
from .feeder import JOBS_AHEAD

IMAGES_AHEAD = 4  #: so many images loaded ahead keep the arrays busy while an output tile's weights are loaded


class JobScheduler(wiring.Component):
    """Gives every array the job (output tile, image) as soon as what it reads is loaded.

    Weights may be loaded for a layer that has not started yet, so their counters go on from layer to layer.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        A layer begins; the inputs below are constant until ``finished``.
    tiles, images, buffer_images, item_rows : In
        Output tiles; images; images in the activation buffers at a time, and the rows of each.
    image_weights : In(1)
        Every job has its own weights, not every tile.
    template : In(payloads.job)
        The job's fields that are the same for the whole layer; the channels, ``act_base`` and ``weight_half`` are
        filled in here.
    dense_low, dense_high, sparse_low, sparse_high : In
        Channels per slot of the dense and of the sparse arrays, by plane.
    acts_issued, weights_issued, acts_loaded, weights_loaded : In(1)
        A load was sent to the address generator, or has ended.
    array_finished : In(arrays)
        `finished` of each array.
    jobs : Array of Out(stream(payloads.job)), one per array, dense arrays first
    act_free, weight_free : Out(1)
        There is room for another image, a weight buffer half is free, in every array.
    act_low : Out(1)
        Fewer than `IMAGES_AHEAD` images are on their way or wait for their job.
    running : Out(1)
        Some array works on a job.
    waits_weights, waits_acts : Out(1)
        The next job waits for weights; has them and waits for activations.
    loading : Out(1)
        A load of this layer that was sent to the address generator has not ended.
    acts_complete : Out(1)
        The activations of all images were loaded at least once since ``start``.
    finished : Out(1)
        All jobs of the layer are finished; 1 until ``start``.

    Latency: from the end of a load to the job 1 cycle for weights, 2 for activations; a job every second cycle at most.
    Reset: finished.
    """

    def __init__(self, config: Config):
        self._config = config
        depth = payloads.bits_for(config.max_depth)
        images = payloads.bits_for(config.max_images)
        super().__init__(
            {
                "start": In(1),
                "tiles": In(payloads.bits_for(2 * config.max_tiles)),
                "images": In(images),
                "buffer_images": In(images),
                "item_rows": In(payloads.bits_for(config.act_rows)),
                "image_weights": In(1),
                "template": In(payloads.job(config)),
                "dense_low": In(depth),
                "dense_high": In(depth),
                "sparse_low": In(depth),
                "sparse_high": In(depth),
                "acts_issued": In(1),
                "weights_issued": In(1),
                "acts_loaded": In(1),
                "weights_loaded": In(1),
                "array_finished": In(config.arrays),
                "jobs": Out(stream.Signature(payloads.job(config))).array(config.arrays),
                "act_free": Out(1),
                "act_low": Out(1),
                "weight_free": Out(1),
                "running": Out(1),
                "waits_weights": Out(1),
                "waits_acts": Out(1),
                "loading": Out(1),
                "acts_complete": Out(1),
                "finished": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        arrays = config.arrays
        resident = Signal()
        images_end = Signal.like(self.images)
        m.d.sync += [resident.eq(self.images <= self.buffer_images), images_end.eq(self.images - 1)]

        # The next job, and what is loaded for it.
        tile = Signal.like(self.tiles)
        image = Signal.like(self.images)
        place = Signal.like(self.images)  # of the image in the activation buffers
        act_base = Signal.like(self.item_rows)
        item_bits = len(self.tiles) + len(self.images)
        item = Signal(item_bits)
        issued_items = Signal(item_bits)
        loaded_items = Signal(item_bits)
        weight_half = Signal()
        weights_coming = Signal(range(4))  # halves that are being loaded
        weights_ready = Signal(range(4))  # halves that are loaded and not used up
        pending = Signal()
        ready = Signal()
        last_image = Signal()
        all_sent = Signal()
        acts_there = Signal()  # there is a next job with its activations; known a cycle late, so not right behind a job
        m.d.sync += acts_there.eq(pending & (loaded_items > Mux(resident, image, item)) & ~all_sent)
        m.d.comb += [
            pending.eq((tile != self.tiles) & ~self.finished),
            last_image.eq(image == images_end),
            self.waits_weights.eq(pending & (weights_ready == 0)),
            self.waits_acts.eq(pending & ~self.waits_weights & ~acts_there),
            ready.eq(acts_there & (weights_ready != 0)),
            self.act_low.eq(issued_items < item + IMAGES_AHEAD),
            self.acts_complete.eq(loaded_items >= self.images),
            self.loading.eq((issued_items != loaded_items) | (weights_coming != 0)),
        ]
        with m.If(self.acts_issued):
            m.d.sync += issued_items.eq(issued_items + 1)
        with m.If(self.acts_loaded):
            m.d.sync += loaded_items.eq(loaded_items + 1)

        # A job goes to every array; arrays that were free earlier have it already.
        sent = Signal(arrays)
        sending = Signal(arrays)
        uses_up = Signal()  # this job is the last one with its weights
        m.d.comb += [all_sent.eq((sent | sending).all()), uses_up.eq(all_sent & (last_image | self.image_weights))]
        m.d.sync += [
            weights_coming.eq(weights_coming + self.weights_issued - self.weights_loaded),
            weights_ready.eq(weights_ready + self.weights_loaded - uses_up),
        ]
        for number, jobs in enumerate(self.jobs):
            dense = number < config.dense_arrays
            m.d.comb += [
                jobs.payload.eq(self.template),
                jobs.payload.channels_low.eq(self.dense_low if dense else self.sparse_low),
                jobs.payload.channels_high.eq(self.dense_high if dense else self.sparse_high),
                jobs.payload.act_base.eq(act_base),
                jobs.payload.weight_half.eq(weight_half),
                jobs.valid.eq(ready & ~sent[number]),
                sending[number].eq(jobs.valid & jobs.ready),
            ]
        with m.If(all_sent):
            m.d.sync += [sent.eq(0), item.eq(item + 1), weight_half.eq(weight_half ^ uses_up)]
            with m.If(last_image):
                m.d.sync += [image.eq(0), tile.eq(tile + 1)]
            with m.Else():
                m.d.sync += image.eq(image + 1)
            with m.If((place == self.buffer_images - 1) | (resident & last_image)):
                m.d.sync += [place.eq(0), act_base.eq(0)]
            with m.Else():
                m.d.sync += [place.eq(place + 1), act_base.eq(act_base + self.item_rows)]
        with m.Else():
            m.d.sync += sent.eq(sent | sending)

        # Per array: loads and jobs that it has not finished.
        working = Signal(arrays)
        acts_free = Signal(arrays)
        halves_free = Signal(arrays)
        for number in range(arrays):
            finished = self.array_finished[number]
            acts = Signal(item_bits, name=f"acts_in_use_{number}")  # means nothing while images are resident
            weights = Signal(range(4), name=f"weights_in_use_{number}")
            jobs_left = Signal(range(JOBS_AHEAD + 1), name=f"jobs_{number}")
            own_image = Signal.like(self.images, name=f"image_{number}")
            weights_used = Signal(name=f"weights_used_{number}")
            last = own_image == images_end
            m.d.comb += [
                weights_used.eq(finished & (last | self.image_weights)),
                acts_free[number].eq(acts < self.buffer_images),
                halves_free[number].eq(weights < 2),
                working[number].eq(jobs_left != 0),
            ]
            m.d.sync += [
                acts.eq(acts + self.acts_issued - finished),
                weights.eq(weights + self.weights_issued - weights_used),
                jobs_left.eq(jobs_left + sending[number] - finished),
            ]
            with m.If(finished):
                m.d.sync += own_image.eq(Mux(last, 0, own_image + 1))
            with m.If(self.finished):  # no layer runs: nothing is in use
                m.d.sync += [acts.eq(0), own_image.eq(0)]
        m.d.comb += [
            self.act_free.eq(resident | acts_free.all()),
            self.weight_free.eq(halves_free.all()),
            self.running.eq(working.any()),
        ]

        with m.If(self.start):
            counters = (tile, image, place, act_base, item, issued_items, loaded_items, sent)
            m.d.sync += [counter.eq(0) for counter in counters]
            m.d.sync += self.finished.eq(0)
        with m.Elif(~pending & ~working.any()):
            m.d.sync += self.finished.eq(1)
        return m
