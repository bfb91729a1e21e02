"""The whole accelerator: layers from memory to memory, bit for bit, with every mode, and errors."""

from dataclasses import replace

import cocotb
import numpy as np

from sqdm.rtl.registers import ID_VALUE, REGISTERS, Policy, Status, decode, encode
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.accelerator_bench import AcceleratorBench
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.real_layers import REAL_LAYERS
from sqdm.sim.lib.workload import FILLS, activations, weights

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}


def random_layer(tb, shape, fill="mixed", signed=False, **kwargs):
    """A layer of shape (N, C, K, H, W, kernel)."""
    images, channels, out_channels, height, width, kernel = shape
    acts = activations(tb.data_rng, (images, channels, height, width), fill, signed)
    kernels = weights(tb.data_rng, (out_channels, channels, kernel, kernel), fill)
    return tb.layer(acts, kernels, signed=signed, **kwargs)


#: N, C, K, H, W, kernel
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (1, 1, 1, 1, 1, 3),
    (2, 3, 16, 3, 1, 3),
    (1, 5, 17, 5, 7, 3),
    (3, 4, 40, 1, 5, 1),
    (2, 20, 33, 4, 4, 3),
    (1, 64, 3, 4, 3, 1),
    (3, 7, 5, 8, 8, 3),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(shape=SHAPES, raw=[False, True])
async def output_equals_golden_convolution(dut, shape, raw):
    tb = AcceleratorBench(dut)
    await tb.start()
    for policy in (Policy.BALANCED, Policy.THRESHOLD):
        await tb.run(random_layer(tb, shape, raw=raw, policy=policy, sparse_count=shape[3] * shape[4] // 2))
    tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=FILLS)
async def every_share_of_zeros(dut, fill):
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.run(random_layer(tb, (2, 9, 18, 4, 5, 3), fill))
    await tb.run(random_layer(tb, (1, 6, 4, 3, 3, 3), fill, signed=True, raw=True))
    tb.finish()


@cocotb.test(**TIMEOUT)
async def policies_give_the_same_output(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = random_layer(tb, (2, 12, 20, 5, 5, 3), sparse_count=20)
    for policy in Policy:  # each run compares its output with the one golden output
        await tb.run(replace(layer, policy=policy))
    tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(policy=[Policy.BALANCED, Policy.THRESHOLD])
async def stored_table_is_used_and_updated(dut, policy):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = random_layer(tb, (2, 11, 18, 4, 5, 3), policy=policy, sparse_count=15, scan=False)
    for dense in (0, 1, 6, 11):
        table = (tb.data_rng.permutation(11), dense)
        await tb.run(replace(layer, table=table))
        await tb.run(replace(layer, table=table, update=True))
    await tb.run(replace(layer, scan=True, update=True))
    tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(
    (("latency", "read", "answer", "write"), [
        (0, "steady", "steady", "steady"),
        (40, "steady", "steady", "steady"),
        (3, "even", "even", "even"),
        (10, "bursts", "bursts", "bursts"),
        (5, "rare", "steady", "steady"),
        (5, "steady", "steady", "rare"),
        (5, "steady", "rare", "steady"),
    ]),
)  # fmt: skip
async def memory_timing_changes_nothing(dut, latency, read, answer, write):
    tb = AcceleratorBench(dut, latency, read, answer, write)
    await tb.start()
    await tb.run(random_layer(tb, (2, 7, 20, 4, 5, 3), update=True))
    await tb.run(random_layer(tb, (1, 3, 5, 2, 3, 1), raw=True))
    tb.finish()


#: register overrides that a layer of 8 channels must be refused for
REFUSED = [
    ({"CHANNELS": 0}, Status.BAD_SHAPE),
    ({"OUT_CHANNELS": 0}, Status.BAD_SHAPE),
    ({"HEIGHT": 0}, Status.BAD_SHAPE),
    ({"WIDTH": 0}, Status.BAD_SHAPE),
    ({"IMAGES": 0}, Status.BAD_SHAPE),
    ({"CHANNELS": "max_channels"}, Status.BAD_SHAPE),
    ({"OUT_CHANNELS": "max_out_channels"}, Status.BAD_SHAPE),
    ({"HEIGHT": "max_size"}, Status.BAD_SHAPE),
    ({"WIDTH": "max_size"}, Status.BAD_SHAPE),
    ({"IMAGES": "max_images"}, Status.BAD_SHAPE),
    ({"HEIGHT": 0x10003}, Status.BAD_SHAPE),
    ({"CHANNELS": 64, "HEIGHT": 16, "WIDTH": 16}, Status.TOO_LARGE),
    ({"SHIFT": 32}, Status.BAD_REGISTER),
    ({"COUNT_SHIFT": 16}, Status.BAD_REGISTER),
    ({"ACT_BASE": 0x1004}, Status.BAD_REGISTER),
    ({"TABLE_BASE": 0x1001}, Status.BAD_REGISTER),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(refused=REFUSED)
async def illegal_register_is_refused_and_the_next_layer_runs(dut, refused):
    overrides, status = refused
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = random_layer(tb, (1, 8, 5, 3, 3, 3))
    values = {k: getattr(tb.config, v) + 1 if isinstance(v, str) else v for k, v in overrides.items()}
    if status == Status.TOO_LARGE:
        assert tb.config.act_rows_needed(*values.values()) > tb.config.act_rows
    await tb.run(replace(layer, registers=values), status)
    await tb.run(layer)
    tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(
    order=[[0, 1, 5, 3, 4], [5, 0, 1, 2, 3], [0, 1, 2, 3, 65535], [0, 1, 2, 2, 4], None], scan_next=[False, True]
)
async def bad_table_is_refused_and_the_next_layer_runs(dut, order, scan_next):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = random_layer(tb, (1, 5, 5, 3, 3, 3), scan=False, table=(np.arange(5), 2))
    bad = (np.arange(5), 6) if order is None else (np.array(order), 2)
    await tb.run(replace(layer, table=bad), Status.BAD_TABLE)
    await tb.run(replace(layer, scan=scan_next))
    tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(after=[5, 150, 400, 900], memory_forgets=[True, False])
async def reset_in_mid_run_leaves_a_working_core(dut, after, memory_forgets):
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.begin(random_layer(tb, (2, 9, 20, 4, 4, 3)))
    await tb.cycles(after)
    if memory_forgets:
        tb.memory.clear()
    await tb.reset()
    await tb.until(lambda: not tb.memory.answering, 1000, "the answers to reads from before the reset")
    assert await tb.read("STATUS") == 0
    assert tb.interrupt == 0
    await tb.run(random_layer(tb, (2, 5, 20, 3, 4, 3)))
    tb.finish()


@cocotb.test(**TIMEOUT)
async def registers_identify_the_core(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    assert await tb.read("ID") == ID_VALUE
    config = tb.config
    arrays = {"dense": config.dense_arrays, "sparse": config.sparse_arrays, "slots": config.slots}
    assert decode("ARRAYS", await tb.read("ARRAYS")) == arrays | {"lanes": config.lanes - 1}
    await tb.write("ID", 0)
    assert await tb.read("ID") == ID_VALUE
    assert await tb.read("CONTROL") == 0
    assert await tb.read("STATUS") == 0


@cocotb.test(**TIMEOUT)
async def writes_are_ignored_while_busy(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = random_layer(tb, (1, 6, 18, 4, 4, 3))
    regions = await tb.begin(layer)
    before = tb.memory.image.copy()
    await tb.cycles(20)
    assert decode("STATUS", await tb.read("STATUS"))["busy"] == 1
    assert tb.interrupt == 0
    for name, register in REGISTERS.items():
        if register.access == "rw":
            await tb.write(name, 3)
    await tb.write("CONTROL", encode("CONTROL", start=1))
    await tb.until(lambda: tb.interrupt, 100_000, "the interrupt")
    await tb.drain()
    assert tb.interrupt == 1, "the start while busy was not ignored"
    tb.check_memory(layer, regions, before)
    tb.finish()


@cocotb.test(**TIMEOUT)
async def largest_sizes(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    config = tb.config
    side = min(config.max_size, int(config.act_rows**0.5))
    await tb.run(random_layer(tb, (1, 3, 3, side, side, 3), "sparse"))
    await tb.run(random_layer(tb, (1, config.max_channels, 2, 2, 2, 3), "extreme", raw=True))
    await tb.run(random_layer(tb, (1, 2, config.max_out_channels, 2, 2, 1)))
    await tb.run(random_layer(tb, (config.max_images, 2, 2, 1, 2, 1)))
    tb.finish()


@cocotb.test(skip=not VECTORS, **TIMEOUT)
@cocotb.parametrize(number=range(len(REAL_LAYERS)))
async def real_layer(dut, number):
    tb = AcceleratorBench(dut, latency=8, answer="bursts")
    await tb.start()
    job = real_layers.load(VECTORS, number)
    layer = tb.layer(job.acts, job.weights, signed=job.signed, raw=job.requant is None, update=True)
    if job.requant is not None:
        requant = job.requant
        layer = replace(layer, multiplier=requant.multiplier, bias=requant.bias, shift=requant.shift)
    await tb.run(layer)
    tb.finish()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = AcceleratorBench(dut, write="even")
    tb.fault = fault
    await tb.start()
    await tb.run(random_layer(tb, (1, 3, 4, 3, 3, 3)))
    tb.finish()
