"""What ``sqdm energy`` reports."""

from collections.abc import Callable

from sqdm.golden import layers, sampler
from sqdm.golden.model_file import Model
from sqdm.rtl.config import Config
from sqdm.synth.energy import fp16, memories
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.image import KINDS, ImageEnergy, Work, energy, reduction
from sqdm.synth.energy.image import fp16 as fp16_energy
from sqdm.synth.energy.measure import Measured, Measurement, same_arrays_dense
from sqdm.synth.energy.run import sample_and_measure

DESIGNS = {"fp16_dense": "FP16, dense arrays", "dense_4bit": "4 bit, dense arrays", "sqdm": "sqdm"}
HEADS = ("microjoules per image", *DESIGNS.values())
STAGES = 45


def report(
    model: Model,
    config: Config,
    library: Library,
    earlier: dict | None,
    on_progress: Callable[[str], None],
    images: int,
    steps: int,
    latency: int,
) -> dict:
    """Measure everything. Energies in J; ``earlier``: the report of a sampling run, instead of a run of its own."""
    configs = [config] if not config.sparse_arrays else [config, same_arrays_dense(config)]
    measured = [Measured(model.arrays, each, images, latency, library, on_progress) for each in configs]
    on_progress("FP16 array")
    per_mac = fp16.energy_per_mac(model, library)
    evaluations = sampler.evaluations(steps)

    def on_evaluation(done: int) -> None:
        on_progress(f"evaluation {done} of {evaluations}")

    only_measured = earlier is not None
    run = sample_and_measure(model, measured, images, steps, only_measured, on_evaluation, on_progress)
    ours, dense = run.measurements[0], run.measurements[-1]
    work = Work.of(earlier["counters"] if earlier else run.counters, images)
    work_dense = Work.of({name: value * evaluations for name, value in dense.counters.items()}, images)
    # A reference in which every layer has 4 bit, as the paper's: its cycles from the run, or by the layers' products.
    share = earlier["cycles_dense_4bit"] / earlier["cycles_dense"] if earlier else products_4bit() / products()
    arguments = library, configs[-1]

    def of_case(case: str) -> dict[str, ImageEnergy]:
        return {
            "fp16_dense": fp16_energy(
                dense, work_dense, share * work_dense.cycles, per_mac, arguments[1], library, case
            ),
            "dense_4bit": energy(dense, work_dense, arguments[1], library, case),
            "sqdm": energy(ours, work, config, library, case),
        }

    cases = {case: of_case(case) for case in memories.CASES}
    typical = cases["typical"]
    return {
        "config": config.to_dict(),
        "liberty": library.name,
        "voltage": library.voltage,
        "images": images,
        "steps": steps,
        "evaluations": evaluations,
        "latency": latency,
        "unit": "J",
        "energy_per_image": {name: found.on_chip for name, found in typical.items()},
        "energy_per_image_with_dram": {name: found.total for name, found in typical.items()},
        **reductions(cases),
        "energy_per_mac": per_mac_4bit(run.measurements, configs) | {"fp16": per_mac},
        "energy_per_cycle": {m.config: per_cycle(m) for m in run.measurements},
        "breakdown": {name: found.bars() for name, found in typical.items()},
        "logic": {name: found.logic for name, found in typical.items()},
        "cycles_per_image": {"dense_4bit": work_dense.cycles, "sqdm": work.cycles},
        "measured": [measured_facts(m) for m in run.measurements],
        "spread_of_arrays": {m.config: spread(m) for m in run.measurements},
        "own_run": earlier is None,
        "mismatches": sum(m.mismatches + m.output_mismatches for m in run.measurements),
        "sources": {figure.name: figure.source for figure in (memories.SRAM, memories.DRAM)},
    }


def reductions(cases: dict[str, dict[str, ImageEnergy]]) -> dict:
    """Saved against the dense arrays and against FP16: logic alone, on chip, with DRAM; and the memories' range."""
    typical = cases["typical"]
    ours, dense, half = (typical[name] for name in ("sqdm", "dense_4bit", "fp16_dense"))

    def logic(found: ImageEnergy, kinds: tuple[str, ...] = KINDS) -> float:
        return sum(part[kind] for part in found.logic.values() for kind in kinds)

    def without_glitches(found: ImageEnergy) -> float:
        return found.on_chip - logic(found, ("glitches",))

    ranges = [
        (reduction(case["sqdm"].on_chip, case["dense_4bit"].on_chip),
         reduction(case["sqdm"].total, case["dense_4bit"].total))
        for case in cases.values()
    ]  # fmt: skip
    return {
        "reduction_vs_dense": reduction(ours.on_chip, dense.on_chip),
        "reduction_vs_dense_with_dram": reduction(ours.total, dense.total),
        "reduction_vs_dense_range": [min(pair[0] for pair in ranges), max(pair[0] for pair in ranges)],
        "reduction_vs_dense_with_dram_range": [min(pair[1] for pair in ranges), max(pair[1] for pair in ranges)],
        "reduction_vs_dense_logic": reduction(logic(ours), logic(dense)),
        "reduction_vs_dense_without_glitches": reduction(without_glitches(ours), without_glitches(dense)),
        "reduction_vs_fp16": reduction(ours.on_chip, half.on_chip),
        "reduction_vs_fp16_with_dram": reduction(ours.total, half.total),
    }


def products() -> int:
    """Products of 4-bit multipliers for one image and evaluation: an 8-bit operand counts twice."""
    return sum(layer.macs * (layer.act.bits // 4) * (layer.weight_bits // 4) for layer in layers.layers())


def products_4bit() -> int:
    """The same with all operands in 4 bit."""
    return sum(layer.macs for layer in layers.layers())


def per_cycle(measurement: Measurement) -> dict[str, float]:
    """J per cycle of the measured evaluation, by part."""
    found: dict[str, float] = {}
    for part in measurement.parts:
        energy_of_part = part.clock + part.data + part.glitches + part.leakage
        found[part.label] = found.get(part.label, 0.0) + energy_of_part / measurement.cycles
    return found


def per_mac_4bit(measurements: list[Measurement], configs: list[Config]) -> dict[str, float]:
    """J of arrays and feeders, without memories, per product that was computed."""
    found = {}
    for measurement, config in zip(measurements, configs, strict=True):
        operations = measurement.counters["OPS_DENSE"] + measurement.counters["OPS_SPARSE"]
        parts = [part for part in measurement.parts if "_array_" in part.name]
        total = sum(part.clock + part.data + part.glitches + part.leakage for part in parts)
        found[config.name] = total / (operations * config.lanes)
    return found


def spread(measurement: Measurement) -> dict[str, list[float]]:
    """Least and most data energy of one array over the mean of all, by label: how equal the arrays are."""
    found = {}
    for label in dict.fromkeys(part.label for part in measurement.parts if "_array_" in part.name):
        values = [part.data for part in measurement.parts if part.label == label]
        mean = sum(values) / len(values)
        found[label] = [min(values) / mean, max(values) / mean]
    return found


def measured_facts(measurement: Measurement) -> dict:
    """How much of what was measured, and that it was right."""
    return {
        "config": measurement.config,
        "cycles": measurement.cycles,
        "cells": sum(part.cells for part in measurement.parts),
        "registers": sum(part.registers for part in measurement.parts),
        "register_mismatches": measurement.mismatches,
        "outputs_compared": measurement.outputs_compared,
        "output_mismatches": measurement.output_mismatches,
        "counters": measurement.counters,
        "memories": {memory.name: {"reads": memory.reads, "writes": memory.writes} for memory in measurement.memories},
    }


def bars(result: dict) -> dict[str, dict[str, float]]:
    """Microjoules by design and part, for the picture."""
    return {
        DESIGNS[name]: {part: 1e6 * value for part, value in parts.items()}
        for name, parts in result["breakdown"].items()
    }


def rows(result: dict) -> list[tuple[str, str, str, str]]:
    """The breakdown as a table, in microjoules."""
    breakdown = result["breakdown"]
    names = list(breakdown["sqdm"])
    found = [(name, *(f"{1e6 * breakdown[design][name]:,.1f}" for design in DESIGNS)) for name in names]
    for name, key in (("on chip", "energy_per_image"), ("with DRAM", "energy_per_image_with_dram")):
        found.append((name, *(f"{1e6 * result[key][design]:,.1f}" for design in DESIGNS)))
    return found


def summary(result: dict) -> str:
    """The reductions in words."""
    low, high = result["reduction_vs_dense_range"]
    low_dram, high_dram = result["reduction_vs_dense_with_dram_range"]
    return "\n".join(
        [
            f"against the same arrays dense: -{result['reduction_vs_dense']:.1%} on chip "
            f"({low:.1%} to {high:.1%} over the range of the memory figures), "
            f"-{result['reduction_vs_dense_with_dram']:.1%} with DRAM ({low_dram:.1%} to {high_dram:.1%})",
            f"against FP16: -{result['reduction_vs_fp16']:.1%} on chip, "
            f"-{result['reduction_vs_fp16_with_dram']:.1%} with DRAM",
            f"liberty {result['liberty']}; {sum(m['cycles'] for m in result['measured']):,} cycles at gate level, "
            f"{result['mismatches']} mismatches",
        ]
    )


def caption(result: dict) -> str:
    """One line below the picture."""
    return f"{result['liberty']}, {result['voltage']} V, {result['steps']} steps, batch {result['images']}"
