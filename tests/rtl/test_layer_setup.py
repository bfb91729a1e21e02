"""LayerSetup: derived sizes and refused descriptors."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS, Config, ceil_div
from sqdm.rtl.descriptor import FIELDS, Kind, Output, Resample
from sqdm.rtl.layer_setup import LayerSetup
from sqdm.rtl.registers import Status, encode

CONFIGS = [
    PRESETS["tiny"],
    PRESETS["default"],
    Config(name="one slot", slots=1, slot_channels=512),
    Config(name="narrow bus", lanes=256, bus_bits=64, act_rows=256, max_size=8),
    Config(name="three arrays", dense_arrays=1, sparse_arrays=2, slots=2, slot_channels=128),
]
TINY = PRESETS["tiny"]
GOOD = {"CONTROL.kind": Kind.CONV, "MODE.kernel3": 1, "CHANNELS": 32, "OUT_CHANNELS": 48, "HEIGHT": 8, "WIDTH": 8,
        "IMAGES": 2, "BUFFERS.slot_channels": 16, "BUFFERS.images": 2}  # fmt: skip
MAP = {"CONTROL.kind": Kind.MAP, "CHANNELS": 32, "HEIGHT": 8, "WIDTH": 8, "IMAGES": 2}


def packed(values: dict) -> int:
    """All words of a descriptor as one number; keys are WORD or WORD.field."""
    total = 0
    for key, value in values.items():
        name, _, part = key.partition(".")
        word = encode(FIELDS[name], **{part: value}) if part else value
        total |= word << 8 * FIELDS[name].offset
    return total


def settle(config, descriptors, reserved=0):
    """(status, sizes) of every descriptor."""
    device = LayerSetup(config)
    results = []

    async def bench(ctx):
        ctx.set(device.reserved, reserved)
        for values in descriptors:
            ctx.set(device.descriptor.as_value(), packed(values))
            await strobe(ctx, device.start)
            for _ in range(LayerSetup.LATENCY - 1):
                assert not ctx.get(device.done)
                await ctx.tick()
            assert ctx.get(device.done)
            results.append((Status(ctx.get(device.status)), ctx.get(device.sizes)))
            await ctx.tick()

    simulate(device, bench)
    return results


def random_layer(config, rng):
    """A descriptor that fits, with its derived sizes."""
    while True:
        channels, out_channels = rng.randint(1, config.max_channels), rng.randint(1, config.max_out_channels)
        height, width = rng.randint(1, config.max_size), rng.randint(1, config.max_size)
        images, kernel3, planes = rng.randint(1, config.max_images), rng.randrange(2), rng.randint(1, 2)
        wide, top, bottom = rng.randrange(2), rng.randrange(2) & kernel3, rng.randrange(2) & kernel3
        output = rng.choice(list(Output))
        all_slots = config.arrays * config.slots
        depth = rng.randint(ceil_div(channels, all_slots), max(config.max_depth, ceil_div(channels, all_slots)))
        taps, groups = 9 if kernel3 else 1, ceil_div(depth, 16)
        in_pixels = (height + top + bottom) * width
        plane_words = ceil_div(in_pixels, 16)
        item = planes * groups * plane_words * 16
        if depth > config.max_depth or planes * groups * 16 * taps > config.weight_rows or item > config.act_rows:
            continue
        if in_pixels * images >= 1 << 16 or (planes == 2 and channels > config.wide_channels(taps)):
            continue
        break
    values = GOOD | {
        "MODE.kernel3": kernel3, "MODE.two_planes": planes - 1, "MODE.wide_weights": wide, "MODE.halo_top": top,
        "MODE.halo_bottom": bottom, "MODE.output": output, "CHANNELS": channels, "OUT_CHANNELS": out_channels,
        "HEIGHT": height, "WIDTH": width, "IMAGES": images, "BUFFERS.slot_channels": depth,
        "BUFFERS.images": rng.randint(1, min(config.act_rows // item, 255)),
    }  # fmt: skip
    tiles = ceil_div(out_channels, config.lanes // 2 if wide else config.lanes)
    params = tiles * (config.lanes // 2 if wide else config.lanes) * 32 // config.bus_bits
    derived = {
        "in_pixels": in_pixels,
        "counted_pixels": in_pixels * images,
        "pixels": height * width,
        "all_pixels": height * width * images,
        "plane_words": plane_words,
        "tail_pixels": in_pixels - 16 * (plane_words - 1),
        "tiles": tiles,
        "out_words": ceil_div(height * width * (32 if output == Output.RAW else 16), config.bus_bits),
        "groups": groups,
        "high_rows": groups * plane_words * 16,
        "item_rows": item,
        "tile_words": taps * config.row_words,
        "param_words": params,
        "constant_words": ceil_div(channels * 64, config.bus_bits),
        "table_words": planes * (1 + ceil_div(channels * 32, config.bus_bits)),
    }
    return values, derived


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_derives_all_sizes(config):
    rng = random.Random(3)
    layers = [random_layer(config, rng) for _ in range(60)]
    for (values, derived), (status, sizes) in zip(layers, settle(config, [v for v, _ in layers]), strict=True):
        assert status is Status.OK, values
        assert {key: sizes[key] for key in derived} == derived, values


@pytest.mark.parametrize(
    ("resample", "codes", "planes", "pixels", "bits"),
    [(Resample.DOWN, 0, 1, 16, 16), (Resample.UP, 0, 1, 256, 16), (Resample.NONE, 0, 1, 64, 16),
     (Resample.NONE, 1, 1, 64, 4), (Resample.NONE, 1, 2, 64, 8)],
)  # fmt: skip
def test_output_planes_of_a_map(resample, codes, planes, pixels, bits):
    values = MAP | {"MODE.resample": resample, "MODE.codes": codes, "MODE.two_planes": planes - 1}
    [(status, sizes)] = settle(TINY, [values])
    assert status is Status.OK
    assert (sizes["pixels"], sizes["all_pixels"]) == (pixels, 2 * pixels)
    assert sizes["out_words"] == ceil_div(pixels * bits, TINY.bus_bits)


def test_codes_are_written_in_whole_chunks():
    ragged = MAP | {"MODE.codes": 1, "HEIGHT": 3, "WIDTH": 7}  # two chunks
    found = settle(TINY, [ragged | {"MODE.two_planes": planes} for planes in (0, 1)])
    assert [sizes["out_words"] for _, sizes in found] == [2, 4]


def test_refuses_zero_and_too_big():
    tops = {"CHANNELS": TINY.max_channels, "OUT_CHANNELS": TINY.max_out_channels, "HEIGHT": TINY.max_size,
            "WIDTH": TINY.max_size, "IMAGES": TINY.max_images}  # fmt: skip
    bad = [GOOD | {name: value} for name, top in tops.items() for value in (0, top + 1, 1 << 31)]
    bad += [GOOD | {"BUFFERS.slot_channels": value} for value in (0, 7, TINY.max_depth + 1)]  # 4 slots hold 32 channels
    bad += [GOOD | {"BUFFERS.images": 0}]
    bad += [MAP | {name: 0} for name in ("CHANNELS", "HEIGHT", "WIDTH", "IMAGES")]
    bad += [MAP | {"MODE.resample": Resample.DOWN, name: 7} for name in ("HEIGHT", "WIDTH")]
    assert [status for status, _ in settle(TINY, bad)] == [Status.BAD_SHAPE] * len(bad)
    assert settle(TINY, [GOOD | {"BUFFERS.slot_channels": 8}, MAP])[0][0] is Status.OK


def test_refuses_8_bit_layers_that_the_accumulators_cannot_hold():
    config = Config(name="narrow", acc_bits=21, slot_channels=256)
    limit = config.wide_channels(9)
    layer = GOOD | {"MODE.two_planes": 1, "BUFFERS.slot_channels": 64, "BUFFERS.images": 1}
    found = settle(config, [layer | {"CHANNELS": limit}, layer | {"CHANNELS": limit + 1}])
    assert [status for status, _ in found] == [Status.OK, Status.BAD_SHAPE]


def test_refuses_what_does_not_fit_the_buffers():
    rows = TINY.act_rows
    good = [
        GOOD | {"HEIGHT": 16, "WIDTH": 16, "BUFFERS.images": rows // 256},
        GOOD | {"BUFFERS.slot_channels": TINY.slot_channels},
        GOOD | {"MODE.kernel3": 0, "BUFFERS.slot_channels": TINY.max_depth, "HEIGHT": 4, "WIDTH": 4},
    ]
    bad = [
        GOOD | {"HEIGHT": 16, "WIDTH": 16, "BUFFERS.images": rows // 256 + 1},
        GOOD | {"HEIGHT": 16, "WIDTH": 16, "MODE.halo_top": 1, "BUFFERS.images": rows // 256},
        GOOD | {"HEIGHT": 16, "WIDTH": 16, "MODE.two_planes": 1, "BUFFERS.images": rows // 256},
        GOOD | {"BUFFERS.slot_channels": TINY.slot_channels + 1},
        GOOD | {"BUFFERS.slot_channels": TINY.slot_channels, "MODE.two_planes": 1},
        *(GOOD | {"BUFFERS.images": images} for images in (33, 97, 200, 255)),
    ]
    assert [status for status, _ in settle(TINY, good)] == [Status.OK] * len(good)
    assert [status for status, _ in settle(TINY, bad)] == [Status.TOO_LARGE] * len(bad)


def test_refuses_more_pixels_than_the_counters_hold():
    config = PRESETS["default"]
    layer = GOOD | {"HEIGHT": 32, "WIDTH": 32, "BUFFERS.images": 1, "BUFFERS.slot_channels": 16}
    many = Config(name="many images", max_images=64)
    assert settle(many, [layer | {"IMAGES": 63}])[0][0] is Status.OK
    assert settle(many, [layer | {"IMAGES": 64}])[0][0] is Status.TOO_LARGE
    assert settle(config, [layer | {"IMAGES": 32}])[0][0] is Status.OK


CONTRADICTIONS = [
    GOOD | {"MODE.kernel3": 0, "MODE.halo_top": 1},
    GOOD | {"MODE.kernel3": 0, "MODE.halo_bottom": 1},
    GOOD | {"MODE.output": Output.RAW, "MODE.residual": 1},
    GOOD | {"MODE.output": Output.WEIGHTS, "MODE.statistics": 1},
    GOOD | {"MODE.output": 3},
    GOOD | {"MODE.codes": 1},
    GOOD | {"MODE.resample": Resample.UP},
    GOOD | {"RESIDUAL_MULTIPLIER": 1 << 16},
    MAP | {"MODE.resample": 3},
    MAP | {"MODE.resample": Resample.DOWN, "MODE.codes": 1},
    MAP | {"MODE.statistics": 1, "MODE.codes": 1},
    MAP | {"MODE.residual": 1},
    MAP | {"MODE.output": Output.RAW},
    MAP | {"MODE.two_planes": 1},
    MAP | {"ACT_STRIDE": 4},
    GOOD | {"ACT_BASE": 4},
    GOOD | {"MODE.int16_acts": 1, "ACT_BASE": 16},
    GOOD | {"WEIGHT_STRIDE": 1 << 24},
    GOOD | {"OUT_STRIDE": 4},
    *(GOOD | {name: 4} for name in FIELDS if name.endswith("_BASE")),
]


@pytest.mark.parametrize("number", range(len(CONTRADICTIONS)))
def test_refuses_contradictions_and_misalignment(number):
    assert settle(TINY, [CONTRADICTIONS[number]])[0][0] is Status.BAD_DESCRIPTOR


def test_refuses_reserved_bits():
    assert settle(TINY, [GOOD], reserved=1)[0][0] is Status.BAD_DESCRIPTOR
    assert settle(TINY, [GOOD | {"ACT_BASE": 8}, MAP | {"ACT_BASE": 32}])[0][0] is Status.OK
