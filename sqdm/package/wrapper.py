"""The AXI wrapper: the accelerator with the clock, reset, interrupt and complete channels that interconnects expect."""

from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from sqdm.rtl.accelerator import MASTER, SLAVE
from sqdm.sim import emit

WRAPPER = "sqdm_axi"
CLOCK, RESET, INTERRUPT = "aclk", "aresetn", "irq"
INNER_INTERRUPT = "interrupt"

#: Outputs of an address channel that the accelerator has no use for: width and what their constant 0 says.
UNUSED = {
    "lock": (1, "no exclusive access"),
    "qos": (4, "no priority"),
    "region": (4, "one region"),
}
BUSES = {SLAVE: "S_AXI", MASTER: "M_AXI"}
XILINX = "xilinx.com:{kind}:1.0"


def ports(component: wiring.Component) -> list[dict]:
    """Name, direction and width of every port; ``inner`` is the accelerator's port behind it, None for a constant."""
    found = [
        {"name": CLOCK, "direction": "input", "width": 1, "inner": "clk"},
        {"name": RESET, "direction": "input", "width": 1, "inner": "rst"},
    ]
    for name, (value, direction) in emit.ports(component).items():
        outer = INTERRUPT if name == INNER_INTERRUPT else name
        direction = "input" if direction is PortDirection.Input else "output"
        found.append({"name": outer, "direction": direction, "width": len(value), "inner": name})
    for channel in ("aw", "ar"):
        for name, (width, _) in UNUSED.items():
            found.append({"name": f"{MASTER}{channel}{name}", "direction": "output", "width": width, "inner": None})
    return found


def _attributes(name: str) -> list[str]:
    """Vivado's attributes of a port: the interface and the signal of it, and the interface's parameters."""
    info, parameters = "", ""
    if name == CLOCK:
        buses = ":".join(BUSES.values())
        info = f"{XILINX.format(kind='signal:clock')} ACLK CLK"
        parameters = f"XIL_INTERFACENAME ACLK, ASSOCIATED_BUSIF {buses}, ASSOCIATED_RESET {RESET}"
    elif name == RESET:
        info = f"{XILINX.format(kind='signal:reset')} ARESETN RST"
        parameters = "XIL_INTERFACENAME ARESETN, POLARITY ACTIVE_LOW"
    elif name == INTERRUPT:
        info = f"{XILINX.format(kind='signal:interrupt')} IRQ INTERRUPT"
        parameters = "XIL_INTERFACENAME IRQ, SENSITIVITY LEVEL_HIGH"
    else:
        prefix = next(prefix for prefix in BUSES if name.startswith(prefix))
        info = f"{XILINX.format(kind='interface:aximm')} {BUSES[prefix]} {name.removeprefix(prefix).upper()}"
    lines = [f'  (* X_INTERFACE_INFO = "{info}" *)']
    return lines + ([f'  (* X_INTERFACE_PARAMETER = "{parameters}" *)'] if parameters else [])


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def wrapper(component: wiring.Component, top: str) -> str:
    """Verilog (2001, which Vivado's block designs ask for) of module `WRAPPER` around module ``top``.

    Its AXI ports are those of ``component`` and, on the manager's address channels, the constants of `UNUSED`.
    """
    found = ports(component)
    declared = []
    for port in found:
        declared.append("\n".join([*_attributes(port["name"]),
                                   f"  {port['direction']} wire {_range(port['width'])}{port['name']}"]))  # fmt: skip
    tied, connected = [], []
    for port in found:
        name, inner = port["name"], port["inner"]
        if inner is None:
            reason = next(reason for ending, (_, reason) in UNUSED.items() if name.endswith(ending))
            tied.append(f"  assign {name} = {port['width']}'d0; // {reason}")
        else:
            connected.append(f"    .{inner}({'~' if name == RESET else ''}{name})")
    return "\n".join([
        f"// The sqdm accelerator with complete AXI4 and AXI4-Lite ports. `{RESET}` is synchronous to `{CLOCK}`;",
        f"// `{INTERRUPT}` is a level. Made by `sqdm generate`.",
        "",
        f"module {WRAPPER} (",
        ",\n".join(declared),
        ");",
        *tied,
        "",
        f"  {top} accelerator (",
        ",\n".join(connected),
        "  );",
        "endmodule",
        "",
    ])  # fmt: skip
