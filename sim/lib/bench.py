"""Clock, reset, seeds and the cycle loop that all benches share."""

import json
import os
import random
from collections.abc import Callable
from typing import Any, Protocol

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

PERIOD_NS = 10
VECTORS = os.environ.get("SQDM_VECTORS", "")  #: a file of `real_layers`, if those tests are to run
RUN_BROKEN = os.environ.get("SQDM_BROKEN") == "1"  #: run the tests that must fail, on a broken device
BROKEN_LIMIT = 3_000  #: cycles that a broken device is waited for
DRAIN_CYCLES = 64  #: cycles in which nothing may come any more at the end of a test


class Agent(Protocol):
    """Whatever takes part in a cycle: first all agents drive, then all sample what has settled."""

    def drive(self, in_reset: bool) -> None: ...

    def sample(self, in_reset: bool) -> None: ...


def parameters() -> dict[str, Any]:
    """What the launcher says about the device (configuration, kind)."""
    return json.loads(os.environ["SQDM_BENCH"])


class Pins:
    """Sets single inputs, each from the next cycle on."""

    def __init__(self, dut):
        self._dut = dut
        self._values: dict[str, int] = {}

    def set(self, **values: int):
        self._values.update(values)

    def drive(self, in_reset: bool):
        for name, value in self._values.items():
            getattr(self._dut, name).value = value
        self._values.clear()

    def sample(self, in_reset: bool):
        pass


class Watch:
    """Calls a function with the integer values of some outputs, once per cycle out of reset."""

    def __init__(self, dut, names: tuple[str, ...], function: Callable[..., None]):
        self._handles = [getattr(dut, name) for name in names]
        self._function = function

    def drive(self, in_reset: bool):
        pass

    def sample(self, in_reset: bool):
        if not in_reset:
            self._function(*(int(handle.value) for handle in self._handles))


class Bench:
    """Base of the test benches: `step` is one clock cycle of device and agents.

    Inputs change at the falling edge; what has settled then is what the next rising edge sees, so a handshake is known
    without looking at simulator-specific scheduling. All agents run in one loop in a fixed order: a seed repeats a run.
    """

    def __init__(self, dut):
        self.dut = dut
        self.parameters = parameters()
        self.rng = random.Random(cocotb.RANDOM_SEED)  # cocotb's seed for this test, from SQDM_SEED and the test's name
        self.data_rng = np.random.default_rng(self.rng.getrandbits(64))
        self.fault = 0  #: a `faults.Fault`: how the device is broken
        self.cycle = 0
        self.pins = Pins(dut)
        self.agents: list[Agent] = [self.pins]
        dut._log.info("seed: SQDM_SEED=%s", os.environ.get("SQDM_SEED"))

    def add(self, agent):
        """Let an agent take part from the next cycle on; returns it."""
        self.agents.append(agent)
        return agent

    async def start(self):
        """Start the clock and reset the device."""
        self.pins.set(fault=int(self.fault))
        Clock(self.dut.clk, PERIOD_NS, unit="ns").start()
        await self.reset()

    async def reset(self, cycles: int = 3):
        """Hold the reset for some cycles; agents drive no transfers meanwhile."""
        self.pins.set(rst=1)
        for _ in range(cycles):
            await self.step(in_reset=True)
        self.pins.set(rst=0)

    async def step(self, in_reset: bool = False):
        """One clock cycle."""
        await FallingEdge(self.dut.clk)
        for agent in self.agents:
            agent.drive(in_reset)
        await ReadOnly()
        for agent in self.agents:
            agent.sample(in_reset)
        self.cycle += 1

    async def cycles(self, count: int):
        """Some clock cycles."""
        for _ in range(count):
            await self.step()

    async def until(self, condition: Callable[[], bool], limit: int, what: str):
        """Step until the condition holds; fails after `limit` cycles, naming what was waited for."""
        limit = min(limit, BROKEN_LIMIT) if self.fault else limit
        end = self.cycle + limit
        while not condition():
            assert self.cycle < end, f"{what}: not within {limit} cycles"
            await self.step()

    async def drain(self):
        """Some more cycles, in which scoreboards fail if anything comes."""
        await self.cycles(DRAIN_CYCLES)
