"""``sqdm layer``: one convolution of the user's own integers through the RTL."""

from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, show, staged_file, table

POLICIES = ("threshold", "balanced", "dense")


@click.command(
    epilog="Example: sqdm layer --weights w.npy --activations a.npy --out y.npy",
    short_help="Run a convolution of your own integers.",
)
@click.option("--weights", required=True, type=Path, help="int8 (K, C, R, S) in -7..7, kernel 1x1 or 3x3 (.npy).")
@click.option("--activations", required=True, type=Path, help="uint8 (C, H, W) in 0..15 (.npy).")
@click.option("--out", type=Path, help="Where to write the int32 sums (K, H, W) (.npy).")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--policy", type=click.Choice(POLICIES), default="balanced", show_default=True, help="Who is dense.")
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@json_option
def layer(weights: Path, activations: Path, out: Path | None, config: str, policy: str, latency: int, as_json: bool):
    """One convolution through the compiled Verilog: stride 1, zero padding, exact sums.

    A layer that does not fit the buffers runs in parts, each of which is sorted by itself (the channels shown are their
    mean). The same layer also runs with all arrays dense, for comparison. Policy dense uses that configuration alone.
    """
    from sqdm.rtl.config import load_config

    chosen = load_config(config)
    w, a, shape = read_operands(weights, activations)
    programs = compiled(w, a, chosen, policy)
    if out is None:
        result = run(w, a, programs, policy, latency)[0]
    else:
        import numpy as np

        with staged_file(out) as path:
            result, sums = run(w, a, programs, policy, latency)
            with open(path, "wb") as file:
                np.save(file, sums)
    show({"shape": shape} | result, summary(shape, result), as_json)
    if result["mismatches"]:
        click.get_current_context().exit(1)


def read_operands(weights: Path, activations: Path):
    """(weights, activations, sizes by name) from the files; raises `UserError` when they break a rule."""
    import numpy as np

    from sqdm.arrays import load_npy, require

    w, a = load_npy(weights, "weights"), load_npy(activations, "activations")
    sizes = require(w, "weights", np.int8, ("K", "C", "R", "S"), -7, 7)
    planes = require(a, "activations", np.uint8, ("C", "H", "W"), 0, 15)
    if (sizes["R"], sizes["S"]) not in ((1, 1), (3, 3)):
        raise UserError(f"weights must have a 1x1 or 3x3 kernel, not {sizes['R']}x{sizes['S']}")
    if planes["C"] != sizes["C"]:
        raise UserError(f"activations must have the weights' {sizes['C']} channels, not {planes['C']}")
    return w, a, sizes | planes


def compiled(w, a, config, policy: str) -> dict:
    """Programs of the layer by name: "dense" for all arrays dense and, unless the policy is dense, "chosen"."""
    import numpy as np

    from sqdm.compiler.convolution import compile_convolution
    from sqdm.compiler.operands import Convolution
    from sqdm.sim.engine import dense_equivalent

    acts = a[None].astype(np.int8)
    programs = {}
    if policy != "dense":
        programs["chosen"] = compile_convolution(Convolution(acts, w, scan=True), config)
    return programs | {"dense": compile_convolution(Convolution(acts, w, scan=False), dense_equivalent(config))}


def run(w, a, programs: dict, policy: str, latency: int):
    """(JSON fields, int32 sums (K, H, W)) of the layer on the RTL, compared with the golden model."""
    import numpy as np

    from sqdm.golden.conv import conv_psum
    from sqdm.rtl.descriptor import Kind
    from sqdm.rtl.registers import Policy
    from sqdm.sim.device import Device

    runs = {}
    for name, program in programs.items():
        device = Device(program.config, latency, message)
        counters = device.run_program(program, policy=Policy[policy.upper()]).counters
        runs[name] = device, counters, program.outputs(device.memory)
    name = next(iter(runs))
    device, counters, outputs = runs[name]
    golden = conv_psum(a[None].astype(np.int8), w)
    descriptors = sum(descriptor.kind == Kind.CONV for descriptor in programs[name].descriptors)
    dense_channels = round(counters["DENSE_CHANNELS"] / descriptors)
    cycles, cycles_dense = counters["CYCLES"], runs["dense"][1]["CYCLES"]
    result = {
        "config": device.config.name,
        "policy": policy,
        "cycles": cycles,
        "cycles_dense": cycles_dense,
        "speedup": cycles_dense / cycles,
        "zero_fraction": 1 - np.count_nonzero(a) / a.size,
        "dense_channels": dense_channels,
        "sparse_channels": len(a) - dense_channels,
        "descriptors": descriptors,
        "outputs_compared": golden.size,
        "mismatches": int(np.count_nonzero(outputs != golden)),
        "cycles_per_second": device.cycles_per_second,
        "counters": counters,
    }
    return result, outputs[0]


def summary(shape: dict, result: dict) -> str:
    """The result as text."""
    size = "{C} -> {K} channels, {H} x {W} pixels, {R}x{S} kernel".format(**shape)
    rows = [
        ("layer", size),
        ("zeros", f"{result['zero_fraction']:.1%}"),
        ("channels", f"{result['dense_channels']} dense, {result['sparse_channels']} sparse"),
        ("cycles", f"{result['cycles']:,}"),
        ("all arrays dense", f"{result['cycles_dense']:,}"),
        ("speed-up", f"{result['speedup']:.2f}x"),
        ("mismatches", f"{result['mismatches']} of {result['outputs_compared']:,}"),
        ("simulated", f"{result['cycles_per_second']:,.0f} cycles/s"),
    ]
    return table(rows, (f"{result['config']}, {result['policy']}", ""))
