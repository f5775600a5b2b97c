"""docs/reference/cli.md is what the commands say of themselves."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import page
import pytest

PINNED = re.findall(r"^click==(.*)$", (Path(__file__).parents[2] / "constraints.txt").read_text("utf-8"), re.M)


@pytest.mark.skipif([version("click")] != PINNED, reason="other versions of click wrap help in other places")
def test_the_page_of_commands_is_up_to_date() -> None:
    assert page.FILE.read_text("utf-8") == page.text(), "run: python tests/cli/page.py --write"


def test_examples_of_the_help_fit_a_terminal_of_80_columns() -> None:
    lines = [line for line in page.text().splitlines() if line.startswith("  Example:")]
    assert len(lines) > 20
    assert not [line for line in lines if len(line) > 78]
