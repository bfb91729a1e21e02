"""Sequencer: what each descriptor starts, in which order, and what waits for the layer before."""

import random

import pytest
from streams import simulate, strobe

from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import BYTES, FIELDS, Kind
from sqdm.rtl.payloads import LoadKind
from sqdm.rtl.registers import Status, encode
from sqdm.rtl.sequencer import Sequencer

CONFIG = PRESETS["tiny"]
STEP = BYTES // CONFIG.bus_bytes
BASE = 4096


def descriptor(kind, tag=0, prefetch=0, **mode):
    """A descriptor as one number."""
    words = {"CONTROL": {"kind": kind, "tag": tag, "prefetch": prefetch}, "MODE": mode}
    return sum(encode(FIELDS[name], **fields) << 8 * FIELDS[name].offset for name, fields in words.items())


CONV, MAP, WAIT, END = Kind.CONV, Kind.MAP, Kind.WAIT, Kind.END


class World:
    """All parts around the sequencer, slow at random. ``events`` are (name, detail) in order.

    A layer is complete some time after its start, and not before all of its loads have ended.
    """

    def __init__(self, program, seed=1, pause=0, statuses=None, bad_tables=()):
        self.device, self.rng = Sequencer(CONFIG), random.Random(seed)
        self.program, self.pause = program, pause
        self.statuses, self.bad_tables = statuses or {}, bad_tables  # by number of the set-up, of the table
        self.events, self.waits = [], []
        self.pending = {}  # pulse of an input -> cycles until it comes
        self.complete = self.load_finished = True
        self.owed = False
        self.setups = self.tables = 0
        self.fetched = None

    def log(self, name, detail=None):
        self.events.append((name, detail))

    def names(self):
        return [name for name, _ in self.events]

    async def run(self, ctx):
        """The whole program; its status."""
        self.ctx, device = ctx, self.device
        ctx.set(device.base, BASE)
        ctx.set(device.pause, self.pause)
        await strobe(ctx, device.start)
        for _ in range(3000):
            if await self.cycle():
                return Status(ctx.get(device.status))
        raise AssertionError(f"the program never ended: {self.events}")

    def later(self, pulse, low=1, high=12):
        self.pending[pulse] = self.rng.randint(low, high)

    async def cycle(self):
        """One cycle: due inputs, then the outputs that are 1; True with ``finished``."""
        ctx, device, get = self.ctx, self.device, lambda name: self.ctx.get(getattr(self.device, name))
        due = {name for name, left in self.pending.items() if left == 0}
        self.pending = {name: left - 1 for name, left in self.pending.items() if left}
        if "fetched" in due:
            ctx.set(device.descriptor.as_value(), self.fetched)
        self.complete |= "complete" in due
        self.load_finished |= "load_finished" in due
        pulses = ("fetched", "setup_done", "table_finished", "resume")
        levels = {name: name in due or get(name) for name in ("constants_loaded", "scan_complete", "update_idle")}
        levels |= {"complete": self.complete, "load_finished": self.load_finished}
        for name, value in (levels | {name: name in due for name in pulses}).items():
            ctx.set(getattr(device, name), value)
        ctx.set(device.commands.ready, self.rng.random() < 0.5)
        self.host(get, due)
        self.serve(get)
        finished = get("finished")
        if finished:
            assert self.complete and self.load_finished and not self.owed, "ended before the layer was complete"
            self.log("end", get("status"))
        await ctx.tick()
        return finished

    def host(self, get, due):
        if get("waiting"):
            assert self.complete, "waits before the layer is complete"
            if not self.owed:
                self.log("wait", get("tag"))
                self.owed = True
                self.later("resume", 5, 40)
            assert get("tag") == [detail for name, detail in self.events if name == "wait"][-1]
        if "resume" in due:
            self.log("resume")
            self.owed = False

    def behind_barrier(self, name):
        assert self.complete and not self.owed, f"{name} before the layer before was complete or the host had resumed"

    def serve(self, get):
        if get("fetch"):
            number = (get("fetch_address") - BASE) // STEP
            self.log("fetch", number)
            assert "fetched" not in self.pending
            self.fetched = self.program[number]
            self.later("fetched")
        if get("setup_start"):
            self.ctx.set(self.device.setup_status, self.statuses.get(self.setups, Status.OK))
            self.setups += 1
            self.log("setup")
            self.later("setup_done")
        if get("table_start"):
            self.ctx.set(self.device.table_bad, self.tables in self.bad_tables)
            self.tables += 1
            self.log("table", self.complete and not self.owed)
            self.later("table_finished")
        if self.ctx.get(self.device.commands.valid) and self.ctx.get(self.device.commands.ready):
            kind = LoadKind(self.ctx.get(self.device.commands.payload).kind)
            assert get("table_start") == (kind is LoadKind.TABLE)
            if kind is LoadKind.CONSTANTS:
                self.behind_barrier("constants")
                self.log("constants")
                self.ctx.set(self.device.constants_loaded, 0)
                self.later("constants_loaded")
        if get("load_start"):
            assert self.load_finished, "loads begin while others go on"
            self.log("scan" if get("load_scan") else "prepare", self.complete and not self.owed)
            self.load_finished = False
            if get("load_scan"):
                self.behind_barrier("scan")
                self.ctx.set(self.device.scan_complete, 0)
                self.later("scan_complete", 3, 30)
        if get("load_go") and not self.load_finished and "load_finished" not in self.pending:
            self.later("load_finished", 1, 25)
        if get("scan_sort"):
            assert get("scan_complete") and self.load_finished and get("scanning")
            self.log("sort")
            self.ctx.set(self.device.update_idle, 0)
            self.later("update_idle", 2, 20)
        for name in ("run_start", "map_start"):
            if get(name):
                self.behind_barrier(name)
                self.log(name, get("tables_sorted") if name == "run_start" else None)
                self.complete = False
                self.later("complete", 150, 200)  # longer than any preparation


def run(program, **options):
    world = World(program, **options)

    async def bench(ctx):
        ctx.set(world.device.update_idle, 1)
        assert not ctx.get(world.device.fetch) and not ctx.get(world.device.waiting)
        world.status = await world.run(ctx)
        for _ in range(10):
            await ctx.tick()
            assert not ctx.get(world.device.fetch) and not ctx.get(world.device.finished)

    simulate(world.device, bench)
    return world


SEEDS = pytest.mark.parametrize("seed", range(4))


@SEEDS
@pytest.mark.parametrize("prefetch", [0, 1])
def test_layers_in_order(seed, prefetch):
    world = run(
        [descriptor(CONV), descriptor(CONV, prefetch=prefetch), descriptor(CONV, prefetch=prefetch), descriptor(END)],
        seed=seed,
    )
    assert world.status is Status.OK
    layer = ["fetch", "setup", "table", "prepare", "run_start"]
    assert world.names() == [*layer * 3, "fetch", "end"]
    assert [detail for name, detail in world.events if name == "fetch"] == [0, 1, 2, 3]
    early = [detail for name, detail in world.events if name in ("table", "prepare")][2:]
    assert early == [not prefetch] * 4, "prepared while the layer before computes exactly if prefetch says so"
    assert not any(detail for name, detail in world.events if name == "run_start")


@SEEDS
def test_a_scan_runs_alone(seed):
    world = run([descriptor(CONV), descriptor(CONV, prefetch=1, scan=1), descriptor(CONV), descriptor(END)], seed=seed)
    layer = ["fetch", "setup", "table", "prepare", "run_start"]
    scanned = ["fetch", "setup", "table", "scan", "sort", "prepare", "run_start"]
    assert world.names() == [*layer, *scanned, *layer, "fetch", "end"]
    assert [detail for name, detail in world.events if name == "run_start"] == [0, 1, 0]


@SEEDS
def test_maps(seed):
    world = run(
        [descriptor(MAP), descriptor(MAP, prefetch=1, codes=1), descriptor(CONV, prefetch=1), descriptor(END)],
        seed=seed,
    )
    wanted = ["fetch", "setup", "map_start", "fetch", "setup", "constants", "map_start",
              "fetch", "setup", "table", "prepare", "run_start", "fetch", "end"]  # fmt: skip
    assert world.names() == wanted
    assert world.events[-5] == ("table", False)


@SEEDS
@pytest.mark.parametrize("prefetch", [0, 1])
def test_host_works_between_two_layers(seed, prefetch):
    program = [descriptor(CONV), descriptor(WAIT, tag=77), descriptor(CONV, prefetch=prefetch), descriptor(END)]
    world = run(program, seed=seed)
    names = world.names()
    assert [event for event in world.events if event[0] == "wait"] == [("wait", 77)]
    assert names.index("wait") < names.index("resume") < len(names) - 1 - names[::-1].index("run_start")
    second_table = [place for place, name in enumerate(names) if name == "table"][1]
    assert (second_table > names.index("resume")) == (not prefetch)
    assert [detail for name, detail in world.events if name == "fetch"] == [0, 1, 2, 3]


def test_several_waits_and_one_at_the_end():
    program = [
        descriptor(WAIT, tag=1),
        descriptor(WAIT, tag=2),
        descriptor(CONV),
        descriptor(WAIT, tag=3),
        descriptor(END),
    ]
    world = run(program)
    assert [detail for name, detail in world.events if name == "wait"] == [1, 2, 3]
    assert world.names().count("resume") == 3


@SEEDS
def test_pause_waits_after_every_descriptor(seed):
    program = [descriptor(CONV, tag=5), descriptor(CONV, tag=6, prefetch=1), descriptor(MAP, tag=7), descriptor(END)]
    world = run(program, seed=seed, pause=1)
    assert [detail for name, detail in world.events if name == "wait"] == [5, 6, 7]
    names = world.names()
    for place, name in enumerate(names[1:], 1):
        assert name != "fetch" or names[place - 1] == "resume"


@pytest.mark.parametrize(
    ("second", "options", "status"),
    [
        (descriptor(9), {}, Status.BAD_DESCRIPTOR),
        (descriptor(CONV, prefetch=1), {"statuses": {1: Status.BAD_SHAPE}}, Status.BAD_SHAPE),
        (descriptor(MAP), {"statuses": {1: Status.TOO_LARGE}}, Status.TOO_LARGE),
        (descriptor(CONV, prefetch=1), {"bad_tables": {1}}, Status.BAD_TABLE),
    ],
)
def test_a_bad_descriptor_ends_the_program_behind_the_layer_before(second, options, status):
    world = run([descriptor(CONV, tag=1), second | 0xABCD << 16, descriptor(END)], **options)
    assert world.status is status
    assert world.names().count("run_start") == 1 and world.events[-1][0] == "end"
    assert world.names().count("fetch") == 2


def test_runs_again_after_an_error():
    world = World([descriptor(CONV, tag=3), descriptor(9), descriptor(END)])

    async def bench(ctx):
        ctx.set(world.device.update_idle, 1)
        assert await world.run(ctx) is Status.BAD_DESCRIPTOR
        world.program[1] = descriptor(END, tag=8)
        assert await world.run(ctx) is Status.OK
        assert ctx.get(world.device.tag) == 8

    simulate(world.device, bench)
