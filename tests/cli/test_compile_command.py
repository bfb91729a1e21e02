"""`sqdm compile`: its files, its fields, what it refuses."""

import json

import numpy as np

from sqdm.compiler.program import Descriptor
from sqdm.rtl.config import PRESETS
from sqdm.rtl.descriptor import FIELDS, WORDS, Kind


def test_files_describe_one_program(sqdm, tmp_path):
    outcome = sqdm("compile", "--images", 2, "--out", tmp_path / "p", "--json")
    assert outcome.status == 0, outcome.err
    result = outcome.json
    assert {"descriptors", "bytes", "listing"} <= set(result)
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["listing.txt", "program.bin", "program.json"]
    memory = np.fromfile(tmp_path / "p" / "program.bin", np.uint8)
    symbols = json.loads((tmp_path / "p" / "program.json").read_text())
    assert memory.size == result["bytes"] == symbols["bytes"]
    assert symbols["config"] == PRESETS["default"].to_dict()
    end = 0
    for region in symbols["regions"]:
        assert region["address"] >= end
        end = region["address"] + region["bytes"]
    assert end == memory.size
    assert len(symbols["descriptors"]) == result["descriptors"]
    for listed in symbols["descriptors"]:
        words = memory[listed["address"] : listed["address"] + 4 * WORDS].view("<u4")
        decoded = Descriptor.of_words(words, listed["name"])
        assert decoded.described() | {"address": listed["address"]} == listed
    assert symbols["descriptors"][0]["address"] == symbols["program_base"]
    kinds = [listed["CONTROL"]["kind"] for listed in symbols["descriptors"]]
    assert kinds.count("WAIT") == result["waits"] and kinds[-1] == Kind.END.name
    assert set(symbols["descriptors"][0]) <= {"address", "name", *FIELDS}


def test_listing_names_every_descriptor(sqdm, tmp_path):
    assert sqdm("compile", "--images", 1, "--config", "dense", "--out", tmp_path).status == 0
    lines = (tmp_path / "listing.txt").read_text().splitlines()
    symbols = json.loads((tmp_path / "program.json").read_text())
    assert len(lines) == len(symbols["descriptors"]) + 2
    for line, listed in zip(lines[1:], symbols["descriptors"], strict=False):
        assert line.startswith(listed["name"])


def test_predicted_cycles_know_the_zeros_of_calibration(sqdm, tmp_path):
    totals = {}
    for config in ("dense", "default"):
        assert sqdm("compile", "--config", config, "--out", tmp_path / config).status == 0
        total = (tmp_path / config / "listing.txt").read_text().splitlines()[-1].split()
        assert total[0] == "total"
        totals[config] = int(total[1].replace(",", ""))
    assert 750_000 < totals["dense"] < 900_000  # the RTL takes 829,000
    assert 0.38 < totals["default"] / totals["dense"] < 0.5  # and 353,000


def test_what_cannot_be_compiled_is_refused(sqdm, tmp_path):
    out = tmp_path / "p"
    sqdm("compile", "--images", 0, "--out", out).assert_refused("images", "1..32", "not 0")
    sqdm("compile", "--images", 33, "--out", out).assert_refused("images", "1..32", "not 33")
    sqdm("compile", "--config", "tiny", "--out", out).assert_refused("tiny", "CHANNELS must be 1..64, not 128")
    sqdm("compile", "--config", "huge", "--out", out).assert_refused("config", "'huge'")
    sqdm("compile", "--model", tmp_path / "none", "--out", out).assert_refused("model", "none")
    assert not out.exists()
    out.write_text("")
    sqdm("compile", "--out", out).assert_refused("folder")
