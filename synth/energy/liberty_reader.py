"""Reads liberty files into what `sqdm.synth.energy.cell_library` holds, as plain dicts and lists.

Rise and fall are averaged, and so are groups with a condition (``when``), by the share of the other inputs' states that
fulfil it. A cell with a scan input, a latch or a tri-state output is left out.
"""

import itertools
from functools import cache

import numpy as np

from sqdm.errors import UserError
from sqdm.synth.energy.table import Table

PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


def read(texts: dict[str, str]) -> dict:
    """Everything that `load` needs from the liberty texts, as plain lists."""
    from liberty.parser import parse_liberty

    gates, registers, first = {}, [], None
    for path, text in texts.items():
        try:
            library = parse_liberty(text)
            first = first or library
            units = Units(library)
            for cell in library.get_groups("cell"):
                name = str(cell.args[0]).strip('"')
                if cell.get_groups("ff"):
                    registers += [found] if (found := read_register(name, cell, units)) else []
                elif found := read_gate(name, cell, units):
                    gates[name] = found
        except UserError:
            raise
        except Exception as error:  # the parser's own kinds are many
            raise UserError(f"liberty {path!r} must be a liberty library, but: {str(error).splitlines()[0]}") from None
    if not gates or not registers:
        raise UserError("liberty must hold gates and a flip-flop with clock and data only, but it does not")
    return {
        "name": str(first.args[0]).strip('"'),
        "voltage": Units(first).voltage,
        "gates": gates,
        "register": min(registers, key=lambda register: register["area"]),
    }


class Units:
    """Units of a library in SI."""

    def __init__(self, library):
        self.time = number_with_unit(library["time_unit"])
        size, unit = library.get_attributes("capacitive_load_unit")[0]
        self.capacitance = float(size) * PREFIXES[str(unit).strip('"').lower()[:-1]]
        volt = number_with_unit(library["voltage_unit"])
        self.voltage = float(library["nom_voltage"]) * volt
        self.energy = self.capacitance * volt * volt
        self.power = number_with_unit(library["leakage_power_unit"])
        self.templates = {
            str(group.args[0]).strip('"'): group
            for kind in ("lu_table_template", "power_lut_template")
            for group in library.get_groups(kind)
        }


def number_with_unit(text) -> float:
    """SI value of e.g. ``1ns``."""
    text = str(text).strip('"')
    digits = "".join(itertools.takewhile(lambda c: c in "0123456789.", text))
    unit = text[len(digits) :].lower()
    return float(digits or 1) * PREFIXES[unit[0] if len(unit) > 1 else ""]


def read_table(group, units: Units, scale: float) -> dict:
    """A table of values as a dict of `Table`, in SI units."""
    template = units.templates.get(str(group.args[0]).strip('"')) if group.args else None

    def array(name):
        holder = group if name in group else template
        return np.atleast_1d(np.squeeze(np.array(holder.get_array(name), float)))

    values = np.array(group.get_array("values"), float)
    if template is None:
        return constant(float(values.reshape(-1)[0]) * scale)
    variables = [str(template[f"variable_{i}"]) for i in (1, 2) if f"variable_{i}" in template]
    values = values.reshape([len(array(f"index_{i + 1}")) for i in range(len(variables))])
    if "capacitance" in variables[0]:
        values = np.moveaxis(values, 0, -1)
        axes = {"load": "index_1", "slew": "index_2" if len(variables) > 1 else None}
    else:
        axes = {"slew": "index_1", "load": "index_2" if len(variables) > 1 else None}
    slews = (array(axes["slew"]) * units.time).tolist() if axes["slew"] else [0.0]
    loads = (array(axes["load"]) * units.capacitance).tolist() if axes["load"] else [0.0]
    return {"slews": slews, "loads": loads, "values": (values * scale).reshape(len(slews), len(loads)).tolist()}


def constant(value: float = 0.0) -> dict:
    """A `Table` as a dict that has one value everywhere."""
    return {"slews": [0.0], "loads": [0.0], "values": [[value]]}


def mean(tables: list[tuple[float, dict]]) -> dict:
    """Weighted mean of tables, at the points of the first one."""
    total = sum(weight for weight, _ in tables)
    if not tables or not total:
        return constant()
    slews, loads = tables[0][1]["slews"], tables[0][1]["loads"]
    grid = [np.array(axis) for axis in np.meshgrid(slews, loads, indexing="ij")]
    values = sum(weight * Table(**table).at(*grid) for weight, table in tables) / total
    return {"slews": slews, "loads": loads, "values": values.tolist()}


@cache
def expression(text: str) -> tuple[str, tuple[str, ...]]:
    """A liberty function as a Python expression, and its inputs in alphabetical order."""
    from liberty.boolean_functions import parse_boolean_function

    function = parse_boolean_function(text)
    return str(function), tuple(sorted(map(str, function.free_symbols)))


def share(when: str | None) -> float:
    """Share of the states of its inputs in which a condition holds."""
    if not when:
        return 1.0
    text, inputs = expression(when)
    states = list(itertools.product((False, True), repeat=len(inputs)))
    return sum(truth(text, dict(zip(inputs, state, strict=True))) for state in states) / len(states)


def truth(text: str, values: dict[str, bool]) -> bool:
    """Value of an expression; ``~`` of a Python bool is an integer, so the last bit counts."""
    return bool(eval(text, {"__builtins__": {}}, {k: int(v) for k, v in values.items()} | {"True": 1, "False": 0}) & 1)


def text_of(group, key: str) -> str | None:
    """An attribute without quotes, or None."""
    return str(group[key]).strip('"') if key in group else None


def powers(pin, units: Units, related: str | None) -> list[tuple[float, dict]]:
    """Weighted energies of a pin's transitions, those of the supply pin only; ``related`` chooses the input."""
    found = []
    for group in pin.get_groups("internal_power"):
        pg = text_of(group, "related_pg_pin")
        if pg and pg.upper() in ("VSS", "GND", "VPW", "VNW"):
            continue
        if related is not None and related not in (text_of(group, "related_pin") or "").split():
            continue
        sides = [side for kind in ("rise_power", "fall_power", "power") for side in group.get_groups(kind)]
        if sides:
            found.append(
                (share(text_of(group, "when")), mean([(1, read_table(s, units, units.energy)) for s in sides]))
            )
    return found


def timings(pin, units: Units, related: str, kinds: tuple[str, str]) -> dict:
    """Mean of a pin's delay or transition tables from input ``related``."""
    found = []
    for group in pin.get_groups("timing"):
        if related in (text_of(group, "related_pin") or "").split():
            found += [(1, read_table(table, units, units.time)) for kind in kinds for table in group.get_groups(kind)]
    return mean(found)


def leakage(cell, units: Units) -> float:
    """Mean leakage power in W: over the conditions, the sum over the supply pins."""
    by_supply: dict[str, list[float]] = {}
    for group in cell.get_groups("leakage_power"):
        by_supply.setdefault(text_of(group, "related_pg_pin") or "", []).append(float(group["value"]))
    if by_supply:
        return sum(float(np.mean(values)) for values in by_supply.values()) * units.power
    return float(cell.get("cell_leakage_power", 0)) * units.power


def pins_of(cell) -> tuple[dict, dict]:
    """Input and output pins by name."""
    pins = {str(pin.args[0]).strip('"'): pin for pin in cell.get_groups("pin")}
    inputs = {name: pin for name, pin in pins.items() if text_of(pin, "direction") == "input"}
    return inputs, {name: pin for name, pin in pins.items() if text_of(pin, "direction") == "output"}


def capacitance(pin, units: Units) -> float:
    """Of an input pin, in F."""
    return float(pin.get("capacitance", 0)) * units.capacitance


def read_gate(name: str, cell, units: Units) -> dict | None:
    """A `Gate` as a dict, or None when the cell is none."""
    inputs, outputs = pins_of(cell)
    if cell.get_groups("latch") or cell.get_groups("statetable") or len(outputs) != 1:
        return None
    ((output, pin),) = outputs.items()
    function = text_of(pin, "function")
    if function is None or "three_state" in pin:
        return None
    text, names = expression(function)
    if set(names) != set(inputs):
        return None
    return {
        "name": name,
        "area": float(cell.get("area", 0)),
        "leakage": leakage(cell, units),
        "inputs": list(names),
        "output": output,
        "function": text,
        "capacitance": {n: capacitance(inputs[n], units) for n in names},
        "energies": {n: mean(powers(pin, units, n)) for n in names},
        "delays": {n: timings(pin, units, n, ("cell_rise", "cell_fall")) for n in names},
        "slews": {n: timings(pin, units, n, ("rise_transition", "fall_transition")) for n in names},
        "input_energies": {n: mean_of_all(powers(inputs[n], units, None)) for n in names},
    }


def mean_of_all(tables: list[tuple[float, dict]]) -> dict:
    """Like `mean`, with zero in the states that no condition names."""
    named = sum(weight for weight, _ in tables)
    return mean([*tables, (1 - named, constant())] if tables and named < 1 else tables)


def read_register(name: str, cell, units: Units) -> dict | None:
    """A `Register` as a dict, or None when the cell is another kind of flip-flop."""
    inputs, outputs = pins_of(cell)
    state = cell.get_groups("ff")[0]
    clock, data = text_of(state, "clocked_on"), text_of(state, "next_state")
    if clock not in inputs or data not in inputs:
        return None
    variable = str(state.args[0]).strip('"')
    output = next((pin for pin in outputs.values() if text_of(pin, "function") == variable), None)
    if output is None:
        return None
    both_edges = mean(powers(inputs[clock], units, None))
    both_edges["values"] = (2 * np.array(both_edges["values"])).tolist()
    return {
        "name": name,
        "area": float(cell.get("area", 0)),
        "leakage": leakage(cell, units),
        "clock_capacitance": capacitance(inputs[clock], units),
        "data_capacitance": capacitance(inputs[data], units),
        "clock_energy": both_edges,
        "data_energy": mean(powers(inputs[data], units, None)),
        "output_energy": mean(powers(output, units, clock)),
        "output_slew": timings(output, units, clock, ("rise_transition", "fall_transition")),
    }
