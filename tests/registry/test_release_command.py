"""``zoo release``: what it refuses, in one line and before anything is written."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path

import pytest

from conftest import Refused, Shelf
from zoo import registry


def test_a_package_that_does_not_have_the_model_is_refused(shelf: Shelf, refused: Refused) -> None:
    says = ("gan.tiny is a model of genzoo, whose package is zoo_gans", "not 'zoo_autoencoders'", "--into zoo_gans")
    refused("release", shelf.run("gan"), "--into", "zoo_autoencoders", says=says)
    refused("release", shelf.run("gan"), "--into", "./nowhere", says=("not './nowhere'", "--into zoo_gans"))


def test_a_run_that_is_not_finished_is_refused(shelf: Shelf, tmp_path: Path, refused: Refused) -> None:
    run = shutil.copytree(shelf.run("gan"), tmp_path / "run")
    about = json.loads((run / "recipe.json").read_text("utf-8"))
    steps = about["recipe"]["steps"]
    about["recipe"]["steps"] = 2 * steps
    (run / "recipe.json").write_text(json.dumps(about), "utf-8")
    refused("release", run, says=(f"is not finished: it is at step {steps} of {2 * steps}", "--resume", "--checkpoint"))


def test_an_installed_copy_is_refused(shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = registry.package_folder("zoo_gans")
    assert folder is not None
    monkeypatch.setattr(sysconfig, "get_path", lambda key: str(folder.parent))
    refused("release", shelf.run("gan"), says=(str(folder), "is an installed copy", "pip install -e"))


def test_what_is_no_run_is_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "empty").mkdir()
    refused("release", "./empty", says=("neither a run folder nor a release folder",))
    refused("release", "./nothing", says=("nothing",))
