"""``sqdm synth``: what the parts cost."""

import click

from sqdm.output import json_option, progress, show, table

PARTS = ("dense", "sparse", "address", "detector", "post", "normaliser", "map", "port", "all")


@click.command(epilog="Example: sqdm synth --target gates --part sparse", short_help="Area of the parts.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--part", type=click.Choice(PARTS), multiple=True, help="Again for several.  [default: every part]")
@click.option("--target", type=click.Choice(["gates"]), default="gates", show_default=True, help="Technology.")
@json_option
def synth(config: str, part: tuple[str, ...], target: str, as_json: bool):
    """Cells, flip-flops and memory bits of the parts of the accelerator.

    Target gates: two-input gates, multiplexers and flip-flops; area in gate equivalents (NAND gates); memories are
    counted in bits, apart from the cells. Parts dense and sparse are one PE array each; post is the whole output path,
    normaliser and map make codes and resample, port is the AXI4 memory port.
    """
    from sqdm.rtl.config import load_config
    from sqdm.synth.gates import synthesize

    chosen = load_config(config)
    names = [name for name in PARTS if name in part or not part]
    with progress("synthesis", len(names)) as update:
        done: list[str] = []

        def on_part(name: str) -> None:
            done.append(name)
            update(len(done), name)

        parts = synthesize(chosen, names, on_part)
    rows = [
        (p["name"], f"{p['cells']:,}", f"{p['flipflops']:,}", f"{p['memory_bits']:,}", f"{p['area']:,.0f}")
        for p in parts
    ]
    heads = ("part", "cells", "flip-flops", "memory bits", parts[0]["unit"])
    show({"config": chosen.name, "target": target, "parts": parts}, table(rows, heads), as_json)
