"""The sweep: resumable, interruptible, the same in processes and on Dask; exact when every evaluation is predicted."""

from dataclasses import replace

import numpy as np
import pytest

from sqdm.compiler.network import compile_network
from sqdm.errors import UserError
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import PRESETS
from sqdm.rtl.registers import Policy
from sqdm.sim.cycles.network_run import ModelRun
from sqdm.sim.engine import dense_equivalent
from sqdm.sim.explore.space import Candidate, make_space
from sqdm.sim.explore.store import Store
from sqdm.sim.explore.sweep import Sweep, predict, rows
from sqdm.sim.explore.tasks import Task
from sqdm.sim.explore.workers import workers
from sqdm.sim.explore.workload import Digits, spread, trace_of

SHORT = Digits(images=1, steps=1)  # one evaluation


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Results apart from those of other runs; the compiled model stays where it is."""
    monkeypatch.setattr("sqdm.sim.explore.store.cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def sweep():
    values = {"dense": "0,1", "sparse": "1,2", "slots": 4, "lanes": 32, "policy": "balanced,threshold"}
    candidates, _, _ = make_space(PRESETS["paper"], values).candidates()
    return Sweep(candidates, [SHORT], PRESETS["paper"], 20)


def serial(tasks):
    return ((task, task.run()) for task in tasks)


def nothing(tasks):
    assert tasks == []
    return iter(())


def ignore(done, remark):
    pass


def test_second_run_computes_nothing(sweep, tmp_path, cache):
    first = predict(sweep, serial, Store(tmp_path / "out"), ignore)
    assert len(first) == len(sweep.tasks()) == 5  # three points, the reference as it is and in 4 bit
    assert predict(sweep, nothing, Store(tmp_path / "out"), ignore) == first
    assert predict(sweep, nothing, Store(tmp_path / "other"), ignore) == first  # from the cache
    for path in (cache / "explore").iterdir():
        path.unlink()
    assert predict(sweep, nothing, Store(tmp_path / "other"), ignore) == first  # from the folder


def test_interrupted_run_goes_on(sweep, tmp_path, cache):
    def interrupted(tasks):
        for number, task in enumerate(tasks):
            if number == 2:
                raise KeyboardInterrupt
            yield task, task.run()

    with pytest.raises(KeyboardInterrupt):
        predict(sweep, interrupted, Store(tmp_path / "out"), ignore)
    done = sorted(path.stem for path in (tmp_path / "out" / "results").iterdir())
    assert len(done) == 2
    computed = []

    def rest(tasks):
        computed.extend(task.key for task in tasks)
        return serial(tasks)

    found = predict(sweep, rest, Store(tmp_path / "out"), ignore)
    assert len(computed) == 3 and not set(computed) & set(done) and set(found) == {*computed, *done}


def test_half_a_result_is_computed_again(sweep, tmp_path, cache):
    first = predict(sweep, serial, Store(tmp_path / "out"), ignore)
    key = sweep.tasks()[3].key
    for folder in (tmp_path / "out" / "results", cache / "explore"):
        path = folder / f"{key}.json"
        path.write_text(path.read_text()[:20])
    computed = []

    def again(tasks):
        computed.extend(task.key for task in tasks)
        return serial(tasks)

    assert predict(sweep, again, Store(tmp_path / "out"), ignore) == first
    assert computed == [key]


def test_key_is_the_content():
    task = Task(PRESETS["paper"], Policy.BALANCED, SHORT, 20)
    assert replace(task, config=replace(task.config, name="other")).key == task.key
    changes = ({"config": replace(task.config, psum_depth=8)}, {"policy": Policy.THRESHOLD}, {"latency": 21},
               {"bits": 4}, {"workload": replace(SHORT, seed=1)})  # fmt: skip
    assert len({task.key, *(replace(task, **change).key for change in changes)}) == 6


def test_points_compare_with_the_dense_arrays(sweep, tmp_path, cache):
    dense = Candidate(dense_equivalent(PRESETS["paper"]), Policy.DENSE)
    whole = replace(sweep, candidates=[*sweep.candidates, dense], reference=PRESETS["paper"])
    results = predict(whole, serial, Store(tmp_path / "out"), ignore)
    found, refused = rows(whole, results, {})
    speedups = {one["name"]: one["speedup_4bit"] for one in found}
    assert speedups[dense.name] == 1.0 and not refused
    assert speedups["0+2x4x32"] > speedups["1+1x4x32"] > 1
    for one in found:
        assert one["cycles"] == one["active"] + sum(one["stalls"].values())
        assert one["area"] is one["energy"] is one["speedup_per_area"] is None
        assert 3 < one["speedup_fp16"] / one["speedup_4bit"] < 4  # mixed precision needs more cycles than 4 bit


def test_configuration_that_does_not_fit_is_listed(sweep, tmp_path, cache):
    small = Candidate(replace(PRESETS["paper"], name="small", slot_channels=2), Policy.BALANCED)
    whole = Sweep([small, *sweep.candidates], [SHORT], PRESETS["paper"], 20)
    found, refused = rows(whole, predict(whole, serial, Store(tmp_path / "out"), ignore), {})
    assert len(found) == len(sweep.candidates)
    assert [one.name for one in refused] == ["small"]
    assert "channels must be" in refused[0].problem and refused[0].workload == "digits"


def test_evaluations_are_spread():
    assert spread(35, 5) == [3, 10, 17, 24, 31]
    assert spread(3, 5) == [0, 1, 2]


@pytest.mark.parametrize("name", ["default", "paper"])
def test_all_evaluations_are_the_run_itself(name):
    workload = Digits(images=2, steps=2, sampled=99)
    found = workload.predict(PRESETS[name], Policy.BALANCED, 20)
    run = ModelRun(compile_network(load_model(None).arrays, 2, PRESETS[name]), 20)
    trace = trace_of(workload.sampling)
    for evaluation in range(workload.evaluations):
        run.evaluate(run.operands(trace.evaluation(evaluation)))
    assert len(run.counters) == 3
    assert found.counters == run.total()


def test_dense_products_are_the_shapes_alone():
    paper = dense_equivalent(PRESETS["paper"])
    found = [replace(SHORT, seed=seed).predict(paper, Policy.DENSE, 20) for seed in (0, 1)]
    assert found[0].products == found[1].products and found[0].counters == found[1].counters
    sparse = SHORT.predict(PRESETS["sparse"], Policy.BALANCED, 20)
    assert sparse.products < 0.6 * found[0].products and sparse.words == found[0].words


def test_processes_find_the_same(sweep):
    tasks = sweep.tasks()[:3]
    with workers(2, None) as run:
        found = {task.key: result for task, result in run(tasks)}
    assert found == {task.key: task.run() for task in tasks}


def test_dask_finds_the_same(sweep):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: sqdm[dask]")
    tasks = sweep.tasks()[:3]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        with workers(1, cluster.scheduler_address) as run:
            found = {task.key: result for task, result in run(tasks)}
    assert found == {task.key: task.run() for task in tasks}


def test_dask_without_workers_is_refused():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: sqdm[dask]")
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        with pytest.raises(UserError, match="must have workers"), workers(1, cluster.scheduler_address):
            pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1:99999"])
def test_dask_address_that_does_not_answer(address):
    pytest.importorskip("distributed", reason="Dask is not installed: sqdm[dask]")
    with pytest.raises(UserError, match="scheduler must be the address"), workers(1, address):
        pass


def test_dask_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(UserError, match=r"sqdm\[dask\]"), workers(1, "tcp://127.0.0.1:9"):
        pass


def test_stored_numbers_are_whole(sweep):
    result = sweep.tasks()[0].run()
    assert all(type(value) is int for value in result["counters"].values())
    assert not isinstance(result["products"], np.generic)
