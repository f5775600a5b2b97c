"""The built-in models pass the suite that third parties run on theirs, and it finds what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Shelf
from zoo.testing import CHECKS, Check, Subject, run

LONG = ("quantisation", "resume", "discovery", "metrics")
"""Checks that take seconds."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_built_in_models(model_name: str, check: Check, shelf: Shelf, tmp_path: Path) -> None:
    result = run(check, Subject(model_name, tmp_path, shelf.run(model_name)))
    assert result.ok is not False, result.text
