"""The whole network through the host's code, on a board made of the golden machine."""

import json

import numpy as np
import pytest
from golden_board import CYCLES, GoldenBoard
from small_board import SMALL

from sqdm.cli import main
from sqdm.errors import UserError
from sqdm.golden.model_file import load_model
from sqdm.golden.sampler import latents, noise_levels
from sqdm.rtl.descriptor import Kind
from sqdm.sim.engine import GoldenEngine
from sqdm.sim.uart import port as port_module
from sqdm.sim.uart.device import Board
from sqdm.sim.uart.engine import UartEngine
from sqdm.sim.uart.link import Link

SIGMAS = noise_levels(18)[[3, 9]]


@pytest.fixture(scope="module")
def arrays():
    return load_model(None).arrays


def engine(arrays, images, period=1, **options):
    port = GoldenBoard(SMALL, **options)
    return UartEngine(arrays, Board(Link(port), SMALL), port, images, period=period)


def evaluate(network, images):
    noise = latents(images, 0)
    return [network.denoise(noise * sigma, sigma, np.arange(images)) for sigma in SIGMAS]


@pytest.mark.parametrize(("images", "memory_bytes", "batches"), [(1, 128 * 1024, [1]), (3, 64 * 1024, [1, 1, 1])])
def test_results_equal_the_integer_model(arrays, images, memory_bytes, batches):
    board, golden = engine(arrays, images, period=2, memory_bytes=memory_bytes), GoldenEngine(arrays)
    assert [batch.count for batch in board.batches] == batches
    for mine, theirs in zip(evaluate(board, images), evaluate(golden, images), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    compared, mismatches, first = board.comparison()
    assert (sum(compared.values()) > 50_000, sum(mismatches.values()), first) == (True, 0, None)
    layers = sum(descriptor.kind in (Kind.CONV, Kind.MAP) for descriptor in board.batches[0].main.program.descriptors)
    assert board.port.programs == len(SIGMAS) * layers * len(batches)
    assert board.counters()["CYCLES"] == CYCLES * board.port.programs


def test_a_board_that_errs_is_noticed(arrays):
    def spoil(descriptor, memory):
        memory[descriptor["OUT_BASE"]] ^= 1

    board = engine(arrays, 1, spoil=spoil)
    evaluate(board, 1)
    _, mismatches, first = board.comparison()
    assert len(mismatches) > 40  # all layers
    assert "run 0" in first


def test_a_memory_that_is_too_small_is_refused(arrays):
    with pytest.raises(UserError, match="must fit the board's memory"):
        engine(arrays, 1, memory_bytes=32 * 1024)


class Forgetful(GoldenBoard):
    """A board whose every ninth reply gets lost."""

    replies = 0

    def write(self, frame):
        super().write(frame)
        self.replies += 1
        if self.replies % 9 == 0:
            self.drop_input()


def test_lost_replies_are_asked_for_again(arrays):
    port = Forgetful(SMALL)
    board = UartEngine(arrays, Board(Link(port), SMALL), port, 1)
    evaluate(board, 1)
    assert board.serial()["retries"] == port.replies // 9 > 50
    assert not sum(board.comparison()[1].values())


def test_sample_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(port_module, "SerialPort", lambda name, baud: GoldenBoard(SMALL))
    config = tmp_path / "small.toml"
    config.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in SMALL.to_dict().items()))
    arguments = ["--labels", "3", "--steps", "1", "--config", str(config), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as leaving:
        main(["sample", "--engine", "uart:/dev/board", *arguments])
    text = capsys.readouterr().out
    assert leaving.value.code == 0
    assert "serial line at 3 Mbaud" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["engine"], report["mismatches"], report["evaluations"]) == ("uart", 0, 1)
    assert report["outputs_compared"] > 50_000
    for name in ("cycles_dense", "cycles_dense_4bit", "cycles_per_second", "latency"):
        assert report[name] is None
    assert report["speedup"] == {"vs_dense_4bit": None, "vs_dense_fp16": None}
    assert report["cycles"] == sum(row["cycles"] for row in report["layers"])
    serial = report["serial"]
    assert serial["retries"] == 0
    assert serial["seconds_at_3_mbaud"] == (serial["bytes_sent"] + serial["bytes_received"]) * 10 / 3e6
    weights = 500_000
    assert serial["bytes_sent"] > weights


@pytest.mark.parametrize("name", ["uart", "uart:", "usb:1"])
def test_engines_that_do_not_exist(tmp_path, capsys, name):
    with pytest.raises(SystemExit) as leaving:
        main(["sample", "--engine", name, "--out", str(tmp_path / "out")])
    assert leaving.value.code == 2
    assert "engine must be one of rtl, golden, float or uart:PORT" in capsys.readouterr().err
