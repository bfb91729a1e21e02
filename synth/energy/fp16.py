"""Energy per multiply-accumulate of a dense FP16 array, on activations and weights of the float network."""

from pathlib import Path

import numpy as np
import torch

from sqdm.golden import sampler
from sqdm.golden.model_file import Model
from sqdm.golden.sample import sample
from sqdm.synth.baselines.fp16_mac_array import Fp16MacArray
from sqdm.synth.energy.blocks import STREAMS, Block
from sqdm.synth.energy.cell_library import Library
from sqdm.synth.energy.netlist import synthesize
from sqdm.synth.energy.partition import block
from sqdm.synth.yosys import cached, cached_path, working_folder

LANES = 4
CHANNELS = 16  #: input channels of a 3x3 layer that are accumulated: 144 products for each pixel
GLITCH_PERIOD = 8  #: products of which one is also computed with delays
LAYERS = 3  #: layers, evenly chosen from those with 3x3 taps and enough channels


def operands(model: Model, steps: int = 18) -> list[tuple[np.ndarray, np.ndarray]]:
    """(activations (pixels, products), weights (lanes, products)), float16, of some layers in the middle of a run."""
    convolutions = [
        module
        for module in model.float_net.modules()
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3) and module.in_channels >= CHANNELS
        and module.out_channels >= LANES
    ]  # fmt: skip
    chosen = convolutions[:: -(-len(convolutions) // LAYERS)]
    inputs: dict[torch.nn.Module, torch.Tensor] = {}
    hooks = [
        module.register_forward_pre_hook(lambda m, args: inputs.__setitem__(m, args[0].detach())) for module in chosen
    ]
    middle = sampler.evaluations(steps) // 2
    kept: dict[torch.nn.Module, torch.Tensor] = {}

    def on_evaluation(evaluation: int, _: int) -> None:
        if evaluation == middle:
            kept.update({module: tensor.clone() for module, tensor in inputs.items()})

    sample(model, list(range(10)), steps, 0, "float", on_evaluation)
    for hook in hooks:
        hook.remove()
    found = []
    for module in chosen:
        columns = torch.nn.functional.unfold(kept[module][:, :CHANNELS], 3, padding=1)  # images, products, pixels
        pixels = columns.permute(0, 2, 1).reshape(-1, columns.shape[1]).numpy().astype(np.float16)
        weights = module.weight.detach()[:LANES, :CHANNELS].reshape(LANES, -1).numpy().astype(np.float16)
        found.append((pixels, weights))
    return found


def energy_per_mac(model: Model, library: Library) -> dict[str, float]:
    """J per multiply-accumulate: ``clock``, ``data``, ``glitches``, ``leakage``; the number of ``macs`` measured."""
    array = Fp16MacArray(1, LANES)
    with working_folder(cached_path("energy-fp16").parent) as folder:
        part = block(array, folder)
    layers = operands(model)
    code = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("*.py")))
    numbers = "".join(array.tobytes().hex() for pair in layers for array in pair)
    path = cached_path("energy-fp16", part.to_json(), library.digest, code, numbers)

    def compute(_) -> dict[str, float]:
        netlist = synthesize([part], library)[part.to_json()]
        totals = dict.fromkeys(("clock", "data", "glitches", "leakage", "macs"), 0.0)
        for pixels, weights in layers:
            gates = Block(part, netlist, library)
            totals["macs"] += run(gates, array, pixels, weights)
            used = gates.energy()
            for name in ("clock", "data", "leakage"):
                totals[name] += getattr(used, name)
            totals["glitches"] += (gates.glitch_factor() - 1) * used.data
        return {name: value / totals["macs"] for name, value in totals.items() if name != "macs"} | {
            "macs": totals["macs"], "registers": len(part.registers) / LANES, "cells": len(netlist.cells) / LANES
        }  # fmt: skip

    return cached(path, compute)


def run(gates: Block, array: Fp16MacArray, pixels: np.ndarray, weights: np.ndarray) -> int:
    """One layer: every stream has ``TURNS`` pixels in turn, all streams the same weights. Returns the products."""
    products = pixels.shape[1]
    chosen = np.resize(pixels, (array.TURNS, STREAMS, products)).view(np.uint16)
    rows = np.ascontiguousarray(weights.T).view(np.uint16)  # products, lanes
    rows = ((rows[:, :, None] >> np.arange(16)) & 1).reshape(products, -1)
    for index in range(products):
        gates.sampling = index % GLITCH_PERIOD == 0
        for turn in range(array.TURNS):
            numbers = {"acts": chosen[turn, :, index].astype(np.int64), "weights": rows[index][None, :]}
            gates.cycle(numbers | {"step": np.array([1]), "last": np.array([int(index == products - 1)])})
    return gates.cycles * weights.shape[0]
