"""What is compared: configurations, policies and formats, each with the name of its row."""

from contextlib import suppress
from dataclasses import dataclass, replace

from sqdm.compiler.conv_descriptor import SPARSE_SHARE
from sqdm.errors import UserError
from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy
from sqdm.sim.engine import dense_equivalent

INT8_OVER_4BIT = 2  #: time of an 8-bit multiplication in 4-bit ones, as FP16_OVER_4BIT
NEVER = (1 << 16) - 1  #: a period longer than any run: tables of the first evaluation

#: Rows that follow from the cycles of the row 4bit-dense; ``fp16-equal-area`` also from areas.
DERIVED = ("fp16-dense", "fp16-equal-area", "int8-convention")
REFERENCES = ("4bit-dense", "mixed-dense")  #: rows that every speed-up needs

#: Rows of the group ``headline``.
HEADLINE = (
    "fp16-dense", "int8-convention", "int8-dense", "4bit-dense", "mixed-dense", "threshold-30", "paper", "sparse",
    "default",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A run of the sampler on ``config``; ``groups`` are the tables that show it.

    ``policy``, ``sparse_share`` (of threshold), ``period`` and ``sort`` rule the channel tables; ``bits``: every layer
    at 4 or 8 bits, for timing only, instead of the model's mixed precision.
    """

    name: str
    groups: tuple[str, ...]
    config: Config
    policy: Policy = Policy.BALANCED
    sparse_share: float = SPARSE_SHARE
    period: int = 1
    sort: bool = True
    bits: int | None = None

    @property
    def dense(self) -> bool:
        """Whether no data changes its cycles: all arrays are dense."""
        return self.config.sparse_arrays == 0


class Builder:
    """Collects experiments at the multipliers, buffers and bus of ``base``."""

    def __init__(self, base: Config):
        self.base = base
        self.slots = base.arrays * base.slots
        if self.slots % 2:
            raise UserError(f"config {base.name} must have an even number of slots over all arrays, not {self.slots}")
        self.found: dict[str, Experiment] = {}

    def config(self, name: str, dense: int, sparse: int, slots: int, widen: int = 1) -> Config:
        """So many arrays of ``slots`` slots, with ``widen`` times the lanes.

        Fewer slots in total each hold more channels and activations, so that the same layers fit. Arrays of one slot
        may run ahead by all of ``base``'s psum_depth, others by a quarter, as the presets do.
        """
        base = self.base
        return replace(
            base,
            name=name,
            dense_arrays=dense,
            sparse_arrays=sparse,
            slots=slots,
            lanes=base.lanes * widen,
            slot_channels=base.slot_channels * widen,
            act_rows=base.act_rows * widen,
            psum_depth=base.psum_depth if slots == 1 else max(4, base.psum_depth // 4),
        )

    def add(self, name: str, groups: tuple[str, ...], config: Config, **options) -> None:
        """One experiment; a name that exists joins the groups instead."""
        if name in self.found:
            options = {"groups": self.found[name].groups + groups}
            self.found[name] = replace(self.found[name], **options)
        else:
            if name in HEADLINE:
                groups = ("headline", *groups)
            self.found[name] = Experiment(name, groups, config, **options)


def experiments(base: Config) -> dict[str, Experiment]:
    """All that are run, by name. Every one has as many multipliers as ``base``, where array sizes allow it."""
    made = Builder(base)
    half = made.slots // 2
    dense = replace(dense_equivalent(base), name="dense")
    made.add("int8-dense", ("baselines",), dense, bits=8)
    made.add("4bit-dense", ("baselines",), dense, bits=4)
    made.add("mixed-dense", ("baselines", "mixes"), dense)
    paper = made.config("paper", 1, 1, half)
    for percent in range(0, 100, 10):
        share = percent / 100
        made.add(f"threshold-{percent}", ("threshold",), paper, policy=Policy.THRESHOLD, sparse_share=share)
    made.add("paper", ("threshold", "period", "mixes"), paper)
    for period in (2, 4, 8):
        made.add(f"period-{period}", ("period",), paper, period=period)
    made.add("period-never", ("period",), paper, period=NEVER)
    made.add("static", ("period",), paper, sort=False)
    _mixes(made)
    _shapes(made)
    return made.found


def _mixes(made: Builder) -> None:
    """Dense and sparse arrays of the same size."""
    slots = made.slots // 4
    while slots:
        arrays = made.slots // slots
        for dense in sorted({1, arrays // 4, arrays // 2, arrays - 1 if arrays == 4 else 1} - {0}):
            name = f"mix-{dense}+{arrays - dense}"
            made.add(name, ("mixes",), made.config(name, dense, arrays - dense, slots))
        slots //= 2


def _shapes(made: Builder) -> None:
    """Sparse arrays only: arrays x slots x lanes, and how far an array may run ahead."""
    made.add("sparse", ("mixes", "shapes"), made.config("sparse", 0, 2, made.slots // 2))
    if made.slots <= 8:
        made.add("default", ("mixes", "shapes"), made.config("default", 0, made.slots, 1))
    for widen in (1, 2, 4):
        total, lanes = made.slots // widen, made.base.lanes * widen
        slots = 1
        while slots <= total and lanes <= 256:
            arrays = total // slots
            known = widen == 1 and slots in (1, made.slots // 2)
            if not known and total >= 2:
                name = f"sparse-{arrays}x{slots}x{lanes}"
                with suppress(UserError):  # more arrays, or larger buffers, than the generator's rules allow
                    made.add(name, ("shapes",), made.config(name, 0, arrays, slots, widen))
            slots *= 2
    for name, other in (("sparse", made.base.psum_depth), ("default", max(4, made.base.psum_depth // 4))):
        if name in made.found:
            config = replace(made.found[name].config, name=f"{name}-depth-{other}", psum_depth=other)
            made.add(config.name, ("shapes",), config)


def chosen(every: dict[str, Experiment], rows: tuple[str, ...]) -> list[str]:
    """Names of rows to show: those named, those of the groups named, or all; baselines first.

    Raises `UserError` for a name that is neither a row's nor a group's.
    """
    names = [*DERIVED, *every]
    groups = dict.fromkeys(group for one in every.values() for group in one.groups)
    for row in rows:
        if row not in names and row not in groups:
            raise UserError(f"row must be one of {', '.join(names)}, or a group: {', '.join(groups)}; not {row!r}")
    return [name for name in names if not rows or name in rows or set(groups_of(every, name)) & set(rows)]


def groups_of(every: dict[str, Experiment], name: str) -> tuple[str, ...]:
    """The tables that show a row."""
    if name in every:
        return every[name].groups
    return ("headline", "baselines") if name in HEADLINE else ("baselines",)
