"""``python -m sqdm``."""

from sqdm.cli import main

main()
