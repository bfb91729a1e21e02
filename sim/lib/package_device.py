"""The files of `sqdm generate` as a device for a bench: module ``sqdm_axi`` on top of the delivered Verilog."""

from sqdm.package.contents import contents
from sqdm.package.wrapper import WRAPPER
from sqdm.rtl.config import Config
from sqdm.sim.lib import launch
from sqdm.sim.library import TOP

#: The sources have no initial values: Verilator starts every register and memory with random bits.
RANDOM_START = ("+verilator+rand+reset+2", "+verilator+seed+{seed}")


class PackageDevice(launch.TextDevice):
    """The delivered sources, built for one simulator.

    Parameters: ``config``; ``simulator`` "verilator" or "icarus"; ``change``: two texts, the first one in the sources,
    to be replaced by the second. In Icarus every register begins as X, and all bits of memories as ``bit``.
    """

    ICARUS_ARGS = (*launch.TextDevice.ICARUS_ARGS, "-s", "sqdm_fill")

    def __init__(
        self, config: Config, simulator: str = "verilator", change: tuple[str, str] | None = None, bit: int = 0
    ):
        files = contents(config)
        text = files[f"{TOP}.sv"].text + files[f"{WRAPPER}.v"].text
        if simulator == "icarus":
            text += files["sqdm_fill.sv"].text.replace("SQDM_BIT 1'b0", f"SQDM_BIT 1'b{bit}")
        if change is not None:
            if change[0] not in text:
                raise ValueError(f"the sources must contain {change[0]!r}")
            text = text.replace(*change)
        plusargs = [argument.format(seed=launch.seed() % 1000 + 1) for argument in RANDOM_START]
        super().__init__(text, WRAPPER, {"config": config.to_dict()}, simulator, tuple(plusargs))
