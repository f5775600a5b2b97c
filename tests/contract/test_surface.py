"""The public surface does not change unless the changelog says so, and the rule of change holds for versions."""

from __future__ import annotations

from pathlib import Path

import pytest
import surface

from zoo.contract import version
from zoo.contract.version import CONTRACT

ROOT = Path(__file__).parents[2]
HOW = "The public surface changed: run python tests/contract/surface.py --write, and say what changed in CHANGELOG.md"


def test_the_surface_is_the_recorded_one() -> None:
    assert surface.text() == surface.FILE.read_text("utf-8"), HOW


def test_the_changelog_names_the_surface() -> None:
    line = f"Contract {CONTRACT} ({surface.fingerprint(surface.FILE.read_text('utf-8'))})"
    assert line in (ROOT / "CHANGELOG.md").read_text("utf-8"), f"{HOW}, in the line: {line}"


@pytest.mark.parametrize(
    ("contract", "newer"),
    [("1.0", False), ("0.9", False), ("1.1", True), ("2.0", True), ("10.0", True), ("", False), ("x", False)],
)
def test_which_contracts_are_newer(contract: str, newer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "CONTRACT", "1.0")
    assert version.is_newer(contract) == newer
