"""A netlist of a block as structural Verilog, for tools that read it."""


def write(part, netlist, library) -> str:
    """Module ``block`` with ports ``clk`` and ``n<net>`` for its inputs; instances ``u<i>`` and registers ``r<i>``."""
    registers = {q for q, _ in part.registers}
    inputs = [netlist.nets[i] for i in range(len(part.sources)) if i not in registers]

    def name(net):
        return f"n{net}" if isinstance(net, int) else f"1'b{int(net == '1')}"

    ports = ["clk", *map(name, inputs)]
    lines = [f"module block({', '.join(ports)});", *(f"input {port};" for port in ports)]
    lines += [f"wire n{net};" for net in range(netlist.count)]
    for number, (kind, pins, output) in enumerate(netlist.cells):
        gate = library.gates[kind]
        pairs = [*zip(gate.inputs, map(name, pins), strict=True), (gate.output, name(output))]
        lines.append(f"{kind} u{number}({', '.join(f'.{pin}({net})' for pin, net in pairs)});")
    for number, (q, d) in enumerate(part.registers):
        d = netlist.nets[d] if isinstance(d, int) else d
        lines.append(f"{library.register.name} r{number}(.CLK(clk), .D({name(d)}), .Q({name(netlist.nets[q])}));")
    return "\n".join([*lines, "endmodule", ""])
