"""Test vectors as files."""

import numpy as np
import pytest

from sqdm.errors import UserError
from sqdm.golden.conv import conv_psum
from sqdm.golden.formats import INT8, UINT8
from sqdm.golden.vector_files import hex_text, write_vectors
from sqdm.golden.vectors import Vectors, random_vectors


def read_hex(path, bits, signed=True):
    values = np.array([int(line, 16) for line in path.read_text().split()])
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values) if signed else values


def digits(path):
    return {len(line) for line in path.read_text().split()}


def test_hex_text_is_twos_complement():
    assert hex_text(np.array([-8, 7, 15, 0]), 1) == "8\n7\nf\n0\n"
    assert hex_text(np.array([-119, 255]), 2) == "89\nff\n"
    assert hex_text(np.array([-1, 258]), 8) == "ffffffff\n00000102\n"


def test_files_of_a_4_bit_layer(tmp_path):
    vectors = random_vectors(5, 3, 4, 5, 2, signed=True, batch=2)
    files = write_vectors(vectors, tmp_path / "a" / "v")
    out = tmp_path / "a" / "v"
    assert {path.name for path in files} == {path.name for path in out.iterdir()}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["v"]
    with np.load(out / "vectors.npz") as stored:
        assert np.array_equal(stored["acts"], vectors.acts) and np.array_equal(stored["weights"], vectors.weights)
        assert np.array_equal(stored["expected"], vectors.expected()) and stored["shift"] == vectors.requant.shift
    acts = read_hex(out / "acts.hex", 4).reshape(3, 2, 5, 2).transpose(1, 0, 2, 3)
    weights = read_hex(out / "weights.hex", 4).reshape(3, 4, 3, 3).transpose(1, 0, 2, 3)
    assert np.array_equal(acts, vectors.acts) and np.array_equal(weights, vectors.weights)
    psum = read_hex(out / "psum.hex", 32).reshape(4, 2, 5, 2).transpose(1, 0, 2, 3)
    assert np.array_equal(psum, conv_psum(acts.astype(np.int8), weights.astype(np.int8)))
    expected = read_hex(out / "expected.hex", 16).reshape(4, 2, 5, 2).transpose(1, 0, 2, 3)
    assert np.array_equal(expected, vectors.expected())
    assert np.array_equal(read_hex(out / "multiplier.hex", 16, signed=False), vectors.requant.multiplier)
    assert np.array_equal(read_hex(out / "bias.hex", 16), vectors.requant.bias)
    readme = (out / "README.md").read_text()
    assert f">> {vectors.requant.shift})" in readme and "weights[k,c,r,s]" in readme and "clamp" not in readme


@pytest.mark.parametrize(("act", "dtype"), [(INT8, np.int8), (UINT8, np.uint8)])
def test_files_of_an_8_bit_product_with_weights_of_each_image(tmp_path, act, dtype):
    draw = np.random.default_rng(3)
    acts = draw.integers(act.low, act.high + 1, (2, 6, 3, 3)).astype(dtype)
    acts.reshape(-1)[:2] = act.low, act.high
    weights = draw.integers(-119, 120, (2, 5, 6, 1, 1)).astype(np.int8)
    write_vectors(Vectors("product", acts, act, weights, 8, None), tmp_path / "v")
    assert {path.name for path in (tmp_path / "v").iterdir()} == {
        "vectors.npz", "acts.hex", "weights.hex", "psum.hex", "README.md",
    }  # fmt: skip
    assert digits(tmp_path / "v" / "acts.hex") == digits(tmp_path / "v" / "weights.hex") == {2}
    read = read_hex(tmp_path / "v" / "acts.hex", 8, act.signed).reshape(6, 2, 3, 3)
    assert np.array_equal(read.transpose(1, 0, 2, 3), acts)
    read = read_hex(tmp_path / "v" / "weights.hex", 8).reshape(2, 6, 5)
    assert np.array_equal(read.transpose(0, 2, 1), weights[..., 0, 0])
    psum = read_hex(tmp_path / "v" / "psum.hex", 32).reshape(5, 2, 3, 3).transpose(1, 0, 2, 3)
    wide = np.einsum("nchw,nkc->nkhw", acts.astype(np.int64), weights[..., 0, 0].astype(np.int64))
    assert np.array_equal(psum, wide)
    readme = (tmp_path / "v" / "README.md").read_text()
    assert f"{act.low}..{act.high}" in readme and "image, input channel" in readme and "weights[n,k,c,r,s]" in readme


def test_readme_tells_of_the_clamp(tmp_path):
    plain = random_vectors(3, 8, 4, 5, 5)
    clamped = Vectors("v", plain.acts, plain.act, plain.weights, 4, plain.requant, clamp=True)
    write_vectors(clamped, tmp_path / "v")
    assert "clamp(sat16(" in (tmp_path / "v" / "README.md").read_text()
    assert np.abs(read_hex(tmp_path / "v" / "expected.hex", 16)).max() == 119


def test_output_that_is_taken_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="output folder must be new or empty"):
        write_vectors(random_vectors(5, 3, 4, 5, 2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_vectors(random_vectors(5, 3, 4, 5, 2), tmp_path / "file" / "v")
