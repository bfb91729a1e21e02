"""One whole evaluation of the network through the simulated board, by the commands that a user types."""

import json
import signal
import subprocess
import sys

import pytest
from small_board import SMALL

SQDM = (sys.executable, "-m", "sqdm")


@pytest.fixture
def config(tmp_path):
    """The configuration as a file: the simulated board of the other tests is found in the cache."""
    path = tmp_path / "small.toml"
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in SMALL.to_dict().items()))
    return path


@pytest.mark.slow
def test_a_whole_evaluation_is_bit_exact(tmp_path, config):
    serving = subprocess.Popen([*SQDM, "fpga", "--simulate", "--config", config, "--json"], stdout=subprocess.PIPE)
    try:
        port = json.loads(serving.stdout.readline())["port"]
        sample = ("sample", "--engine", f"uart:{port}", "--config", config, "--labels", "3", "--steps", "1")
        done = subprocess.run([*SQDM, *sample, "--json", "--out", tmp_path / "out"], capture_output=True, check=True)
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
    report = json.loads(done.stdout)
    print(
        json.dumps({name: report[name] for name in ("outputs_compared", "mismatches", "cycles", "serial", "seconds")})
    )
    assert (report["evaluations"], report["mismatches"]) == (1, 0)
    assert report["outputs_compared"] > 80_000
    assert report["serial"]["retries"] == 0
    assert report["cycles"] == report["counters"]["ACTIVE"] + sum(report["stalls"].values())
