"""What the page was made with: packages, configuration, commit."""

import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from sqdm import __version__

ROOT = Path(__file__).resolve().parents[2]  #: of a checkout; site-packages when installed


def packages() -> list[tuple[str, str]]:
    """Python, sqdm and the packages that it requires, with the versions that are installed."""
    found = [("python", platform.python_version()), ("sqdm", __version__)]
    try:
        required = metadata.requires("sqdm") or []
    except metadata.PackageNotFoundError:
        required = []
    for requirement in required:
        name = re.match(r"[\w.-]+", requirement)[0]
        if "extra ==" in requirement or any(name == known for known, _ in found):
            continue
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue  # for another version of Python
    return found


def commit() -> str:
    """A sentence with the commit of the checkout that the code lies in, or why there is none."""
    try:
        top = _git("rev-parse", "--show-toplevel")
        if top is None or Path(top).resolve() != ROOT:
            return "The code does not lie in a git checkout: no commit is known."
        head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):
        return "git is not installed or does not answer: no commit is known."
    if head is None:
        return "The checkout has no commit yet."
    changed = len(changes.splitlines()) if changes else 0
    if changed:
        return f"Commit {head}, and {changed} {'file' if changed == 1 else 'files'} changed since."
    return f"Commit {head}, nothing changed since."


def _git(*words: str) -> str | None:
    """Output of git in the checkout; None when it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=20)
    return done.stdout.strip() if done.returncode == 0 else None
