"""What the commands print and write: results, messages, progress bars, and files that appear whole or not at all."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sqdm.errors import UserError

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def message(text: str) -> None:
    """A line for the user that is not part of the result."""
    click.echo(text, err=True)


def show(result: dict, text: str, as_json: bool) -> None:
    """Print the result: one JSON object, or `text`."""
    click.echo(json.dumps(result) if as_json else text)


def table(rows: list[tuple], heads: tuple[str, ...]) -> str:
    """Rows as aligned text, the first column to the left, the others to the right."""
    cells = [heads, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = []
    for row in cells:
        first, *rest = zip(row, widths, strict=True)
        lines.append("  ".join((first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest))).rstrip())
    return "\n".join(lines)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar on standard error; the function it gives takes how many of `total` are done and a remark."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total, remark="")

        def update(done: int, remark: str = "") -> None:
            bar.update(task, completed=done, remark=remark)

        yield update


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A private folder beside `out`; its files move to `out` when the block ends without an exception.

    Opening it proves that `out` can be written, before any work. After an exception nothing is left behind. Raises
    `UserError` when `out` is not a folder or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"the output {str(out)!r} must be a folder, not a file")
    with _staging(out) as (folder, created):
        if out.is_dir() and not os.access(out, os.W_OK):
            raise UserError(f"the output folder {str(out)!r} must be writable")
        yield folder
        out.mkdir(exist_ok=True)
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)
        created.clear()


@contextmanager
def staged_file(out: Path) -> Iterator[Path]:
    """Like `staged_folder`, for one file: the path to write; it becomes `out` at the end."""
    if out.is_dir():
        raise UserError(f"the output {str(out)!r} must be a file, not a folder")
    with _staging(out) as (folder, created):
        yield folder / out.name
        os.replace(folder / out.name, out)
        created.clear()


@contextmanager
def _staging(out: Path) -> Iterator[tuple[Path, list[Path]]]:
    """A temporary folder beside `out` and the parent folders that had to be created for it, innermost first."""
    created: list[Path] = []
    folder = None
    try:
        try:
            missing = [parent for parent in out.absolute().parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                created.insert(0, parent)
            folder = Path(tempfile.mkdtemp(prefix=".sqdm-", dir=out.absolute().parent))
        except OSError as error:
            raise UserError(f"the output {str(out)!r} must be writable: {error.strerror}") from None
        yield folder, created
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        for parent in created:
            parent.rmdir()
