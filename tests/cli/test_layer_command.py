"""`sqdm layer`: the user's integers through the RTL, and what it refuses."""

import numpy as np
import pytest

from sqdm.compiler.convolution import ConvolutionProgram
from sqdm.golden.conv import conv_psum
from sqdm.sim.device import Device

TINY = ("--config", "tiny")


@pytest.fixture
def operands(tmp_path):
    """Writes weights and activations; returns the options that name them."""

    def write(weights, activations):
        np.save(tmp_path / "w.npy", weights)
        np.save(tmp_path / "a.npy", activations)
        return ("--weights", tmp_path / "w.npy", "--activations", tmp_path / "a.npy")

    return write


def random_operands(C=12, K=20, H=5, W=6, kernel=3):
    draw = np.random.default_rng(3)
    acts = draw.integers(1, 16, (C, H, W)) * (draw.random((C, H, W)) < 0.4)
    return draw.integers(-7, 8, (K, C, kernel, kernel)).astype(np.int8), acts.astype(np.uint8)


@pytest.mark.parametrize("policy", ["threshold", "balanced", "dense"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_result_is_exact(sqdm, operands, tmp_path, policy, kernel):
    w, a = random_operands(kernel=kernel)
    out = tmp_path / "new" / "y.npy"
    outcome = sqdm("layer", *operands(w, a), *TINY, "--policy", policy, "--out", out, "--json")
    assert outcome.status == 0, outcome.err
    result = outcome.json
    y = np.load(out)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, conv_psum(a[None].astype(np.int8), w)[0])
    assert result["mismatches"] == 0
    assert result["shape"] == {"K": 20, "C": 12, "R": kernel, "S": kernel, "H": 5, "W": 6}
    assert result["zero_fraction"] == pytest.approx(np.mean(a == 0))
    assert result["dense_channels"] + result["sparse_channels"] == 12
    assert (result["cycles"] == result["cycles_dense"]) == (policy == "dense")


def test_layer_in_parts(sqdm, operands, tmp_path):
    w, a = random_operands(C=5, K=130, H=18, W=3)
    out = tmp_path / "y.npy"
    outcome = sqdm("layer", *operands(w, a), *TINY, "--out", out, "--json")
    assert outcome.status == 0, outcome.err
    np.testing.assert_array_equal(np.load(out), conv_psum(a[None].astype(np.int8), w)[0])
    assert outcome.json["descriptors"] == 4
    assert 0 <= outcome.json["dense_channels"] <= 5


def test_mismatch_exits_1(sqdm, operands, monkeypatch):
    honest = ConvolutionProgram.outputs

    def broken(self, memory):
        outputs = honest(self, memory)
        outputs[0, 0, 0, 0] += 1
        return outputs

    monkeypatch.setattr(ConvolutionProgram, "outputs", broken)
    outcome = sqdm("layer", *operands(*random_operands()), *TINY, "--json")
    assert outcome.status == 1
    assert outcome.json["mismatches"] == 1


def test_hung_accelerator_exits_1(sqdm, operands, tmp_path, monkeypatch):
    monkeypatch.setattr("sqdm.sim.device.cycle_limit", lambda *_: 50)
    outcome = sqdm("layer", *operands(*random_operands()), *TINY, "--out", tmp_path / "new" / "y.npy")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert "cycle limit (50)" in outcome.err
    assert not (tmp_path / "new").exists()


W, A = random_operands()
BAD = {
    "float weights": (W.astype(np.float32), A, ("weights must be int8", "float32")),
    "NaN": (W, np.where(A > 9, np.nan, 1.0), ("activations must be uint8", "float64 with NaN")),
    "wide integers": (W.astype(np.int64), A, ("weights must be int8", "int64")),
    "signed activations": (W, A.astype(np.int8), ("activations must be uint8", "int8")),
    "weight rank": (W[0], A, ("weights must be int8 (K, C, R, S)", "(12, 3, 3)")),
    "activation rank": (W, A[None], ("activations must be uint8 (C, H, W)", "(1, 12, 5, 6)")),
    "weight range": (W - 7, A, ("-7..7", "-14")),
    "activation range": (W, A + 9, ("0..15", "24")),
    "channels": (W, A[:7], ("12 channels", "7")),
    "kernel": (np.ones((4, 12, 5, 5), np.int8), A, ("1x1 or 3x3", "5x5")),
    "uneven kernel": (np.ones((4, 12, 1, 3), np.int8), A, ("1x1 or 3x3", "1x3")),
    "empty": (W, A[:, :0], ("activations must not be empty", "(12, 0, 6)")),
    "max_channels": (np.ones((4, 65, 3, 3), np.int8), np.ones((65, 4, 4), np.uint8), ("channels must be 1..64", "65")),
    "max_size": (np.ones((4, 12, 3, 3), np.int8), np.ones((12, 4, 17), np.uint8), ("width must be 1..16", "17")),
    "object": (np.array([{}]), A, ("weights", "cannot be read")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_operands_are_refused(sqdm, operands, tmp_path, monkeypatch, case):
    weights, activations, fragments = BAD[case]
    monkeypatch.setattr(Device, "__init__", lambda *_: pytest.fail("a device was built"))
    out = tmp_path / "deep" / "y.npy"
    sqdm("layer", *operands(weights, activations), *TINY, "--out", out).assert_refused(*fragments)
    assert not out.parent.exists()


def test_files_that_are_no_arrays_are_refused(sqdm, operands, tmp_path):
    options = operands(W, A)
    (tmp_path / "w.npy").write_bytes(b"no numbers")
    sqdm("layer", *options, *TINY).assert_refused("must be a .npy file", "w.npy")
    np.save(tmp_path / "w.npy", W)
    whole = (tmp_path / "w.npy").read_bytes()
    (tmp_path / "w.npy").write_bytes(whole[:-10])
    sqdm("layer", *options, *TINY).assert_refused("weights", "cannot be read")
    (tmp_path / "w.npy").unlink()
    sqdm("layer", *options, *TINY).assert_refused("weights", "w.npy", "No such file")


def test_unknown_policy_and_config_are_refused(sqdm, operands):
    options = operands(W, A)
    sqdm("layer", *options, "--policy", "best").assert_refused("best", "balanced")
    sqdm("layer", *options, "--config", "huge").assert_refused("'huge'", "default")


def test_output_folder_is_refused(sqdm, operands, tmp_path):
    sqdm("layer", *operands(W, A), *TINY, "--out", tmp_path).assert_refused("must be a file", tmp_path)


def test_missing_compiler_is_refused(sqdm, operands, tmp_path, monkeypatch):
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    out = tmp_path / "new" / "y.npy"
    sqdm("layer", *operands(W, A), *TINY, "--out", out).assert_refused("g++", "PATH")
    assert not out.parent.exists()
