"""`sqdm generate`: what it says about the files that it writes."""

import json
import os
import re
import subprocess
import sys

from sqdm.header import c_header
from sqdm.register_page import register_page
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import BYTES, FIELDS
from sqdm.rtl.mac_array import MacArray
from sqdm.rtl.registers import REGISTERS
from sqdm.sim.library import cache_dir
from sqdm.synth.yosys import working_folder


def test_generate_describes_what_it_writes(sqdm, tmp_path):
    outcome = sqdm("generate", "--config", "tiny", "--out", tmp_path / "g", "--json")
    assert outcome.status == 0, outcome.err
    result = outcome.json
    assert {"top", "files", "parameters", "registers", "descriptor"} <= set(result)
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == sorted(
        name.rpartition("/")[2] for name in result["files"]
    )
    manifest = json.loads((tmp_path / "g" / "manifest.json").read_text())
    verilog = (tmp_path / "g" / f"{result['top']}.sv").read_text()
    declared = re.search(rf"^module {result['top']}\((.*?)\);", verilog, re.M | re.S)[1].replace("\n", " ").split(",")
    assert sorted(name.strip() for name in declared) == sorted(port["name"] for port in manifest["ports"])
    top_level = verilog[verilog.index(f"module {result['top']}(") :]
    for port in manifest["ports"]:
        bits = rf"\[{port['width'] - 1}:0\] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['direction']} {bits}{port['name']};", top_level, re.M), port
    assert {"interrupt", "s_axi_awaddr", "m_axi_rdata"} <= {port["name"] for port in manifest["ports"]}
    assert manifest["parameters"] == PRESETS["tiny"].to_dict()
    assert [register["name"] for register in result["registers"]] == list(REGISTERS)
    assert {register["name"]: register["reset"] for register in manifest["registers"]}["WINDOW_LAST"] == 0xFFFFFFFF
    assert [word["name"] for word in manifest["descriptor"]["words"]] == list(FIELDS)
    assert manifest["descriptor"]["bytes"] == BYTES
    buffers = [m for m in manifest["memories"] if "_array_" in m["module"] and m["name"].startswith("acts")]
    assert sum(m["width"] * m["depth"] for m in buffers) == 2 * 2 * 64 * PRESETS["tiny"].act_rows
    assert manifest["memory_bits"] == sum(m["width"] * m["depth"] for m in manifest["memories"])
    assert manifest["latencies"]["MacArray"] == MacArray.LATENCY
    assert {file["name"] for file in manifest["files"]} == {path.name for path in (tmp_path / "g").iterdir()}
    assert all(file["kind"] and file["doc"] for file in manifest["files"])
    assert {"aclk", "aresetn", "irq", "m_axi_awlock"} <= {port["name"] for port in manifest["wrapper"]["ports"]}
    readme = (tmp_path / "g" / "README.md").read_text()
    assert not re.search(r"@[A-Z_]+@", readme) and all(file["name"] in readme for file in manifest["files"])
    assert (tmp_path / "g" / f"{result['top']}.core").read_text().startswith("CAPI=2:\n")
    assert (tmp_path / "g" / "sqdm_registers.h").read_text() == c_header(PRESETS["tiny"])
    assert (tmp_path / "g" / "registers.md").read_text() == register_page()


def test_generate_is_reproducible(sqdm, tmp_path):
    """In another process, with another order of sets, where no cache has the Verilog."""
    assert sqdm("generate", "--config", "tiny", "--out", tmp_path / "a").status == 0
    command = [sys.executable, "-m", "sqdm", "generate", "--config", "tiny", "--out", tmp_path / "b"]
    with working_folder(cache_dir()) as empty:
        environment = os.environ | {"SQDM_CACHE": str(empty.absolute()), "PYTHONHASHSEED": "7"}
        subprocess.run(command, env=environment, capture_output=True, check=True)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
