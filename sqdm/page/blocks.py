"""What a section of the page consists of."""

from dataclasses import dataclass, field
from pathlib import PurePath

from sqdm.rtl.config import PRESETS


@dataclass(frozen=True)
class Figure:
    """A picture: data URI, text for those who do not see it, sentences below it, the command that measured it."""

    uri: str
    alt: str
    caption: str
    command: str


@dataclass(frozen=True)
class Table:
    """Rows of text below ``heads``; the first column is a name."""

    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str
    command: str


@dataclass(frozen=True)
class Section:
    """``missing``: why there is nothing, and ``command`` what makes it; otherwise blocks below the introduction."""

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    blocks: list[Figure | Table] = field(default_factory=list)
    missing: str = ""
    command: str = ""


def config_option(config: dict) -> str:
    """The value of ``--config`` that gives these parameters: a preset's name, or the name of a file."""
    name = config["name"]
    preset = PRESETS.get(name)
    return name if preset and preset.to_dict() == config else f"{PurePath(name).name}.toml"


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """``1,234.5x``; a dash when there is none."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"  # noqa: RUF001


def percent(value: float | None, digits: int = 1) -> str:
    """``12.3%``; a dash when there is none."""
    return "–" if value is None else f"{value:.{digits}%}"  # noqa: RUF001
