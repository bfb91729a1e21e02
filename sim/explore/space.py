"""The configurations of a sweep: every combination of the axes' values, and the rules that some of them break."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS, Config
from sqdm.rtl.registers import Policy
from sqdm.sim.bench.figures import hardware

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

#: Axis -> parameter of `Config`.
AXES = {
    "dense": "dense_arrays",
    "sparse": "sparse_arrays",
    "slots": "slots",
    "lanes": "lanes",
    "bus": "bus_bits",
    "psum_depth": "psum_depth",
    "slot_channels": "slot_channels",
    "act_rows": "act_rows",
}
DEFAULTS = {"dense": (0, 1, 2), "sparse": (0, 1, 2, 3, 4, 6, 7, 8), "slots": (1, 2, 4), "lanes": (32, 64)}
SUFFIXES = {"bus": "b", "psum_depth": "d", "slot_channels": "c", "act_rows": "r"}  #: of names
POLICIES = {policy.name.lower(): policy for policy in Policy}
MOST = 20_000  #: combinations of a sweep


@dataclass(frozen=True)
class Candidate:
    """A configuration that keeps all rules, and how its detector labels channels."""

    config: Config
    policy: Policy

    @property
    def name(self) -> str:
        """Of the configuration; the policy follows unless it is balanced."""
        policy = "" if self.policy == Policy.BALANCED else f"/{self.policy.name.lower()}"
        return self.config.name + policy

    @property
    def preset(self) -> str | None:
        """The preset that is the same hardware."""
        return next((name for name, one in PRESETS.items() if hardware(one) == hardware(self.config)), None)


@dataclass(frozen=True)
class Refused:
    """A combination of values that is no accelerator, or does not fit a workload: the rule that it breaks."""

    name: str
    values: dict[str, int]
    problem: str
    workload: str | None = None


@dataclass(frozen=True)
class Space:
    """``axes``: values by name, None for those that follow from the others; everything else is that of ``base``.

    ``multipliers``: only configurations with one of these numbers of multipliers; None: with any.
    """

    base: Config
    axes: dict[str, tuple[int, ...] | None]
    policies: tuple[Policy, ...]
    multipliers: tuple[int, ...] | None

    def candidates(self) -> tuple[list[Candidate], list[Refused], int]:
        """Legal configurations, illegal ones, and how many were left out for their number of multipliers."""
        found: dict[tuple, Candidate] = {}
        refused: list[Refused] = []
        other = 0
        for chosen in product(*(values or (None,) for values in self.axes.values())):
            values = dict(zip(self.axes, chosen, strict=True))
            slots = (values["dense"] + values["sparse"]) * values["slots"]
            if self.multipliers is not None and slots * values["lanes"] not in self.multipliers:
                other += 1
                continue
            values |= {name: value for name, value in self._usual(values, slots).items() if values[name] is None}
            name = self._name(values, slots)
            try:
                parameters = {AXES[axis]: value for axis, value in values.items()}
                config = replace(self.base, name=name, **parameters)
            except UserError as error:
                refused.append(Refused(name, values, str(error)))
                continue
            mixed = config.dense_arrays and config.sparse_arrays
            for policy in self.policies if mixed else self.policies[:1]:  # arrays of one kind leave no choice
                found.setdefault((hardware(config), policy), Candidate(config, policy))
        return list(found.values()), refused, other

    def _usual(self, values: dict[str, int | None], slots: int) -> dict[str, int]:
        """Bus and buffers where no axis says otherwise.

        All slots together hold as much as those of ``base``. Arrays of one slot may run ahead by four times as many
        pixels as others, as in the presets.
        """
        base = self.base
        ahead = (values["slots"] == 1) - (base.slots == 1)  # 1, 0 or -1
        share = base.arrays * base.slots / max(1, slots)
        rows = max(32, min(8192, int(base.act_rows * share)))
        return {
            "bus": base.bus_bits,
            "psum_depth": max(4, min(1024, int(base.psum_depth * 4.0**ahead))),
            "slot_channels": max(1, min(1024, int(base.slot_channels * share))),
            "act_rows": 1 << (rows - 1).bit_length(),
        }

    def _name(self, values: dict[str, int], slots: int) -> str:
        """Dense + sparse arrays x slots x lanes, and what is not as usual."""
        usual = self._usual(values, slots)
        tail = "".join(f"-{SUFFIXES[axis]}{values[axis]}" for axis in SUFFIXES if values[axis] != usual[axis])
        return f"{values['dense']}+{values['sparse']}x{values['slots']}x{values['lanes']}{tail}"


def make_space(base: Config, values: dict) -> Space:
    """The space with these ``values`` by axis, ``policy`` and ``multipliers``; UserError for values of a wrong kind.

    Numbers and policies may be a single value, a list, or text such as ``"1,2,4"``; multipliers also ``"any"``.
    """
    known = (*AXES, "policy", "multipliers")
    for name in values:
        if name not in known:
            raise UserError(f"space key {name!r} must be one of {', '.join(known)}")
    axes = {name: DEFAULTS.get(name) for name in AXES}
    axes |= {name: numbers(name, values[name]) for name in AXES if name in values}
    policies = []
    for name in items(values.get("policy", "balanced")):
        if name not in POLICIES:
            raise UserError(f"policy must be of {', '.join(POLICIES)}, not {name!r}")
        policies.append(POLICIES[name])
    multipliers = values.get("multipliers", base.multipliers)
    wanted = None if multipliers == "any" else numbers("multipliers", multipliers)
    space = Space(base, axes, tuple(dict.fromkeys(policies)), wanted)
    total = 1
    for values_of_axis in axes.values():
        total *= len(values_of_axis or (None,))
    if total > MOST:
        raise UserError(f"space must have at most {MOST:,} combinations, not {total:,}")
    return space


def items(value: object) -> list:
    """A list of one value, of a list, or of text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def numbers(name: str, value: object) -> tuple[int, ...]:
    """Whole numbers; UserError otherwise."""
    found = []
    for item in items(value):
        text = str(item)
        if isinstance(item, bool) or not text.isdecimal():
            raise UserError(f"{name} must be whole numbers such as 1,2,4, not {value!r}")
        found.append(int(text))
    if not found:
        raise UserError(f"{name} must have at least one value, not {value!r}")
    return tuple(dict.fromkeys(found))


def read_space(path: Path) -> dict:
    """Axes from a TOML file: lists or single values by the names of `AXES`, policy and multipliers."""
    return read_toml(path, "space")


def read_toml(path: Path, what: str) -> dict:
    """The content of a TOML file; UserError when there is none."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {str(path)!r} is not TOML: {error}") from None
