"""The whole accelerator: programs of several descriptors, with every memory timing, WAITs, prefetch and pauses."""

import cocotb
import numpy as np

from sqdm.rtl.descriptor import Output, Resample
from sqdm.sim.lib.accelerator_bench import AcceleratorBench
from sqdm.sim.lib.random_programs import chain, compiled, convolution, mapping

TIMEOUT = {"timeout_time": 10, "timeout_unit": "ms"}


def program(tb, shape, taps=9, **options):
    """One random CONV of shape (N, C, K, H, W)."""
    return compiled(tb.data_rng, convolution(tb.data_rng, shape, taps, **options), tb.config)


#: latency, paces of the memory port's channels, pace of the register port
TIMINGS = [
    (0, "steady", "steady"),
    (30, "steady", "steady"),
    (3, "even", "even"),
    (0, "bursts", "bursts"),
    (2, {"ar": "rare", "aw": "rare"}, "steady"),
    (0, {"r": "rare"}, "even"),
    (0, {"w": "rare", "b": "bursts"}, "steady"),
    (5, {"b": "rare", "r": "bursts"}, "steady"),
]


def mixture(tb):
    """Three layers that depend on each other, a WAIT at which the host works, a layer prefetched across it."""
    plane = {"scan": False, "int16": True}
    layers = [
        program(tb, (2, 5, 4, 2, 4), 9, update=True, scan=False, statistics=True),
        program(tb, (2, 4, 20, 2, 4), 1, residual=True, **plane),
        mapping(tb.data_rng, (1, 3, 4, 4), tb.config, Resample.NONE, codes=1),
        program(tb, (1, 6, 34, 2, 3), 9, weight_bits=8, scan=False),
        program(tb, (1, 3, 5, 2, 3), 1, output=Output.RAW, scan=True, update=True),
    ]
    host = np.array([7, 1, 3], np.uint8)

    def step(memory):
        memory[:3] ^= host  # before the first region: the host's own

    return chain(tb.data_rng, layers, {3: step}, links=[(1, "ACT", 0)])


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(number=range(len(TIMINGS)))
async def memory_timing_changes_nothing(dut, number):
    latency, bus, host = TIMINGS[number]
    tb = AcceleratorBench(dut, latency, bus, host, rules=True)
    await tb.start()
    await tb.run(mixture(tb))
    tb.close()
    assert tb.rules.beats == tb.memory.writes
    assert not tb.rules.owing


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(prefetch=[False, True], pause=[False, True])
async def programs_of_several_descriptors(dut, prefetch, pause):
    tb = AcceleratorBench(dut, 4)
    await tb.start()
    layers = [program(tb, (2, 4, 70, 2, 3), 9, scan=False), program(tb, (1, 5, 3, 2, 3), 1, scan=False),
              mapping(tb.data_rng, (1, 2, 2, 4), tb.config), program(tb, (3, 3, 33, 2, 2), 9, act_bits=8, update=True),
              program(tb, (1, 4, 4, 2, 4), 1, output=Output.WEIGHTS)]  # fmt: skip
    whole = chain(tb.data_rng, layers, {0: lambda memory: None, 4: lambda memory: None}, prefetch=prefetch)
    await tb.run(whole, pause=pause)
    tb.close()


@cocotb.test(**TIMEOUT)
async def outputs_become_operands(dut):
    tb = AcceleratorBench(dut, 3, {"b": "rare"})
    await tb.start()
    values = program(tb, (2, 5, 16, 2, 4), 9, output=Output.WEIGHTS, int16=True)
    mix = program(tb, (2, 8, 16, 2, 3), 1, weight_bits=8, act_bits=8, image_weights=True, scan=False, statistics=True)
    after = program(tb, (2, 16, 5, 2, 3), 1, int16=True, scan=False, update=True)
    last = program(tb, (2, 4, 5, 2, 3), 1, residual=True, scan=False)
    links = [(1, "WEIGHT", 0), (2, "ACT", 1), (3, "RESIDUAL", 2)]
    whole = chain(tb.data_rng, [values, mix, after, last], links=links)
    assert [d["CONTROL.prefetch"] for d in whole.descriptors[1:4]] == [0, 1, 1]
    await tb.run(whole)
    tb.close()


@cocotb.test(**TIMEOUT)
async def host_writes_operands_at_a_wait(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    first, second = (program(tb, (1, 4, 5, 2, 3), 9, scan=False, int16=True) for _ in range(2))
    regions = {}

    def step(memory):
        memory[regions["acts"]] = np.roll(memory[regions["acts"]], 5)

    whole = chain(tb.data_rng, [first, second], {1: step})
    base = whole.descriptors[2]["ACT_BASE"]
    regions["acts"] = slice(base, base + 4 * tb.config.plane_bytes)
    await tb.run(whole)
    tb.close()


@cocotb.test(**TIMEOUT)
async def period_renews_labels_now_and_then(dut):
    tb = AcceleratorBench(dut, period=3)
    await tb.start()
    layer = program(tb, (1, 7, 4, 3, 3), scan=False, update=True)
    renewed = [(await tb.run(layer))["NONZEROS"] > 0 for _ in range(5)]
    assert renewed == [True, False, False, True, False]
    tb.close()
