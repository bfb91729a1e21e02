"""TapWalker: exhaustive over small maps."""

import itertools

import pytest
from streams import emits_verilog, simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.tap_walker import TapWalker

TINY = PRESETS["tiny"]
SIZES = [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (5, 3)]


def make_job(size, kernel3, low, high=None, halo=(0, 0), act_base=0, spare_groups=0):
    """The fields of a job; ``high`` is None without a plane HIGH."""
    height, width = size
    plane_rows = -(-(height + sum(halo)) * width // 16) * 16
    groups = -(-max(low, high or 0, 1) // 16) + spare_groups
    return {
        "height": height, "width": width, "kernel3": kernel3, "halo_top": halo[0], "halo_bottom": halo[1],
        "two_planes": int(high is not None), "channels_low": low, "channels_high": high or 0, "groups": groups,
        "plane_rows": plane_rows, "high_rows": groups * plane_rows, "act_base": act_base,
    }  # fmt: skip


def expected_positions(job):
    """Every position in order, from the definition of a convolution over a strip of the input."""
    lines = job["halo_top"] + job["height"] + job["halo_bottom"]
    found = []
    for y, x in itertools.product(range(job["height"]), range(job["width"])):
        pixel = []
        for high in (1, 0):
            channels = job["channels_high"] if high else job["channels_low"]
            if high and not (job["two_planes"] and channels):
                continue
            for r, s, group in itertools.product(range(3), range(3), range(max(1, -(-channels // 16)))):
                if (r, s) != (1, 1) and not (job["kernel3"] and channels):
                    continue
                line, column = job["halo_top"] + y + r - 1, x + s - 1
                if not (0 <= line < lines and 0 <= column < job["width"]):
                    continue
                number = high * job["groups"] + group
                pixel.append({"high": high, "empty": int(channels == 0)})
                if channels:
                    pixel[-1] |= {
                        "row": job["act_base"] + number * job["plane_rows"] + line * job["width"] + column,
                        "tap": 3 * r + s if job["kernel3"] else 0,
                        "group": number,
                    }
        for place, word in enumerate(pixel):
            last = place == len(pixel) - 1
            word["phase_end"] = int(last or pixel[place + 1]["high"] != word["high"])
            word["pixel_end"] = int(last)
            word["job_end"] = int(last and (y, x) == (job["height"] - 1, job["width"] - 1))
        found += pixel
    return found


async def start(ctx, device, job):
    for name, value in job.items():
        ctx.set(getattr(device.job, name), value)
    ctx.set(device.start, 1)
    await ctx.tick()
    ctx.set(device.start, 0)


async def follow(ctx, device, job):
    """Steps through the job."""
    positions = expected_positions(job)
    for number, wanted in enumerate(positions):
        assert ctx.get(device.active), (job, number)
        position = ctx.get(device.position)
        for name, value in wanted.items():
            assert getattr(position, name) == value, (job, number, name)
        if number % 5 == 0:
            await ctx.tick()  # it stays until it is told to step
            assert ctx.get(device.position) == position
        ctx.set(device.step, 1)
        await ctx.tick()
        ctx.set(device.step, 0)
    assert not ctx.get(device.active), job


def run(jobs):
    """One job after the other."""
    device = TapWalker(TINY)

    async def bench(ctx):
        for job in jobs:
            await start(ctx, device, job)
            await follow(ctx, device, job)

    simulate(device, bench, limit=60_000)


@pytest.mark.parametrize("kernel3", [0, 1])
@pytest.mark.parametrize("channels", [0, 1, 16, 17, 32])
def test_visits_exactly_the_taps_inside_the_map(kernel3, channels):
    run([make_job(size, kernel3, channels) for size in SIZES])


@pytest.mark.parametrize("kernel3", [0, 1])
@pytest.mark.parametrize("low", [0, 1, 17])
@pytest.mark.parametrize("high", [0, 1, 17])
def test_plane_high_comes_first_in_every_pixel(kernel3, low, high):
    run([make_job(size, kernel3, low, high, spare_groups=size[0] % 2) for size in SIZES])


@pytest.mark.parametrize("halo", [(1, 0), (0, 1), (1, 1)])
def test_halo_lines_are_read(halo):
    run(
        [
            make_job(size, 1, low, high, halo, act_base)
            for size, act_base in zip(SIZES, (0, 16, 32, 48, 208, 256), strict=True)
            for low, high in ((5, None), (0, 3))
        ]
    )


def test_halo_above_a_1x1_is_passed_over():
    run([make_job((2, 3), 0, 17, None, (1, 1), 32)])


def test_positions_begin_at_the_base():
    cases = itertools.product((0, 1), (None, 2), (16, 128))
    run([make_job((3, 5), kernel3, 17, high, act_base=base) for kernel3, high, base in cases])


def test_emits_verilog():
    assert emits_verilog(TapWalker(TINY), "tap_walker")
