import random

import pytest
from output_layers import Case, Layer
from streams import IDLES, emits_verilog, send, simulate, strobe

from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.descriptor import Output
from sqdm.rtl.output_path import OutputPath

TINY = PRESETS["tiny"]
BUS128 = Config(name="bus128", slots=2, max_channels=64, max_out_channels=128, max_size=16, max_images=16)
BUS256 = Config(name="bus256", lanes=64, bus_bits=256, max_channels=64, max_out_channels=128, max_size=16)
CONFIGS = [TINY, BUS128]
CASES = {
    "int16": Case(37, 2, 13),
    "int16_wide": Case(19, 2, 9, wide=True),
    "raw": Case(33, 2, 7, Output.RAW),
    "raw_wide": Case(16, 3, 5, Output.RAW, wide=True),
    "weights": Case(40, 2, 3, Output.WEIGHTS),
    "weights_wide": Case(37, 2, 3, Output.WEIGHTS, wide=True),
    "residual": Case(35, 2, 13, residual=True),
    "residual_wide": Case(18, 3, 16, residual=True, wide=True),
    "statistics": Case(34, 3, 9, statistics=True),
    "statistics_wide": Case(18, 2, 20, statistics=True, wide=True),
    "both": Case(33, 2, 21, residual=True, statistics=True),
    "one_pixel": Case(1, 1, 1, residual=True, statistics=True),
    "map": Case(35, 2, 16, map=True),
    "map_statistics": Case(33, 2, 13, map=True, statistics=True),
}


def run(config, layers, idle=0.0, stall=0.0, latency=8, limit=60_000):
    """Runs the layers one after another on one device; returns each one's writes and cycles from start to finished."""
    device = OutputPath(config)
    rng = random.Random(11)
    state = {"layer": None, "writes": {}, "cycles": None, "done": False}
    results = []

    async def bench(ctx):
        assert ctx.get(device.finished)
        for layer in layers:
            await send(ctx, device.param_writes, layer.param_writes, rng, always_ready=True)
            state.update(layer=layer, writes={}, cycles=0)
            ctx.set(device.settings, layer.settings)
            await strobe(ctx, device.start)
            assert not ctx.get(device.finished)
            source = device.map_words if layer.case.map else device.psums
            await send(ctx, source, layer.map_words if layer.case.map else layer.psums, rng, idle)
            while not ctx.get(device.finished):
                await ctx.tick()
            results.append((state["writes"], state["cycles"]))
            state["cycles"] = None
            await ctx.tick().repeat(5)
            assert state["writes"] == results[-1][0], "writes after finished"
        state["done"] = True

    async def count(ctx):
        while not state["done"]:
            await ctx.tick()
            if state["cycles"] is not None:
                state["cycles"] += 1

    async def memory(ctx):
        held = None
        while not state["done"]:
            ready = rng.random() >= stall
            ctx.set(device.writes.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(device.writes.valid, device.writes.payload)
            if held is not None:
                assert valid and payload == held, "a waiting write changed"
            held = payload if valid and not ready else None
            if valid and ready:
                assert payload.address not in state["writes"], f"address {payload.address:#x} is written twice"
                state["writes"][payload.address] = payload.data

    async def residual(ctx):
        cycle = 0
        waiting = []  # (cycle when the answer may come, word)
        while not state["done"]:
            ready = rng.random() >= stall
            answer = bool(waiting) and waiting[0][0] <= cycle and rng.random() >= idle
            ctx.set(device.residual_reads.ready, ready)
            ctx.set(device.residual_answers.valid, answer)
            if answer:
                ctx.set(device.residual_answers.payload, waiting.pop(0)[1])
            _, _, valid, address, taken = await ctx.tick().sample(
                device.residual_reads.valid, device.residual_reads.payload, device.residual_answers.ready
            )
            assert taken or not answer, "an answer was not taken at once"
            if valid and ready:
                waiting.append((cycle + latency, state["layer"].residual_memory[address]))
                assert len(waiting) <= 32
            cycle += 1

    simulate(device, bench, count, memory, residual, limit=limit)
    return results


def config_name(config):
    return config.name


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
@pytest.mark.parametrize("name", CASES)
def test_leaves_the_right_memory(config, name):
    layer = Layer(config, CASES[name], seed=len(name))
    [(writes, _)] = run(config, [layer])
    assert writes == layer.writes


@pytest.mark.parametrize(
    "case", [Case(66, 2, 17, residual=True), Case(40, 2, 3, Output.WEIGHTS)], ids=["residual", "weights"]
)
def test_memory_words_of_256_bit(case):
    layer = Layer(BUS256, case, seed=2)
    [(writes, _)] = run(BUS256, [layer])
    assert writes == layer.writes


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
@pytest.mark.parametrize(("idle", "stall"), IDLES[3:])
@pytest.mark.parametrize("name", ["raw_wide", "weights_wide", "both", "map_statistics"])
def test_idle_and_backpressure(config, name, idle, stall):
    layer = Layer(config, CASES[name], seed=3)
    [(writes, _)] = run(config, [layer], idle, stall)
    assert writes == layer.writes


def test_layers_one_after_another():
    names = ["both", "weights", "raw", "map_statistics", "residual_wide", "int16"]
    layers = [Layer(TINY, CASES[name], seed=index, half=index % 2) for index, name in enumerate(names)]
    results = run(TINY, layers, 0.2, 0.2)
    for name, layer, (writes, _) in zip(names, layers, results, strict=True):
        assert writes == layer.writes, name


def test_throughput():
    config = BUS128
    pixels = 3 * config.bus_bits // 16
    words = 3 * config.lanes  # of one image, all lanes used

    def cycles(latency=8, **options):
        layer = Layer(config, Case(config.lanes, 1, pixels, **options), seed=1)
        [(writes, taken)] = run(config, [layer], latency=latency)
        assert writes == layer.writes
        return taken

    fill = 32  # cycles to fill and to drain
    block = pixels // 4 * config.lanes // config.post_lanes  # cycles to collect the last block of INT16 pixels
    assert cycles(map=True) <= words + fill
    assert cycles() <= 2 * words + block + fill  # a word has twice as many pixels as a group has channels
    assert cycles(output=Output.RAW) <= 2 * words + block + fill  # words of half as many pixels
    assert cycles(map=True, statistics=True) <= 2 * words + config.lanes + fill
    assert cycles(residual=True) <= 2 * words + block + fill
    assert cycles(residual=True, statistics=True) <= 2 * words + block + config.lanes + fill


def test_emits_verilog():
    assert emits_verilog(OutputPath(PRESETS["default"]), "output_path")
