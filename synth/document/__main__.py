"""``python -m sqdm.synth.document``: measures everything that docs/area-timing-energy.md shows, and writes it there.

Every figure comes from a command of `sqdm`; results of yosys, nextpnr and the simulations are cached by content, so
what has not changed is not measured again. Cold it takes hours, the placements most of them.
"""

from pathlib import Path

import click

from sqdm.cli import main
from sqdm.errors import UserError
from sqdm.output import message
from sqdm.synth.document.collect import collect
from sqdm.synth.document.pictures import area_picture, fmax_picture
from sqdm.synth.document.tables import TABLES, replace_tables, table_or_gap

PAGE = Path("docs") / "area-timing-energy.md"


@click.command()
@click.option("--liberty", type=Path, multiple=True, help="Cells.  [default: OSU 0.18 um]")
@click.option("--results", type=Path, default=Path("out/figures"), show_default=True, help="JSON of every command.")
@click.option("--measure/--no-measure", default=True, help="Run the commands, or take what lies in the folder.")
def document(liberty: tuple[Path, ...], results: Path, measure: bool) -> None:
    """Write the tables of docs/area-timing-energy.md and its pictures, from a checkout of the repository."""
    if not PAGE.exists():
        raise UserError(f"the working directory must hold {PAGE}, the page whose tables are made")
    found = collect(results, liberty, measure, message)
    PAGE.write_text(replace_tables(PAGE.read_text(), {name: table_or_gap(name, found) for name in TABLES}))
    images = PAGE.parent / "images"
    if "gates" in found:
        area_picture(found["gates"], images / "area.png")
    if "place" in found:
        fmax_picture(found["place"], images / "fmax.png")
    if "energy" in found:
        (images / "energy.png").write_bytes((results / "energy" / "energy.png").read_bytes())
    message(f"written: {PAGE} and the pictures in {images}, from {', '.join(found)}")


if __name__ == "__main__":
    main(command=document, name="python -m sqdm.synth.document")
