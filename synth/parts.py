"""The parts whose cost is reported, by name."""

import importlib
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from sqdm.rtl.config import MAX_TAPS, Config
from sqdm.sim.emit import ports
from sqdm.sim.library import rtl_digest
from sqdm.synth import baselines
from sqdm.synth.yosys import cached, cached_path

#: Part -> module and class in `sqdm.rtl`, or below `sqdm.synth`.
PARTS = {
    "dense": ("pe_array", "PeArray"),
    "sparse": ("pe_array", "PeArray"),
    "address": ("address_generator", "AddressGenerator"),
    "detector": ("sparsity_detector", "SparsityDetector"),
    "post": ("output_path", "OutputPath"),
    "normaliser": ("normaliser", "Normaliser"),
    "map": ("map_engine", "MapEngine"),
    "port": ("memory_port", "MemoryPort"),
    "mac": ("mac_array", "MacArray"),
    "mac_int8": ("baselines.int8_mac_array", "Int8MacArray"),
    "mac_fp16": ("baselines.fp16_mac_array", "Fp16MacArray"),
    "all": ("accelerator", "Accelerator"),
}

ARRAYS = ("dense", "sparse")  #: parts that are a whole PE array
INT8_MAX = 128  #: largest magnitude


def component(name: str, config: Config) -> wiring.Component:
    """The named part for `config`.

    `dense` and `sparse` are one PE array with its buffers, `post` is the output path; `mac` is the multipliers and
    accumulators of one array, `mac_int8` and `mac_fp16` are as many of other operands.
    """
    module_name, class_name = PARTS[name]
    package = "synth" if "." in module_name else "rtl"
    found = getattr(importlib.import_module(f"sqdm.{package}.{module_name}"), class_name)
    if name in ARRAYS:
        from sqdm.rtl.pe_array import PeKind

        return found(config, PeKind[name.upper()])
    if name == "port":
        core = importlib.import_module("sqdm.rtl.core")
        return found(config, len(core.Reader), len(core.Writer))
    if name == "mac_int8":
        return found(config.slots, config.lanes, config.signed_bits(MAX_TAPS * config.max_channels * INT8_MAX**2))
    if name == "mac_fp16":
        return found(config.slots, config.lanes)
    return found(config)


def rtlil_text(name: str, config: Config) -> str:
    """RTLIL of the named part, from the cache when neither the generator nor the configuration changed."""
    sources = [Path(__file__), *sorted(Path(baselines.__file__).parent.glob("*.py"))]
    path = cached_path("rtlil", name, rtl_digest(config), *(source.read_text() for source in sources))
    return cached(path, lambda _: {"text": to_rtlil(component(name, config))})["text"]


def to_rtlil(part: wiring.Component) -> str:
    """RTLIL of a part as module ``part``, without source locations."""
    return rtlil.convert(part, name="part", ports=ports(part), emit_src=False)
