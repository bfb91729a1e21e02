"""The delivered Verilog: names, constructs, lint, yosys' check."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sqdm.package.fill import registers_without_reset
from sqdm.package.names import plain, tidy, unique
from sqdm.package.wrapper import WRAPPER
from sqdm.sim import toolchain
from sqdm.sim.library import TOP, cache_dir
from sqdm.synth.yosys import working_folder, yosys

SOURCES = (f"{TOP}.sv", f"{WRAPPER}.v")


def lint(folder: Path, top: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [toolchain.verilator_bin(), "--lint-only", "-Wall", *arguments, *SOURCES, "--top-module", top]
    environment = toolchain.build_environment()
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("top", [WRAPPER, TOP])
def test_verilator_has_no_warnings(package, top):
    done = lint(package, top, "sqdm_lint.vlt")
    assert (done.returncode, done.stderr) == (0, "")


def test_waivers_cover_these_rules_only(package):
    """Each of them is needed, and no other warning is there."""
    done = lint(package, TOP)
    assert done.returncode != 0
    waived = set(re.findall(r"-rule (\w+)", (package / "sqdm_lint.vlt").read_text()))
    assert set(re.findall(r"%Warning-(\w+)", done.stderr)) == waived == {"UNUSEDSIGNAL", "DECLFILENAME", "SYMRSVDWORD"}


def test_lint_notices_a_width_that_does_not_match(package):
    path = package / f"{WRAPPER}.v"
    path.write_text(path.read_text().replace(".m_axi_awaddr(m_axi_awaddr)", ".m_axi_awaddr(m_axi_awaddr[7:0])"))
    assert "WIDTH" in lint(package, WRAPPER, "sqdm_lint.vlt").stderr


def check(package: Path, text: str = "") -> None:
    """Everything before the mapping in the delivered script: reading, hierarchy -check, proc, check -assert."""
    with working_folder(cache_dir()) as folder:
        for name in (*SOURCES, "synth.ys"):
            shutil.copy(package / name, folder)
        with (folder / SOURCES[1]).open("a") as file:
            file.write(text)
        yosys(["-q", "-p", "script synth.ys read:map"], folder)


def test_yosys_check_is_clean(package):
    check(package)


def test_yosys_check_notices_two_drivers(package):
    path = package / f"{WRAPPER}.v"
    path.write_text(path.read_text().replace("endmodule", "  assign irq = aclk;\nendmodule"))
    with pytest.raises(Exception, match="check -assert"):
        check(package)


def test_no_simulation_constructs(files):
    for name in SOURCES:
        text = re.sub(r"//.*", "", files[name].text)
        assert not re.findall(r"\binitial\b|\$(?!signed\b)\w+|#\s*\d|`\w+|'[bh][0-9a-f]*[xz]", text)


def test_names_are_plain_and_tell_the_place(files):
    text = files[f"{TOP}.sv"].text
    assert "\\" not in text
    modules = re.findall(r"^module (\w+)", text, re.M)
    assert len(set(modules)) == len(modules) > 50
    assert all(module == TOP or module.startswith(f"{TOP}_") for module in modules)
    assert f"{TOP}_core_compute_sparse_array_1_feeder_slot_0" in modules
    assert not re.search(r"\bport_\d+_\d+|\w\$\d", text)


def test_every_register_is_reset_or_known_not_to_be(files):
    """What the reset leaves alone: accumulators, registers behind memories, those that follow others every cycle."""
    left = {}
    for match in re.finditer(r"^module (\w+)\b.*?^endmodule", files[f"{TOP}.sv"].text, re.M | re.S):
        names = [name for name, _ in registers_without_reset(match[0]) if not re.match(r"acc_\d+$|_\d+_$", name)]
        left |= {f"{match[1].removeprefix(TOP)}.{name}": None for name in names}
    assert not [name for name in left if re.search(r"state|valid|busy|level|produce|consume|count", name)], left


def test_plain_names():
    assert plain("words__payload$12.word[3]") == "words_payload_word_3"
    assert [plain(name) for name in ("end", "table", "0", "$", "a__b")] == ["end_", "table_", "n0", "n", "a_b"]
    found = unique([("x", "x"), ("x$1", "x$1"), ("x_1", "x_1")])
    assert list(found.values()) == ["x", "x_1", "x_1_1"]


def test_anonymous_ports_are_called_by_what_they_carry():
    text = """module \\top
  wire width 4 \\sum$9
  wire width 4 \\go
  cell \\top.part$3 \\part
    connect \\port$7$0 \\sum$9 [3:0]
    connect \\port$8$0 \\go [3:0]
  end
end
module \\top.part$3
  wire width 4 input 0 \\port$7$0
  wire width 4 input 1 \\port$8$0
  wire width 8 \\pair
connect \\pair { 4'0000 \\port$7$0 [3:0] }
end
"""
    assert (
        tidy(text)
        == """module \\top
  wire width 4 \\sum
  wire width 4 \\go
  cell \\top_part \\part
    connect \\pair_3_0 \\sum [3:0]
    connect \\go \\go [3:0]
  end
end
module \\top_part
  wire width 4 input 0 \\pair_3_0
  wire width 4 input 1 \\go
  wire width 8 \\pair
connect \\pair { 4'0000 \\pair_3_0 [3:0] }
end
"""
    )
