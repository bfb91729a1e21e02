"""Runs tasks: in this process, in a pool of processes, or on a Dask cluster."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from sqdm.errors import UserError
from sqdm.sim.explore.tasks import Task

TIMEOUT = 5  #: seconds that a Dask scheduler has to answer
Results = Iterator[tuple[Task, dict]]
Run = Callable[[list[Task]], Results]


@contextmanager
def workers(jobs: int, scheduler: str | None) -> Iterator[Run]:
    """A function that runs tasks and gives each with its result as soon as it is there, in any order.

    ``jobs`` processes on this machine, or the cluster whose Dask scheduler has the address ``scheduler``. UserError
    when Dask is not installed, the address does not answer or has no workers.
    """
    if scheduler is not None:
        with _cluster(scheduler) as run:
            yield run
    elif jobs == 1:
        yield lambda tasks: ((task, task.run()) for task in tasks)
    else:
        yield lambda tasks: _pool(tasks, jobs)


def _pool(tasks: list[Task], jobs: int) -> Results:
    """Processes started anew (a fork would copy threads of torch); on a break the tasks that wait are dropped."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, max(1, len(tasks))), context, _begin) as pool:
        running = {pool.submit(_run, task): task for task in tasks}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BrokenProcessPool:
            raise UserError(f"jobs must be fewer than {jobs}: a worker process died") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    """Ctrl-C ends a worker without a word, and computations do not compete for processors."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import torch

    torch.set_num_threads(1)


def _run(task: Task) -> dict:
    return task.run()


@contextmanager
def _cluster(address: str) -> Iterator[Run]:
    try:
        import distributed
    except ImportError:
        raise UserError("scheduler needs Dask: install sqdm[dask]") from None
    try:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, asyncio.TimeoutError, ValueError) as error:
        reason = str(error) or "no answer"
        raise UserError(f"scheduler must be the address of a Dask scheduler, not {address!r}: {reason}") from None
    with client:
        if not client.nthreads():
            raise UserError(f"scheduler {address!r} must have workers")

        def run(tasks: Iterable[Task]) -> Results:
            futures = {client.submit(_run, task, pure=False): task for task in tasks}
            try:
                for future in distributed.as_completed(futures, loop=client.loop):
                    yield futures[future], future.result()
            except (ImportError, distributed.KilledWorker) as error:
                raise UserError(f"workers of {address!r} must run this version of sqdm, but: {error}") from None
            finally:
                client.cancel([future for future in futures if not future.done()])

        yield run
