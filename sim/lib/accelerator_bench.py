"""Test bench of the whole accelerator: memory images of layers, the host's register accesses, the checks of a run."""

from dataclasses import dataclass, field, replace

import numpy as np

from sqdm.golden import layout
from sqdm.golden.conv import conv_psum, requantise
from sqdm.golden.dealing import deal
from sqdm.golden.detector import assign_channels, channel_counts
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import Config
from sqdm.rtl.registers import COUNTERS, REGISTERS, STALLS, Policy, Status, decode, encode
from sqdm.sim.lib.bench import Bench, Watch
from sqdm.sim.lib.memory import Memory
from sqdm.sim.lib.pace import PACES
from sqdm.sim.lib.workload import tap_uses, valid_tap_acts

LIMIT = 60_000  #: cycles of the longest layer of the bench


@dataclass(frozen=True)
class Layer:
    """One layer and how it is run; ``table`` is the channel table in memory, (order, dense_channels)."""

    acts: np.ndarray
    weights: np.ndarray
    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    raw: bool = False
    signed: bool = False
    scan: bool = True
    update: bool = False
    policy: Policy = Policy.BALANCED
    sparse_count: int = 0
    count_shift: int = 0
    table: tuple[np.ndarray, int] | None = None
    registers: dict[str, int] = field(default_factory=dict)  #: overrides, to provoke errors

    def output(self) -> np.ndarray:
        """Expected output (N, K, H, W)."""
        psum = conv_psum(self.acts, self.weights)
        return psum if self.raw else requantise(psum, self.multiplier, self.shift, self.bias)

    def sorted_table(self, config: Config) -> tuple[np.ndarray, int]:
        """Expected outcome of a sort by the counts of this layer."""
        pixels = self.acts.shape[0] * self.acts.shape[2] * self.acts.shape[3]
        parameters = (self.policy, self.sparse_count, self.count_shift, pixels)
        return assign_channels(channel_counts(self.acts), *parameters, config.dense_slots, config.sparse_slots)


class AcceleratorBench(Bench):
    """Runs layers start to end through the registers and checks memory, labels and counters."""

    def __init__(self, dut, latency: int = 4, read="steady", answer="steady", write="steady"):
        super().__init__(dut)
        self.config = Config(**self.parameters["config"])
        paces = tuple(PACES[name](self.rng) for name in (read, answer, write))
        self.memory = Memory(self, self.config, latency, paces)
        self.compared = 0
        self.interrupt = 0
        self.pins.set(registers__address=0, registers__write=0, registers__write_data=0)
        self.add(Watch(dut, ("interrupt",), self._interrupt))

    def _interrupt(self, level: int):
        self.interrupt = level

    async def write(self, name: str, value: int):
        """Write a register."""
        offset = REGISTERS[name].offset
        self.pins.set(registers__address=offset, registers__write=1, registers__write_data=value)
        await self.step()
        self.pins.set(registers__write=0)

    async def read(self, name: str) -> int:
        """Read a register."""
        self.pins.set(registers__address=REGISTERS[name].offset, registers__write=0)
        await self.step()
        await self.step()
        return int(self.dut.registers__read_data.value)

    def place(self, layer: Layer) -> dict[str, range]:
        """A memory full of noise with the layer's operands at random places; returns the regions, word addresses."""
        shape = LayerShape.of(layer.acts, layer.weights, self.config)
        word = self.config.bus_bytes
        table = layer.table or (self.data_rng.permutation(shape.channels), 0)
        images = {
            "ACT_BASE": layout.pack_activations(layer.acts, self.config),
            "WEIGHT_BASE": layout.pack_weights(layer.weights, self.config),
            "PARAM_BASE": layout.pack_params(layer.multiplier, layer.bias, self.config),
            "TABLE_BASE": layout.pack_table(*table, self.config),
            "OUT_BASE": self.data_rng.integers(0, 256, shape.out_bytes(layer.raw)).astype(np.uint8),
        }
        names = list(images)
        self.rng.shuffle(names)
        regions, address = {}, self.rng.randint(0, 5)
        for name in names:
            regions[name] = range(address, address + images[name].size // word)
            address = regions[name].stop + self.rng.randint(1, 5)
        memory = self.data_rng.integers(0, 256, address * word).astype(np.uint8)
        for name, region in regions.items():
            memory[region.start * word : region.stop * word] = images[name]
        readable = [regions[name] for name in names if name != "OUT_BASE"]
        writable = [regions["OUT_BASE"]] + ([regions["TABLE_BASE"]] if layer.update else [])
        self.memory.attach(memory, readable, writable)
        return regions

    async def program(self, layer: Layer, regions: dict[str, range]):
        """Write the registers of a layer, in random order."""
        images, channels, height, width = layer.acts.shape
        flags = {name: int(getattr(layer, name)) for name in ("raw", "scan", "update", "policy")}
        kernel3 = int(layer.weights.shape[2] == 3)
        values = {
            "CHANNELS": channels,
            "OUT_CHANNELS": layer.weights.shape[0],
            "HEIGHT": height,
            "WIDTH": width,
            "IMAGES": images,
            "MODE": encode("MODE", kernel3=kernel3, signed_acts=int(layer.signed), **flags),
            "SHIFT": layer.shift,
            "SPARSE_COUNT": layer.sparse_count,
            "COUNT_SHIFT": layer.count_shift,
        }
        values |= {name: region.start * self.config.bus_bytes for name, region in regions.items()}
        values |= layer.registers
        names = list(values)
        self.rng.shuffle(names)
        for name in names:
            await self.write(name, values[name])
            assert await self.read(name) == values[name], f"{name} does not read back"

    async def begin(self, layer: Layer) -> dict[str, range]:
        """Place and program a layer and start it."""
        regions = self.place(layer)
        await self.program(layer, regions)
        await self.write("CONTROL", encode("CONTROL", start=1))
        return regions

    async def run(self, layer: Layer, status: Status = Status.OK) -> dict[str, int]:
        """Run one layer and check everything about it; returns the counters."""
        regions = await self.begin(layer)
        before = self.memory.image.copy()
        begin = self.cycle
        await self.cycles(2)
        await self.until(lambda: self.interrupt, LIMIT, "the interrupt")
        spent = self.cycle - begin
        await self.drain()
        assert self.interrupt == 1, "the interrupt fell before the next start"
        state = decode("STATUS", await self.read("STATUS"))
        assert state == {"busy": 0, "done": 1, "code": status}, f"STATUS must be done with {status!r}, not {state}"
        counters = {name: await self.read(name) for name in COUNTERS}
        if status != Status.OK:
            assert np.array_equal(before, self.memory.image), "memory was written by a layer that was refused"
            return counters
        self.check_memory(layer, regions, before)
        self.check_counters(layer, counters, spent)
        return counters

    def check_memory(self, layer: Layer, regions: dict[str, range], before: np.ndarray):
        """The output bit for bit, the stored table, and nothing else."""
        word = self.config.bus_bytes
        expected = before
        out = layout.pack_output(layer.output(), self.config)
        start = regions["OUT_BASE"].start * word
        observed = self.memory.image[start : start + out.size]
        wrong = np.flatnonzero(observed != out)
        assert not wrong.size, f"{wrong.size} of {out.size} output bytes differ, the first at {wrong[0]}"
        expected[start : start + out.size] = out
        self.compared += out.size
        if layer.update:
            table = layout.pack_table(*layer.sorted_table(self.config), self.config)
            start = regions["TABLE_BASE"].start * word
            expected[start : start + table.size] = table
        wrong = np.flatnonzero(self.memory.image != expected)
        assert not wrong.size, f"{wrong.size} bytes of the table or outside the output differ, the first at {wrong[0]}"

    def check_counters(self, layer: Layer, counters: dict[str, int], spent: int):
        """Counters against each other, the memory's record and the amount of work."""
        config, shape = self.config, LayerShape.of(layer.acts, layer.weights, self.config)
        used = layer.sorted_table(config) if layer.scan else layer.table
        order, dense = used
        slots = deal(order, dense, config)
        dense_depth = len(slots[0]) if config.dense_slots else 0
        sparse = [channel for slot in slots[config.dense_slots :] for channel in slot if channel is not None]
        uses = int(tap_uses(shape.height, shape.width, shape.taps).sum())
        nonzeros = sum(valid_tap_acts(image[sparse], shape.taps) for image in layer.acts)
        expected = {
            "CYCLES": counters["ACTIVE"] + sum(counters[name] for name in STALLS),
            "OPS_DENSE": config.dense_slots * dense_depth * uses * shape.images * shape.tiles,
            "OPS_SPARSE": nonzeros * shape.tiles,
            "READS": self.memory.reads,
            "WRITES": self.memory.writes,
        }
        if layer.scan or layer.update:
            expected["NONZEROS"] = int(channel_counts(layer.acts).sum())
        if layer.scan == layer.update or layer.scan:
            expected["DENSE_CHANNELS"] = len(order) - len(sparse)
        for name, value in expected.items():
            assert counters[name] == value, f"{name} must be {value}, not {counters[name]}"
        assert abs(counters["CYCLES"] - spent) <= 8, f"CYCLES is {counters['CYCLES']}, the bench saw {spent}"
        busy = (counters["BUSY_DENSE"], counters["BUSY_SPARSE"])
        assert max(busy) <= counters["ACTIVE"] <= sum(busy), f"ACTIVE {counters['ACTIVE']} against busy cycles {busy}"

    def finish(self):
        """Something was compared."""
        assert self.compared > 0, "no output was compared"

    def layer(self, acts: np.ndarray, weights: np.ndarray, **kwargs) -> Layer:
        """A layer with random requantisation that neither saturates always nor never."""
        rng, out_channels = self.data_rng, weights.shape[0]
        shift = self.rng.randint(0, 20)
        top = min(65535, 40 << shift)
        multiplier = rng.integers(0, top + 1, out_channels).astype(np.uint16)
        bias = rng.integers(-32768, 32768, out_channels).astype(np.int16)
        layer = Layer(acts, weights, multiplier, bias, shift)
        return replace(layer, count_shift=self.rng.randint(0, 4), **kwargs)
