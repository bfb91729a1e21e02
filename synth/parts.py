"""The parts whose cost is reported, by name."""

import importlib

from amaranth.back import rtlil
from amaranth.lib import wiring

from sqdm.rtl.config import Config
from sqdm.sim.emit import ports

#: Part -> module and class in `sqdm.rtl`.
PARTS = {
    "dense": ("pe_array", "PeArray"),
    "sparse": ("pe_array", "PeArray"),
    "address": ("address_generator", "AddressGenerator"),
    "detector": ("sparsity_detector", "SparsityDetector"),
    "post": ("output_path", "OutputPath"),
    "normaliser": ("normaliser", "Normaliser"),
    "map": ("map_engine", "MapEngine"),
    "port": ("memory_port", "MemoryPort"),
    "all": ("accelerator", "Accelerator"),
}


def component(name: str, config: Config) -> wiring.Component:
    """The named part for `config`. `dense` and `sparse` are one PE array with its buffers, `post` the output path."""
    module_name, class_name = PARTS[name]
    module = importlib.import_module(f"sqdm.rtl.{module_name}")
    if class_name == "PeArray":
        return module.PeArray(config, module.PeKind[name.upper()])
    if class_name == "MemoryPort":
        core = importlib.import_module("sqdm.rtl.core")
        return module.MemoryPort(config, len(core.Reader), len(core.Writer))
    return getattr(module, class_name)(config)


def to_rtlil(part: wiring.Component) -> str:
    """RTLIL of a part as module ``part``, without source locations."""
    return rtlil.convert(part, name="part", ports=ports(part), emit_src=False)
