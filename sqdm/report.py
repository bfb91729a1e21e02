"""The report of a sampling run, from an engine's statistics."""

from sqdm.rtl.registers import STALLS
from sqdm.sim.engine import CountingEngine, LayerStats, RtlEngine

FP16_OVER_4BIT = 4  #: time of an FP16 multiplication in 4-bit ones (paper's convention); as much as two 8-bit halves


def zero_fraction(layers: list[LayerStats]) -> float | None:
    """Share of zeros at the inputs of the 4-bit layers, weighted by their multiply-accumulates."""
    four = [stats for stats in layers if stats.bits == 4]
    macs = sum(stats.macs for stats in four)
    return sum(stats.macs * stats.zeros / stats.activations for stats in four) / macs if macs else None


def speedup(layers: list[LayerStats]) -> dict[str, float | None]:
    """Dense cycles over measured cycles, the dense arrays computing in 4 bit or (by the paper's convention) in FP16.

    An FP16 multiplication takes as long as four 4-bit ones, so a 4-bit layer takes four times its dense 4-bit cycles,
    and an 8-bit one, which already computes four products for each of its own, just as many.
    """
    cycles = sum(stats.cycles for stats in layers)
    dense = sum(stats.cycles_dense for stats in layers)
    fp16 = sum(stats.cycles_dense * (FP16_OVER_4BIT if stats.bits == 4 else 1) for stats in layers)
    return {
        "vs_dense_4bit": dense / cycles if cycles and dense else None,
        "vs_dense_fp16": fp16 / cycles if cycles and dense else None,
    }


def layer_rows(engine: CountingEngine) -> list[dict]:
    """One row per layer: shape, work, zeros, cycles and counters."""
    return [
        {
            "name": name,
            "bits": stats.bits,
            **stats.shape,
            "runs": stats.runs,
            "macs": stats.macs,
            "zero_fraction": stats.zeros / stats.activations,
            "cycles": stats.cycles,
            "cycles_dense": stats.cycles_dense,
            "speedup": stats.cycles_dense / stats.cycles if stats.cycles else None,
            "dense_share": stats.counters["DENSE_CHANNELS"] / (stats.runs * stats.shape["channels"]),
            "outputs_compared": stats.outputs_compared,
            "mismatches": stats.mismatches,
            "counters": stats.counters,
        }
        for name, stats in engine.layers.items()
    ]


def figures(engine: CountingEngine | None, macs_total: int) -> dict:
    """The fields of the report that come from the layers; ``engine`` is None for the float network.

    ``macs_on_accelerator`` is the share of ``macs_total`` that the RTL computed. Cycles, speed-up and stalls are None
    when no RTL ran.
    """
    layers = list(engine.layers.values()) if engine else []
    rtl = isinstance(engine, RtlEngine)
    macs = sum(stats.macs for stats in layers)

    def total(counter: str) -> int:
        return sum(stats.counters[counter] for stats in layers)

    return {
        "cycles": total("CYCLES") if rtl else None,
        "cycles_dense": sum(stats.cycles_dense for stats in layers) if rtl else None,
        "macs": macs,
        "macs_4bit": sum(stats.macs for stats in layers if stats.bits == 4),
        "macs_total": macs_total,
        "macs_on_accelerator": macs / macs_total if rtl else 0.0,
        "outputs_compared": sum(stats.outputs_compared for stats in layers),
        "mismatches": sum(stats.mismatches for stats in layers),
        "first_mismatch": engine.first_mismatch if rtl else None,
        "zero_fraction": zero_fraction(layers),
        "speedup": speedup(layers),
        "dense_runs_equal": all(len(set(stats.dense_cycles)) == 1 for stats in layers) if rtl else None,
        "busy": {name: total(f"BUSY_{name.upper()}") for name in ("dense", "sparse")} if rtl else {},
        "stalls": {name.removeprefix("STALL_").lower(): total(name) for name in STALLS} if rtl else {},
        "cycles_per_second": engine.device.cycles / engine.device.seconds if rtl and engine.device.seconds else None,
        "layers": layer_rows(engine) if engine else [],
    }


def summary(report: dict) -> list[tuple[str, str]]:
    """The report as rows of text."""
    rows = [
        ("images", f"{report['images']}, {report['steps']} steps, {report['evaluations']} evaluations"),
        ("time", f"{report['seconds']:.1f} s"),
    ]
    if report["zero_fraction"] is not None:
        rows += [
            ("zeros (4-bit layers)", f"{report['zero_fraction']:.1%}"),
            ("multiply-accumulates", f"{report['macs']:,} of {report['macs_total']:,}"),
        ]
    if report["cycles"] is not None:
        rows += [
            ("cycles", f"{report['cycles']:,}"),
            ("all arrays dense", f"{report['cycles_dense']:,}"),
            ("simulated", f"{report['cycles_per_second']:,.0f} cycles/s"),
        ]
        rows += [(f"stall: {name}", f"{value / report['cycles']:.1%}") for name, value in report["stalls"].items()]
    if report["speedup"]["vs_dense_4bit"] is not None:
        rows += [
            ("speed-up over dense 4 bit", f"{report['speedup']['vs_dense_4bit']:.2f}x"),
            ("speed-up over dense FP16", f"{report['speedup']['vs_dense_fp16']:.2f}x"),
        ]
    if report["outputs_compared"]:
        rows.append(("mismatches", f"{report['mismatches']} of {report['outputs_compared']:,}"))
    return rows
