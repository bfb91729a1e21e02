"""Builds are cached by content, appear whole, and fail in one line."""

import pytest

from sqdm.errors import UserError
from sqdm.rtl.config import PRESETS
from sqdm.sim import library

TINY = PRESETS["tiny"]


@pytest.fixture
def fake_compiler(monkeypatch, tmp_path):
    """An empty cache and a compiler that only notes that it ran."""
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "verilog", lambda config: f"module {config.name}")
    ran = []

    def compile_(text, config, final, harness):
        ran.append(text)
        final.parent.mkdir(parents=True, exist_ok=True)
        final.write_text(text)

    monkeypatch.setattr(library, "_compile", compile_)
    return ran


def test_same_content_builds_once(fake_compiler):
    messages = []
    first = library.build(TINY, messages.append)
    assert library.build(TINY, messages.append) == first
    assert fake_compiler == ["module tiny"]
    assert messages == ["compiling the tiny accelerator"]


def test_changed_verilog_or_harness_builds_again(fake_compiler, monkeypatch, tmp_path):
    paths = {library.build(TINY), library.build(PRESETS["default"])}
    harness = tmp_path / "harness.cpp"
    harness.write_text("// another")
    monkeypatch.setattr(library, "HARNESS", (harness, *library.HARNESS[1:]))
    paths.add(library.build(TINY))
    assert len(paths) == len(fake_compiler) == 3


def test_verilog_is_cached(monkeypatch, tmp_path):
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path))
    text = library.verilog(TINY)
    assert f"module {library.TOP}(" in text
    monkeypatch.setattr(library.emit, "to_verilog", lambda *_: pytest.fail("emitted again"))
    assert library.verilog(TINY) == text


def test_missing_compiler_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(library, "verilog", lambda config: "module x")
    with pytest.raises(UserError, match=r"g\+\+.*must be on PATH"):
        library.build(TINY)


def test_failing_compilation_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(library, "verilog", lambda config: "this is not Verilog")
    with pytest.raises(UserError, match=r"must compile, but: .*syntax error") as caught:
        library.build(TINY)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_unwritable_cache_is_refused(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SQDM_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cache .* must be writable"):
        library.build(TINY)
