"""``python -m sqdm.sim.bench.document``: writes the tables of README and docs/bench.md from docs/bench.json.

docs/bench.json is what ``sqdm bench --engine rtl --json`` prints; this command runs nothing.
"""

from pathlib import Path

import click

from sqdm.cli import main
from sqdm.errors import UserError
from sqdm.output import message
from sqdm.sim.bench.experiments import HEADLINE
from sqdm.sim.bench.figures import read_json
from sqdm.sim.bench.picture import stacked_bars
from sqdm.sim.bench.text import HEADS, TITLES, by_group, cells, number, percent, times, used_columns
from sqdm.synth.document.tables import markdown, replace_tables

RESULT = Path("docs") / "bench.json"
README = Path("README.md")
PAGE = Path("docs") / "bench.md"
PICTURE = Path("docs") / "images" / "bench.png"
GAP = "*Not measured with this state of the design.*"
IMAGE = "![Cycles with work and stalls](images/bench.png)"

#: Rows of README's table in its order, and how it calls them.
LABELS = {
    "default": "`default`: eight sparse arrays of one slot",
    "sparse": "`sparse`: two sparse arrays of four slots",
    "paper": "`paper`: one dense and one sparse array of four slots",
    "threshold-30": "`paper` with the paper's policy, channels with over 30% zeros are sparse",
    "mixed-dense": "4-bit dense: two dense arrays, the shipped mix of 4 and 8 bit",
    "4bit-dense": "the same arrays, every layer in 4 bit (timing only)",
    "int8-dense": "the same arrays, every layer in 8 bit (timing only)",
    "int8-convention": "8-bit dense, the paper's convention",
    "fp16-dense": "FP16 dense, the paper's convention",
}


def read_result(path: Path) -> dict:
    """The measured result; UserError unless it was counted by the RTL and has every headline row."""
    found = read_json(path, "result", "sqdm bench --engine rtl --json", ("engine", "rows", "published"))
    if found["engine"] != "rtl":
        raise UserError(f"result {str(path)!r} must be of engine rtl, not {found['engine']!r}")
    missing = [name for name in HEADLINE if name not in {row["name"] for row in found["rows"] if row["cycles"]}]
    if missing:
        raise UserError(f"result {str(path)!r} must have cycles of every headline row, but misses {', '.join(missing)}")
    return found


def headline_table(result: dict) -> str:
    """README's table."""
    found = {row["name"]: row for row in result["rows"]}
    lines = []
    for name, label in LABELS.items():
        row = found[name]
        lines.append((label, number(row["cycles"]), times(row["speedup_4bit"]), times(row["speedup_fp16"]),
                      percent(row.get("element_sparsity")), percent(row.get("exploited_sparsity"))))  # fmt: skip
    paper = result["published"]
    published = (times(paper["speedup_4bit"]), times(paper["speedup_fp16"]))
    lines.append(("the paper, simulated, other models", "", *published, "", ""))
    heads = ("`sqdm bench --engine rtl`", "cycles", "over 4-bit dense", "over FP16 dense*", "products with a zero",
             "products skipped")  # fmt: skip
    return markdown(heads, lines)


def group_table(members: list[dict]) -> str:
    """A table of docs/bench.md: the columns that have figures, the model's error last."""
    columns = used_columns(members)
    lines = [
        (f"`{row['name']}`", *(cells(row)[column] for column in columns), signed(row.get("model_error")))
        for row in members
    ]
    return markdown(("row", *(HEADS[column] for column in columns), "model"), lines)


def signed(share: float | None) -> str:
    return "" if share is None else f"{share:+.2%}"


def page_tables(result: dict | None) -> dict[str, str]:
    """Every table of docs/bench.md and its picture; where there is no result the sentence that says so."""
    groups = by_group(result["rows"]) if result else {}
    tables = {name: group_table(groups[name]) if name in groups else GAP for name in TITLES}
    return tables | {"picture": IMAGE if result else GAP}


@click.command()
@click.option("--result", type=Path, default=RESULT, show_default=True, help="Output of sqdm bench --engine rtl.")
def document(result: Path) -> None:
    """Write the tables of README.md and docs/bench.md and its picture, from a checkout of the repository."""
    for page in (README, PAGE):
        if not page.exists():
            raise UserError(f"the working directory must hold {page}, whose tables are made")
    found = read_result(result)
    readme = replace_tables(README.read_text(), {"headline": headline_table(found)})
    page = replace_tables(PAGE.read_text(), page_tables(found))
    README.write_text(readme)
    PAGE.write_text(page)
    caption = f"{found['images']} images, {found['evaluations']} evaluations, counted by the RTL"
    stacked_bars(found["rows"], caption, PICTURE)
    message(f"written: the tables of {README} and {PAGE}, and {PICTURE}")


if __name__ == "__main__":
    main(command=document, name="python -m sqdm.sim.bench.document")
