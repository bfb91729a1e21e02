"""The register page and the C header, made without the hardware."""

import re
from pathlib import Path

from sqdm.header import c_header
from sqdm.register_page import register_page
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import FIELDS, Kind
from sqdm.rtl.registers import REGISTERS


def test_page_in_docs_is_the_current_one():
    assert (Path(__file__).parents[2] / "docs" / "registers.md").read_text() == register_page()


def test_page_shows_every_register_and_descriptor_word_with_its_fields():
    rows = register_page().splitlines()
    for word in (*REGISTERS.values(), *FIELDS.values()):
        at = next(number for number, row in enumerate(rows) if row.startswith(f"| 0x{word.offset:02x} | {word.name} |"))
        assert word.doc in rows[at]
        for number, part in enumerate(word.fields):
            assert f"`{part.name}`: {part.doc}" in rows[at + 1 + number]
            assert rows[at + 1 + number].count("|") == rows[at].count("|")
    assert any("| WATCHDOG | rw | 0x00100000 |" in row for row in rows)


def test_header_macros_are_unique_and_complete():
    found = re.findall(r"^#define (SQDM_\w+) (\w+)u", c_header(PRESETS["tiny"]), re.M)
    macros = {name: int(value, 0) for name, value in found}
    assert len(macros) == len(found)
    for prefix, words in (("SQDM", REGISTERS), ("SQDM_DESCRIPTOR", FIELDS)):
        for word in words.values():
            assert macros[f"{prefix}_{word.name}"] == word.offset
            for part in word.fields:
                assert macros[f"{prefix}_{word.name}_{part.name.upper()}_LSB"] == part.lsb
    assert macros["SQDM_WINDOW_LAST_RESET"] == 0xFFFFFFFF
    assert macros["SQDM_KIND_VALUE_WAIT"] == Kind.WAIT
