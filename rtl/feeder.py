"""What the dense and the sparse feeder have in common: their ports and the operand register."""

from amaranth.hdl import Cat, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, MAX_TAPS, Config

JOBS_AHEAD = 7  #: jobs that a feeder has taken and not finished, at most: one for each word between walker and operand


def signature_members(config: Config) -> dict:
    """Members of a feeder.

    jobs : In(stream(payloads.job))
        One image through one output tile each.
    room, closes : In(1), Out(1)
        Another closed pixel can be taken; one is closed, its ``last`` follows. Never 1 while ``room`` is 0.
    act_rows, act_reads : Out(slots x row), Out(slots)
        Read address and enable of each slot's activation buffer; the word is there in the next cycle and stays.
    act_words : In(slots x 16 x 4)
    weight_rows, weight_reads : Out(slots x row), Out(slots)
        The same for the weight buffers, whose rows go to the MAC array directly.
    step, last, shift, acts : Out
        Operands for `MacArray`, in the cycle in which the weight rows are there.
    ops : Out(range(slots + 1))
        Slots that present an operand in the next cycle.
    blocked : Out(1)
        A pixel could be closed but ``room`` is 0.
    finished : Out(1)
        All operands of a job have been read: its buffer rows are free from the next cycle on. Later jobs may have been
        taken long before, at most `JOBS_AHEAD`.
    """
    slots = config.slots
    return {
        "jobs": In(stream.Signature(payloads.job(config))),
        "room": In(1),
        "closes": Out(1),
        "act_rows": Out(data.ArrayLayout(unsigned(payloads.bits_for(config.act_rows - 1)), slots)),
        "act_reads": Out(slots),
        "act_words": In(data.ArrayLayout(payloads.activation_word(), slots)),
        "weight_rows": Out(data.ArrayLayout(unsigned(payloads.weight_row_bits(config)), slots)),
        "weight_reads": Out(slots),
        "step": Out(1),
        "last": Out(1),
        "shift": Out(1),
        "acts": Out(data.ArrayLayout(signed(ACT_BITS + 1), slots)),
        "ops": Out(range(slots + 1)),
        "blocked": Out(1),
        "finished": Out(1),
    }


def reading(config: Config) -> data.Layout:
    """A word to read, with all that is needed of its job: the walker may be in the next one already.

    ``row`` of the activation buffer; ``weight_row`` of the word's nibble 0; ``last_index``: of the plane's last channel
    in a slot; ``empty`` .. ``job_end``: as in `tap_walker.position`.
    """
    return data.StructLayout(
        {
            "row": payloads.bits_for(config.act_rows - 1),
            "weight_row": payloads.weight_row_bits(config),
            "last_index": payloads.bits_for(config.max_depth - 1),
            "kernel3": 1,
            "signed_acts": 1,
        }
        | {name: 1 for name in ("high", "empty", "phase_end", "pixel_end", "job_end")}
    )


def accept_jobs(m, feeder, walkers):
    """Register the next job when all walkers have ended; returns (job, start), both for the walkers."""
    job = Signal(feeder.jobs.payload.shape())
    start = Signal()
    m.d.comb += feeder.jobs.ready.eq(~start & ~Cat(walker.active for walker in walkers).any())
    m.d.sync += start.eq(feeder.jobs.valid & feeder.jobs.ready)
    with m.If(feeder.jobs.ready):
        m.d.sync += job.eq(feeder.jobs.payload)
    return job, start


def connect_readings(m, config: Config, walker, readings, job):
    """The walker's positions into a stream of `reading`; the walker goes on as soon as the stream takes one."""
    where = walker.position
    given = readings.payload
    channels = Mux(where.high, job.channels_high, job.channels_low)
    m.d.comb += [
        readings.valid.eq(walker.active),
        walker.step.eq(walker.active & readings.ready),
        given.row.eq(where.row),
        given.weight_row.eq(first_weight_row(config, job, where)),
        given.last_index.eq(Mux(where.empty, 0, channels - 1)),
        given.kernel3.eq(job.kernel3),
        given.signed_acts.eq(job.signed_acts),
        *(given[name].eq(where[name]) for name in ("high", "empty", "phase_end", "pixel_end", "job_end")),
    ]


def operand(nibble, is_signed):
    """The 5-bit operand of an activation nibble."""
    return Cat(nibble, nibble[ACT_BITS - 1] & is_signed).as_signed()


def times_taps(value, kernel3):
    """``value`` * 9 for 3x3, ``value`` * 1 for 1x1, without a multiplier."""
    return value + ((value & kernel3.replicate(len(value))) << (MAX_TAPS - 1).bit_length() - 1)


def first_weight_row(config: Config, job, where):
    """Weight row of nibble 0 of the activation word at ``where`` (a `tap_walker.position`)."""
    return times_taps(where.group << 4, job.kernel3) + where.tap + Mux(job.weight_half, config.weight_rows, 0)
