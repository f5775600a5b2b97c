"""The progress of uploads: one bar on a terminal, plain lines elsewhere; if quiet, notes alone."""

from __future__ import annotations

import io
import sys

import pytest

from zoo.core.progress import Uploads


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def upload(quiet: bool = False) -> None:
    with Uploads(quiet) as uploads:
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
