"""Address generator: every request of every load against the reference model of the specification."""

import cocotb

from sqdm.golden import requests
from sqdm.golden.layout import LayerShape
from sqdm.golden.requests import Bases, RequestModel
from sqdm.rtl import payloads
from sqdm.rtl.config import Config
from sqdm.sim.lib.bench import RUN_BROKEN, Bench
from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.faults import FAULTS
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.scoreboard import Scoreboard
from sqdm.sim.lib.streams import Sink, Source

TIMEOUT = {"timeout_time": 20, "timeout_unit": "ms"}
LIMIT = 60_000


class TB(Bench):
    """Writes the channel table, sets the layer, sends load commands, compares requests."""

    def __init__(self, dut, idle: str = "steady", back_pressure: str = "steady"):
        super().__init__(dut)
        self.config = config = Config(**self.parameters["config"])
        self.layer = Codec(payloads.layer(config))
        pace = PACES[idle]
        self.table_writes = self.add(Source(self, "table_writes", payloads.table_write(config), pace(self.rng)))
        self.commands = self.add(Source(self, "commands", payloads.load_command(config), pace(self.rng)))
        self.scoreboard = Scoreboard("requests")
        ready = PACES[back_pressure](self.rng)
        self.requests = self.add(Sink(self, "requests", payloads.load_request(config), ready, self._receive))
        self.pins.set(table_position=0)

    def _receive(self, request: dict):
        self.scoreboard.observe({"address": request["address"], **request["tag"]})

    def random_shape(self) -> LayerShape:
        """A random layer whose channels fit the buffers."""
        rng, config = self.rng, self.config
        while True:
            side = rng.choice([1, 2, 3, 4, 5, 8])
            sizes = (rng.randint(1, min(40, config.max_channels)), rng.randint(1, config.max_out_channels))
            shape = LayerShape(config, *sizes, side, rng.randint(1, 6), rng.randint(1, 4), rng.choice([1, 9]))
            if (shape.channels // 16 + 1) * shape.plane_rows <= config.act_rows:
                return shape

    async def set_layer(self, shape: LayerShape, dense_channels: int) -> RequestModel:
        """A random channel table and random bases for a layer; returns the model of its requests."""
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "all requests of the layer before")
        order = self.rng.sample(range(shape.channels), shape.channels)
        bases = Bases(*(self.rng.getrandbits(30) for _ in range(4)))
        values = {
            "channels": shape.channels,
            "dense_channels": dense_channels,
            "kernel3": int(shape.taps == 9),
            "plane_words": shape.plane_words,
            "act_words": shape.act_words,
            "tile_words": shape.tile_words,
            "weight_words": shape.weight_words,
            "param_words": shape.param_words,
            "table_words": shape.table_words,
            "act_base": bases.act,
            "weight_base": bases.weight,
            "param_base": bases.param,
            "table_base": bases.table,
        }
        self.pins.set(layer=self.layer.pack(values))
        writes = [{"position": position, "channel": channel} for position, channel in enumerate(order)]
        self.rng.shuffle(writes)
        self.table_writes.send(writes)
        await self.until(lambda: not self.table_writes.pending, LIMIT, "the channel table is written")
        return RequestModel(shape, bases, order, dense_channels)

    def command(self, model: RequestModel, kind: int, tile: int = 0, image: int = 0, half: int = 0, count: int = 0):
        """Queue a load and expect its requests."""
        self.commands.send([{"kind": kind, "tile": tile, "image": image, "half": half, "count": count}])
        self.scoreboard.expect(
            {
                requests.PARAMS: model.params,
                requests.WEIGHTS: lambda: model.weights(tile, half),
                requests.ACTS: lambda: model.acts(image, half, count),
                requests.SCAN: model.scan,
                requests.TABLE: model.table,
            }[kind]()
        )

    def whole_layer(self, model: RequestModel):
        """The loads of a layer in the order in which it runs, preceded by a scan."""
        shape = model.shape
        self.command(model, requests.SCAN)
        self.command(model, requests.TABLE)
        self.command(model, requests.PARAMS)
        jobs = 0
        for tile in range(shape.tiles):
            self.command(model, requests.WEIGHTS, tile=tile, half=tile % 2)
            for image in range(shape.images):
                self.command(model, requests.ACTS, image=image, half=jobs % 2, count=int(tile == 0))
                jobs += 1

    async def finish(self):
        """Everything came, nothing more comes."""
        await self.until(lambda: not self.scoreboard.pending, LIMIT, "all requests")
        await self.drain()
        self.scoreboard.close()
        assert not self.commands.pending, "a command was not taken"


async def run_layer(tb: TB, shape: LayerShape, dense_channels: int):
    model = await tb.set_layer(shape, dense_channels)
    tb.whole_layer(model)


#: C, K, H, W, N, taps
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (1, 1, 1, 1, 1, 9),
    (2, 16, 3, 1, 2, 9),
    (7, 33, 5, 7, 3, 9),
    (16, 64, 4, 4, 1, 1),
    (35, 20, 8, 8, 2, 9),
    (64, 7, 5, 3, 3, 1),
]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(shape=SHAPES, dense=["none", "one", "half", "all"])
async def requests_of_a_layer(dut, shape, dense):
    tb = TB(dut, back_pressure="even" if dense == "half" else "steady")
    await tb.start()
    shape = LayerShape(tb.config, *shape)
    await run_layer(tb, shape, {"none": 0, "one": 1, "half": shape.channels // 2, "all": shape.channels}[dense])
    await tb.finish()


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=["steady", "even", "bursts"], back_pressure=["steady", "even", "rare", "bursts"])
async def idle_and_back_pressure_change_nothing(dut, idle, back_pressure):
    tb = TB(dut, idle, back_pressure)
    await tb.start()
    for _ in range(3):
        model = await tb.set_layer(shape := tb.random_shape(), tb.rng.randint(0, shape.channels))
        for _ in range(6):
            kind = tb.rng.choice(requests.KINDS)
            choices = {"half": 2, "count": 2, "tile": shape.tiles, "image": shape.images}
            tb.command(model, kind, **{key: tb.rng.randrange(limit) for key, limit in choices.items()})
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def every_split_of_a_small_layer(dut):
    tb = TB(dut)
    await tb.start()
    for channels in (1, 2, 5, 9):
        for dense in range(channels + 1):
            await run_layer(tb, LayerShape(tb.config, channels, 1, 2, 2, 1, 1), dense)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def largest_layer(dut):
    tb = TB(dut)
    await tb.start()
    config = tb.config
    shape = LayerShape(config, config.max_channels, config.max_out_channels, 4, 4, config.max_images, 9)
    model = await tb.set_layer(shape, config.max_channels // 2)
    tb.command(model, requests.WEIGHTS, tile=shape.tiles - 1, half=1)
    tb.command(model, requests.ACTS, image=shape.images - 1, half=1, count=1)
    tb.command(model, requests.SCAN)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def valid_does_not_wait_for_ready(dut):
    tb = TB(dut)
    tb.requests.after_valid = True
    await tb.start()
    await run_layer(tb, LayerShape(tb.config, 5, 3, 2, 3, 2, 9), 2)
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def one_request_per_cycle(dut):
    """Weights and activations must come at the pace of the memory: no more than a few idle cycles in a load."""
    tb = TB(dut)
    await tb.start()
    for dense in (16, 32):
        model = await tb.set_layer(LayerShape(tb.config, 32, 16, 4, 4, 1, 9), dense)
        for kind in (requests.WEIGHTS, requests.ACTS):
            tb.command(model, kind)
            begin, expected = tb.cycle, tb.scoreboard.pending
            await tb.until(lambda: not tb.scoreboard.pending, LIMIT, "all requests")
            assert tb.cycle - begin < 1.1 * expected + 40, f"{tb.cycle - begin} cycles for {expected} requests"
    await tb.finish()


@cocotb.test(**TIMEOUT)
async def reset_in_mid_load_leaves_a_working_generator(dut):
    tb = TB(dut, back_pressure="even")
    await tb.start()
    await run_layer(tb, LayerShape(tb.config, 9, 16, 4, 4, 2, 9), 4)
    await tb.cycles(50)
    again = TB(dut, back_pressure="even")
    await again.reset()
    await run_layer(again, LayerShape(again.config, 6, 20, 3, 3, 2, 9), 3)
    await again.finish()


@cocotb.test(skip=not RUN_BROKEN, **TIMEOUT)
@cocotb.parametrize(fault=FAULTS)
async def broken_device(dut, fault):
    tb = TB(dut, back_pressure="even")
    tb.fault = fault
    await tb.start()
    await run_layer(tb, LayerShape(tb.config, 5, 3, 2, 3, 2, 9), 2)
    await tb.finish()
