"""No word of a memory counts that is read in the cycle in which it is written: block RAMs may give anything then."""

import re

import numpy as np
import pytest
from amaranth.back import rtlil

from sqdm.compiler.network import compile_network
from sqdm.golden import sampler
from sqdm.golden.edm import coefficients
from sqdm.golden.model_file import load_model
from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import PRESETS
from sqdm.sim import library
from sqdm.sim.device import LATENCY
from sqdm.sim.emit import ports
from sqdm.sim.network_device import NetworkDevice
from sqdm.synth.place import COLLISIONS
from sqdm.synth.yosys import working_folder, yosys

UNKNOWN = re.compile(r"(\d+)'[hb]x+")


def verilog_with_collisions(config) -> tuple[str, int]:
    """The accelerator whose memories read all ones in a collision, and at how many places."""
    component = Accelerator(config)
    with working_folder(library.cache_dir()) as folder:
        design = rtlil.convert(component, name=library.TOP, ports=ports(component), emit_src=False)
        (folder / "design.il").write_text(design)
        (folder / "design.ys").write_text(
            f"read_rtlil design.il\nproc\n{COLLISIONS}\nmemory_collect\nwrite_verilog -sv -noattr design.sv\n"
        )
        yosys(["-q", "design.ys"], folder)
        text = (folder / "design.sv").read_text()
    return UNKNOWN.subn(lambda match: f"{{{match[1]}{{1'b1}}}}", text)


@pytest.mark.slow
def test_network_does_not_see_what_collisions_read(monkeypatch):
    config = PRESETS["fpga"]
    text, places = verilog_with_collisions(config)
    assert places > 20
    built = library.build_text(text, config.bus_bits, "compiling an accelerator with collisions")
    monkeypatch.setattr("sqdm.sim.device.library.build", lambda *_: built)
    network = NetworkDevice(compile_network(load_model().arrays, 1, config), LATENCY)
    sigma = np.full(1, sampler.LEVELS[9])
    _, _, c_in, c_noise = coefficients(sigma)
    for _ in range(2):  # the second time with the tables that the first one sorted
        network.evaluate(c_in * sigma * sampler.latents(1, 0), c_noise, np.array([3]))
    assert sum(network.lock_step.compared.values()) > 100_000
    assert sum(network.lock_step.mismatches.values()) == 0
