"""Sorts a layer's channels and hands the new channel tables on."""

from amaranth.hdl import Module, Mux
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, Config
from .payloads import ADDRESS_BITS, HIGH, LOW


def update_settings(config: Config) -> data.Layout:
    """How the channels of a layer are sorted and where the tables go.

    ``counted_pixels``: input pixels of all images; ``plane_table_words``: memory words of one plane's table.
    """
    return data.StructLayout(
        {
            "channels": payloads.bits_for(config.max_channels),
            "slot_channels": payloads.bits_for(config.max_depth),
            "two_planes": 1,
            "sparse_count": COUNT_BITS,
            "count_shift": 4,
            "counted_pixels": COUNT_BITS,
            "table_base": ADDRESS_BITS,
            "plane_table_words": 16,
        }
    )


class TableUpdate(wiring.Component):
    """Lets the sparsity detector sort each plane, HIGH before LOW, and the table writer store the outcome.

    Parameters
    ----------
    config : Config

    Members
    -------
    settings : In(update_settings)
        Constant from ``start`` to ``idle``.
    policy : In(payloads.PolicyShape)
    start : In(1)
        All activations have been counted.
    store : In(1)
        With ``start``: write the tables to memory; 0: only sort, for the address generator.
    sorts : Out(stream(payloads.sort_command))
    labels : In(stream(payloads.labels))
    plane : Out(1)
        The plane that is being sorted or stored.
    storing : Out(1)
        Table entries of the detector are for the table writer.
    write_start, write_base, write_dense, write_finished : Out, Out, Out, In
        `TableWriter`.
    dense_low, dense_high : Out
        Labels of the last sort of each plane.
    nonzeros : Out(32)
        Non-zeros of all planes of the last update.
    idle : Out(1)

    Latency: the detector's and the table writer's. Reset: idle.
    """

    def __init__(self, config: Config):
        self._config = config
        channels = payloads.bits_for(config.max_channels)
        super().__init__(
            {
                "settings": In(update_settings(config)),
                "policy": In(payloads.PolicyShape),
                "start": In(1),
                "store": In(1),
                "sorts": Out(stream.Signature(payloads.sort_command(config))),
                "labels": In(stream.Signature(payloads.labels(config))),
                "plane": Out(1),
                "storing": Out(1),
                "write_start": Out(1),
                "write_base": Out(ADDRESS_BITS),
                "write_dense": Out(channels),
                "write_finished": In(1),
                "dense_low": Out(channels),
                "dense_high": Out(channels),
                "nonzeros": Out(32),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        settings = self.settings
        command = self.sorts.payload
        behind = settings.two_planes & (self.plane == LOW)  # the table of LOW lies behind that of HIGH
        m.d.comb += [
            command.plane.eq(self.plane),
            command.channels.eq(settings.channels),
            command.slot_channels.eq(settings.slot_channels),
            command.policy.eq(self.policy),
            command.sparse_count.eq(settings.sparse_count),
            command.count_shift.eq(settings.count_shift),
            command.pixels.eq(settings.counted_pixels),
            self.write_base.eq(settings.table_base + Mux(behind, settings.plane_table_words, 0)),
            self.write_dense.eq(Mux(self.plane == HIGH, self.dense_high, self.dense_low)),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(~self.start)
                with m.If(self.start):
                    m.d.sync += [
                        self.plane.eq(Mux(settings.two_planes, HIGH, LOW)),
                        self.storing.eq(self.store),
                        self.nonzeros.eq(0),
                    ]
                    m.next = "SORT"
            with m.State("SORT"):
                m.d.comb += self.sorts.valid.eq(1)
                with m.If(self.sorts.ready):
                    m.next = "LABELS"
            with m.State("LABELS"):
                m.d.comb += self.labels.ready.eq(1)
                with m.If(self.labels.valid):
                    dense = self.labels.payload.dense_channels
                    with m.If(self.plane == HIGH):
                        m.d.sync += self.dense_high.eq(dense)
                    with m.Else():
                        m.d.sync += self.dense_low.eq(dense)
                    m.d.sync += self.nonzeros.eq(self.nonzeros + self.labels.payload.nonzeros)
                    with m.If(self.storing):
                        m.next = "STORE"
                    with m.Else():
                        m.next = "NEXT"
            with m.State("STORE"):
                m.d.comb += self.write_start.eq(1)
                m.next = "STORING"
            with m.State("STORING"):
                with m.If(self.write_finished):
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.d.sync += self.plane.eq(LOW)
                with m.If(self.plane == HIGH):
                    m.next = "SORT"
                with m.Else():
                    m.next = "IDLE"
        return m
