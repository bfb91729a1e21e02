"""A small library of cells in a file."""

import pytest
from energy_cells import LIBERTY

from sqdm.synth.energy import cell_library


@pytest.fixture
def liberty(tmp_path):
    """The file."""
    path = tmp_path / "small.lib"
    path.write_text(LIBERTY)
    return path


@pytest.fixture
def cells(liberty):
    """What it holds."""
    return cell_library.load([liberty])
