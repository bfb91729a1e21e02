"""What the page says about where it was made."""

import subprocess

import pytest

from sqdm.page import environment


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one commit; gives a function that runs git in it."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def git(*words):
        names = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        return subprocess.run(["git", *names, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    return git


def test_commit(checkout):
    assert environment.commit() == f"Commit {checkout('rev-parse', 'HEAD').strip()}, nothing changed since."


def test_changed_files(checkout, tmp_path):
    (tmp_path / "file").write_text("2")
    assert environment.commit() == f"Commit {checkout('rev-parse', 'HEAD').strip()}, and 1 file changed since."


def test_checkout_around_an_installation_is_not_its_commit(checkout, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(environment, "ROOT", tmp_path / "site")
    assert "no commit is known" in environment.commit()


def test_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.commit() == "The code does not lie in a git checkout: no commit is known."


def test_no_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment.commit() == "git is not installed or does not answer: no commit is known."


def test_packages_are_those_that_are_required():
    found = dict(environment.packages())
    assert {"python", "sqdm", "amaranth", "numpy", "torch", "matplotlib"} <= found.keys()
    assert "pytest" not in found
    assert all(version[0].isdigit() for version in found.values())
