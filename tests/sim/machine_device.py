"""The golden machine behind a device's interface: tests the engine without compiling any Verilog."""

from sqdm.compiler.machine import Machine
from sqdm.rtl.descriptor import Kind
from sqdm.rtl.registers import COUNTERS
from sqdm.sim.device import ProgramRun

CYCLES, DENSE_CYCLES = 100, 250  #: of every descriptor


class MachineDevice:
    """Takes CYCLES for each descriptor, DENSE_CYCLES without sparse arrays; ``spoil(tag, memory)`` may do harm."""

    cycles_per_second = 1000.0

    def __init__(self, config, latency=1, on_build=None, spoil=None):
        self.config = config
        self.spoil = spoil
        self.machine = None

    def load(self, program):
        self.memory = program.new_memory()

    def run_program(self, program, host, policy, period, pause=False, load=True):
        assert not load
        self.machine = self.machine or Machine(self.config, policy, period)
        self.machine.start()
        cycles = CYCLES if self.config.sparse_arrays else DENSE_CYCLES
        steps = {}
        for tag, descriptor in enumerate(program.descriptors[:-1]):
            if descriptor.kind is Kind.WAIT:
                host(tag, self.memory)
            else:
                self.machine.execute(descriptor, self.memory)
            steps[tag] = dict.fromkeys(COUNTERS, 0) | {"CYCLES": cycles}
            if self.spoil is not None:
                self.spoil(tag, self.memory)
        total = {name: sum(step[name] for step in steps.values()) for name in COUNTERS}
        return ProgramRun(total, steps if pause else {})


def outputs_of(program, name):
    """Address and tag of what a layer of a program writes."""
    tag = next(i for i, descriptor in enumerate(program.descriptors) if descriptor.name == name)
    return program.descriptors[tag]["OUT_BASE"], tag
