"""sqdm: open RTL of the SQ-DM diffusion-model accelerator (arXiv 2501.15448)."""

from pathlib import Path

# In a checkout (or an editable install) the subpackages are the top-level folders beside this one.
if not (Path(__file__).parent / "rtl").is_dir():
    __path__.append(str(Path(__file__).parents[1]))

__version__ = "0.3.0"
