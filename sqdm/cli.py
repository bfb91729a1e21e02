"""The command line: finds the commands, turns mistakes into one line and an exit status.

Exit status 0: done; 1: it ran, and the answer is bad; 2: the request was wrong and nothing was written.
"""

import importlib
import os
import sys

import click

from sqdm import __version__
from sqdm.errors import DeviceError, UserError

#: The commands in the order of `--help`; each is a module of `sqdm.commands` that is imported when it is needed.
COMMANDS = (
    "sample",
    "layer",
    "compile",
    "generate",
    "vectors",
    "synth",
    "energy",
    "fpga",
    "bench",
    "explore",
    "report",
    "train",
    "quantize",
)


class Commands(click.Group):
    """Imports a command's module only when it is asked for: `--help` need not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"sqdm.commands.{name}"), name)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UserError(f"command must be one of {', '.join(COMMANDS)}, not {args[0]!r}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sqdm")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """SQ-DM in open RTL: a 4-bit accelerator for diffusion models that skips zeros.

    Every command takes --json (one JSON object on standard output) and --help (with an example).
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def one_line(text: str) -> str:
    """A message without line breaks."""
    return " ".join(str(text).split())


def main(arguments: list[str] | None = None, command: click.Command = cli, name: str = "sqdm") -> None:
    """Run the command line, or a ``command`` of another module, and leave the process with its exit status."""
    try:
        status = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        status = fail(str(error), 2)
    except click.ClickException as error:
        status = fail(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        status = fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except DeviceError as error:
        status = fail(str(error), 1)
    sys.exit(status if isinstance(status, int) else 0)


def fail(text: str, status: int) -> int:
    """Print the one-line error and return `status`."""
    click.echo(f"error: {one_line(text)}", err=True)
    return status
