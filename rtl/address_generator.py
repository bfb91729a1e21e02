"""The channel-last address generator with its channel table."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import COUNT_BITS, MAX_TAPS, WORD_NIBBLES, Config
from .payloads import LoadKind


class AddressGenerator(wiring.Component):
    """Turns a load command into read requests, channel by channel in the order of the channel table.

    ``address = base + channel * words_per_channel + offset``. The table deals channels to slots in snake order
    (docs/architecture.md), so sorting a layer anew rewrites table entries and moves no data.
    Source: channel-last address mapping of SQ-DM (arXiv 2501.15448).

    Parameters
    ----------
    config : Config

    Members
    -------
    layer : In(payloads.layer)
        Constant from a command's acceptance to its last request.
    table_writes : In(stream(payloads.table_write), always ready)
        Not while a command is being worked on.
    commands : In(stream(payloads.load_command))
    requests : Out(stream(payloads.load_request))
    table_position, table_channel : In, Out
        Reads the table while no command is being worked on: the channel is there one cycle after the position.

    Latency: `LATENCY` cycles from a command to its first request. Initiation interval: 1 request per cycle; the next
    command is accepted in the cycle after the walk of the one before. Reset: idle; the table keeps its content.
    """

    LATENCY = 5

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "layer": In(payloads.layer(config)),
                "table_writes": In(stream.Signature(payloads.table_write(config), always_ready=True)),
                "commands": In(stream.Signature(payloads.load_command(config))),
                "requests": Out(stream.Signature(payloads.load_request(config))),
                "table_position": In(payloads.table_write(config)["position"].shape),
                "table_channel": Out(payloads.table_write(config)["channel"].shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        layer = self.layer
        tag_layout = payloads.load_tag(config)
        word_bits = COUNT_BITS + payloads.bits_for(config.max_channels)
        dense_slots = config.dense_slots
        all_slots = config.arrays * config.slots

        m.submodules.table = table = memory.Memory(
            shape=payloads.table_write(config)["channel"].shape, depth=config.max_channels, init=[]
        )
        table_write = table.write_port()
        table_read = table.read_port()
        m.d.comb += [
            table_write.addr.eq(self.table_writes.payload.position),
            table_write.data.eq(self.table_writes.payload.channel),
            table_write.en.eq(self.table_writes.valid),
        ]

        # A command: one cycle to accept it, one to set the counters to its first request.
        command = Signal(payloads.load_command(config))
        starting = Signal()
        walking = Signal()
        accept = Signal()
        walks_channels = Signal()  # in the order of the table
        is_weights = Signal()
        m.d.comb += [
            self.commands.ready.eq(~starting & ~walking),
            accept.eq(self.commands.valid & self.commands.ready),
            is_weights.eq(command.kind == LoadKind.WEIGHTS),
            walks_channels.eq(is_weights | (command.kind == LoadKind.ACTS)),
        ]
        m.d.sync += starting.eq(accept)
        with m.If(accept):
            m.d.sync += command.eq(self.commands.payload)

        # Stage 1: counters. Outermost slot, then WEIGHTS: index, beat; ACTS: group, chunk, index in the group.
        # `line` is the table position of `index` in slot 0 of the pool; rows of a slot's buffer are filled in order.
        slot = Signal(range(all_slots))
        in_sparse = Signal()
        pool_slot = Signal(range(all_slots))
        index = Signal(4)  # low bits are enough: snake direction and place in the group
        line = Signal(range(2 * config.max_channels + (WORD_NIBBLES + 1) * all_slots))
        group_line = Signal.like(line)
        beat = Signal.like(layer.tile_words)
        row_beat = Signal(range(config.row_words))
        chunk = Signal.like(layer.plane_words)
        row = Signal(tag_layout["row"].shape)
        run = Signal(word_bits)  # SCAN, PARAMS: requests so far
        channel_run = Signal.like(layer.act_words)  # SCAN: requests of this channel so far
        scan_channel = Signal(range(config.max_channels + 1))
        offset = Signal(word_bits)  # of the tile or the image inside a channel's words

        pool_slots = Signal(range(max(dense_slots, config.sparse_slots) + 1))
        pool_end = Signal.like(layer.channels)
        position = Signal.like(line)
        next_line = Signal.like(line)
        missing = Signal()
        slot_end = Signal()
        walk_end = Signal()
        half_row = Signal.like(row)
        m.d.comb += [
            pool_slots.eq(Mux(in_sparse, config.sparse_slots, dense_slots)),
            pool_end.eq(Mux(in_sparse, layer.channels, layer.dense_channels)),
            position.eq(line + Mux(index[0], pool_slots - 1 - pool_slot, pool_slot)),
            next_line.eq(line + pool_slots),
            missing.eq(position >= pool_end),
            half_row.eq(Mux(command.half, Mux(is_weights, config.weight_rows, config.act_rows), 0)),
        ]
        next_in_sparse = Signal()
        last_slot = Signal()
        m.d.comb += [
            next_in_sparse.eq(slot + 1 >= dense_slots),
            last_slot.eq(
                (slot == all_slots - 1) | (~in_sparse & next_in_sparse & (layer.dense_channels == layer.channels))
            ),
        ]

        advance = Signal()
        walk = Signal()
        m.d.comb += walk.eq(walking & advance)
        with m.If(starting):
            no_dense = layer.dense_channels == 0
            m.d.sync += [
                walking.eq(1),
                slot.eq(Mux(no_dense, dense_slots, 0)),
                in_sparse.eq(no_dense),
                pool_slot.eq(0),
                index.eq(0),
                line.eq(0),
                group_line.eq(0),
                beat.eq(0),
                row_beat.eq(0),
                chunk.eq(0),
                row.eq(half_row),
                run.eq(0),
                channel_run.eq(0),
                scan_channel.eq(0),
                offset.eq(
                    Mux(is_weights, command.tile, command.image) * Mux(is_weights, layer.tile_words, layer.plane_words)
                ),
            ]
        with m.If(walk):
            m.d.sync += [run.eq(run + 1), channel_run.eq(channel_run + 1)]
            with m.Switch(command.kind):
                with m.Case(LoadKind.PARAMS):
                    m.d.comb += walk_end.eq(run == layer.param_words - 1)
                with m.Case(LoadKind.TABLE):
                    m.d.comb += walk_end.eq(run == layer.table_words - 1)
                with m.Case(LoadKind.SCAN):
                    with m.If(channel_run == layer.act_words - 1):
                        m.d.sync += [channel_run.eq(0), scan_channel.eq(scan_channel + 1)]
                        m.d.comb += walk_end.eq(scan_channel == layer.channels - 1)
                with m.Case(LoadKind.WEIGHTS):
                    with m.If(missing | (beat == layer.tile_words - 1)):
                        m.d.sync += [beat.eq(0), row_beat.eq(0), index.eq(index + 1), line.eq(next_line)]
                        m.d.sync += row.eq(row + Mux(missing, Mux(layer.kernel3, MAX_TAPS, 1), 1))
                        m.d.comb += slot_end.eq(next_line >= pool_end)
                    with m.Else():
                        m.d.sync += beat.eq(beat + 1)
                        with m.If(row_beat == config.row_words - 1):
                            m.d.sync += [row_beat.eq(0), row.eq(row + 1)]
                        with m.Else():
                            m.d.sync += row_beat.eq(row_beat + 1)
                with m.Case(LoadKind.ACTS):
                    m.d.sync += [index.eq(index + 1), line.eq(next_line)]
                    with m.If(index == WORD_NIBBLES - 1):
                        m.d.sync += row.eq(row + WORD_NIBBLES)
                        with m.If(chunk != layer.plane_words - 1):
                            m.d.sync += [chunk.eq(chunk + 1), line.eq(group_line)]
                        with m.Else():
                            m.d.sync += [chunk.eq(0), group_line.eq(next_line)]
                            m.d.comb += slot_end.eq(next_line >= pool_end)
            with m.If(slot_end):
                next_begin = Mux(next_in_sparse, layer.dense_channels, 0)
                m.d.sync += [
                    slot.eq(slot + 1),
                    in_sparse.eq(next_in_sparse),
                    pool_slot.eq(Mux(in_sparse == next_in_sparse, pool_slot + 1, 0)),
                    index.eq(0),
                    line.eq(next_begin),
                    group_line.eq(next_begin),
                    row.eq(half_row),
                ]
                m.d.comb += walk_end.eq(last_slot)
            with m.If(walk_end):
                m.d.sync += walking.eq(0)

        # Stage 2: look the channel up.
        stage = data.StructLayout({"tag": tag_layout, "offset": word_bits})
        valid2 = Signal()
        stage2 = Signal(stage)
        channel = Signal.like(table_read.data)
        m.d.comb += [
            table_read.addr.eq(Mux(walking, position, self.table_position)),
            self.table_channel.eq(table_read.data),
            table_read.en.eq(advance),
            channel.eq(Mux(stage2.tag.kind == LoadKind.SCAN, stage2.tag.channel, table_read.data)),
        ]
        with m.If(advance):
            m.d.sync += [
                valid2.eq(walking),
                stage2.tag.kind.eq(command.kind),
                stage2.tag.zero.eq(walks_channels & missing),
                stage2.tag.slot.eq(slot),
                stage2.tag.row.eq(row),
                stage2.tag.channel.eq(scan_channel),
                stage2.tag.last.eq(walk_end),
            ]
            with m.Switch(command.kind):
                with m.Case(LoadKind.PARAMS, LoadKind.TABLE):
                    m.d.sync += [stage2.offset.eq(run), stage2.tag.row.eq(run)]
                with m.Case(LoadKind.SCAN):
                    m.d.sync += [stage2.offset.eq(run), stage2.tag.count.eq(1), stage2.tag.first.eq(channel_run == 0)]
                with m.Case(LoadKind.WEIGHTS):
                    m.d.sync += stage2.offset.eq(offset + beat)
                with m.Case(LoadKind.ACTS):
                    m.d.sync += [
                        stage2.offset.eq(offset + chunk),
                        stage2.tag.count.eq(command.count & ~missing),
                        stage2.tag.first.eq((command.image == 0) & (chunk == 0)),
                    ]

        # Stage 3: the start of the channel's run.
        valid3 = Signal()
        stage3 = Signal(stage)
        channel_start = Signal(word_bits)
        with m.If(advance):
            m.d.sync += [valid3.eq(valid2), stage3.eq(stage2), stage3.tag.channel.eq(channel), channel_start.eq(0)]
            with m.If(stage2.tag.kind == LoadKind.WEIGHTS):
                m.d.sync += channel_start.eq(channel * layer.weight_words)
            with m.Elif(stage2.tag.kind == LoadKind.ACTS):
                m.d.sync += channel_start.eq(channel * layer.act_words)

        # Stage 4: the address.
        word = Signal(word_bits)
        part_bits = (config.word_parts - 1).bit_length()
        out = self.requests.payload
        m.d.comb += [word.eq(channel_start + stage3.offset), advance.eq(~self.requests.valid | self.requests.ready)]
        with m.If(advance):
            m.d.sync += [self.requests.valid.eq(valid3), out.tag.eq(stage3.tag)]
            with m.Switch(stage3.tag.kind):
                with m.Case(LoadKind.PARAMS):
                    m.d.sync += out.address.eq(layer.param_base + word)
                with m.Case(LoadKind.TABLE):
                    m.d.sync += out.address.eq(layer.table_base + word)
                with m.Case(LoadKind.WEIGHTS):
                    m.d.sync += out.address.eq(layer.weight_base + word)
                with m.Default():
                    m.d.sync += [
                        out.address.eq(layer.act_base + (word >> part_bits)),
                        out.tag.part.eq(word[:part_bits]),
                    ]
        return m
