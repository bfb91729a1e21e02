"""What a design is mapped to: the yosys script of every target, and how its cells count.

A script reads ``part.il``, whose top module is the unit, and writes ``memories.txt`` (all memories), ``lost.txt``
(those that are about to become flip-flops) and ``cells.json`` (yosys' `stat`).
"""

from dataclasses import dataclass, field

from .place import PRELUDE

FLIPFLOP = "$_DFF_P_"

#: Transistors of a static CMOS cell; a transmission-gate multiplexer and flip-flop, two-level And-Or gates.
TRANSISTORS = {
    "$_BUF_": 4, "$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_ANDNOT_": 6, "$_ORNOT_": 6,
    "$_XOR_": 12, "$_XNOR_": 12, "$_MUX_": 12, "$_NMUX_": 10, "$_AOI3_": 6, "$_OAI3_": 6, "$_AOI4_": 8,
    "$_OAI4_": 8, FLIPFLOP: 24,
}  # fmt: skip

#: From RTLIL to single-bit gates and flip-flops without enable; memories stay. yosys' longer default script would take
#: four times as long for 3% fewer cells.
GATES = """
read_rtlil part.il
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff
wreduce
peepopt
opt_clean
alumacc
opt
memory -nomap
opt_clean
tee -q -o memories.txt dump t:$mem_v2
tee -q -o lost.txt dump t:$none
opt -fast -full
techmap
opt -fast
delete t:$scopeinfo
"""

TO_GATES = """
dfflegalize -cell $_DFF_P_ 01
opt_clean
abc -g gates -script +strash;dc2;strash;map
opt_clean
tee -q -o cells.json stat -json
"""

#: `synth_*` in steps: memories are seen before they are mapped, and those that are left afterwards. Names are dropped
#: before LUTs are mapped, since yosys 0.70 stops when two that it makes up there for Xilinx are the same.
FPGA = """
read_rtlil part.il
hierarchy -check -top {top}
{prelude}
{synth} -top {top} -run begin:{before}
tee -q -o memories.txt dump t:$mem_v2
{synth} -top {top} -run {before}:map_ffram
tee -q -o lost.txt dump t:$mem_v2
{synth} -top {top} -run map_ffram:map_luts
delete t:$scopeinfo
rename -hide w:* c:*
{synth} -top {top} -run map_luts:
tee -q -o cells.json stat -json
"""


@dataclass(frozen=True)
class Target:
    """``script`` with ``{top}``; ``weights``: area of a cell in ``unit``; the sets of cells that the figures count.

    ``capacity`` of the largest ``device`` of the family that the open tools place, by figure.
    """

    name: str
    unit: str
    script: str
    weights: dict[str, float]
    flipflops: tuple[str, ...]
    luts: dict[str, int] = field(default_factory=dict)
    dsps: tuple[str, ...] = ()
    brams: dict[str, int] = field(default_factory=dict)  #: bits of each
    lutrams: dict[str, int] = field(default_factory=dict)  #: bits of each
    device: str | None = None
    capacity: dict[str, int] = field(default_factory=dict)


def fpga(synth: str, before: str = "map_ram", prelude: str = "") -> str:
    """The script of a family."""
    return FPGA.format(synth=synth, before=before, prelude=prelude, top="{top}")


ICE40_LUTS = {"SB_LUT4": 1}
#: A carry cell takes two LUTs; 16 x 4 bits of distributed memory four, and two for their ports.
ECP5_LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
XILINX_LUTS = {f"LUT{i}": 1 for i in range(1, 7)} | {
    "SRL16E": 1, "SRLC32E": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM32X1D": 2,
    "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4,
}  # fmt: skip

TARGETS = {
    target.name: target
    for target in (
        Target(
            "gates", "gate equivalents", GATES + TO_GATES, {kind: n / 4 for kind, n in TRANSISTORS.items()}, (FLIPFLOP,)
        ),
        Target(
            "ice40", "LUT4", fpga("synth_ice40"), ICE40_LUTS, ("SB_DFF",), luts=ICE40_LUTS,
            brams={"SB_RAM40_4K": 4096}, device="HX8K", capacity={"luts": 7680, "brams": 32},
        ),
        Target(
            "ecp5", "LUT4", fpga("synth_ecp5", prelude=PRELUDE), ECP5_LUTS, ("TRELLIS_FF",), luts=ECP5_LUTS,
            dsps=("MULT18X18D",),
            brams={"DP16KD": 18432, "PDPW16KD": 18432}, lutrams={"TRELLIS_DPR16X4": 64},
            device="LFE5U-85", capacity={"luts": 83640, "brams": 208, "dsps": 156},
        ),
        Target(
            "xilinx", "LUT6", fpga("synth_xilinx -flatten -noiopad -noclkbuf", "map_memory"), XILINX_LUTS, ("FD", "LD"),
            luts=XILINX_LUTS, dsps=("DSP48E1",), brams={"RAMB36E1": 36864, "RAMB18E1": 18432},
            lutrams={"RAM32X1S": 32, "RAM64X1S": 64, "RAM128X1S": 128, "RAM256X1S": 256, "RAM32X1D": 32,
                     "RAM64X1D": 64, "RAM128X1D": 128, "RAM32M": 192, "RAM64M": 192},
            device="XC7A200T", capacity={"luts": 134600, "brams": 365, "dsps": 740},
        ),
    )
}  # fmt: skip
