"""TapWalker: exhaustive over small maps."""

import itertools

import pytest
from streams import simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.tap_walker import TapWalker

TINY = PRESETS["tiny"]


def expected_positions(height, width, kernel3, channels, plane_rows):
    """Every position in order, from the definition of a zero-padded convolution."""
    taps = list(itertools.product(range(3), range(3))) if kernel3 and channels else [(1, 1)]
    groups = max(1, -(-channels // 16))
    found = []
    for y, x in itertools.product(range(height), range(width)):
        inside = [(r, s) for r, s in taps if 0 <= y + r - 1 < height and 0 <= x + s - 1 < width]
        for (r, s), group in itertools.product(inside, range(groups)):
            pixel_end = (r, s) == inside[-1] and group == groups - 1
            found.append(
                {
                    "row": group * plane_rows + (y + r - 1) * width + x + s - 1,
                    "tap": 3 * r + s if kernel3 and channels else 0,
                    "group": group,
                    "pixel_end": pixel_end,
                    "job_end": pixel_end and (y, x) == (height - 1, width - 1),
                }
            )
    return found


@pytest.mark.parametrize("kernel3", [0, 1])
@pytest.mark.parametrize("channels", [0, 1, 16, 17, 32])
def test_visits_exactly_the_taps_inside_the_map(kernel3, channels):
    device = TapWalker(TINY)

    async def bench(ctx):
        for height, width in [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (5, 3), (4, 4)]:
            plane_rows = -(-height * width // 16) * 16
            for name, value in {
                "height": height, "width": width, "kernel3": kernel3, "channels": channels, "plane_rows": plane_rows,
            }.items():  # fmt: skip
                ctx.set(getattr(device.job, name), value)
            ctx.set(device.start, 1)
            await ctx.tick()
            ctx.set(device.start, 0)
            for number, wanted in enumerate(expected_positions(height, width, kernel3, channels, plane_rows)):
                assert ctx.get(device.active), (height, width, number)
                position = ctx.get(device.position)
                for name, value in wanted.items():
                    if name != "tap" or channels:
                        assert getattr(position, name) == value, (height, width, number, name)
                if number % 3 == 0:
                    await ctx.tick()  # it stays until it is told to step
                    assert ctx.get(device.position.row) == wanted["row"]
                ctx.set(device.step, 1)
                await ctx.tick()
                ctx.set(device.step, 0)
            assert not ctx.get(device.active), (height, width)

    simulate(device, bench, limit=60_000)
