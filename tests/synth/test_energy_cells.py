"""Liberty files: what is read, what is left out, what is refused; and the table of memories."""

import numpy as np
import pytest
from energy_cells import LIBERTY

from sqdm.errors import UserError
from sqdm.synth.energy import cell_library, memories
from sqdm.synth.energy.liberty_reader import share
from sqdm.synth.energy.table import Table


def test_units_functions_and_capacitances(cells):
    assert (cells.name, cells.voltage) == ("small", 2.0)
    assert set(cells.gates) == {"INV", "NAND2"}
    assert cells.gates["NAND2"].inputs == ["A", "B"]
    assert cells.gates["NAND2"].capacitance == pytest.approx({"A": 0.02e-12, "B": 0.03e-12})
    assert cells.gates["INV"].leakage == pytest.approx(2e-9)
    assert cells.gates["NAND2"].leakage == pytest.approx(2e-9)


def test_rise_and_fall_are_averaged_and_loads_interpolated(cells):
    table = cells.gates["INV"].energies["A"]
    assert float(table.at(0.1e-9, 0.0)) == pytest.approx(0.2e-12)
    assert float(table.at(0.3e-9, 0.5e-12)) == pytest.approx(0.3e-12)
    assert float(table.at(9.0, 9.0)) == pytest.approx(0.4e-12)


def test_energy_of_an_input_counts_in_the_states_that_have_it(cells):
    assert float(cells.gates["NAND2"].input_energies["B"].at(0.1e-9, 0.0)) == pytest.approx(0.02e-12)
    assert float(cells.gates["NAND2"].input_energies["A"].at(0.1e-9, 0.0)) == 0


def test_clock_energy_is_that_of_both_edges(cells):
    register = cells.register
    assert float(register.clock_energy.at(0.1e-9, 0.0)) == pytest.approx(0.4e-12)
    assert float(register.data_energy.at(0.1e-9, 0.0)) == pytest.approx(0.02e-12)
    assert float(register.output_energy.at(0.1e-9, 0.0)) == pytest.approx(0.6e-12)


def test_share_of_a_condition():
    assert share(None) == 1
    assert share("A & !B") == 0.25
    assert share("(A+B)") == 0.75


def test_table_of_one_point():
    assert Table([0.0], [0.0], [[7.0]]).at(np.array([1.0, 2.0]), 3.0).tolist() == [7.0, 7.0]


@pytest.mark.parametrize(
    "text, message",
    [("library (x) {", "must be a liberty library"), (LIBERTY.replace("clocked_on", "enabled_by"), "a flip-flop")],
)
def test_unusable_library(tmp_path, text, message):
    path = tmp_path / "bad.lib"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        cell_library.load([path])


def test_no_default_library(monkeypatch, tmp_path):
    monkeypatch.setattr(cell_library, "DEFAULT", tmp_path / "none.lib")
    with pytest.raises(UserError, match="--liberty"):
        cell_library.default_files()


def test_memory_energy_scales(cells):
    small, large = (memories.sram_access(rows, 64, cells) for rows in (256, 1024))
    assert large == pytest.approx(2 * small)  # the square root of the rows
    assert memories.sram_access(1024, 768, cells) == pytest.approx(12 * large)
    assert memories.sram_access(1024, 64, cells, "high") == pytest.approx(2 * large)
    expected = 64 * 0.156e-12 * (0.01e-12 / 1.70e-15) * (2.0 / 0.9) ** 2
    assert large == pytest.approx(expected)  # 8 KiB
    assert memories.dram_bits(100, "low") < memories.dram_bits(100) < memories.dram_bits(100, "high")


@pytest.mark.parametrize(
    "name, kind",
    [
        ("sparse_array_0.acts_0", "activation buffers"),
        ("dense_array_1.weights_3", "weight buffers"),
        ("sparse_array_0.queue.storage", "psum queues"),
        ("tags.storage", "other memories"),
    ],
)
def test_kinds_of_memories(name, kind):
    assert memories.memory_kind(name) == kind
