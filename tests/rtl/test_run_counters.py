"""RunCounters: every cycle is charged once."""

import random

from streams import simulate

from sqdm.rtl.config import PRESETS
from sqdm.rtl.run_counters import COUNTED, RunCounters

CONFIG = PRESETS["tiny"]
#: in the order in which docs/architecture.md charges them
CAUSES = {
    "blocked": "stall_output",
    "running": "stall_other",
    "waits_weights": "stall_weights",
    "waits_acts": "stall_acts",
    "mapping": "stall_map",
    "draining": "stall_output",
    "detecting": "stall_detect",
}


def test_charges_every_cycle_to_one_cause():
    device = RunCounters(CONFIG)
    rng = random.Random(7)
    wanted = dict.fromkeys(COUNTED, 0)

    async def bench(ctx):
        for _ in range(800):
            flags = {name: rng.random() < 0.2 for name in CAUSES}
            ops = [rng.choice([0, 0, 0, 1, 2]) for _ in range(CONFIG.arrays)]
            busy, read, write = rng.random() < 0.9, rng.random() < 0.5, rng.random() < 0.5
            counting = busy and rng.random() < 0.9
            added = {"dense_channels": rng.choice([0, 0, 30]), "nonzeros": rng.choice([0, 0, 500])}
            for name, value in (flags | {"busy": busy, "counting": counting, "read": read, "write": write}).items():
                ctx.set(getattr(device, name), value)
            for name, value in added.items():
                ctx.set(getattr(device, f"added_{name}"), value)
            for number, count in enumerate(ops):
                ctx.set(device.ops[number], count)
            await ctx.tick()
            wanted["reads"] += busy and read
            wanted["writes"] += busy and write
            if not counting:
                continue
            wanted["cycles"] += 1
            wanted["ops_dense"] += ops[0]
            wanted["ops_sparse"] += ops[1]
            wanted["busy_dense"] += ops[0] > 0
            wanted["busy_sparse"] += ops[1] > 0
            for name, value in added.items():
                wanted[name] += value
            if any(ops):
                wanted["active"] += 1
            else:
                cause = next((name for name in CAUSES if flags[name]), None)
                wanted[CAUSES.get(cause, "stall_other")] += 1
        ctx.set(device.busy, 0)
        ctx.set(device.counting, 0)
        await ctx.tick()  # the counters follow a cycle later
        assert {name: ctx.get(getattr(device, name)) for name in COUNTED} == wanted
        assert wanted["cycles"] == wanted["active"] + sum(wanted[n] for n in COUNTED if n.startswith("stall"))
        ctx.set(device.clear, 1)
        await ctx.tick().repeat(2)
        assert not any(ctx.get(getattr(device, name)) for name in COUNTED)

    simulate(device, bench)
