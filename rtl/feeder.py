"""What the dense and the sparse feeder have in common: their ports and the operand register."""

from amaranth.hdl import Cat, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from . import payloads
from .config import ACT_BITS, MAX_TAPS, Config


def signature_members(config: Config) -> dict:
    """Members of a feeder.

    jobs : In(stream(payloads.job))
        One image through one output tile each.
    room : In(1)
        Another closed pixel can be taken. A feeder closes pixels only while it is 1.
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
        All operands of the job have been read: its buffer rows are free from the next cycle on. The next job can be
        taken in this very cycle.
    """
    slots = config.slots
    return {
        "jobs": In(stream.Signature(payloads.job(config))),
        "room": In(1),
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


def accept_jobs(m, feeder, job_type):
    """Register the next job when none is running or the running one ends; returns (job, running, start).

    ``job`` holds the running job, from the cycle after ``start`` on. The feeder pulses ``finished``.
    """
    job = Signal(job_type)
    running = Signal()
    start = Signal()
    m.d.comb += [
        feeder.jobs.ready.eq(~running | feeder.finished),
        start.eq(feeder.jobs.valid & feeder.jobs.ready),
    ]
    with m.If(start):
        m.d.sync += [job.eq(feeder.jobs.payload), running.eq(1)]
    with m.Elif(feeder.finished):
        m.d.sync += running.eq(0)
    return job, running, start


def operand(nibble, is_signed):
    """The 5-bit operand of an activation nibble."""
    return Cat(nibble, nibble[ACT_BITS - 1] & is_signed).as_signed()


def times_taps(value, kernel3):
    """``value`` * 9 for 3x3, ``value`` * 1 for 1x1, without a multiplier."""
    return value + ((value & kernel3.replicate(len(value))) << (MAX_TAPS - 1).bit_length() - 1)


def first_weight_row(config: Config, job, where):
    """Weight row of nibble 0 of the activation word at ``where`` (a `tap_walker.position`)."""
    return times_taps(where.group << 4, job.kernel3) + where.tap + Mux(job.weight_half, config.weight_rows, 0)
