"""The page of area, timing and energy: its tables come from the commands' results."""

import json
import re
from pathlib import Path

import pytest

from sqdm.errors import UserError
from sqdm.synth.document import collect, pictures, tables

PAGE = Path(__file__).parents[2] / "docs" / "area-timing-energy.md"


def test_page_has_a_place_for_every_table():
    marks = re.findall(r"<!-- (\w+) -->", PAGE.read_text())
    assert [mark for mark in marks if mark != "end"] == list(tables.TABLES)


def test_every_table_of_the_page_is_filled_or_says_that_it_is_not():
    for name, body in re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", PAGE.read_text(), re.S):
        assert body.count("\n") >= 3 or body.strip() == tables.GAP, name
        assert "nan" not in body, name


def test_tables_are_replaced_and_nothing_else():
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
    made = tables.replace_tables(page, {"one": "| 1 |", "two": r"| \2 |"})
    assert made == "a\n<!-- one -->\n| 1 |\n<!-- end -->\nb\n<!-- two -->\n| \\2 |\n<!-- end -->\n"
    assert tables.replace_tables(made, {"one": "| 1 |"}) == made


def test_page_without_a_place_is_refused():
    with pytest.raises(UserError, match="<!-- one -->"):
        tables.replace_tables("text", {"one": "| 1 |"})


def test_missing_result_is_told():
    assert tables.table_or_gap("gates", {}) == tables.GAP
    with pytest.raises(KeyError):
        tables.table_or_gap("gates", {"gates": {"parts": [{"name": "mac"}]}})


def test_results_are_kept_on_demand(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(collect, "run", lambda arguments: json.dumps(lines.append(arguments) or {"n": len(lines)}))
    first = collect.collect(tmp_path, [Path("a.lib")], True, lambda _: None)
    assert len(lines) == len(collect.COMMANDS)
    assert lines[list(collect.COMMANDS).index("liberty")][-2:] == ["--liberty", "a.lib"]
    assert lines[-1][1:3] == ["--run", f"{tmp_path}/sample/report.json"]
    assert collect.collect(tmp_path, [], False, lambda _: None) == first
    assert len(lines) == len(collect.COMMANDS)
    (tmp_path / "gates.json").unlink()
    assert set(first) - set(collect.collect(tmp_path, [], False, lambda _: None)) == {"gates"}


def test_failed_command_is_named():
    with pytest.raises(UserError, match="sqdm synth --target nothing"):
        collect.run(["synth", "--target", "nothing"])


def test_groups_count_everything_once():
    rows = {"": 100, "core": 90, "core.array_0": 30, "core.array_1": 30, "core.array_0.mac": 20, "core.array_1.mac": 20}
    whole = {"hierarchy": [{"path": path, "area": area, "memory_bits": area // 10} for path, area in rows.items()]}
    found = pictures.groups(whole)
    assert found == {"mac": (40, 4), "core": (30, 3), "array": (20, 2), "top": (10, 1)}
