"""Changes and energies of small netlists, counted by hand."""

import numpy as np
import pytest

from sqdm.synth.energy import power
from sqdm.synth.energy.evaluate import Evaluator, levels
from sqdm.synth.energy.glitches import Glitches
from sqdm.synth.energy.netlist import Netlist
from sqdm.synth.energy.partition import Part, Source

PS = 1e-12


def part_of(sources: int, registers=()) -> Part:
    return Part("part", "part", [Source((), f"i{i}", 0, 1) for i in range(sources)], [], list(registers))


def words(*bits: str) -> np.ndarray:
    """One word for each string, first cycle first; the last bit goes on."""
    return np.array([[int(text.ljust(64, text[-1])[::-1], 2)] for text in bits], np.uint64)


#: q, b -> n = NAND(q, b), y = NOT n; the register q takes y. Nets: q 0, b 1, n 2, y 3.
LOOP = Netlist(4, [("INV", [2], 3), ("NAND2", [0, 1], 2)], {0: 0, 1: 1, 2: 2, 3: 3})


def test_gates_are_ordered_by_level():
    assert [group.kind for group in levels(LOOP)] == ["NAND2", "INV"]


def test_changes_and_ones(cells):
    evaluator = Evaluator(part_of(2), LOOP, cells)
    evaluator.add(words("0110", "0101"))
    # n = 1 1 0 1..., y = 0 0 1 0...; b stays 1 after the last cycle shown
    assert evaluator.toggles[:4].tolist() == [2, 3, 2, 2]
    assert evaluator.ones[:4].tolist() == [2, 62, 63, 1]
    assert evaluator.cycles == 64


def test_changes_between_words(cells):
    evaluator = Evaluator(part_of(2, [(0, 3)]), LOOP, cells)
    evaluator.add(np.array([[2**63, 1], [2**63, 0]], np.uint64))  # q and b in cycle 63, then q in cycle 64
    assert evaluator.toggles[:4].tolist() == [2, 2, 2, 2]
    assert evaluator.mismatches == 1  # q did not come from anywhere in cycle 63


def test_first_cycle_of_a_record_is_not_checked(cells):
    evaluator = Evaluator(part_of(2, [(0, 3)]), LOOP, cells)
    evaluator.add(words("10", "0"))
    assert evaluator.mismatches == 0


def test_records_need_not_follow_one_another(cells):
    evaluator = Evaluator(part_of(2), LOOP, cells)
    evaluator.add(words("1", "1"))
    evaluator.add(words("0", "1"))
    assert evaluator.toggles[:4].tolist() == [0, 0, 0, 0]
    assert evaluator.cycles == 128


@pytest.mark.parametrize("q, mismatches", [("11100", 0), ("11010", 2), ("11000", 1)])
def test_registers_are_checked_against_the_gates(cells, q, mismatches):
    """q follows q & b, one cycle later: with b = 1 1 0 0 0 from q = 1 it is 1 1 1 0 0."""
    evaluator = Evaluator(part_of(2, [(0, 3)]), LOOP, cells)
    evaluator.add(words(q, "11000"))
    assert evaluator.mismatches == mismatches


def test_energy_by_hand(cells):
    part = part_of(2, [(0, 3)])
    toggles = np.array([10, 0, 8, 6, 0, 0, 0])
    found = power.energy(part, LOOP, cells, toggles, 100)
    # q drives A of the NAND (0.02 pF), n the INV (0.01 pF), y the register (0.04 pF); V^2 / 2 = 2
    nets = 2 * (10 * 0.02 + 8 * 0.01 + 6 * 0.04)
    # all of the NAND's changes come from A: 1 pJ each; the INV at 0.04 pF: 0.2 + 0.2 * 0.04
    gates = 8 * 1.0 + 6 * (0.2 + 0.2 * 0.04)
    register = 10 * 0.6 + 6 * 0.02
    assert found.data == pytest.approx((nets + gates + register) * PS)
    assert found.clock == pytest.approx(100 * (0.4 + 0.05 * 4) * PS)
    assert found.leakage == pytest.approx((2 + 2 + 5) * 1e-9 * 100 / power.FREQUENCY)


def test_energy_of_a_gate_is_shared_by_its_inputs_changes(cells):
    part = part_of(2)
    found = power.energy(part, LOOP, cells, np.array([1, 3, 4, 0, 0, 0, 0]), 1)
    gates = 4 * (0.25 * 1 + 0.75 * 2) + 3 * 0.02
    nets = 2 * (1 * 0.02 + 3 * 0.03 + 4 * 0.01)
    assert found.data == pytest.approx((gates + nets) * PS)


def test_glitch_of_a_late_input(cells):
    """NAND(a, NOT NOT NOT a): a change of a from 0 to 1 lets both inputs be 1 for three delays."""
    netlist = Netlist(
        5, [("INV", [0], 1), ("INV", [1], 2), ("INV", [2], 3), ("NAND2", [0, 3], 4)], {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    )
    part = part_of(1)
    evaluator = Evaluator(part, netlist, cells)
    after, before = evaluator.add(words("0100"))
    assert evaluator.toggles[4] == 0
    glitches = Glitches(evaluator.gates, power.Loads(part, netlist, cells), cells)
    glitches.add(before, after, evaluator.sources)
    assert glitches.settled[:5].tolist() == [2, 2, 2, 2, 0]
    assert glitches.toggles[:5].tolist() == [2, 2, 2, 2, 2]
    assert glitches.factor(part, cells) > 1
