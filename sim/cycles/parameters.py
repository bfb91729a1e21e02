"""What the model is told about a configuration and a descriptor: the structures of `timing.h`, field by field.

Latencies are those that the hardware's classes state; sizes come from the descriptor.
"""

import ctypes
from functools import lru_cache

from sqdm.compiler.access import conv_shape, map_size
from sqdm.compiler.program import Descriptor
from sqdm.golden.layout import LayerShape
from sqdm.rtl import axi, post_processor
from sqdm.rtl.address_generator import AddressGenerator
from sqdm.rtl.axi_burst import BurstFormer
from sqdm.rtl.axi_reader import AxiReader
from sqdm.rtl.config import (
    CONSTANT_BITS,
    GRANULE_BITS,
    OUT_BITS,
    STATISTICS_BITS,
    TABLE_ENTRY_BITS,
    WORD_NIBBLES,
    Config,
    ceil_div,
)
from sqdm.rtl.corner_turns import CornerTurns
from sqdm.rtl.dense_feeder import DenseFeeder
from sqdm.rtl.descriptor import BYTES, Kind, Resample
from sqdm.rtl.job_scheduler import IMAGES_AHEAD
from sqdm.rtl.layer_setup import LayerSetup
from sqdm.rtl.mac_array import MacArray
from sqdm.rtl.map_walk import MapWalk
from sqdm.rtl.normaliser import Normaliser
from sqdm.rtl.output_turn import OutputTurn
from sqdm.rtl.post_processor import PostProcessor
from sqdm.rtl.program_control import RESET_CYCLES
from sqdm.rtl.residual_adder import ResidualAdder
from sqdm.rtl.residual_reader import ResidualReader
from sqdm.rtl.sparse_feeder import SparseFeeder
from sqdm.rtl.sparsity_detector import KEYS, SparsityDetector
from sqdm.rtl.statistics import Statistics
from sqdm.rtl.stream_register import StreamRegister

QUEUE = 2  #: cycles through an empty SyncFIFOBuffered
REGISTER = 1


def fields(names: str) -> list[tuple[str, type]]:
    """Fields of 32 bit."""
    return [(name, ctypes.c_int32) for name in names.split()]


class Machine(ctypes.Structure):
    """`Machine` of timing.h."""

    _fields_ = fields(
        "dense_arrays sparse_arrays slots psum_depth"
        " lanes post_lanes row_words chunk_words word_pixels statistics_words table_entries"
        " memory lone_burst answer longest_burst page_words outstanding command normaliser turn_rows turn_queue"
        " setup descriptor_words dense_feeder sparse_feeder psum post post_queue turn residual statistics"
        " sort_keys sort_pass map_start images_ahead reset residual_places"
    )


class Layer(ctypes.Structure):
    """`Layer` of timing.h."""

    _fields_ = fields(
        "kind prefetch scan update"
        " taps int16_acts planes wide halo_top halo_bottom image_weights output residual statistics"
        " channels out_channels height width images buffer_images"
        " tiles tile_words param_words constant_words new_constants table_words"
        " residual_words weight_base weight_stride weight_image_stride out_words steps"
    )


class Data(ctypes.Structure):
    """`Data` of timing.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("nonzeros", "order", "dense", "scan_dense", "sorted_dense")]


@lru_cache(maxsize=64)
def machine(config: Config, latency: int) -> Machine:
    """The configuration with a memory of that latency."""
    return Machine(
        dense_arrays=config.dense_arrays,
        sparse_arrays=config.sparse_arrays,
        slots=config.slots,
        psum_depth=config.psum_depth,
        lanes=config.lanes,
        post_lanes=config.post_lanes,
        row_words=config.row_words,
        chunk_words=config.chunk_words,
        word_pixels=config.bus_bits // OUT_BITS,
        statistics_words=ceil_div(STATISTICS_BITS, config.bus_bits),
        table_entries=config.bus_bits // TABLE_ENTRY_BITS,
        memory=latency,
        lone_burst=REGISTER + BurstFormer.LATENCY,
        answer=AxiReader.LATENCY,
        longest_burst=axi.MAX_BEATS,
        page_words=(1 << axi.PAGE_BITS) // config.bus_bytes,
        outstanding=axi.OUTSTANDING,
        command=AddressGenerator.LATENCY,
        normaliser=Normaliser.LATENCY,
        turn_rows=WORD_NIBBLES,
        turn_queue=CornerTurns.DEPTH,
        setup=LayerSetup.LATENCY,
        descriptor_words=BYTES // config.bus_bytes,
        dense_feeder=DenseFeeder.LATENCY,
        sparse_feeder=SparseFeeder.LATENCY,
        psum=2 * REGISTER + MacArray.LATENCY + QUEUE,
        post=PostProcessor.LATENCY,
        post_queue=post_processor.QUEUE,
        turn=OutputTurn.LATENCY,
        residual=ResidualAdder.LATENCY,
        statistics=Statistics.LATENCY,
        sort_keys=KEYS,
        sort_pass=SparsityDetector.PASS_CYCLES,
        map_start=MapWalk.latency(config) + StreamRegister.LATENCY,
        images_ahead=IMAGES_AHEAD,
        reset=RESET_CYCLES,
        residual_places=ResidualReader.PLACES,
    )


def layer(d: Descriptor, config: Config) -> Layer:
    """The descriptor."""
    if d.kind == Kind.CONV:
        return _conv(d, conv_shape(d, config))
    return _map(d, config) if d.kind == Kind.MAP else Layer(kind=int(d.kind))


def _conv(d: Descriptor, shape: LayerShape) -> Layer:
    mode = {
        name: d[f"MODE.{name}"]
        for name in ("int16_acts", "halo_top", "halo_bottom", "image_weights", "output", "residual", "statistics",
                     "scan", "update")
    }  # fmt: skip
    return Layer(
        kind=int(Kind.CONV),
        prefetch=d["CONTROL.prefetch"],
        taps=shape.taps,
        planes=shape.planes,
        wide=shape.wide,
        channels=shape.channels,
        out_channels=shape.out_channels,
        height=shape.height,
        width=shape.width,
        images=shape.images,
        buffer_images=d["BUFFERS.images"],
        tiles=shape.tiles,
        tile_words=shape.tile_words,
        param_words=shape.param_words,
        constant_words=shape.constant_words,
        new_constants=d["CONSTANT_STRIDE"] != 0,
        table_words=shape.table_words // shape.planes,
        residual_words=shape.out_channels * shape.images * shape.out_words(False) if d["MODE.residual"] else 0,
        **mode,
    )


def _map(d: Descriptor, config: Config) -> Layer:
    height, width = map_size(d)
    pixels, codes, planes = height * width, d["MODE.codes"], 1 + d["MODE.two_planes"]
    if codes:
        words = ceil_div(ceil_div(pixels, WORD_NIBBLES) * planes, config.bus_bits // GRANULE_BITS)
        steps = max(1, config.word_parts // planes) * config.chunk_words
    else:
        words = ceil_div(pixels * OUT_BITS, config.bus_bits)
        steps = 4 if d["MODE.resample"] == Resample.DOWN else 1
    return Layer(
        kind=int(Kind.MAP),
        int16_acts=codes,
        statistics=d["MODE.statistics"],
        channels=d["CHANNELS"],
        out_channels=d["CHANNELS"],
        images=d["IMAGES"],
        tiles=ceil_div(d["CHANNELS"], config.lanes),
        constant_words=ceil_div(d["CHANNELS"] * CONSTANT_BITS, config.bus_bits),
        out_words=words,
        steps=steps,
    )
