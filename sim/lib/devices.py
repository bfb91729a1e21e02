"""The devices under test of the cocotb benches, and what a launcher expects of a run."""

from functools import cache

from sqdm.rtl.address_generator import AddressGenerator
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.pe_array import PeArray, PeKind
from sqdm.rtl.sparsity_detector import SparsityDetector
from sqdm.sim.lib.accelerator_device import STREAM, AcceleratorDevice
from sqdm.sim.lib.launch import Device, Result

#: A configuration with weight rows of two memory words, three arrays and one activation word per memory word.
WIDE = Config(name="wide", dense_arrays=2, sparse_arrays=1, slots=4, lanes=32, bus_bits=64, max_channels=128,
              max_out_channels=128, max_size=32)  # fmt: skip
#: Memory words of 8 activation words, so of two groups of 16 pixels; a pool whose size is no power of two.
BUS512 = Config(name="bus512", dense_arrays=1, sparse_arrays=3, lanes=128, bus_bits=512, max_channels=100)
CONFIGS = PRESETS | {"wide": WIDE, "bus512": BUS512}


def _pe_array(kind: PeKind):
    def make(config: Config):
        first_slot = 0 if kind == PeKind.DENSE else config.dense_slots
        return PeArray(config, kind, first_slot), {"kind": kind.name, "first_slot": first_slot}

    return make


#: name: (component and bench parameters of a configuration, the stream that faults hit)
DEVICES = {
    "dense_array": (_pe_array(PeKind.DENSE), "psums"),
    "sparse_array": (_pe_array(PeKind.SPARSE), "psums"),
    "address_generator": (lambda config: (AddressGenerator(config), {}), "requests"),
    "sparsity_detector": (lambda config: (SparsityDetector(config), {}), "table_writes"),
    "accelerator": (lambda config: (AcceleratorDevice(config), {}), STREAM),
}


@cache
def device(name: str, config_name: str, simulator: str) -> Device:
    """The device, emitted once."""
    config = CONFIGS[config_name]
    make, stream = DEVICES[name]
    component, parameters = make(config)
    return Device(component, f"{name}_{config_name}", stream, parameters | {"config": config.to_dict()}, simulator)


def assert_passes(result: Result):
    """Every test of the module ran and passed."""
    assert result.tests > 0, f"no test ran, see {result.log}"
    assert result.failures == 0, f"{result.failures} of {result.tests} bench tests failed, see {result.log}"


def assert_fails(result: Result):
    """The simulation ran to its end and the bench failed for every fault."""
    assert result.tests > 0, f"no test ran, see {result.log}"
    assert result.failures == result.tests, f"the bench did not notice every broken device, see {result.log}"
