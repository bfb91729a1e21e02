"""The estimate against independent tools: changes against Icarus Verilog, energies against OpenSTA."""

import re
import shutil
import subprocess

import netlist_verilog
import numpy as np
import pytest

from sqdm.synth.baselines.fp16_multiplier import Fp16Multiplier
from sqdm.synth.energy import blocks, cell_library, power
from sqdm.synth.energy.netlist import Netlist, synthesize
from sqdm.synth.energy.partition import Part, Source, block
from sqdm.synth.yosys import cached_path, working_folder

CELLS = cell_library.DEFAULT.with_suffix(".v")
CYCLES = 100

needs_osu018 = pytest.mark.skipif(not CELLS.exists(), reason="package qflow-tech-osu018 is not installed")
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
needs_opensta = pytest.mark.skipif(shutil.which("sta") is None, reason="opensta is not installed")

BENCH = """`timescale 1ns/10ps
module tb;
  reg clk = 0, rst = 1;
  reg [{last}:0] in = 0, all [0:{cycles} - 1];
  integer i;
  block dut(.clk(clk), .n{rst}(rst), {inputs});
  initial begin
    $readmemb("inputs.txt", all);
    #50 clk = 1; #50 clk = 0; #50 clk = 1; #0.1 rst = 0; #49.9 clk = 0; #50;
    $dumpfile("changes.vcd"); $dumpvars(1, dut);
    for (i = 0; i < {cycles}; i = i + 1) begin clk = 1; #0.1 in = all[i]; #49.9 clk = 0; #50; end
    $finish;
  end
endmodule
"""


@pytest.fixture(scope="module")
def osu018():
    return cell_library.load([cell_library.DEFAULT])


@pytest.fixture(scope="module")
def multiplier(osu018):
    """A registered block of some 300 gates: its part and netlist."""
    with working_folder(cached_path("energy-block").parent) as folder:
        part = block(Fp16Multiplier(), folder)
    return part, synthesize([part], osu018)[part.to_json()]


def icarus_changes(folder, options, count) -> np.ndarray:
    """Changes of the nets n0, n1, ... that Icarus saw."""
    sources = ["bench.v", "block.v", CELLS]
    subprocess.run(["iverilog", "-g2012", *options, "-o", "bench", *sources], cwd=folder, check=True)
    subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True)
    names, last, changes = {}, {}, dict.fromkeys(range(count), 0)
    for line in (folder / "changes.vcd").read_text().splitlines():
        if line.startswith("$var"):
            _, _, _, code, name, *_ = line.split()
            names[code] = name
        elif line[:1] in ("0", "1", "x"):
            value, code = line[0], line[1:]
            if last.get(code, value) != value and re.fullmatch(r"n\d+", names[code]):
                changes[int(names[code][1:])] += 1
            last[code] = value
    return np.array([changes[net] for net in range(count)])


@pytest.mark.slow
@needs_osu018
@needs_icarus
def test_changes_with_and_without_delays(osu018, multiplier, tmp_path):
    """Without delays every net changes as often; with delays all together within 5%, each cell with its own delays."""
    part, netlist = multiplier
    gates = blocks.Block(part, netlist, osu018)
    gates.sampling = True
    ports = {name: rows for name, rows in gates.inputs.items() if name != "rst"}
    rng = np.random.default_rng(1)
    numbers = [{name: rng.integers(0, 2, (1, len(rows))) for name, rows in ports.items()} for _ in range(CYCLES)]
    for cycle in numbers:
        cycle["step"][:] = 1
        gates.cycle(cycle)
    nets = [int(net) for rows in ports.values() for net in rows]
    lines = ["".join(str(bit) for rows in cycle.values() for bit in rows[0])[::-1] for cycle in numbers]
    (tmp_path / "inputs.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "block.v").write_text("`timescale 1ns/10ps\n" + netlist_verilog.write(part, netlist, osu018))
    inputs = ", ".join(f".n{net}(in[{bit}])" for bit, net in enumerate(nets))
    bench = BENCH.format(last=len(nets) - 1, cycles=CYCLES, rst=gates.inputs["rst"][0], inputs=inputs)
    (tmp_path / "bench.v").write_text(bench)

    count = netlist.count
    settled = icarus_changes(tmp_path, [], count)
    assert settled.sum() > 10 * CYCLES
    assert (gates.toggles[:count] == blocks.STREAMS * settled).all()
    delayed = icarus_changes(tmp_path, ["-gspecify"], count)
    assert delayed.sum() > 1.2 * settled.sum()
    assert gates.glitches.toggles.sum() / blocks.STREAMS == pytest.approx(delayed.sum(), rel=0.05)


@needs_osu018
@needs_opensta
def test_energies_of_cells(osu018, tmp_path):
    """A tree of inverters and buffers with a register, where every activity is known: OpenSTA's figures.

    Its version 2.0.17 adds the energies of the rising and the falling change for each one, which is twice their mean.
    """
    cells = [("INVX1", [0], 1), ("INVX2", [1], 2), ("BUFX2", [1], 3), ("BUFX4", [2], 4), ("INVX8", [3], 5)]
    cells += [("INVX1", [5], 6 + i) for i in range(6)]
    netlist = Netlist(12, cells, {0: 0})
    part = Part("tree", "tree", [Source((), "a", 0, 1)])
    (tmp_path / "block.v").write_text(netlist_verilog.write(part, netlist, osu018))
    slew = power.typical_slew(osu018)
    commands = [
        f"read_liberty {cell_library.DEFAULT}",
        "read_verilog block.v",
        "link_design block",
        "create_clock -name clk -period 10 clk",
        f"set_input_transition {slew * 1e9} [all_inputs]",
        "set_power_activity -input -activity 1 -duty 0.5",  # of ports without a clock: changes per second
        "report_power -instances [get_cells *] -digits 9",
        "exit",
    ]
    (tmp_path / "power.tcl").write_text("\n".join(commands) + "\n")
    done = subprocess.run(["sta", "-exit", "power.tcl"], cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = re.findall(r"^ *(\S+) +(\S+) +\S+ +\S+ +u\d+$", done.stdout, re.M)
    assert len(rows) == len(cells)
    internal, switching = (sum(float(row[column]) for row in rows) for column in (0, 1))

    toggles = np.ones(netlist.count + 3, np.int64)
    toggles[0] = 0  # OpenSTA counts the input's net elsewhere
    ours = power.energy(part, netlist, osu018, toggles, 1)
    nets = power.Loads(part, netlist, osu018).capacitance
    own_switching = 0.5 * osu018.voltage**2 * nets[1:].sum()
    assert own_switching == pytest.approx(switching, rel=0.001)
    assert ours.data - own_switching == pytest.approx(internal / 2, rel=0.05)
