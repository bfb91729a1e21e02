"""The report of a sampling run, from an engine's statistics."""

import numpy as np

from sqdm.golden import layers
from sqdm.golden.formats import FP16_OVER_4BIT
from sqdm.rtl.registers import STALLS
from sqdm.sim.engine import GoldenEngine, RtlEngine


def zero_fraction(engine: RtlEngine | GoldenEngine | None) -> float | None:
    """Share of zeros at the inputs of the layers in 4x4 bit, weighted by their multiply-accumulates."""
    if engine is None:
        return None
    found = [layer for layer in layers.layers() if layer.is_4x4 and layer.name in engine.zeros.layers]
    shares = [engine.zeros.mean(layer.name) for layer in found]
    return float(np.average(shares, weights=[layer.macs for layer in found])) if found else None


def speedup(engine: RtlEngine | None) -> dict[str, float | None]:
    """Dense cycles over measured cycles: the same program with all arrays dense, and FP16 by the paper's convention.

    An FP16 multiplication takes as long as four 4-bit ones: four times the dense cycles of every layer in 4 bit.
    """
    if engine is None or engine.cycles_dense() is None:
        return {"vs_dense_4bit": None, "vs_dense_fp16": None}
    cycles = engine.counters()["CYCLES"]
    return {
        "vs_dense_4bit": engine.cycles_dense() / cycles,
        "vs_dense_fp16": FP16_OVER_4BIT * engine.cycles_dense(all_4bit=True) / cycles,
    }


def layer_rows(engine: RtlEngine | GoldenEngine) -> list[dict]:
    """One row per layer: shape and zeros; with the RTL also what its descriptor did in the profiled evaluation."""
    rows = []
    rtl = isinstance(engine, RtlEngine)
    profile, dense = engine.profiles() if rtl else ({}, {})
    compared, mismatches, _ = engine.comparison() if rtl else ({}, {}, None)
    shapes = {layer.name: layer for layer in layers.layers()}
    for name in profile if rtl else shapes:
        row: dict = {"name": name}
        if name in shapes:
            layer = shapes[name]
            row |= {
                "channels": layer.C,
                "out_channels": layer.K,
                "height": layer.H,
                "width": layer.W,
                "kernel": layer.kernel,
                "act_bits": layer.act.bits,
                "weight_bits": layer.weight_bits,
                "macs": layer.macs,
                "zero_fraction": engine.zeros.mean(name),
            }
        if rtl:
            cycles, cycles_dense = profile[name]["CYCLES"], dense[name]["CYCLES"] if dense else None
            row |= {
                "dense_share": np.mean(engine.dense_shares[name]).item() if name in engine.dense_shares else None,
                "cycles": cycles,
                "cycles_dense": cycles_dense,
                "speedup": cycles_dense / cycles if cycles and cycles_dense else None,
                "outputs_compared": compared[name],
                "mismatches": mismatches[name],
                "counters": profile[name],
            }
        rows.append(row)
    return rows


def figures(engine: RtlEngine | GoldenEngine | None, evaluations: int) -> dict:
    """The fields of the report that come from the layers; ``engine`` is None for the float network.

    ``evaluations`` of single images. ``macs`` are those of the accelerator's layers, ``macs_on_accelerator`` their
    share of ``macs_total`` if the RTL computed them. Cycles, speed-up and stalls are None when no RTL ran.
    """
    rtl = engine if isinstance(engine, RtlEngine) else None
    counters = rtl.counters() if rtl else {}
    compared, mismatches, first = rtl.comparison() if rtl else ({}, {}, None)
    macs, total = layers.macs_on_accelerator() if engine else 0, layers.macs_total()
    return {
        "cycles": counters.get("CYCLES"),
        "cycles_dense": rtl.cycles_dense() if rtl else None,
        "cycles_dense_4bit": rtl.cycles_dense(all_4bit=True) if rtl else None,
        "macs": macs * evaluations,
        "macs_4bit": layers.macs_4bit() * evaluations if engine else 0,
        "macs_total": total * evaluations,
        "macs_on_accelerator": macs / total if rtl else 0.0,
        "outputs_compared": sum(compared.values()),
        "mismatches": sum(mismatches.values()),
        "first_mismatch": first,
        "zero_fraction": zero_fraction(engine),
        "speedup": speedup(rtl),
        "dense_runs_equal": rtl.dense_runs_equal() if rtl else None,
        "busy": {name: counters[f"BUSY_{name.upper()}"] for name in ("dense", "sparse")} if rtl else {},
        "stalls": {name.removeprefix("STALL_").lower(): counters[name] for name in STALLS} if rtl else {},
        "counters": counters,
        "cycles_per_second": rtl.cycles_per_second() if rtl else None,
        "profiled_evaluation": rtl.profile if rtl else None,
        "serial": rtl.serial() if rtl else None,
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
            ("multiply-accumulates", f"{report['macs_total']:,}"),
        ]
    if report["cycles"] is not None:
        rows += [
            ("computed by the host", f"{1 - report['macs_on_accelerator']:.2%}"),
            ("cycles", f"{report['cycles']:,}"),
            ("a picture and evaluation", f"{report['cycles'] / report['images'] / report['evaluations']:,.0f} cycles"),
        ]
        if report["cycles_dense"] is not None:
            rows += [
                ("all arrays dense", f"{report['cycles_dense']:,}"),
                ("all arrays dense, all 4 bit", f"{report['cycles_dense_4bit']:,}"),
                ("simulated", f"{report['cycles_per_second']:,.0f} cycles/s"),
            ]
        rows += [(f"stall: {name}", f"{value / report['cycles']:.1%}") for name, value in report["stalls"].items()]
    if report["speedup"]["vs_dense_4bit"] is not None:
        rows += [
            ("speed-up over dense 4 bit", f"{report['speedup']['vs_dense_4bit']:.2f}x"),
            ("speed-up over dense FP16", f"{report['speedup']['vs_dense_fp16']:.2f}x"),
        ]
    if report.get("serial"):
        serial = report["serial"]
        rows += [
            ("bytes sent, received", f"{serial['bytes_sent']:,}, {serial['bytes_received']:,}"),
            ("frames, sent again", f"{serial['frames']:,}, {serial['retries']:,}"),
            ("serial line at 3 Mbaud", f"{serial['seconds_at_3_mbaud']:.1f} s"),
        ]
    if report["outputs_compared"]:
        rows.append(("mismatches", f"{report['mismatches']} of {report['outputs_compared']:,}"))
    return rows
