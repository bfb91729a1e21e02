"""Random layers that the model is measured with: everything that a CONV can do, in every combination."""

from collections.abc import Iterator

import numpy as np

from sqdm.compiler.program import Program
from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Output
from sqdm.rtl.registers import Policy
from sqdm.sim.lib.random_programs import compiled, convolution

MOST_IMAGES, MOST_CHANNELS, MOST_SIZE = 8, 128, 12


def random_layers(config: Config, seed: int) -> Iterator[tuple[Program, Policy]]:
    """Programs of one convolution each, and the policy that its channels are sorted by, without an end."""
    rng = np.random.default_rng(seed)

    def upto(limit: int, most: int) -> int:
        return int(rng.integers(1, min(limit, most) + 1))

    while True:
        images, channels = upto(config.max_images, MOST_IMAGES), upto(config.max_channels, MOST_CHANNELS)
        shape = (
            images,
            channels,
            upto(config.max_out_channels, MOST_CHANNELS),
            *(upto(config.max_size, MOST_SIZE) for _ in range(2)),
        )
        options = {
            "act_bits": int(rng.choice([4, 4, 4, 8])),
            "weight_bits": int(rng.choice([4, 4, 4, 8])),
            "signed": not rng.integers(4),
            "int16": not rng.integers(2),
            "update": not rng.integers(2),
            "scan": not rng.integers(5),
            "image_weights": not rng.integers(8),
        }
        if rng.integers(4):
            options |= {"residual": not rng.integers(2), "statistics": not rng.integers(2)}
        else:
            options["output"] = Output.RAW
        taps, policy = int(rng.choice([9, 9, 1])), Policy(int(rng.integers(4)))
        try:
            yield compiled(rng, convolution(rng, shape, taps, **options), config), policy
        except UserError:  # it does not fit the configuration
            continue
