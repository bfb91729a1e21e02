"""A progress bar for work that reports as ``(stage, done, total)``."""

from contextlib import ExitStack
from types import TracebackType

from sqdm.output import progress


class Stages:
    """One bar per stage, called as ``stages(stage, done, total)`` inside a ``with`` block."""

    def __enter__(self) -> "Stages":
        self._stack = ExitStack()
        self._stage: str | None = None
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stack.close()
            self._stage = stage
            self._update = self._stack.enter_context(progress(stage, total))
        self._update(done)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)
