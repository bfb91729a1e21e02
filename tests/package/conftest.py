"""The package of the tiny configuration, written once."""

from pathlib import Path

import pytest

from sqdm.package.contents import contents
from sqdm.rtl.config import PRESETS


@pytest.fixture(scope="session")
def files() -> dict:
    """Every `File` by name."""
    return contents(PRESETS["tiny"])


@pytest.fixture
def package(files, tmp_path) -> Path:
    """A folder with all of them, the test's own."""
    for name, file in files.items():
        (tmp_path / name).write_text(file.text)
    return tmp_path
