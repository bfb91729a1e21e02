"""The parts of the benches themselves: a bench that cannot fail proves nothing."""

import random

import pytest

from sqdm.errors import UserError
from sqdm.rtl import payloads
from sqdm.rtl.config import PRESETS
from sqdm.sim import emit, toolchain
from sqdm.sim.lib.codec import Codec
from sqdm.sim.lib.scoreboard import Scoreboard

TINY = PRESETS["tiny"]


def test_codec_packs_like_the_layout():
    rng = random.Random(1)
    layout = payloads.load_request(TINY)
    tag = {key: rng.getrandbits(Codec(field.shape).width) for key, field in payloads.load_tag(TINY)}
    tag["kind"] = 3
    value = {"address": 0xDEADBEEF, "tag": tag}
    bits = layout.const({"address": 0xDEADBEEF, "tag": tag | {"kind": payloads.LoadKind.CONSTANTS}}).as_bits()
    assert Codec(layout).pack(value) == bits
    assert Codec(layout).unpack(bits) == value


def test_codec_returns_signed_lanes():
    codec = Codec(payloads.psums(TINY))
    lanes = [lane * 1000 - 8000 for lane in range(TINY.lanes)]
    assert codec.pack(lanes) == payloads.psums(TINY).const(lanes).as_bits()
    assert codec.unpack(codec.pack(lanes)) == lanes


@pytest.mark.parametrize("value", [[16] + 15 * [0], 15 * [0], [-1] + 15 * [0]], ids=["high", "short", "negative"])
def test_codec_refuses_what_does_not_fit(value):
    with pytest.raises(ValueError, match="payload"):
        Codec(payloads.activation_word()).pack(value)


def test_scoreboard_fails_when_empty():
    with pytest.raises(AssertionError, match="nothing was compared"):
        Scoreboard("psums").close()


def test_scoreboard_fails_when_something_is_missing():
    board = Scoreboard("psums")
    board.expect([1, 2])
    board.observe(1)
    with pytest.raises(AssertionError, match="1 expected transfers are missing"):
        board.close()


def test_scoreboard_fails_on_extra_and_wrong_transfers():
    board = Scoreboard("requests")
    board.expect([{"address": 1}])
    with pytest.raises(AssertionError, match="transfer 0 must be"):
        board.observe({"address": 2, "slot": 0})
    with pytest.raises(AssertionError, match="was not expected"):
        board.observe({"address": 1, "slot": 0})


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_missing_tool_is_named(monkeypatch, missing):
    absent = toolchain.COMPILERS if missing == "g++" else (missing,)
    which = toolchain.shutil.which
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None if name in absent else which(name))
    with pytest.raises(UserError, match=missing.replace("+", r"\+")):
        toolchain.verilator_bin()


def test_text_is_written_once(tmp_path):
    path = emit.write_once(tmp_path / "a" / "b.sv", "first")
    emit.write_once(path, "second")
    assert [file.read_text() for file in path.parent.iterdir()] == ["first"]
