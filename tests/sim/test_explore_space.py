"""The space of a sweep: combinations, names, presets, rules."""

import pytest

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import Policy
from sqdm.sim.explore.space import MOST, make_space, read_space

DEFAULT = PRESETS["default"]


def candidates(base=DEFAULT, **values):
    return make_space(base, values).candidates()


def test_usual_space_has_the_presets_of_equal_multipliers():
    found, refused, other = candidates()
    assert {one.preset for one in found} == {"default", "dense", "paper", "sparse", None}
    assert {one.config.multipliers for one in found} == {256}
    assert len({one.name for one in found}) == len(found) >= 12
    assert refused == [] and other > 0


def test_every_combination_once():
    found, refused, other = candidates(dense="0,1", sparse=[2, 3], slots=2, lanes="32", bus="64,128", multipliers="any")
    assert {(c.config.dense_arrays, c.config.sparse_arrays, c.config.bus_bits) for c in found} == {
        (d, s, b) for d in (0, 1) for s in (2, 3) for b in (64, 128)
    }
    assert len(found) == 8 and not refused and not other
    assert {c.name for c in found if c.config.dense_arrays == 0} == {
        "0+2x2x32", "0+3x2x32", "0+2x2x32-b64", "0+3x2x32-b64"
    }  # fmt: skip


@pytest.mark.parametrize("base", ["default", "paper", "sparse", "dense"])
def test_presets_are_found_from_each_other(base):
    found, _, _ = candidates(PRESETS[base])
    assert {"default", "dense", "paper", "sparse"} <= {one.preset for one in found}


def test_illegal_combinations_are_listed_with_their_rule():
    found, refused, _ = candidates(dense=0, sparse="0,8,9", slots=1, lanes="16,32", multipliers="any")
    assert [one.name for one in found] == ["0+8x1x32"]
    problems = {one.name: one.problem for one in refused}
    assert set(problems) == {"0+0x1x16", "0+0x1x32", "0+8x1x16", "0+9x1x16", "0+9x1x32"}
    assert "dense_arrays + sparse_arrays must be 1..8, not 9" in problems["0+9x1x32"]
    assert "lanes must be" in problems["0+8x1x16"]


def test_policies_only_where_there_is_a_choice():
    found, _, _ = candidates(policy="threshold,balanced")
    for one in found:
        mixed = one.config.dense_arrays and one.config.sparse_arrays
        twins = [other.policy for other in found if other.config == one.config]
        assert twins == ([Policy.THRESHOLD, Policy.BALANCED] if mixed else [Policy.THRESHOLD])
    assert "1+1x4x32/threshold" in {one.name for one in found}


def test_slots_together_hold_as_much_as_the_base():
    found, _, _ = candidates()
    for one in found:
        slots = one.config.arrays * one.config.slots
        assert slots * one.config.slot_channels == 8 * DEFAULT.slot_channels
        assert slots * one.config.act_rows == 8 * DEFAULT.act_rows


def test_values_that_follow_do_not_depend_on_other_axes():
    (one,), _, _ = candidates(dense=0, sparse=2, slots=4, lanes=32, psum_depth=64)
    assert one.name == "0+2x4x32-d64" and one.preset is None


@pytest.mark.parametrize(
    ("values", "fragments"),
    [
        ({"dense": "0,x"}, ("dense", "whole numbers", "'0,x'")),
        ({"dense": "-1"}, ("dense", "'-1'")),
        ({"lanes": True}, ("lanes", "True")),
        ({"slots": []}, ("slots", "at least one")),
        ({"policy": "fastest"}, ("policy", "balanced", "'fastest'")),
        ({"multipliers": "some"}, ("multipliers", "'some'")),
        ({"colour": 1}, ("space key 'colour'", "dense")),
        ({"act_rows": list(range(200)), "psum_depth": list(range(200))}, (f"{MOST:,}",)),
    ],
)
def test_bad_values_are_refused(values, fragments):
    with pytest.raises(UserError) as caught:
        make_space(DEFAULT, values)
    assert all(fragment in str(caught.value) for fragment in fragments)


def test_space_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('sparse = [2, 8]\nslots = 1\npolicy = "threshold"\n')
    assert read_space(path) == {"sparse": [2, 8], "slots": 1, "policy": "threshold"}
    path.write_text("sparse = [2")
    with pytest.raises(UserError, match="not TOML"):
        read_space(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_space(tmp_path / "none.toml")
