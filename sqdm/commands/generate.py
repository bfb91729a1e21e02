"""``sqdm generate``: the hardware of a configuration as files."""

import json
from pathlib import Path

import click

from sqdm.output import json_option, message, show, staged_folder


@click.command(epilog="Example: sqdm generate --config tiny --out out/rtl", short_help="Write the Verilog.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--out", required=True, type=Path, help="Folder for the files.")
@json_option
def generate(config: str, out: Path, as_json: bool):
    """Write the hardware as a package for other flows.

    SystemVerilog that lints clean, a wrapper with complete AXI ports, a C header and a page of the registers, a
    FuseSoC core file, scripts for yosys and Vivado, timing constraints, and a README about all of it.
    """
    from sqdm.package.contents import MANIFEST, contents
    from sqdm.rtl.config import load_config

    chosen = load_config(config)
    with staged_folder(out) as folder:
        files = contents(chosen, message)
        for name, file in files.items():
            (folder / name).write_text(file.text)
    described = json.loads(files[MANIFEST].text)
    kept = ("top", "parameters", "registers", "descriptor", "ports", "memory_bits", "wrapper")
    result = {"files": [str(out / name) for name in files]} | {name: described[name] for name in kept}
    text = f"module {described['top']}, {described['memory_bits']:,} memory bits\nwritten: {out}"
    show(result, text, as_json)
