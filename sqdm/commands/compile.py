"""``sqdm compile``: the network as a program for the accelerator."""

from pathlib import Path

import click

from sqdm.output import json_option, message, show, staged_folder

IMAGE, SYMBOLS, LISTING = "program.bin", "program.json", "listing.txt"


@click.command(epilog="Example: sqdm compile --images 10 --out out/program", short_help="Write the network's program.")
@click.option("--out", required=True, type=Path, help="Folder for the files.")
@click.option("--images", type=int, default=10, show_default=True, help="Images of one evaluation.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--model", type=Path, help="Model folder.  [default: the shipped one]")
@json_option
def compile(out: Path, images: int, config: str, model: Path | None, as_json: bool):
    """Write program.bin (memory image from address 0), program.json (symbol map, descriptors) and listing.txt.

    One run of the program is one evaluation of the network; docs/program.md says what the host does at its waits.
    """
    from sqdm.compiler.listing import listing
    from sqdm.compiler.network import compile_network
    from sqdm.golden.model_file import load_model
    from sqdm.rtl.config import load_config

    chosen = load_config(config)
    arrays = load_model(model).arrays
    with staged_folder(out) as folder:
        message(f"compiling the network for {images} images on {chosen.name}")
        program = compile_network(arrays, images, chosen)
        (folder / IMAGE).write_bytes(program.memory.tobytes())
        (folder / SYMBOLS).write_text(program.to_json())
        (folder / LISTING).write_text(listing(program))
    result = {
        "descriptors": len(program.descriptors),
        "waits": len(program.host_steps),
        "bytes": int(program.memory.size),
        "listing": str(out / LISTING),
        "files": [str(out / name) for name in (IMAGE, SYMBOLS, LISTING)],
    }
    text = f"{result['descriptors']} descriptors, {result['waits']} waits, {result['bytes']:,} bytes\nwritten: {out}"
    show(result, text, as_json)
