"""``sqdm generate``: the hardware of a configuration as files."""

import json
from pathlib import Path

import click

from sqdm.output import json_option, message, show, staged_folder

HEADER = "sqdm_registers.h"


@click.command(epilog="Example: sqdm generate --config tiny --out out/rtl", short_help="Write the Verilog.")
@click.option("--config", default="default", show_default=True, help="Configuration: a name or a TOML file.")
@click.option("--out", required=True, type=Path, help="Folder for the files.")
@json_option
def generate(config: str, out: Path, as_json: bool):
    """Write SystemVerilog, manifest.json, the registers as C header and as a page, and a FuseSoC core file."""
    from sqdm.header import c_header
    from sqdm.manifest import core_file, manifest
    from sqdm.register_page import register_page
    from sqdm.rtl.accelerator import Accelerator
    from sqdm.rtl.config import load_config
    from sqdm.sim.library import TOP, verilog

    chosen = load_config(config)
    with staged_folder(out) as folder:
        message(f"generating the {chosen.name} accelerator")
        text = verilog(chosen)
        described = manifest(TOP, Accelerator(chosen), chosen, text)
        files = {
            f"{TOP}.sv": text,
            "manifest.json": json.dumps(described, indent=1) + "\n",
            HEADER: c_header(chosen),
            "registers.md": register_page(),
            f"{TOP}.core": core_file(TOP, f"{TOP}.sv", HEADER, chosen),
        }
        for name, content in files.items():
            (folder / name).write_text(content)
    result = {
        "top": TOP,
        "files": [str(out / name) for name in files],
        "parameters": described["parameters"],
        "registers": described["registers"],
        "descriptor": described["descriptor"],
        "ports": described["ports"],
        "memory_bits": described["memory_bits"],
    }
    show(result, f"module {TOP}, {described['memory_bits']:,} memory bits\nwritten: {out}", as_json)
