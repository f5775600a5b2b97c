"""The progress of transfers: one bar on a terminal, plain lines elsewhere, if quiet, notes alone."""

from __future__ import annotations

import io
import sys

import pytest

from zoo.core.progress import Transfers, downloads, stop_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def upload(quiet: bool = False) -> None:
    with Transfers("Uploading", quiet) as uploads:
        for done in (0, 500_000, 1_000_000):
            uploads.move(done, 2_000_000, "a.onnx")
        uploads.step("A step.")
        uploads.say("A line.")
        uploads.move(2_000_000, 2_000_000, "b.onnx")


def test_each_file_is_a_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    upload()
    assert capsys.readouterr().err.splitlines() == ["Uploading a.onnx …", "A step.", "A line.", "Uploading b.onnx …"]
    upload(quiet=True)
    assert capsys.readouterr() == ("", "A line.\n")


def test_a_terminal_shows_a_bar_for_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    upload()
    shown = terminal.getvalue()
    assert "2000/2000" in shown
    assert "kB/s" in shown
    assert "A line.\n" in shown
    assert "a.onnx …" not in shown


def test_a_download_that_ends_early_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows, such as an error, is on a line of its own, and nothing is drawn over it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    move = downloads(quiet=False)
    move(0, 1_600_000, "vae.digits")
    move(800_000, 1_600_000, "vae.digits")
    stop_bars()
    shown = terminal.getvalue()
    assert "Downloading" in shown
    assert shown.endswith(("\n", "\x1b[?25h"))
    stop_bars()
    assert terminal.getvalue() == shown


def test_a_download_of_unknown_size_draws_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    downloads(quiet=False)(5, None, "a.zip")
    assert terminal.getvalue() == ""
