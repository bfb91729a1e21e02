"""The whole accelerator: every mode of single CONVs and MAPs, from memory to memory, bit for bit."""

from dataclasses import replace

import cocotb

from sqdm.compiler.convolution import compile_convolution
from sqdm.compiler.operands import Convolution
from sqdm.golden import layout
from sqdm.golden.dealing import clamp_dense
from sqdm.rtl.config import ceil_div
from sqdm.rtl.descriptor import Output, Resample
from sqdm.rtl.registers import Policy
from sqdm.sim.lib import real_layers
from sqdm.sim.lib.accelerator_bench import AcceleratorBench
from sqdm.sim.lib.bench import RUN_BROKEN, VECTORS
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.random_programs import changed, compiled, convolution, mapping
from sqdm.sim.lib.real_layers import REAL_LAYERS
from sqdm.sim.lib.workload import FILLS

TIMEOUT = {"timeout_time": 10, "timeout_unit": "ms"}


def program(tb, shape, taps=9, **options):
    """One random CONV of shape (N, C, K, H, W), or its strips."""
    return compiled(tb.data_rng, convolution(tb.data_rng, shape, taps, **options), tb.config)


#: (N, C, K, H, W), taps, options
CONVOLUTIONS = {
    "one_pixel": ((1, 1, 1, 1, 1), 9, {}),
    "raw_1x1": ((1, 5, 17, 2, 3), 1, {"output": Output.RAW}),
    "columns": ((2, 3, 4, 5, 1), 9, {"scan": False}),
    "rows": ((1, 4, 33, 1, 9), 9, {"output": Output.RAW, "signed": True}),
    "int16_acts": ((2, 5, 6, 3, 5), 9, {"int16": True, "update": True}),
    "int16_acts_signed": ((1, 6, 5, 4, 4), 1, {"int16": True, "signed": True, "scan": False}),
    "planes": ((1, 6, 7, 3, 4), 9, {"act_bits": 8, "update": True}),
    "planes_signed": ((2, 5, 4, 3, 3), 1, {"act_bits": 8, "signed": True, "output": Output.RAW}),
    "planes_int16": ((1, 5, 6, 4, 5), 9, {"act_bits": 8, "int16": True, "scan": False, "update": True}),
    "planes_int16_signed": ((2, 3, 6, 3, 2), 1, {"act_bits": 8, "int16": True, "signed": True}),
    "wide": ((1, 5, 20, 3, 4), 9, {"weight_bits": 8}),
    "wide_raw": ((2, 4, 17, 2, 3), 1, {"weight_bits": 8, "output": Output.RAW, "scan": False}),
    "wide_planes": ((1, 6, 18, 3, 4), 9, {"weight_bits": 8, "act_bits": 8, "update": True}),
    "all_8_bit": ((1, 5, 6, 4, 4), 9, {"weight_bits": 8, "act_bits": 8, "signed": True, "int16": True, "residual": True,
                                       "statistics": True}),
    "weights": ((2, 6, 18, 2, 3), 1, {"output": Output.WEIGHTS}),
    "weights_wide": ((1, 5, 33, 3, 3), 9, {"output": Output.WEIGHTS, "weight_bits": 8}),
    "residual": ((2, 4, 6, 3, 5), 9, {"residual": True}),
    "statistics": ((2, 4, 5, 3, 5), 9, {"statistics": True, "scan": False}),
    "residual_statistics": ((1, 5, 34, 4, 4), 1, {"residual": True, "statistics": True, "update": True}),
    "image_weights": ((3, 4, 6, 3, 4), 9, {"image_weights": True}),
    "image_weights_wide": ((2, 8, 16, 2, 4), 1, {"image_weights": True, "weight_bits": 8, "act_bits": 8,
                                                 "output": Output.RAW, "scan": False}),
    "tiles": ((2, 4, 70, 2, 3), 9, {"scan": False}),
    "many_channels": ((1, 64, 5, 2, 2), 1, {"update": True}),
    "scan": ((2, 9, 18, 4, 5), 9, {"scan": True}),
    "update": ((2, 9, 18, 4, 5), 9, {"scan": False, "update": True}),
    "scan_update": ((2, 9, 18, 4, 5), 9, {"scan": True, "update": True}),
}  # fmt: skip


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(layer=list(CONVOLUTIONS))
async def convolution_equals_golden_machine(dut, layer):
    shape, taps, options = CONVOLUTIONS[layer]
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.run(program(tb, shape, taps, **options))
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(policy=list(Policy), planes=[False, True])
async def policies_give_the_same_results(dut, policy, planes):
    tb = AcceleratorBench(dut, policy=policy)
    await tb.start()
    acts = {"act_bits": 8, "int16": True} if planes else {}
    layer = program(tb, (2, 9, 6, 3, 4), 9, scan=True, update=True, **acts)
    await tb.run(changed(layer, 0, SPARSE_COUNT=12, SHIFTS__count=1))
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(fill=FILLS)
async def every_share_of_zeros(dut, fill):
    tb = AcceleratorBench(dut)
    await tb.start()
    await tb.run(program(tb, (1, 9, 6, 3, 4), fill=fill))
    await tb.run(program(tb, (1, 6, 4, 2, 3), fill=fill, act_bits=8, signed=True, output=Output.RAW))
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(depth=[3, 16])
async def any_table_in_memory(dut, depth):
    tb = AcceleratorBench(dut)
    await tb.start()
    conv = convolution(tb.data_rng, (1, 11, 6, 3, 3), 9, scan=False)
    for dense in (0, 1, 6, 11):
        table = layout.pack_table(tb.data_rng.permutation(11), dense, tb.config, tb.data_rng.integers(0, 99, 11))
        layer = compiled(tb.data_rng, replace(conv, tables=[table], update=dense > 5), tb.config)
        counters = await tb.run(changed(layer, 0, BUFFERS__slot_channels=depth))
        limits = (depth, tb.config.dense_slots, tb.config.sparse_slots)
        assert counters["DENSE_CHANNELS"] == clamp_dense(dense, 11, *limits)
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(images=[1, 2, 3], tiles=[1, 2])
async def more_images_than_places_in_the_buffers(dut, images, tiles):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = program(tb, (4, 5, 32 * tiles - 3, 2, 3), scan=images == 2, update=True)
    await tb.run(changed(layer, 0, BUFFERS__images=images))
    tb.close()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(int16=[False, True])
async def strips_with_halo_rows(dut, int16):
    tb = AcceleratorBench(dut)
    await tb.start()
    layer = program(tb, (1, 2, 3, 20, 3), int16=int16, residual=int16, statistics=True, scan=False)
    assert len(layer.descriptors) > 2
    await tb.run(layer)
    if int16:
        layer = program(tb, (1, 2, 3, 4, 3), int16=True, act_bits=8)
        for top, bottom in ((1, 0), (0, 1), (1, 1)):  # fewer rows of output of the same input
            halo = {"MODE__halo_top": top, "MODE__halo_bottom": bottom, "HEIGHT": 4 - top - bottom}
            await tb.run(changed(layer, 0, **halo))
    tb.close()


#: (N, C, H, W), resampling, MODE
MAPS = [
    ((2, 3, 4, 4), Resample.DOWN, {"statistics": 1}),
    ((1, 2, 2, 16), Resample.DOWN, {}),
    ((2, 3, 3, 2), Resample.UP, {"statistics": 1}),
    ((1, 2, 2, 8), Resample.UP, {}),
    ((2, 3, 5, 3), Resample.NONE, {"statistics": 1}),
    ((1, 33, 2, 3), Resample.NONE, {}),
    ((2, 3, 4, 4), Resample.NONE, {"codes": 1}),
    ((1, 3, 5, 5), Resample.NONE, {"codes": 1, "signed_acts": 1}),
    ((2, 34, 4, 4), Resample.NONE, {"codes": 1, "two_planes": 1, "signed_acts": 1}),
    ((1, 3, 3, 7), Resample.NONE, {"codes": 1, "two_planes": 1}),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(number=range(len(MAPS)))
async def map_equals_golden_machine(dut, number):
    tb = AcceleratorBench(dut)
    await tb.start()
    shape, resample, modes = MAPS[number]
    word = tb.config.bus_bits // 64
    if resample != Resample.NONE:  # sizes in memory words
        shape = (*shape[:3], shape[3] * word)
    layer = mapping(tb.data_rng, shape, tb.config, resample, **modes)
    await tb.run(layer)
    tb.close()


@cocotb.test(**TIMEOUT)
async def largest_sizes(dut):
    tb = AcceleratorBench(dut)
    await tb.start()
    config = tb.config
    side = min(config.max_size, int(config.act_rows**0.5))
    await tb.run(program(tb, (1, 1, 2, side, side), 1, fill="sparse", scan=False))
    await tb.run(program(tb, (1, config.max_channels, 1, 1, 2), 1, fill="extreme", output=Output.RAW))
    await tb.run(program(tb, (1, 2, config.max_out_channels, 1, 2), 1, scan=False))
    await tb.run(program(tb, (config.max_images, 2, 2, 1, 2), 1, scan=False))
    tb.close()


@cocotb.test(skip=not VECTORS, **TIMEOUT)
@cocotb.parametrize(number=range(len(REAL_LAYERS)))
async def real_layer(dut, number):
    tb = AcceleratorBench(dut, 8, {"r": "bursts"})
    await tb.start()
    job = real_layers.load(VECTORS, number)
    wide_acts = job.acts.min() < -8 or job.acts.max() > (7 if job.signed else 15)
    wide_weights = job.weights.min() < -8 or job.weights.max() > 7
    bits = {"act_bits": 8 if wide_acts else 4, "weight_bits": 8 if wide_weights else 4}
    few = job.weights[: ceil_div(tb.config.lanes, 2)]
    requant = job.requant
    if requant is not None:
        requant = replace(requant, multiplier=requant.multiplier[: len(few)], bias=requant.bias[: len(few)])
    conv = Convolution(job.acts[:1], few, requant, job.signed, update=True, scan=False, **bits)
    await tb.run(compile_convolution(conv, tb.config))
    tb.close()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = AcceleratorBench(dut, bus="even", rules=True)
    tb.fault = fault
    await tb.start()
    await tb.run(program(tb, (1, 3, 4, 3, 3), 9))
    tb.close()
