"""The SystemVerilog that is delivered: the simulated hardware after yosys' clean-up and with plain names."""

import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil

from sqdm.package.names import tidy
from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import Config
from sqdm.sim import emit
from sqdm.sim.library import TOP, cache_dir, digest, rtl_digest
from sqdm.synth.yosys import PACKAGE, working_folder, yosys

FOLDER = Path(__file__).parent
SCRIPT, WIDTHS = FOLDER / "emit.ys", FOLDER / "widths.v"
SOURCES = (SCRIPT, WIDTHS, FOLDER / "names.py", Path(__file__))
BANNER = (
    "// The sqdm accelerator, a design in one file: module {top}. Made by `sqdm generate`; change its configuration.\n"
)
#: What a transparent memory port stores while nothing is passed through; a mask hides it.
HIDDEN = re.compile(r"(<= \d+'[hb])x+;")


def verilog(config: Config, on_wait: Callable[[str], None] | None = None) -> str:
    """SystemVerilog of the accelerator without initial values, simulation constructs, unknowns or escaped names.

    It is kept in the cache; ``on_wait(message)`` is called before it is made. Raises `UserError` when yosys fails.
    """
    sources = [path.read_text() for path in SOURCES]
    path = cache_dir() / f"{TOP}-{digest(rtl_digest(config), *sources, version(PACKAGE))}.package.sv"
    if not path.exists():
        if on_wait is not None:
            on_wait(f"making the Verilog of the {config.name} accelerator")
        component = Accelerator(config)
        design = tidy(rtlil.convert(component, name=TOP, ports=emit.ports(component), emit_src=False))
        emit.write_once(path, clean(design, TOP))
    return path.read_text()


def clean(design: str, top: str) -> str:
    """Verilog of the RTLIL text ``design``, see `SCRIPT`."""
    with working_folder(cache_dir()) as folder:
        (folder / "design.il").write_text(design)
        shutil.copy(WIDTHS, folder)
        (folder / SCRIPT.name).write_text(SCRIPT.read_text().replace("@TOP@", top))
        yosys(["-q", SCRIPT.name], folder)
        text = (folder / "design.sv").read_text()
    _, _, text = text.partition("*/\n")  # the banner of yosys, with its version
    return BANNER.format(top=top) + HIDDEN.sub(lambda match: f"{match[1]}0;", text)
