"""The built-in models pass the suite that third parties run on theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import KINDS, MODELS, Shelf, slow
from zoo.testing import CHECKS, Check, Subject, run

LONG = ("discovery", "metrics", "quantisation", "resume")
"""Checks that take seconds, and wait for ``-m slow``."""

SLOWEST = {("ddpm", "declarations"), ("chargpt", "declarations")}

EVERY = [(model, check) for model in MODELS for check in CHECKS]
QUICK = [(model, check) for model, check in EVERY if model in KINDS and check.name not in LONG]
QUICK = [(model, check) for model, check in QUICK if (model, check.name) not in SLOWEST]
QUICK += [("cgan", check) for check in CHECKS if check.name == "resume"]


@pytest.mark.parametrize(
    ("model", "check"),
    [*QUICK, *slow(*(pair for pair in EVERY if pair not in QUICK))],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_the_built_in_models(model: str, check: Check, shelf: Shelf, tmp_path: Path) -> None:
    result = run(check, Subject(model, tmp_path, shelf.run(model)))
    assert result.ok is not False, result.text
