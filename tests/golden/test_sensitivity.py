"""The measurement behind the choice of formats, on a few images."""

import pytest

from sqdm.golden import distill, formats, layers, sensitivity


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(distill, "FIT_IMAGES", 32)
    monkeypatch.setattr(distill, "LEVEL_IMAGES", 18)


def test_input_layer_costs_more_than_an_inner_one(model, few):
    seen, names = [], ["conv_in", "dec.4x4_in0.attention.v"]
    base, rows = sensitivity.measure(model.float_net, 16, seen.append, names)
    assert [row.name for row in rows] == names and rows == seen
    assert 0 < base < 20e-5
    assert rows[0].both > 50e-5 > abs(rows[1].both)
    assert rows[0].share == 18_432 / layers.macs_total()


def test_one_layer_changes_and_returns(model, few):
    bench, name = sensitivity.Bench(model.float_net, 8), "dec.8x8_block2.skip"
    narrow = bench.error(name, formats.precision(True, 4, 4))
    assert narrow > bench.base
    assert bench.error(name, formats.precision(True, 8, 8)) == pytest.approx(bench.base, rel=0.2)
    assert bench.error(name, formats.precision(True, 4, 4)) == narrow
