"""JobScheduler: jobs in order, none before its operands, no buffer filled before it is free; several layers on end."""

import itertools
import random
from dataclasses import dataclass

import pytest
from streams import simulate

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.job_scheduler import IMAGES_AHEAD, JobScheduler

CONFIGS = [PRESETS["tiny"], Config(name="three arrays", dense_arrays=1, sparse_arrays=2, slots=2, slot_channels=128)]
FILLED_IN = ("channels_low", "channels_high", "act_base", "weight_half")


@dataclass
class Layer:
    """Sizes of a layer and what follows from them."""

    tiles: int
    images: int
    buffer_images: int
    image_weights: int = 0
    item_rows: int = 16

    @property
    def resident(self):
        return self.images <= self.buffer_images

    @property
    def jobs(self):
        return self.tiles * self.images

    @property
    def act_loads(self):
        return self.images if self.resident else self.jobs

    @property
    def weight_loads(self):
        return self.jobs if self.image_weights else self.tiles

    def acts_of(self, job):
        """Number of the activation load that a job reads."""
        return job % self.images if self.resident else job

    def weights_of(self, job):
        """Number of the weight load, within the layer."""
        return job if self.image_weights else job // self.images


class World:
    """Loads and arrays around the scheduler, cycle by cycle; weights are loaded ahead of their layer."""

    def __init__(self, config, device, seed, eager):
        self.config, self.device, self.rng, self.eager = config, device, random.Random(seed), eager
        self.weights_issued = self.weights_loaded = self.weights_before = 0  # of all layers; of those that are finished
        self.weights_planned = 0

    def chance(self):
        return self.rng.random() < self.eager

    def get(self, name):
        return self.ctx.get(getattr(self.device, name))

    async def run(self, ctx, layer, following):
        """One layer from ``start`` to ``finished``; ``following`` is the next one."""
        self.ctx, device, config = ctx, self.device, self.config
        arrays = config.arrays
        template = {name: self.rng.getrandbits(1) for name in ("kernel3", "halo_top", "signed_acts", "two_planes")}
        template |= {"height": self.rng.randint(1, config.max_size), "groups": 1, "plane_rows": 16}
        depth = {name: self.rng.randint(0, 9) for name in ("dense_low", "dense_high", "sparse_low", "sparse_high")}
        sizes = {
            name: getattr(layer, name) for name in ("tiles", "images", "buffer_images", "image_weights", "item_rows")
        }
        for name, value in (sizes | depth | {"template": template, "start": 1}).items():
            ctx.set(getattr(device, name), value)
        await ctx.tick()
        ctx.set(device.start, 0)
        self.weights_planned = self.weights_before + layer.weight_loads + following.weight_loads
        self.acts_issued = self.acts_loaded = 0
        self.sent, self.done = [0] * arrays, [0] * arrays
        self.has_acts = False
        for _ in range(4000):
            await self.cycle(layer, template, depth)
            if min(self.done) == layer.jobs:
                break
        assert min(self.done) == layer.jobs, "the layer never ended"
        for _ in range(2):
            await ctx.tick()
        assert self.get("finished") and not self.get("running")
        self.weights_before += layer.weight_loads

    async def cycle(self, layer, template, depth):
        ctx, device, arrays = self.ctx, self.device, range(self.config.arrays)
        self.check(layer)
        job = min(self.sent)
        loaded = self.acts_loaded > layer.acts_of(job)
        pulses = {
            "acts_issued": self.acts_issued < layer.act_loads and self.get("act_free") and self.chance(),
            "weights_issued": self.weights_issued < self.weights_planned and self.get("weight_free") and self.chance(),
            "acts_loaded": self.acts_loaded < self.acts_issued and self.chance(),
            "weights_loaded": self.weights_loaded < self.weights_issued and self.chance(),
        }
        working = [self.sent[n] > self.done[n] for n in arrays]
        ends = [working[n] and self.chance() for n in arrays]
        for name, value in (pulses | {"array_finished": sum(end << n for n, end in enumerate(ends))}).items():
            ctx.set(getattr(device, name), value)
        for n in arrays:
            ctx.set(device.jobs[n].ready, not working[n] or ends[n])
        for n in arrays:
            if ctx.get(device.jobs[n].valid):
                self.check_job(layer, template, depth, n, ctx.get(device.jobs[n].payload))
                self.sent[n] += not working[n] or ends[n]
        await ctx.tick()
        self.has_acts = loaded and min(self.sent) == job  # a cycle late, and never in the cycle behind a job
        for name, value in pulses.items():
            setattr(self, name, getattr(self, name) + value)
        self.done = [self.done[n] + ends[n] for n in arrays]
        for name in (*pulses, "array_finished"):
            ctx.set(getattr(device, name), 0)

    def check(self, layer):
        """The outputs at the begin of a cycle."""
        job = min(self.sent)  # the first one that some array lacks
        pending = job < layer.jobs
        has_weights = pending and self.weights_loaded - self.weights_before > layer.weights_of(job)
        has_acts = pending and self.has_acts
        assert self.get("waits_weights") == (pending and not has_weights)
        assert self.get("waits_acts") == (has_weights and not has_acts)
        for n, jobs in enumerate(self.device.jobs):
            assert self.ctx.get(jobs.valid) == (has_weights and has_acts and self.sent[n] == job), (
                f"array {n}, job {job}"
            )
        assert self.get("running") == any(sent > done for sent, done in zip(self.sent, self.done, strict=True))
        assert self.get("act_low") == (self.acts_issued < job + IMAGES_AHEAD)
        assert self.get("acts_complete") == (self.acts_loaded >= layer.images)
        assert self.get("loading") == (
            self.acts_issued != self.acts_loaded or self.weights_issued != self.weights_loaded
        )
        assert not self.get("finished")
        slowest = min(self.done)
        assert self.get("act_free") == (layer.resident or self.acts_issued - slowest < layer.buffer_images)
        used_up = slowest if layer.image_weights else slowest // layer.images
        assert self.get("weight_free") == (self.weights_issued - self.weights_before - used_up < 2)

    def check_job(self, layer, template, depth, number, payload):
        job = self.sent[number]
        kind = "dense" if number < self.config.dense_arrays else "sparse"
        place = job % layer.images if layer.resident else job % layer.buffer_images
        assert {name: payload[name] for name in FILLED_IN} == {
            "channels_low": depth[f"{kind}_low"],
            "channels_high": depth[f"{kind}_high"],
            "act_base": place * layer.item_rows,
            "weight_half": (self.weights_before + layer.weights_of(job)) % 2,
        }
        assert {name: payload[name] for name in template} == template


LAYERS = [
    Layer(tiles=3, images=2, buffer_images=4),
    Layer(tiles=2, images=5, buffer_images=2, item_rows=48),
    Layer(tiles=2, images=3, buffer_images=3, image_weights=1),
    Layer(tiles=1, images=7, buffer_images=1),
    Layer(tiles=1, images=1, buffer_images=1),
    Layer(tiles=3, images=3, buffer_images=2, image_weights=1, item_rows=32),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("eager", [0.2, 0.9])
def test_layers_on_end(config, eager):
    device = JobScheduler(config)
    world = World(config, device, 5, eager)
    order = [*LAYERS, *random.Random(2).sample(LAYERS, 6)]

    async def bench(ctx):
        assert ctx.get(device.finished) and not ctx.get(device.running)
        for layer, following in itertools.pairwise(order):
            await world.run(ctx, layer, following)

    simulate(device, bench)
