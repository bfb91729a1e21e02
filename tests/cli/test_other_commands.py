"""`vectors`, `synth`, `train` and `quantize`: fields, files; refusals, also of `generate`."""

import numpy as np
import pytest

from sqdm.commands.synth import PARTS
from sqdm.golden.conv import conv_psum
from sqdm.synth import parts


def test_vectors_of_a_random_layer(sqdm, tmp_path):
    outcome = sqdm("vectors", "--layer", "random", "--shape", "3,5,4,6", "--json", "--out", tmp_path / "v")
    assert outcome.status == 0, outcome.err
    assert {"layer", "shapes", "bits", "files"} <= set(outcome.json)
    assert outcome.json["shapes"] == {"activations": [1, 3, 4, 6], "weights": [5, 3, 3, 3], "outputs": [1, 5, 4, 6]}
    with np.load(tmp_path / "v" / "vectors.npz") as file:
        np.testing.assert_array_equal(file["psum"], conv_psum(file["acts"], file["weights"]))


@pytest.mark.parametrize(
    ("layer", "acts", "weights", "bits"),
    [
        ("enc.4x4_block0.conv0", [2, 32, 4, 4], [64, 32, 3, 3], (4, 4)),
        ("conv_in", [2, 1, 8, 8], [32, 1, 3, 3], (8, 8)),
        ("dec.4x4_in0.attention.scores", [2, 64, 4, 4], [2, 16, 64, 1, 1], (8, 8)),
    ],
)
def test_vectors_of_the_model(sqdm, tmp_path, layer, acts, weights, bits):
    outcome = sqdm("vectors", "--layer", layer, "--step", 1, "--steps", 2, "--labels", "4,5", "--json",
                   "--out", tmp_path / "v")  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert outcome.json["layer"] == layer
    assert outcome.json["shapes"]["activations"] == acts and outcome.json["shapes"]["weights"] == weights
    assert outcome.json["bits"] == {"activations": bits[0], "weights": bits[1]}
    for name, digits in zip(("acts", "weights"), bits, strict=True):
        assert {len(line) for line in (tmp_path / "v" / f"{name}.hex").read_text().split()} == {digits // 4}


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("vectors", "--layer", "enc.9x9"), ("layer", "'enc.9x9'")),
        (("vectors", "--layer", "conv_in", "--step", "18"), ("step", "0..17", "18")),
        (("vectors", "--layer", "conv_in", "--labels", "x"), ("labels", "'x'")),
        (("vectors", "--layer", "conv_in", "--labels", "12"), ("label", "12")),
        (("vectors", "--layer", "random", "--shape", "1,2,3"), ("shape", "'1,2,3'")),
        (("vectors", "--layer", "random", "--kernel", "5"), ("kernel", "5")),
        (("vectors", "--layer", "random", "--zeros", "1.5"), ("zero", "1.5")),
        (("generate", "--config", "nope"), ("config", "'nope'")),
        (("train", "--steps", "0"), ("steps must be at least 1", "0")),
        (("quantize", "--checkpoint", "nothing.npz"), ("checkpoint", "'nothing.npz'")),
    ],
)
def test_bad_requests_are_refused(sqdm, tmp_path, arguments, fragments):
    sqdm(*arguments, "--out", tmp_path / "o").assert_refused(*fragments)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("command", ["generate", "vectors", "train"])
def test_unwritable_output_is_refused(sqdm, tmp_path, command):
    (tmp_path / "file").write_text("")
    extra = ("--layer", "random") if command == "vectors" else ()
    sqdm(command, *extra, "--out", tmp_path / "file").assert_refused("output", tmp_path / "file")


#: A part as `sqdm.synth.area` reports it.
PART = {"name": "detector", "area": 1.0, "unit": "LUT4", "cells": 1, "flipflops": 0, "memory_bits": 0, "fmax_mhz": None,
        "hierarchy": [], "macros": [], "problems": []}  # fmt: skip


def test_synth_refuses_unknown_parts_and_targets(sqdm):
    sqdm("synth", "--part", "brain").assert_refused("brain", "sparse")
    sqdm("synth", "--target", "asic").assert_refused("asic", "gates")


def test_synth_places_on_ecp5_only(sqdm, monkeypatch):
    sqdm("synth", "--target", "gates", "--place").assert_refused("place", "ecp5", "gates")
    placed = {
        "fmax_mhz": 80.0,
        "fmax_by_seed": {"1": 80.0, "2": 81.0},
        "slowest": "words -> table",
        "critical_path": [],
    }
    seeds = []
    monkeypatch.setattr("sqdm.synth.area.synthesize", lambda *_: [dict(PART)])
    monkeypatch.setattr("sqdm.synth.place.place", lambda *arguments: seeds.extend(arguments[2]) or placed)
    outcome = sqdm(
        "synth", "--config", "tiny", "--target", "ecp5", "--part", "detector", "--place", "--seeds", "2", "--json"
    )
    assert outcome.json["parts"][0]["fmax_by_seed"] == placed["fmax_by_seed"]
    assert outcome.json["parts"][0]["fmax_mhz"] == 80.0
    assert seeds == [1, 2]


def test_synth_knows_every_part():
    assert tuple(parts.PARTS) == PARTS


def test_synth_reports_the_part(sqdm):
    outcome = sqdm("synth", "--config", "tiny", "--part", "detector", "--target", "gates", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["target"] == "gates"
    (part,) = outcome.json["parts"]
    assert {"name", "area", "unit", "cells", "flipflops", "memory_bits", "fmax_mhz"} <= set(part)
    assert part["name"] == "detector"


def test_synth_fails_when_a_memory_is_none(sqdm, monkeypatch):
    monkeypatch.setattr("sqdm.synth.area.missing_bits", lambda *_: ["the table becomes flip-flops"])
    outcome = sqdm("synth", "--config", "tiny", "--part", "detector", "--json")
    assert outcome.status == 1
    assert outcome.json["problems"] == ["the table becomes flip-flops"]
    assert "the table becomes flip-flops" in outcome.err


def test_synth_refuses_liberty_files_that_do_not_fit(sqdm, tmp_path):
    file = tmp_path / "cells.lib"
    arguments = ("synth", "--target", "liberty", "--part", "mac", "--liberty", file)
    sqdm(*arguments).assert_refused("liberty", "cells.lib", "No such file")
    file.write_text("cells of some kind")
    sqdm(*arguments).assert_refused("cells.lib", "must be a liberty library")
    file.write_bytes(b"\x1f\x8bnothing")
    sqdm(*arguments).assert_refused("cells.lib", "gzip")
    cell = 'cell (INV) { area : 1; pin (A) { direction : input; } pin (Y) { direction : output; function : "!A"; } }'
    file.write_text(f"library (few) {{ capacitive_load_unit (1, pf); {cell} }}")
    sqdm(*arguments).assert_refused("cells.lib", "flip-flop")
    sqdm("synth", "--liberty", file).assert_refused("target liberty", "gates")


def test_train_and_quantize_report(sqdm, tmp_path, monkeypatch):
    calls = []

    def fake(*arguments, progress, **options):
        progress("first", 1, 2)
        progress("second", 1, 1)
        calls.append((arguments, options))
        return {"fd": 0.02, "fd_float": 0.01, "mse": 1e-4, "seconds": 1.0, "checkpoint": "there"}

    monkeypatch.setattr("sqdm.golden.quantize.train_float", lambda *a: fake(*a[:-1], progress=a[-1]))
    monkeypatch.setattr("sqdm.golden.quantize.quantize", fake)
    for command, extra in (("train", ()), ("quantize", ("--checkpoint", tmp_path / "f.npz"))):
        outcome = sqdm(command, *extra, "--steps", 7, "--images", 9, "--seed", 3, "--out", tmp_path / "o", "--json")
        assert outcome.status == 0, outcome.err
        assert {"fd", "seconds", "checkpoint"} <= set(outcome.json)
    assert calls[0] == ((tmp_path / "o", 3, 7, 9), {})
    assert calls[1][0] == (tmp_path / "f.npz", tmp_path / "o")
    assert {"seed": 3, "steps": 7, "images": 9}.items() <= calls[1][1].items()


@pytest.mark.slow
def test_train_and_quantize_make_a_model(sqdm, tmp_path):
    trained = sqdm("train", "--steps", 1, "--images", 2, "--out", tmp_path / "f", "--json")
    assert trained.status == 0, trained.err
    assert {"fd", "seconds", "checkpoint"} <= set(trained.json)
    made = sqdm("quantize", "--checkpoint", trained.json["checkpoint"], "--steps", 1, "--images", 2,
                "--out", tmp_path / "m", "--json")  # fmt: skip
    assert made.status == 0, made.err
    assert {"fd", "seconds", "checkpoint"} <= set(made.json)
    sampled = sqdm("sample", "--engine", "golden", "--model", tmp_path / "m", "--steps", 1, "--out", tmp_path / "s")
    assert sampled.status == 0, sampled.err
