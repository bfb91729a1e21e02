"""Puts the page together."""

import platform
from datetime import datetime, timezone
from importlib import resources

from jinja2 import Environment, StrictUndefined

from sqdm.page import environment
from sqdm.page.blocks import Figure, Section, Table
from sqdm.page.cost_sections import area, energy, headline
from sqdm.page.inputs import Inputs
from sqdm.page.run_sections import layers, samples, sparsity


def sections(inputs: Inputs) -> list[Section]:
    """All sections in the order of the page; those without an input say what makes it."""
    sample = inputs.sample
    return [
        samples(sample),
        headline(inputs.bench),
        layers(sample),
        sparsity(sample),
        area(inputs.synth),
        energy(inputs.energy),
        _environment(sample.report["config"]),
    ]


def _environment(config: dict) -> Section:
    rows = [(name, f'"{value}"' if isinstance(value, str) else str(value)) for name, value in config.items()]
    return Section(
        "environment",
        "Environment",
        [
            environment.commit(),
            f"Written on {datetime.now(timezone.utc):%Y-%m-%d} (UTC), on {platform.system()} {platform.machine()}. "
            "Commit and versions are those at hand when the page was written; results "
            "that were given as files may be older.",
        ],
        [
            Table(("key", "value"), rows, "The configuration of the sampling run, as it would stand in a TOML file. "
                  "rtl/config.py explains the keys.", "sqdm sample --config FILE.toml --out DIR"),
            Table(("package", "version"), environment.packages(), "The packages that sqdm requires, as installed.",
                  "python -m pip list"),
        ],
    )  # fmt: skip


def render(found: list[Section], inputs: Inputs) -> str:
    """The page as HTML, complete in itself."""
    report = inputs.sample.report
    folder = resources.files("sqdm.page")
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.tests["figure"] = lambda block: isinstance(block, Figure)
    template = jinja.from_string((folder / "template.html.j2").read_text(encoding="utf-8"))
    title = f"sqdm report: {report['images']} digits, configuration {report['config']['name']}, {report['steps']} steps"
    style = (folder / "style.css").read_text(encoding="utf-8")
    return template.render(title=title, sections=found, style=style)
