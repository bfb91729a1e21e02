"""The channel-last address generator with its channel tables."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import MAX_TAPS, STRIDE_BITS, WORD_NIBBLES, Config
from .payloads import ADDRESS_BITS, LoadKind


class AddressGenerator(wiring.Component):
    """Turns a load command into read requests, channel by channel in the order of a plane's channel table.

    ``address = base + offset + channel * stride + place in the channel``. A table deals the channels of its plane to
    slots in snake order (docs/architecture.md), so sorting a layer anew rewrites table entries and moves no data.
    Source: channel-last address mapping of SQ-DM (arXiv 2501.15448).

    Parameters
    ----------
    config : Config

    Members
    -------
    layer : In(payloads.layer)
        Constant from a command's acceptance to its last request. Every size that the command uses is at least 1.
    table_writes : In(stream(payloads.table_write), always ready)
        Not while a command is being worked on; `count` is not used.
    commands : In(stream(payloads.load_command))
        `offset` counts for WEIGHTS, ACTS and CONSTANTS.
    requests : Out(stream(payloads.load_request))

    Latency: `LATENCY` cycles from a command to its first request. Initiation interval: 1 request per cycle; the next
    command is accepted in the cycle after the walk of the one before. Reset: idle; the tables keep their content.
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
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        layer = self.layer
        tag_layout = payloads.load_tag(config)
        dense_slots = config.dense_slots
        all_slots = config.arrays * config.slots

        # Both planes' tables, that of the plane HIGH in the upper half.
        entry = payloads.table_write(config)["channel"].shape
        m.submodules.tables = tables = memory.Memory(shape=entry, depth=2 << entry, init=[])
        table_write = tables.write_port()
        table_read = tables.read_port()
        written = self.table_writes.payload
        m.d.comb += [
            table_write.addr.eq(Cat(written.position, written.plane)),
            table_write.data.eq(written.channel),
            table_write.en.eq(self.table_writes.valid),
        ]

        # A command: one cycle to accept it, one to set the counters to its first request.
        command = Signal(payloads.load_command(config))
        starting = Signal()
        walking = Signal()
        accept = Signal()
        is_weights = Signal()
        is_acts = Signal()
        m.d.comb += [
            self.commands.ready.eq(~starting & ~walking),
            accept.eq(self.commands.valid & self.commands.ready),
        ]
        m.d.sync += starting.eq(accept)
        with m.If(self.commands.ready):
            m.d.sync += [
                command.eq(self.commands.payload),
                is_weights.eq(self.commands.payload.kind == LoadKind.WEIGHTS),
                is_acts.eq(self.commands.payload.kind == LoadKind.ACTS),
            ]

        # A run is what lies together: a whole load, a channel's weights of a tile, the memory words of 16 pixels.
        beats = Signal(layer.param_words.shape())  # requests of a run
        region = Signal(ADDRESS_BITS)
        offset = Signal(ADDRESS_BITS)
        begin_row = Signal(tag_layout["row"].shape)
        high_words = Signal.like(begin_row)  # the plane HIGH begins behind all groups of the plane LOW
        taps = Mux(layer.kernel3, MAX_TAPS, 1)
        m.d.comb += [
            offset.eq(command.offset),
            high_words.eq(Mux(command.plane, layer.groups, 0) * Mux(is_weights, taps, layer.plane_words)),
        ]
        with m.Switch(command.kind):
            with m.Case(LoadKind.PARAMS):
                m.d.comb += [region.eq(layer.param_base), beats.eq(layer.param_words), offset.eq(0)]
                m.d.comb += begin_row.eq(Mux(command.half, config.param_rows, 0))
            with m.Case(LoadKind.TABLE):
                m.d.comb += [region.eq(layer.table_base), beats.eq(layer.table_words), offset.eq(0)]
            with m.Case(LoadKind.CONSTANTS):
                m.d.comb += [region.eq(layer.constant_base), beats.eq(layer.constant_words)]
            with m.Case(LoadKind.WEIGHTS):
                m.d.comb += [region.eq(layer.weight_base), beats.eq(layer.tile_words)]
                m.d.comb += begin_row.eq(Mux(command.half, config.weight_rows, 0) + (high_words << 4))
            with m.Case(LoadKind.ACTS):
                m.d.comb += [region.eq(layer.act_base), beats.eq(Mux(layer.int16_acts, config.chunk_words, 1))]
                m.d.comb += begin_row.eq(command.row + (high_words << 4))

        # Stage 1: counters. Outermost slot, then WEIGHTS: index, beat; ACTS: group, chunk, index in the group, beat.
        # `line` is the table position of `index` in slot 0 of the pool; rows of a slot's buffer are filled in order.
        base = Signal(ADDRESS_BITS)  # of the region, with the command's offset
        slot = Signal(range(all_slots))
        in_sparse = Signal()
        pool_slot = Signal(range(all_slots))
        index = Signal(4)  # low bits are enough: snake direction and place in the group
        line = Signal(range(config.max_channels + (WORD_NIBBLES + 1) * all_slots))
        group_line = Signal.like(line)
        beat = Signal.like(beats)
        row_beat = Signal(range(config.row_words))
        chunk = Signal.like(layer.plane_words)
        row = Signal.like(begin_row)
        first_row = Signal.like(begin_row)

        dense = Signal.like(layer.channels)
        # Constant in a command or a slot, but too deep to be seen in every step. `mirrored`: `pool_slot` from the end.
        pool_slots = Signal(range(max(dense_slots, config.sparse_slots) + 1))
        pool_end = Signal.like(layer.channels)
        mirrored = Signal.like(pool_slot)
        next_dense = Signal.like(dense)
        last_beat = Signal.like(beats)
        chunks_end = Signal.like(chunk)
        m.d.comb += next_dense.eq(Mux(command.plane, layer.dense_high, layer.dense_low))
        with m.If(starting):
            m.d.sync += [dense.eq(next_dense), last_beat.eq(beats - 1), chunks_end.eq(layer.plane_words - 1)]

        position = Signal.like(line)
        next_line = Signal.like(line)
        missing = Signal()
        last_chunk = Signal()
        run_end = Signal()
        block_end = Signal()
        slot_end = Signal()
        walk_end = Signal()
        next_in_sparse = Signal()
        last_slot = Signal()
        m.d.comb += [
            pool_slots.eq(Mux(in_sparse, config.sparse_slots, dense_slots)),
            position.eq(line + Mux(index[0], mirrored, pool_slot)),
            next_line.eq(line + pool_slots),
            missing.eq((is_weights | is_acts) & (position >= pool_end)),
            last_chunk.eq(chunk == chunks_end),
            run_end.eq(missing | (beat == last_beat)),
            block_end.eq((index == WORD_NIBBLES - 1) | (next_line >= pool_end)),
            next_in_sparse.eq(slot + 1 >= dense_slots),
            last_slot.eq((slot == all_slots - 1) | (~in_sparse & next_in_sparse & (dense == layer.channels))),
        ]

        advance = Signal()
        row_step = Signal(range(WORD_NIBBLES + 1))
        with m.If(starting):
            no_dense = next_dense == 0
            m.d.sync += [
                walking.eq(1),
                base.eq(region + offset),
                slot.eq(Mux(no_dense, dense_slots, 0)),
                in_sparse.eq(no_dense),
                pool_slot.eq(0),
                mirrored.eq(Mux(no_dense, config.sparse_slots, dense_slots) - 1),
                pool_end.eq(Mux(no_dense, layer.channels, next_dense)),
                index.eq(0),
                line.eq(0),
                group_line.eq(0),
                beat.eq(0),
                row_beat.eq(0),
                chunk.eq(0),
                row.eq(begin_row),
                first_row.eq(begin_row),
            ]
        with m.If(walking & advance):
            m.d.sync += [beat.eq(Mux(run_end, 0, beat + 1)), row.eq(row + row_step)]
            with m.If(is_weights):
                row_end = row_beat == config.row_words - 1
                m.d.sync += row_beat.eq(Mux(missing | row_end, 0, row_beat + 1))
                m.d.comb += row_step.eq(Mux(missing, taps, row_end))
                with m.If(run_end):
                    m.d.sync += [index.eq(index + 1), line.eq(next_line)]
                    m.d.comb += slot_end.eq(next_line >= pool_end)
            with m.Elif(is_acts):
                with m.If(run_end):
                    m.d.sync += [index.eq(Mux(block_end, 0, index + 1)), line.eq(next_line)]
                    with m.If(block_end):
                        m.d.comb += row_step.eq(WORD_NIBBLES)
                        with m.If(last_chunk):
                            m.d.sync += [chunk.eq(0), group_line.eq(next_line)]
                            m.d.comb += slot_end.eq(next_line >= pool_end)
                        with m.Else():
                            m.d.sync += [chunk.eq(chunk + 1), line.eq(group_line)]
            with m.Else():
                m.d.comb += [row_step.eq(1), walk_end.eq(run_end)]
            with m.If(slot_end):
                next_begin = Mux(next_in_sparse, dense, 0)
                same_pool = in_sparse == next_in_sparse
                m.d.sync += [
                    slot.eq(slot + 1),
                    in_sparse.eq(next_in_sparse),
                    pool_slot.eq(Mux(same_pool, pool_slot + 1, 0)),
                    mirrored.eq(Mux(same_pool, mirrored - 1, config.sparse_slots - 1)),
                    pool_end.eq(Mux(next_in_sparse, layer.channels, dense)),
                    index.eq(0),
                    line.eq(next_begin),
                    group_line.eq(next_begin),
                    row.eq(first_row),
                ]
                m.d.comb += walk_end.eq(last_slot)
            with m.If(walk_end):
                m.d.sync += walking.eq(0)

        # Where the request lies from the start of its channel. Activations count granules: a chunk has 4 of INT16
        # pixels, otherwise one for each plane.
        part_bits = (config.word_parts - 1).bit_length()
        place = Signal(max(len(beat), len(chunk) + 2))
        with m.If(~is_acts):
            m.d.comb += place.eq(beat)
        with m.Elif(layer.int16_acts):
            m.d.comb += place.eq((chunk << 2) | (beat[:2] << part_bits))
        with m.Else():
            m.d.comb += place.eq(Mux(layer.two_planes, Cat(command.plane, chunk), chunk))

        # Stage 2: look the channel up.
        stage = data.StructLayout({"tag": tag_layout, "start": ADDRESS_BITS})
        valid2 = Signal()
        stage2 = Signal(stage)
        m.d.comb += [table_read.addr.eq(Cat(position[:entry], command.plane)), table_read.en.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid2.eq(walking),
                stage2.start.eq(base + place),
                stage2.tag.kind.eq(command.kind),
                stage2.tag.plane.eq(command.plane),
                stage2.tag.zero.eq(missing),
                stage2.tag.count.eq(command.count & ~missing),
                stage2.tag.first.eq(command.first & (chunk == 0)),
                stage2.tag.last.eq(walk_end),
                stage2.tag.begin.eq(beat == 0),
                stage2.tag.end.eq(run_end),
                stage2.tag.tail.eq(last_chunk),
                stage2.tag.block_end.eq(block_end),
                stage2.tag.slot.eq(slot),
                stage2.tag.row.eq(row),
            ]

        # Stage 3: the start of the channel.
        valid3 = Signal()
        stage3 = Signal(stage)
        channel_start = Signal(STRIDE_BITS + entry)
        stride = Signal(STRIDE_BITS)
        with m.Switch(stage2.tag.kind):
            with m.Case(LoadKind.WEIGHTS):
                m.d.comb += stride.eq(layer.weight_stride)
            with m.Case(LoadKind.ACTS):
                m.d.comb += stride.eq(layer.act_stride)
        with m.If(advance):
            m.d.sync += [valid3.eq(valid2), stage3.eq(stage2), stage3.tag.channel.eq(table_read.data)]
            m.d.sync += channel_start.eq(table_read.data * stride)

        # Stage 4: the address.
        word = Signal(ADDRESS_BITS)
        out = self.requests.payload
        m.d.comb += [word.eq(stage3.start + channel_start), advance.eq(~self.requests.valid | self.requests.ready)]
        with m.If(advance):
            m.d.sync += [self.requests.valid.eq(valid3), out.tag.eq(stage3.tag), out.address.eq(word)]
            with m.If(stage3.tag.kind == LoadKind.ACTS):
                m.d.sync += [out.address.eq(word >> part_bits), out.tag.part.eq(word[:part_bits])]
        return m
