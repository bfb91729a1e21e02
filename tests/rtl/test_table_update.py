"""TableUpdate: sorts HIGH before LOW, stores what is to be stored, adds up the non-zeros."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.payloads import PolicyShape
from sqdm.rtl.table_update import TableUpdate

SETTINGS = {"channels": 40, "slot_channels": 11, "sparse_count": 900, "count_shift": 5, "counted_pixels": 1200,
            "table_base": 5000, "plane_table_words": 21}  # fmt: skip
HIGH, LOW = 1, 0


class World:
    """Detector and table writer: slow at random, with outcomes that the test knows."""

    def __init__(self, device, seed):
        self.device, self.rng = device, random.Random(seed)
        self.events = []
        self.outcomes = {}

    async def idle_cycles(self, ctx):
        while self.rng.random() < 0.6:
            assert not ctx.get(self.device.idle)
            await ctx.tick()

    async def update(self, ctx, two_planes, store, policy):
        """One update; the events in order."""
        device = self.device
        ctx.set(device.settings, SETTINGS | {"two_planes": two_planes})
        ctx.set(device.policy, policy)
        ctx.set(device.store, store)
        assert ctx.get(device.idle)
        ctx.set(device.start, 1)
        assert not ctx.get(device.idle), "idle must fall with start"
        await ctx.tick()
        ctx.set(device.start, 0)
        ctx.set(device.store, not store)  # read with start only
        self.events, self.outcomes = [], {}
        while not ctx.get(device.idle):
            assert ctx.get(device.storing) == store
            if ctx.get(device.sorts.valid):
                await self.sort(ctx)
            elif ctx.get(device.write_start):
                self.events.append(
                    ("store", ctx.get(device.plane), ctx.get(device.write_base), ctx.get(device.write_dense))
                )
                await ctx.tick()
                await self.idle_cycles(ctx)
                await strobe(ctx, device.write_finished)
            else:
                await ctx.tick()
        return self.events

    async def sort(self, ctx):
        device = self.device
        await self.idle_cycles(ctx)
        command = ctx.get(device.sorts.payload)
        names = ("plane", "channels", "slot_channels", "policy", "sparse_count", "count_shift", "pixels")
        self.events.append(("sort", {name: command[name] for name in names}))
        await strobe(ctx, device.sorts.ready)
        assert not ctx.get(device.sorts.valid)
        await self.idle_cycles(ctx)
        outcome = {"dense_channels": self.rng.randint(0, 40), "nonzeros": self.rng.getrandbits(20)}
        self.outcomes[int(command.plane)] = outcome
        ctx.set(device.labels.payload, outcome)
        assert ctx.get(device.labels.ready)
        await strobe(ctx, device.labels.valid)


@pytest.mark.parametrize("policy", list(PolicyShape), ids=lambda policy: policy.name)
def test_updates(policy):
    device = TableUpdate(PRESETS["tiny"])
    world = World(device, 3)

    async def bench(ctx):
        for number in range(12):
            two_planes, store = number & 1, number >> 1 & 1
            before = ctx.get(device.dense_high)
            events = await world.update(ctx, two_planes, store, policy)
            wanted = []
            for plane in (HIGH, LOW) if two_planes else (LOW,):
                command = {
                    name: SETTINGS[name] for name in ("channels", "slot_channels", "sparse_count", "count_shift")
                }
                wanted.append(("sort", command | {"plane": plane, "policy": policy, "pixels": 1200}))
                if store:
                    base = 5000 + 21 if two_planes and plane == LOW else 5000
                    wanted.append(("store", plane, base, world.outcomes[plane]["dense_channels"]))
            assert events == wanted
            assert ctx.get(device.dense_low) == world.outcomes[LOW]["dense_channels"]
            assert ctx.get(device.dense_high) == (world.outcomes[HIGH]["dense_channels"] if two_planes else before)
            assert ctx.get(device.nonzeros) == sum(outcome["nonzeros"] for outcome in world.outcomes.values())

    simulate(device, bench)
