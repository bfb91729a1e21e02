"""The layer that computes, while the next one is being prepared."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import layer_settings, payloads
from .config import Config
from .descriptor_reader import descriptor_layout
from .layer_settings import pool_depth
from .layer_setup import sizes
from .table_update import update_settings


def running_layer(config: Config) -> data.Layout:
    """What the parts that compute know about their layer."""
    depth = payloads.bits_for(config.max_depth)
    return data.StructLayout(
        {
            "job": payloads.job(config),
            "sizes": sizes(config),
            "images": payloads.bits_for(config.max_images),
            "buffer_images": payloads.bits_for(config.max_images),
            "image_weights": 1,
            "dense_low": depth,
            "dense_high": depth,
            "sparse_low": depth,
            "sparse_high": depth,
            "update": 1,
            "updates": update_settings(config),
            "outputs": payloads.output_settings(config),
            "map": payloads.map_settings(config),
            "normalise": payloads.normalise_mode(),
        }
    )


class RunningLayer(wiring.Component):
    """Takes a layer's settings over from its descriptor when it begins, and keeps them.

    Parameters
    ----------
    config : Config

    Members
    -------
    descriptor, sizes : In
        Of the layer that has been prepared.
    dense_low, dense_high : In(range(max_channels + 1))
        Its labels.
    param_half : In(1)
        Half of the parameter memory that was filled for it.
    renew : In(1)
        Layers that ask for it sort their channels.
    run_start, map_start : In(1)
        A CONV, a MAP begins.
    layer : Out(running_layer)
    begin : Out(1)
        First cycle of the new settings.

    Latency: 1 cycle. Reset: all zero.
    """

    def __init__(self, config: Config):
        self._config = config
        channels = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "descriptor": In(descriptor_layout()),
                "sizes": In(sizes(config)),
                "dense_low": In(channels),
                "dense_high": In(channels),
                "param_half": In(1),
                "renew": In(1),
                "run_start": In(1),
                "map_start": In(1),
                "layer": Out(running_layer(config)),
                "begin": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        descriptor = self.descriptor
        taken = Signal(running_layer(config))
        layer_settings.connect_job(m, taken.job, descriptor, self.sizes)
        layer_settings.connect_update(m, config, taken.updates, descriptor, self.sizes)
        layer_settings.connect_outputs(m, config, taken.outputs, descriptor, self.sizes, self.param_half)
        layer_settings.connect_map(m, config, taken.map, descriptor, self.sizes)
        layer_settings.connect_normalise(m, taken.normalise, descriptor, self.sizes)
        m.d.comb += [
            taken.sizes.eq(self.sizes),
            taken.images.eq(descriptor.images),
            taken.buffer_images.eq(descriptor.buffers.images),
            taken.image_weights.eq(descriptor.mode.image_weights),
            taken.update.eq(descriptor.mode.update & self.renew & self.run_start),
        ]
        for name, dense in (("low", self.dense_low), ("high", self.dense_high)):
            sparse = Signal(payloads.bits_for(config.max_channels), name=f"sparse_channels_{name}")
            m.d.comb += [
                sparse.eq(descriptor.channels - dense),
                taken[f"dense_{name}"].eq(pool_depth(dense, config.dense_slots, config.max_channels)),
                taken[f"sparse_{name}"].eq(pool_depth(sparse, config.sparse_slots, config.max_channels)),
            ]
        m.d.sync += self.begin.eq(self.run_start | self.map_start)
        with m.If(self.run_start | self.map_start):
            m.d.sync += self.layer.eq(taken)
        return m
