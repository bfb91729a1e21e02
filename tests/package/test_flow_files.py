# amaranth: UnusedElaboratable=no
"""Core file, scripts and constraints of the package, each through the tool that reads it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sqdm.package import wrapper
from sqdm.rtl.accelerator import Accelerator
from sqdm.rtl.config import PRESETS
from sqdm.sim import toolchain
from sqdm.sim.library import TOP, cache_dir
from sqdm.synth.yosys import working_folder, yosys

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


def fusesoc(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """FuseSoC with a configuration of its own, so that nothing of the user's is found or written."""
    pytest.importorskip("fusesoc", reason="the Python package fusesoc is not installed")
    program = "import sys; from fusesoc.main import main; sys.exit(main())"
    (folder / "fusesoc.conf").write_text("[main]\n")
    command = [sys.executable, "-c", program, "--config", "fusesoc.conf", "--cores-root", ".", *arguments]
    environment = toolchain.build_environment()
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_fusesoc_finds_the_core(package):
    assert TOP in fusesoc(package, "core", "list").stdout
    shown = fusesoc(package, "core", "show", TOP)
    assert shown.returncode == 0
    assert all(target in shown.stdout for target in ("lint", "synth", "vivado"))


@pytest.mark.parametrize(
    ("target", "product"),
    [("lint", f"{TOP}*.vc"), ("synth", "*.tcl"), ("vivado", f"{TOP}*.tcl")],
)
def test_fusesoc_sets_targets_up(package, target, product):
    done = fusesoc(package, "run", "--setup", "--target", target, TOP)
    assert done.returncode == 0, done.stderr
    (made,) = package.glob(f"build/*/{target}")
    scripts = "".join(path.read_text() for path in made.glob(product))
    assert f"{TOP}.sv" in scripts and f"{wrapper.WRAPPER}.v" in scripts and wrapper.WRAPPER in scripts


def test_fusesoc_notices_a_missing_file(package):
    (package / f"{wrapper.WRAPPER}.v").unlink()
    done = fusesoc(package, "run", "--setup", "--target", "lint", TOP)
    assert done.returncode != 0
    assert f"{wrapper.WRAPPER}.v" in done.stdout + done.stderr


def test_fusesoc_lints(package):
    done = fusesoc(package, "run", "--target", "lint", TOP)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout


#: Vivado's commands: their files must exist, the top must be named.
VIVADO = """
set ran {}
proc note {name} { global ran; lappend ran $name }
proc must_exist {path} { if {![file exists $path]} { error "no file $path" } }
proc create_project {args} { note create_project }
proc read_verilog {args} { note read_verilog; must_exist [lindex $args end] }
proc read_xdc {args} { note read_xdc; must_exist [lindex $args end]; source [lindex $args end] }
proc synth_design {args} { note synth_design; array set options $args; puts "top $options(-top) part $options(-part)" }
proc report_utilization {args} { note report }
proc report_timing_summary {args} { note report }
proc write_checkpoint {args} { note write_checkpoint }
foreach name {create_clock set_clock_uncertainty set_input_delay set_output_delay set_false_path} {
  proc $name {args} "puts \\"$name \\$args\\""
}
proc get_ports {names} { return $names }
proc get_clocks {names} { return $names }
source vivado.tcl
puts "ran $ran"
"""


def vivado(package: Path, **variables: str) -> subprocess.CompletedProcess:
    if shutil.which("tclsh") is None:
        pytest.skip("tclsh is not installed")
    (package / "stubs.tcl").write_text(VIVADO)
    environment = os.environ | variables
    return subprocess.run(
        ["tclsh", "stubs.tcl"], cwd=package, env=environment, capture_output=True, text=True, check=False
    )


def test_vivado_script(package):
    done = vivado(package, SQDM_PART="xc7a200t", SQDM_PERIOD_NS="4")
    assert done.returncode == 0, done.stderr
    assert f"top {wrapper.WRAPPER} part xc7a200t" in done.stdout
    assert "create_clock -name aclk -period 4 aclk" in done.stdout
    order = "create_project read_verilog read_verilog read_xdc synth_design report report write_checkpoint"
    assert f"ran {order}" in done.stdout
    assert (package / "vivado").is_dir()


def test_vivado_script_needs_its_sources(package):
    (package / f"{TOP}.sv").unlink()
    assert vivado(package).returncode != 0


def netlist() -> str:
    """A mapped `sqdm_axi` of two flip-flops: from an input to an output, from the reset to the interrupt."""
    ports = wrapper.ports(Accelerator(PRESETS["tiny"]))
    lines = [f"module {wrapper.WRAPPER} ({', '.join(port['name'] for port in ports)});"]
    for port in ports:
        bits = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        lines.append(f"  {port['direction']} {bits}{port['name']};")
    lines.append("  DFFPOSX1 first (.CLK(aclk), .D(s_axi_awvalid), .Q(s_axi_awready));")
    lines.append("  DFFPOSX1 second (.CLK(aclk), .D(aresetn), .Q(irq));")
    return "\n".join([*lines, "endmodule", ""])


def test_constraints_in_opensta(package):
    if shutil.which("sta") is None or not OSU018.exists():
        pytest.skip("OpenSTA (sta) or the cell library osu018 is not installed")
    (package / "netlist.v").write_text(netlist())
    (package / "run.tcl").write_text(f"""read_liberty {OSU018}
read_verilog netlist.v
link_design {wrapper.WRAPPER}
read_sdc sqdm.sdc
foreach where {{{{-from s_axi_awvalid}} {{-to s_axi_awready}} {{-to irq}} {{-from aresetn}}}} {{
  puts "path $where"
  report_checks [lindex $where 0] [get_ports [lindex $where 1]]
}}
puts "period [get_property [get_clocks aclk] period]"
""")
    done = subprocess.run(
        ["sta", "-exit", "run.tcl"],
        cwd=package,
        env=os.environ | {"SQDM_PERIOD_NS": "8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Error" not in done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert "period 8.0" in done.stdout
    inputs, outputs, interrupt, reset = done.stdout.split("path ")[1:]
    assert "2.40    2.40 ^ input external delay" in inputs
    assert "-2.40    5.44   output external delay" in outputs
    assert "No paths found." in interrupt
    assert "input external delay" in reset


@pytest.mark.slow
def test_synthesis_script(package):
    """The whole of it: generic gates."""
    with working_folder(cache_dir()) as folder:
        for name in (f"{TOP}.sv", f"{wrapper.WRAPPER}.v", "synth.ys"):
            shutil.copy(package / name, folder)
        yosys(["-q", "-s", "synth.ys"], folder)
        assert "$mem_v2" in (folder / "synth_stat.txt").read_text()
        assert f"module {wrapper.WRAPPER}" in (folder / f"{wrapper.WRAPPER}_netlist.v").read_text()
