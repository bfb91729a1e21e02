"""What each layer costs at 4 bits, the measurement behind the choice of formats: python -m sqdm.golden.sensitivity.

The network is fake-quantised with everything at 8 bits and scales fitted, not trained; then one layer at a time gets
4-bit activations, 4-bit weights or both, with its scales and factors per noise level fitted anew.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from sqdm.golden import distill, evaluate, formats, layers, sampler, train
from sqdm.golden.fake_quant import fake_quantise, inputs_of, layer_name, quant_layers
from sqdm.golden.model_file import DEFAULT, FLOAT
from sqdm.golden.quant_layer import QuantLayer
from sqdm.golden.unet import UNet

SEED = 0
IMAGES = 512  # of the denoiser's error
CASES = {"acts": (4, 8), "weights": (8, 4), "both": (4, 4)}  # bits of activations and of weights


@dataclass(frozen=True)
class Row:
    """One layer: its share of the network's MACs, and the denoiser's MSE that each case adds to the base."""

    name: str
    share: float
    acts: float
    weights: float
    both: float


class Bench:
    """The network at 8 bits, and the error of its denoiser against ``teacher`` when one layer has other formats.

    ``images`` fixed noisy images; ``base`` is the mean squared error with every layer at 8 bits, pixels in [-1, 1].
    """

    def __init__(self, teacher: UNet, images: int):
        generator = torch.Generator().manual_seed(SEED)
        fit = self._inputs(distill.noisy_batch(distill.FIT_IMAGES, generator))
        sigma = distill.sampler_sigma(distill.LEVEL_IMAGES)
        levels = self._inputs(distill.noisy_batch(len(sigma), generator, sigma))
        self.level = torch.arange(len(sigma)) % len(sampler.LEVELS)
        self.net = fake_quantise(teacher, *fit, formats.uniform(8)).eval()
        self.modules = {layer_name(module): module for module in quant_layers(self.net)}
        layers = quant_layers(self.net)
        self.fit, self.levels = (inputs_of(self.net, layers, *batch) for batch in (fit, levels))
        x, sigma, labels = distill.noisy_batch(images, generator)
        self.seen = x.double().numpy(), sigma.double().numpy(), labels.numpy()
        self.exact = self._denoise(teacher)
        self.base = self._error()

    @staticmethod
    def _inputs(batch: tuple) -> tuple:
        """The raw network's arguments from (noisy images, sigma, labels)."""
        return *distill.network_input(*batch[:2]), batch[2]

    def _denoise(self, net: UNet) -> np.ndarray:
        """The denoiser's output on all images, by chunks."""
        denoiser, count = evaluate.float_denoiser(net), len(self.seen[0])
        chunks = [slice(first, first + evaluate.CHUNK) for first in range(0, count, evaluate.CHUNK)]
        return np.concatenate([denoiser(*(part[chunk] for part in self.seen)) for chunk in chunks])

    def _error(self) -> float:
        """The error of the network as it is."""
        return float(((self._denoise(self.net) - self.exact) ** 2).mean())

    def error(self, name: str, precision: formats.Precision) -> float:
        """The error with layer ``name`` in ``precision``."""
        module = self.modules[name]
        parent, _, leaf = module.rpartition(".")
        owner, old = self.net.get_submodule(parent), self.net.get_submodule(module)
        layer = QuantLayer(old, precision)
        layer.initialise(self.fit[module])
        if layer.log_level is not None:
            layer.level = self.level
            layer.fit_levels(self.levels[module])
        setattr(owner, leaf, layer)
        error = self._error()
        setattr(owner, leaf, old)
        return error


def measure(
    teacher: UNet, images: int = IMAGES, on_row: Callable[[Row], None] | None = None, names: list[str] | None = None
) -> tuple[float, list[Row]]:
    """(MSE with every layer at 8 bits, a row for each of ``names``), by default of every layer with weights, as run."""
    bench = Bench(teacher, images)
    macs = {layer.name: layer.macs / layers.macs_total() for layer in layers.layers()}
    rows = []
    for name, signed in formats.candidates().items():
        if names is not None and name not in names:
            continue
        added = {case: bench.error(name, formats.precision(signed, *bits)) - bench.base for case, bits in CASES.items()}
        rows.append(Row(name, macs[name], **added))
        if on_row is not None:
            on_row(rows[-1])
    return bench.base, rows


def record(base: float, rows: list[Row]) -> dict:
    """The table as the manifest keeps it."""
    return {"images": IMAGES, "mse_all_8bit": base, "added_mse": [asdict(row) for row in rows]}


def main() -> None:
    """Measure the shipped float network and print a row per layer, then the record as JSON."""

    def show(row: Row) -> None:
        numbers = "  ".join(f"{1e5 * value:9.2f}" for value in (row.acts, row.weights, row.both))
        print(f"{row.name:28s}{100 * row.share:6.2f} %  {numbers}", flush=True)

    torch.set_num_threads(1)
    print(f"{'added MSE x 1e5':28s}{'MACs':>8s}  {'acts':>9s}  {'weights':>9s}  {'both':>9s}")
    base, rows = measure(train.load_float(DEFAULT / FLOAT), on_row=show)
    print(f"all layers at 8 bits: {1e5 * base:.2f}")
    print(json.dumps(record(base, rows)))


if __name__ == "__main__":
    main()
