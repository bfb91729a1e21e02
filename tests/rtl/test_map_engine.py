"""MapEngine with its normaliser: whole planes against the golden model's resampling and normalisation."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from map_tasks import Both, Map, run
from streams import emits_verilog, simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Resample
from sqdm.rtl.map_engine import MapEngine, legal

TINY = PRESETS["tiny"]
DEFAULT = PRESETS["default"]
WIDE = Config(name="wide", lanes=64, bus_bits=256, max_channels=64, max_size=32)
HUGE = Config(name="huge", lanes=128, bus_bits=512, max_channels=64, max_size=64)
NONE, DOWN, UP = Resample.NONE, Resample.DOWN, Resample.UP


def name(value):
    return value.name if isinstance(value, (Config, Resample)) else None


def reads_of(task, per_word):
    """Reads of a MAP that needs `per_word` words for each output word."""
    return task.images * task.channels * task.settings["words"] * per_word


@pytest.mark.parametrize(
    ("config", "shape", "resample"),
    [
        # (N, C, H, W); below, near and above a word and a tile; planes that end inside of a word
        (TINY, (2, 33, 3, 3), NONE),
        (TINY, (1, 2, 5, 7), NONE),
        (DEFAULT, (2, 3, 5, 5), NONE),
        (HUGE, (1, 2, 7, 5), NONE),
        (TINY, (2, 33, 4, 4), DOWN),
        (TINY, (1, 2, 2, 4), DOWN),
        (TINY, (1, 3, 6, 4), DOWN),
        (TINY, (2, 2, 4, 8), DOWN),
        (TINY, (1, 1, 6, 16), DOWN),
        (DEFAULT, (2, 2, 8, 8), DOWN),
        (DEFAULT, (2, 2, 6, 8), DOWN),
        (DEFAULT, (1, 33, 4, 16), DOWN),
        (DEFAULT, (1, 2, 4, 32), DOWN),
        (WIDE, (1, 2, 6, 16), DOWN),
        (HUGE, (1, 2, 2, 64), DOWN),
        (TINY, (2, 33, 2, 2), UP),
        (TINY, (1, 2, 3, 2), UP),
        (TINY, (1, 2, 3, 4), UP),
        (TINY, (2, 2, 4, 8), UP),
        (DEFAULT, (2, 3, 4, 4), UP),
        (DEFAULT, (1, 2, 4, 8), UP),
        (DEFAULT, (2, 2, 3, 16), UP),
        (WIDE, (1, 2, 3, 8), UP),
        (HUGE, (1, 2, 2, 32), UP),
    ],
    ids=name,
)
def test_resamples_planes(config, shape, resample):
    task = Map(config, shape, resample, seed=sum(shape))
    words, reads, _ = run(Both(config), task)
    assert words == task.expected()
    if resample is not DOWN or shape[2] % 4 == 0:
        assert len(reads) == reads_of(task, 4 if resample is DOWN else 1)


@pytest.mark.parametrize("codes", [4, 8])
@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (TINY, (2, 33, 4, 4)),
        (TINY, (1, 2, 5, 5)),
        (DEFAULT, (2, 33, 4, 4)),
        (DEFAULT, (1, 3, 5, 7)),
        (DEFAULT, (2, 2, 8, 8)),
        (WIDE, (1, 3, 9, 9)),
        (HUGE, (1, 3, 9, 8)),
    ],
    ids=name,
)
def test_codes_of_planes(config, shape, codes):
    task = Map(config, shape, codes=codes, seed=sum(shape) + codes)
    words, _, _ = run(Both(config), task)
    assert words == task.expected()


@pytest.mark.parametrize(("resample", "codes"), [(NONE, None), (DOWN, None), (UP, None), (NONE, 4), (NONE, 8)])
@pytest.mark.parametrize(("latency", "idle", "stall"), [((1, 1), 0.0, 0.6), ((1, 30), 0.0, 0.0), ((20, 40), 0.4, 0.4)])
def test_slow_memory_and_backpressure(resample, codes, latency, idle, stall):
    task = Map(TINY, (2, 3, 4, 4), resample, codes, seed=9)
    words, _, _ = run(Both(TINY), task, latency, idle, stall)
    assert words == task.expected()


@pytest.mark.parametrize(
    ("resample", "codes", "steps"), [(NONE, None, 1), (DOWN, None, 4), (UP, None, 1), (NONE, 4, 4)]
)
def test_a_step_per_cycle(resample, codes, steps):
    """With answers in less than `DEPTH` cycles, the whole run is the steps and the time to fill and drain."""
    task = Map(DEFAULT, (1, DEFAULT.lanes, 8, 8), resample, codes, seed=3)
    device = Both(DEFAULT)
    words, reads, cycles = run(device, task, latency=(8, 8))
    assert words == task.expected()
    assert len(reads) == len(words) * steps
    assert len(reads) < cycles <= len(reads) + device.engine.latency + 8 + 12


def test_published_latency():
    device = MapEngine(TINY)

    async def bench(ctx):
        ctx.set(device.settings, Map(TINY, (1, 1, 4, 4)).settings)
        ctx.set(device.start, 1)
        cycles = 0
        while not ctx.get(device.reads.valid):
            await ctx.tick()
            ctx.set(device.start, 0)
            cycles += 1
            assert ctx.get(device.running)
        assert cycles == device.latency

    simulate(device, bench, limit=100)


def test_runs_again_with_other_settings():
    device = Both(TINY)
    tasks = [
        Map(TINY, (2, 2, 4, 8), UP, seed=1),
        Map(TINY, (1, 3, 6, 4), DOWN, seed=2),
        Map(TINY, (1, 2, 5, 5), seed=3),
    ]
    seen = []

    async def bench(ctx):
        rng = random.Random(4)
        engine = device.engine
        for task in tasks:
            ctx.set(engine.settings, task.settings)
            await strobe(ctx, engine.start)
            waiting = []
            words = []
            ctx.set(engine.reads.ready, 1)
            while ctx.get(engine.running):
                ctx.set(engine.words.ready, rng.random() < 0.7)
                ctx.set(engine.answers.valid, bool(waiting))
                if waiting:
                    ctx.set(engine.answers.payload, task.memory[waiting.pop(0)])
                ready = ctx.get(engine.words.ready)
                _, _, asked, address, valid, word = await ctx.tick().sample(
                    engine.reads.valid, engine.reads.payload, engine.words.valid, engine.words.payload
                )
                if asked:
                    waiting.append(address)
                if valid and ready:
                    words.append(word)
            ctx.set(engine.answers.valid, 0)
            assert not waiting
            seen.append(words)

    simulate(device, bench)
    assert seen == [task.expected() for task in tasks]


def legal_by_description(resample, height, width, config):
    """The supported sizes in words of `bus_bits / 16` pixels, as the interface describes them."""
    size = config.bus_bits // 16
    if resample is DOWN:
        return height % 2 == 0 and (width == size or width % (2 * size) == 0)
    if resample is UP:
        fits = 2 * height <= config.max_size and 2 * width <= config.max_size
        return fits and (2 * width == size or width % size == 0)
    return True


@pytest.mark.parametrize("config", [TINY, DEFAULT], ids=name)
def test_legal_sizes(config):
    m = Module()
    bits = config.max_size.bit_length()
    resample, height, width, result = Signal(2), Signal(bits), Signal(bits), Signal()
    m.d.comb += result.eq(legal(resample, height, width, config))

    async def bench(ctx):
        for mode in Resample:
            for h in range(1, config.max_size + 1):
                for w in range(1, config.max_size + 1):
                    ctx.set(resample, mode.value)
                    ctx.set(height, h)
                    ctx.set(width, w)
                    assert ctx.get(result) == legal_by_description(mode, h, w, config), (mode, h, w)
        ctx.set(resample, 3)
        assert not ctx.get(result)
        await ctx.delay(0)

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("config", [TINY, DEFAULT, HUGE], ids=name)
def test_emits_verilog(config):
    assert emits_verilog(MapEngine(config), "map_engine")
