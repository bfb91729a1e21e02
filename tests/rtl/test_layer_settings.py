"""Layer settings: pool depths, and every field's source."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from sqdm.rtl import layer_settings, payloads
from sqdm.rtl.config import PRESETS, Config, ceil_div
from sqdm.rtl.descriptor import FIELDS, Kind, Output
from sqdm.rtl.descriptor_reader import descriptor_layout
from sqdm.rtl.layer_setup import sizes
from sqdm.rtl.load_scheduler import load_settings
from sqdm.rtl.registers import encode
from sqdm.rtl.table_update import update_settings

CONFIGS = [PRESETS["tiny"], PRESETS["default"], Config(name="wide bus", lanes=128, bus_bits=512)]


def simulate(component, bench):
    """Run a test bench on wiring without a clock."""
    sim = Simulator(component)
    sim.add_testbench(bench)
    sim.run()


class Depth(wiring.Component):
    """`pool_depth` as hardware."""

    def __init__(self, slots, maximum):
        self._slots, self._maximum = slots, maximum
        super().__init__({"channels": In(range(maximum + 1)), "depth": Out(range(maximum + 1))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.depth.eq(layer_settings.pool_depth(self.channels, self._slots, self._maximum))
        return m


@pytest.mark.parametrize(("slots", "maximum"), [(1, 20), (4, 128), (3, 512), (6, 200), (7, 513), (12, 300)])
def test_pool_depth_rounds_up(slots, maximum):
    device = Depth(slots, maximum)

    async def bench(ctx):
        for channels in range(maximum + 1):
            ctx.set(device.channels, channels)
            assert ctx.get(device.depth) == ceil_div(channels, slots), channels

    simulate(device, bench)


def test_pool_without_slots_has_no_depth():
    assert layer_settings.pool_depth(object(), 0, 128) == 0


class Settings(wiring.Component):
    """All settings of one descriptor."""

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "descriptor": In(descriptor_layout()),
                "sizes": In(sizes(config)),
                "renew": In(1),
                "param_half": In(1),
                "addresses": Out(payloads.layer(config)),
                "loads": Out(load_settings(config)),
                "job": Out(payloads.job(config)),
                "normalise": Out(payloads.normalise_mode()),
                "updates": Out(update_settings(config)),
                "outputs": Out(payloads.output_settings(config)),
                "map": Out(payloads.map_settings(config)),
            }
        )

    def elaborate(self, platform):
        m, config, layer, derived = Module(), self._config, self.descriptor, self.sizes
        layer_settings.connect_addresses(m, config, self.addresses, layer, derived)
        layer_settings.connect_loads(m, config, self.loads, layer, derived, self.renew)
        layer_settings.connect_job(m, self.job, layer, derived)
        layer_settings.connect_normalise(m, self.normalise, layer, derived)
        layer_settings.connect_update(m, config, self.updates, layer, derived)
        layer_settings.connect_outputs(m, config, self.outputs, layer, derived, self.param_half)
        layer_settings.connect_map(m, config, self.map, layer, derived)
        return m


def draw(config, rng, kind):
    """Field values of a descriptor, KEY or KEY.field; aligned addresses."""
    values = {}
    for name, word in FIELDS.items():
        for part in word.fields:
            values[f"{name}.{part.name}"] = rng.getrandbits(part.width)
        if name.endswith("_BASE"):
            values[name] = rng.getrandbits(20) * max(config.bus_bytes, 32)
        elif name.endswith("_STRIDE"):
            values[name] = rng.getrandbits(15) * config.bus_bytes
    limits = {"CHANNELS": min(config.max_channels, config.max_out_channels), "OUT_CHANNELS": config.max_out_channels,
              "HEIGHT": config.max_size, "WIDTH": config.max_size, "IMAGES": config.max_images}  # fmt: skip
    values |= {name: rng.randint(1, limit) for name, limit in limits.items()}
    values |= {
        "BUFFERS.slot_channels": rng.randint(1, config.max_depth),
        "BUFFERS.images": rng.randint(1, config.max_images),
    }
    values |= {"CONTROL.kind": kind, "MODE.output": rng.choice(list(Output)), "MODE.resample": rng.randrange(3)}
    return values | {
        "RESIDUAL_MULTIPLIER": rng.getrandbits(16),
        "SPARSE_COUNT": rng.choice([5, 0xFFFF, 0x10000, 1 << 31]),
    }


def packed(values):
    total = 0
    for key, value in values.items():
        name, _, part = key.partition(".")
        total |= (encode(FIELDS[name], **{part: value}) if part else value) << 8 * FIELDS[name].offset
    return total


def expected(config, d, s, renew, param_half):
    """What each part must see, by its name in `Settings`: addresses in granules or memory words."""

    def words(name):
        return d[name] // config.bus_bytes

    is_map, wide = d["CONTROL.kind"] == Kind.MAP, d["MODE.wide_weights"]
    mode = {name.partition(".")[2]: value for name, value in d.items() if name.startswith("MODE.")}
    wide_conv = int(wide and not is_map)
    return {
        "addresses": {
            "channels": d["CHANNELS"], "kernel3": mode["kernel3"], "int16_acts": mode["int16_acts"],
            "two_planes": mode["two_planes"], "act_base": d["ACT_BASE"] // 8, "act_stride": d["ACT_STRIDE"] // 8,
            "weight_base": words("WEIGHT_BASE"), "weight_stride": words("WEIGHT_STRIDE"),
            "param_base": words("PARAM_BASE"), "table_base": words("TABLE_BASE"),
            "constant_base": words("CONSTANT_BASE"), "dense_low": 0, "dense_high": 0,
            **{name: s[name] for name in ("plane_words", "groups", "tile_words", "param_words", "table_words")},
            "constant_words": s["constant_words"],
        },
        "loads": {
            "images": d["IMAGES"], "buffer_images": d["BUFFERS.images"], "raw": int(mode["output"] == Output.RAW),
            "count": mode["update"] & renew, "two_planes": mode["two_planes"], "int16_acts": mode["int16_acts"],
            "image_weights": mode["image_weights"], "weight_image_stride": words("WEIGHT_IMAGE_STRIDE"),
            "act_image_stride": d["ACT_IMAGE_STRIDE"] // 8, "constant_stride": words("CONSTANT_STRIDE"),
            **{name: s[name] for name in ("tiles", "item_rows", "tile_words")},
        },
        "job": {
            "height": d["HEIGHT"], "width": d["WIDTH"], "plane_rows": 16 * s["plane_words"], "groups": s["groups"],
            "high_rows": s["high_rows"], "channels_low": 0, "channels_high": 0, "act_base": 0, "weight_half": 0,
            **{name: mode[name] for name in ("kernel3", "halo_top", "halo_bottom", "signed_acts", "two_planes")},
        },
        "normalise": {
            "shift": d["SHIFTS.normalise"], "signed_codes": mode["signed_acts"], "two_planes": mode["two_planes"],
            "tail_pixels": s["tail_pixels"],
        },
        "updates": {
            "channels": d["CHANNELS"], "slot_channels": d["BUFFERS.slot_channels"], "two_planes": mode["two_planes"],
            "sparse_count": min(d["SPARSE_COUNT"], 0xFFFF), "count_shift": d["SHIFTS.count"],
            "counted_pixels": s["counted_pixels"], "table_base": words("TABLE_BASE"),
            "plane_table_words": s["table_words"] // (1 + mode["two_planes"]),
        },
        "outputs": {
            "mode": {"shift": d["SHIFTS.requantise"], "raw": int(mode["output"] == Output.RAW), "wide": wide_conv},
            "param_half": param_half, "pixels": s["pixels"], "all_pixels": s["all_pixels"],
            "planes": {
                "base": words("OUT_BASE"), "stride": words("OUT_STRIDE"), "image_stride": words("OUT_IMAGE_STRIDE"),
                "words": s["out_words"], "channels": d["CHANNELS"] if is_map else d["OUT_CHANNELS"],
                "images": d["IMAGES"], "wide": wide_conv,
            },
            "residual": {
                "enable": mode["residual"], "multiplier": d["RESIDUAL_MULTIPLIER"], "shift": d["SHIFTS.residual"],
            },
            "residual_base": words("RESIDUAL_BASE"), "residual_stride": words("RESIDUAL_STRIDE"),
            "residual_image_stride": words("RESIDUAL_IMAGE_STRIDE"), "statistics": mode["statistics"],
            "statistics_base": words("STATISTICS_BASE"), "map": int(is_map),
        },
        "map": {
            "codes": mode["codes"], "two_planes": mode["two_planes"], "channels": d["CHANNELS"], "images": d["IMAGES"],
            "height": d["HEIGHT"], "width": d["WIDTH"], "base": words("ACT_BASE"), "stride": words("ACT_STRIDE"),
            "image_stride": words("ACT_IMAGE_STRIDE"), "words": s["out_words"],
        },
    }  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_field_comes_from_its_place(config):
    device, rng = Settings(config), random.Random(4)

    async def bench(ctx):
        for _ in range(40):
            values = draw(config, rng, rng.choice([Kind.CONV, Kind.MAP]))
            derived = {name: rng.getrandbits(field.width) for name, field in sizes(config)}
            derived["all_pixels"] = rng.getrandbits(10)
            derived["pixels"] = rng.randint(1, config.max_size**2)
            derived["plane_words"] = rng.randint(1, config.act_rows // 16)
            derived["table_words"] &= ~1
            renew, half = rng.getrandbits(1), rng.getrandbits(1)
            ctx.set(device.descriptor.as_value(), packed(values))
            for name, value in (("sizes", derived), ("renew", renew), ("param_half", half)):
                ctx.set(getattr(device, name), value)
            for name, fields in expected(config, values, derived, renew, half).items():
                got = ctx.get(getattr(device, name))
                covered = set(fields) | {"output", "resample"}
                assert {field for field, _ in getattr(device, name).shape()} <= covered, name
                for field, value in fields.items():
                    parts = value.items() if isinstance(value, dict) else [(None, value)]
                    for part, wanted in parts:
                        seen = got[field] if part is None else got[field][part]
                        assert seen == wanted, f"{name}.{field} {part or ''}"
            assert ctx.get(device.outputs.output.as_value()) == values["MODE.output"]
            assert ctx.get(device.map.resample.as_value()) == values["MODE.resample"]

    simulate(device, bench)
