"""Address generator: every request of every load against the reference model of the specification."""

from dataclasses import asdict, dataclass

import cocotb

from sqdm.golden import requests
from sqdm.golden.dealing import clamp_dense
from sqdm.golden.requests import LoadLayer, RequestModel
from sqdm.rtl import payloads
from sqdm.rtl.config import MAX_TAPS, STRIDE_BITS, WORD_NIBBLES, Config, ceil_div
from sqdm.sim.lib.bench import RUN_BROKEN, Bench
from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}
LIMIT = 60_000


@dataclass(frozen=True)
class Case:
    """What the test chooses of a layer; all else is random or follows from it."""

    channels: int
    plane_words: int
    kernel3: int = 0
    int16_acts: int = 0
    two_planes: int = 0


class TB(Bench):
    """Writes the channel tables, sets the layer, sends load commands, compares requests."""

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady"):
        super().__init__(dut)
        self.config = config = Config(**self.parameters["config"])
        self.layer = Codec(payloads.layer(config))
        self.no_command = {field: 0 for field, _ in payloads.load_command(config)}
        pace = PACES[idle]
        self.table_writes = self.add(Source(self, "table_writes", payloads.table_write(config), pace(self.rng)))
        self.commands = self.add(Source(self, "commands", payloads.load_command(config), pace(self.rng)))
        self.scoreboard = Scoreboard("requests")
        ready = PACES[back_pressure](self.rng)
        self.requests = self.add(Sink(self, "requests", payloads.load_request(config), ready, self._receive))

    def _receive(self, request: dict):
        self.scoreboard.observe({"address": request["address"], **request["tag"]})

    def depth(self, channels: int) -> int:
        """Channels that a slot gets at most: one pool takes all of them."""
        pools = [slots for slots in (self.config.dense_slots, self.config.sparse_slots) if slots]
        return ceil_div(channels, min(pools))

    def fits(self, case: Case) -> bool:
        """Whether the buffers hold an image of the layer, however its channels are split."""
        groups = (1 + case.two_planes) * ceil_div(self.depth(case.channels), WORD_NIBBLES)
        rows = groups * WORD_NIBBLES * (MAX_TAPS if case.kernel3 else 1)
        return groups * case.plane_words * WORD_NIBBLES <= self.config.act_rows and rows <= self.config.weight_rows

    def random_case(self) -> Case:
        """A random layer that fits the buffers."""
        rng = self.rng
        while True:
            flags = [rng.randint(0, 1) for _ in range(3)]
            case = Case(rng.randint(1, min(40, self.config.max_channels)), rng.randint(1, 5), *flags)
            if self.fits(case):
                return case

    async def set_layer(self, case: Case, dense: tuple[int, int]) -> RequestModel:
        """Random channel tables, bases and strides; gives the model.

        ``dense`` channels of the planes LOW and HIGH, if the configuration has arrays of both kinds.
        """
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "all requests of the layer before")
        rng, config, parts = self.rng, self.config, self.config.word_parts
        limits = (case.channels, self.depth(case.channels), config.dense_slots, config.sparse_slots)
        dense = (clamp_dense(dense[0], *limits), clamp_dense(dense[1], *limits))
        alignment = max(requests.CHUNK_GRANULES, parts) if case.int16_acts else 1
        layer = LoadLayer(
            **asdict(case),
            groups=ceil_div(self.depth(case.channels), WORD_NIBBLES),
            act_base=rng.getrandbits(28) * alignment,
            act_stride=rng.randrange((1 << STRIDE_BITS) // alignment) * alignment,
            weight_base=rng.getrandbits(30),
            weight_stride=rng.getrandbits(STRIDE_BITS),
            tile_words=(MAX_TAPS if case.kernel3 else 1) * config.row_words,
            param_base=rng.getrandbits(30),
            param_words=rng.randint(1, config.param_rows),
            table_base=rng.getrandbits(30),
            table_words=(1 + case.two_planes) * (1 + ceil_div(case.channels * 32, config.bus_bits)),
            constant_base=rng.getrandbits(30),
            constant_words=ceil_div(case.channels * 64, config.bus_bits),
        )
        tables = [(rng.sample(range(case.channels), case.channels), split) for split in dense[: 1 + case.two_planes]]
        self.pins.set(layer=self.layer.pack(asdict(layer) | {"dense_low": dense[0], "dense_high": dense[1]}))
        writes = [
            {"plane": plane, "position": position, "channel": channel, "count": rng.getrandbits(16)}
            for plane, (order, _) in enumerate(tables)
            for position, channel in enumerate(order)
        ]
        rng.shuffle(writes)
        self.table_writes.send(writes)
        await self.until(lambda: not self.table_writes.pending, LIMIT, "the channel tables are written")
        return RequestModel(config, layer, tables)

    def command(self, model: RequestModel, kind: int, plane: int = 0):
        """Queue a load with random settings and expect its requests."""
        rng, layer, config = self.rng, model.layer, self.config
        alignment = max(requests.CHUNK_GRANULES, config.word_parts) if layer.int16_acts else 1
        half, count, first = (rng.randint(0, 1) for _ in range(3))
        offset = rng.getrandbits(20) * (alignment if kind == requests.ACTS else 1)
        image_rows = (1 + layer.two_planes) * layer.groups * layer.plane_words * WORD_NIBBLES
        row = rng.randrange(config.act_rows // image_rows) * image_rows
        fields = {"kind": kind, "plane": plane, "offset": offset, "half": half, "row": row}
        self.commands.send([self.no_command | fields | {"count": count, "first": first}])
        self.scoreboard.expect(
            {
                requests.PARAMS: lambda: model.params(half),
                requests.TABLE: model.table,
                requests.CONSTANTS: lambda: model.constants(offset),
                requests.WEIGHTS: lambda: model.weights(plane, offset, half),
                requests.ACTS: lambda: model.acts(plane, offset, row, count, first),
            }[kind]()
        )

    def whole_layer(self, model: RequestModel, images: int = 2):
        """The loads of an output tile in the order in which it runs."""
        for kind in (requests.TABLE, requests.PARAMS):
            self.command(model, kind)
        planes = range(model.layer.two_planes, -1, -1)
        for plane in planes:
            self.command(model, requests.WEIGHTS, plane)
        for _ in range(images):
            self.command(model, requests.CONSTANTS)
            for plane in planes:
                self.command(model, requests.ACTS, plane)

    async def run_layer(self, case: Case, dense: tuple[int, int]):
        self.whole_layer(await self.set_layer(case, dense))

    async def finish(self):
        """Everything came, nothing more comes."""
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "all requests")
        await self.drain()
        self.scoreboard.close()
        assert not self.commands.pending, "a command was not taken"


CASES = [
    Case(1, 1),
    Case(1, 1, kernel3=1, two_planes=1),
    Case(2, 2, kernel3=1, int16_acts=1),
    Case(7, 3, int16_acts=1, two_planes=1),
    Case(16, 1),
    Case(35, 2, kernel3=1),
    Case(63, 2, two_planes=1),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(case=CASES, dense=["none", "one", "half", "all"])
async def requests_of_a_layer(dut, case, dense):
    tb = TB(dut, back_pressure="even" if dense == "half" else "steady")
    await tb.start()
    low = {"none": 0, "one": 1, "half": case.channels // 2, "all": case.channels}[dense]
    await tb.run_layer(case, (low, case.channels - low))
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even", "bursts"], back_pressure=["steady", "even", "rare", "bursts"])
async def idle_and_back_pressure_change_nothing(dut, idle, back_pressure):
    tb = TB(dut, idle, back_pressure)
    await tb.start()
    for _ in range(4):
        case = tb.random_case()
        model = await tb.set_layer(case, (tb.rng.randint(0, case.channels), tb.rng.randint(0, case.channels)))
        for _ in range(6):
            tb.command(model, tb.rng.choice(requests.KINDS), tb.rng.randint(0, case.two_planes))
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def every_split_of_a_small_layer(dut):
    tb = TB(dut)
    await tb.start()
    for channels in (1, 2, 5, 9):
        for dense in range(channels + 1):
            await tb.run_layer(Case(channels, 1, two_planes=1), (dense, (dense + 2) % (channels + 1)))
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(int16_acts=[0, 1])
async def most_channels(dut, int16_acts):
    tb = TB(dut)
    await tb.start()
    channels = tb.config.max_channels
    case = Case(channels, 1, two_planes=1, int16_acts=int16_acts)
    assert tb.fits(case)
    model = await tb.set_layer(case, (channels // 2, channels // 3))
    for kind in (requests.WEIGHTS, requests.ACTS):
        tb.command(model, kind, payloads.HIGH)
        tb.command(model, kind, payloads.LOW)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def valid_does_not_wait_for_ready(dut):
    tb = TB(dut)
    tb.requests.after_valid = True
    await tb.start()
    await tb.run_layer(Case(5, 2, kernel3=1, int16_acts=1, two_planes=1), (2, 4))
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def one_request_per_cycle(dut):
    """Weights and activations must come at the pace of the memory: no more than a few idle cycles in a load."""
    tb = TB(dut)
    await tb.start()
    for dense, int16_acts in ((16, 0), (32, 1)):
        model = await tb.set_layer(Case(32, 1, 1, int16_acts, 1), (dense, dense))
        for kind in (requests.WEIGHTS, requests.ACTS):
            for plane in (payloads.HIGH, payloads.LOW):
                tb.command(model, kind, plane)
                begin, expected = tb.cycle, tb.scoreboard.pending
                await tb.until(lambda: not tb.scoreboard.pending, LIMIT, "all requests")
                assert tb.cycle - begin <= expected + 10, f"{tb.cycle - begin} cycles for {expected} requests"
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def reset_in_mid_load_leaves_a_working_generator(dut):
    tb = TB(dut, back_pressure="even")
    await tb.start()
    await tb.run_layer(Case(9, 1, kernel3=1, two_planes=1), (4, 3))
    await tb.cycles(50)
    again = TB(dut, back_pressure="even")
    await again.reset()
    await again.run_layer(Case(6, 1, kernel3=1, two_planes=1), (3, 6))
    await again.finish()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = TB(dut, back_pressure="even")
    tb.fault = fault
    await tb.start()
    await tb.run_layer(Case(5, 1, kernel3=1), (2, 0))
    await tb.finish()
