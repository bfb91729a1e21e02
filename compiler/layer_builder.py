"""Adds the network's layers to a program, with their weights, parameters, tables and constants."""

from dataclasses import replace

import numpy as np

from sqdm.compiler.buffers import choose
from sqdm.compiler.conv_descriptor import SPARSE_SHARE, Place, conv_values
from sqdm.compiler.host import NetworkHost
from sqdm.compiler.program import Builder, Region
from sqdm.compiler.rows import over_rows, row_weights
from sqdm.compiler.tensors import Tensor
from sqdm.errors import UserError
from sqdm.golden import layout
from sqdm.golden.detector import assign_channels, count_shift
from sqdm.golden.formats import INT4, INT8, UINT4, UINT8, WEIGHT_LIMIT
from sqdm.golden.layers import Layer, layers
from sqdm.golden.layout import LayerShape
from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import Kind, Output
from sqdm.rtl.registers import Policy


def network_layers(bits: int | None = None) -> dict[str, Layer]:
    """The accelerator's layers by name; with ``bits`` the same shapes, all activations and weights of 4 or 8 bits.

    The first layer has one input channel, which would keep a single slot busy: the host writes the nine neighbours of
    each pixel as channels (`host.unfold`), and it becomes a 1x1 convolution with the same products.
    """
    found = {layer.name: layer for layer in layers()}
    found["conv_in"] = replace(found["conv_in"], C=found["conv_in"].kernel ** 2, kernel=1)
    if bits is not None:
        signed, unsigned = (INT4, UINT4) if bits == 4 else (INT8, UINT8)
        found = {
            name: replace(layer, act=signed if layer.act.signed else unsigned, weight_bits=bits)
            for name, layer in found.items()
        }
    return found


class LayerBuilder:
    """Adds convolutions to ``builder``; ``layers`` by name, ``host`` supplies what may change and knows the images.

    ``sparse_share``: share of zeros from which on policy threshold calls a channel sparse; ``sort``: the detector
    renews the tables of layers with static weights, otherwise they stay those of calibration.
    """

    def __init__(
        self,
        builder: Builder,
        host: NetworkHost,
        layers: dict[str, Layer],
        sparse_share: float = SPARSE_SHARE,
        sort: bool = True,
    ):
        self.builder = builder
        self.config: Config = builder.config
        self.host = host
        self.layers = layers
        self.sparse_share = sparse_share
        self.sort = sort

    def shape(self, name: str) -> LayerShape:
        """The sizes of a layer as it runs: the last one, with a single output channel, over rows where that fits."""
        layer = self.layers[name]
        wide, two_planes = layer.weight_bits == 8, layer.act.bits == 8
        sizes = (layer.C, layer.K, layer.H, layer.W, self.host.images, layer.kernel**2)
        shape = LayerShape(self.config, *sizes, two_planes, wide)
        return over_rows(shape) if name == "conv_out" else shape

    def conv(
        self,
        name: str,
        acts: Place,
        out: Place,
        constants: tuple[Region, int] | None = None,
        consumer: str | None = None,
        weights: Place | None = None,
        output: Output = Output.INT16,
        residual: tuple[Place, int, int] | None = None,
        statistics: int | None = None,
    ) -> None:
        """A CONV of layer ``name``.

        ``constants``: (region, stride from image to image) of INT16 activations, made for ``consumer`` (by default the
        layer itself); ``weights``: each image's own, otherwise the layer's are stored; ``residual`` and ``statistics``
        as for `conv_values`. Static weights keep a table that runs renew if ``sort``; tables of products stay.
        """
        layer, shape, scalars = self.layers[name], self.shape(name), self.host.scalars
        buffers = choose(shape)
        if buffers is None:
            raise UserError(f"act_rows of {self.config.name} ({self.config.act_rows}) must hold the images of {name}")
        values = conv_values(
            shape,
            buffers,
            acts,
            self._weights(name, shape) if weights is None else weights,
            out,
            table=self._tables(name, shape, buffers.slot_channels),
            params=self._params(name, shape, output),
            output=output,
            requantise_shift=0 if output == Output.RAW else int(scalars.arrays[f"{name}/shift"]),
            constants=constants and (constants[0].address, constants[1], scalars.act_shift(consumer or name)),
            residual=residual,
            statistics=statistics,
            sparse_share=self.sparse_share,
            signed_acts=layer.act.signed,
            halo_top=bool(shape.halo),
            image_weights=weights is not None,
            update=self.sort and weights is None,
        )
        self.builder.add(name, Kind.CONV, values)

    def _weights(self, name: str, shape: LayerShape) -> Place:
        """The layer's own weights in memory."""
        limit = WEIGHT_LIMIT[8 if shape.wide else 4]
        weights = np.clip(self.host.scalars.arrays[f"{name}/weights"], -limit, limit)
        if shape.halo:
            weights = row_weights(weights, self.layers[name].H)
        elif shape.channels != weights.shape[1]:  # unfolded
            weights = weights.reshape(len(weights), shape.channels, 1, 1)
        packed = layout.pack_weights(weights, self.config, shape.wide)
        region = self.builder.store(f"{name}.weights", packed, "weights", run=packed.shape[-1])
        return Place(region.address, packed.shape[-1])

    def _params(self, name: str, shape: LayerShape, output: Output) -> int:
        """Address of the parameters; those that depend on the noise level are written at every start."""
        if output == Output.RAW:
            content = np.zeros(shape.param_words * self.config.bus_bytes, np.uint8)
        else:
            content = self.host.params(name, shape)
        region = self.builder.store(f"{name}.params", content, "params", channels=shape.out_channels)
        if output != Output.RAW and self.host.has_levels(name):
            self.host.every_level(region, lambda: self.host.params(name, shape))
        return region.address

    def _tables(self, name: str, shape: LayerShape, slot_channels: int) -> int:
        """Address of the channel tables: what the detector would make of the calibration's non-zeros."""
        config, pixels = self.config, shape.images * shape.in_pixels
        shares = self.host.scalars.arrays[f"{name}/nonzeros"][-shape.planes :]
        shares = np.broadcast_to(shares, (shape.planes, shares.shape[1]))  # a 4-bit layer at 8 bits has both planes
        content = []
        for plane in np.repeat(shares, shape.channels // shares.shape[1], axis=1):
            counts = np.round(plane * pixels).astype(np.int64)
            slots = (config.dense_slots, config.sparse_slots, slot_channels)
            order, dense = assign_channels(counts, Policy.BALANCED, 0, count_shift(pixels), pixels, *slots)
            content.append(layout.pack_table(order, dense, config, counts))
        sizes = {"channels": shape.channels, "planes": shape.planes}
        return self.builder.store(f"{name}.tables", np.concatenate(content), "tables", **sizes).address

    def static_constants(self, consumer: str, channels: int) -> tuple[Region, int]:
        """Constants that do not depend on the data, the same for all images."""
        content = self.host.static_constants(consumer)
        region = self.builder.store(f"{consumer}.constants", content, "constants", channels=channels)
        if self.host.has_levels(consumer):
            self.host.every_level(region, lambda: self.host.static_constants(consumer))
        return region, 0

    def wait_for_constants(self, consumers: list[str], x: Tensor, block: str | None = None) -> list[tuple[Region, int]]:
        """A WAIT at which the host makes constants from the statistics of ``x``: (region, stride) for each consumer.

        ``block``: whose adaptive scale and shift apply.
        """
        channels = self.shape(consumers[0]).channels
        size = layout.constant_bytes(channels, self.config)
        regions = {
            consumer: self.builder.allocate(
                f"{consumer}.constants", size * self.host.images, "constants", channels=channels, image_stride=size
            )
            for consumer in consumers
        }
        copies = channels // x.channels
        step = self.host.normalise_step(regions, x.statistics, x.channels, x.pixels, x.repeats, block, copies)
        self.builder.wait(f"constants {', '.join(consumers)}", step)
        return [(region, size) for region in regions.values()]
