"""What people read first is true: the README's commands, the tables of the contract and the packages, help."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
import zoo.plugin
from conftest import Command
from test_boundary import LAYERS
from zoo import registry
from zoo.cli import COMMANDS
from zoo.contract import names
from zoo.pipeline import registry_build

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_registry_and_the_readme_table_are_up_to_date() -> None:
    path, stale = registry_build.write("genzoo", check=True)
    assert path == ROOT / "registry.yaml"
    assert not stale, "run: zoo registry build"


def test_the_registry_has_no_problem() -> None:
    listed = registry.read_file("genzoo")
    assert listed.problem == ""
    assert set(listed.models) == {name for name in registry.plugins() if registry.find(name).distribution == "genzoo"}
    assert {"vae", "dcgan", "chargpt", "ddpm", "features"} <= set(listed.models)


@pytest.mark.slow
def test_make_demo_trains_releases_and_samples_without_torch(tmp_path: Path) -> None:
    """The README's first command, in this environment instead of a new .venv."""
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    for name in ("python", "zoo"):
        (venv / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {"-m zoo " if name == "zoo" else ""}"$@"\n')
        (venv / name).chmod(0o755)
    (tmp_path / "venv" / ".demo").touch()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"))
        os.utime(tmp_path / name, (0, 0))
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", "VENV=venv"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "torch in memory: False" in done.stdout
    for name in ("samples.png", "reconstructions.png", "vae.digits/release/manifest.json"):
        assert (tmp_path / "demo" / name).is_file()
    following = done.stdout.split("Try next:\n")[1].splitlines()
    assert len(following) == 3
    assert all(" zoo " in f" {line}" for line in following)


def quick(text: str) -> str:
    """The same, with the recipe ``tiny`` where something is trained, and in one round where speed is measured."""
    for place in ("runs/", "train ", 'train("'):
        text = text.replace(f"{place}vae.digits", f"{place}vae.tiny")
    return text.replace("zoo bench ", "zoo bench --rounds 1 --only onnx ")


@pytest.mark.slow
def test_the_tour_runs(tmp_path: Path, zoo_call: Command) -> None:
    """The README's shell lines and Python lines, with the recipe ``tiny`` for speed."""
    shell = re.findall(r"^(zoo [^#\n]*)", README.split("## Five minutes")[1].split("```python")[0], re.M)
    assert len(shell) >= 7
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    for line in shell:
        done = zoo_call(*quick(line).split()[1:])
        assert done.returncode == 0, (line, done.stderr)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    script = quick(code)
    exec(script, {})


def test_the_reference_lists_the_contract() -> None:
    text = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")
    values = {
        name: getattr(zoo, name) for name in zoo.plugin.__all__ if name not in ("Batch", "Recipe", "setting", "use")
    }
    rows = dict(re.findall(r"^\| `zoo\.(\w+)` \| (.*) \|$", text, re.M))
    assert rows.keys() == values.keys()
    for name, cls in values.items():
        assert re.findall(r"`(\w+)(?:=|`)", rows[name]) == [field.name for field in dataclasses.fields(cls)], name
    assert all(f"`{name}`" in text for name in names.TAKEN)


def test_the_contributors_guide_has_every_package_in_its_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = [
        name for row in re.findall(r"^\| (`[^|]*) \|", text, re.M) for name in re.findall(r"`(?:export/)?([^`]*)`", row)
    ]
    wanted = [name.strip() for layer in LAYERS for name in layer.split("|")]
    assert [name.removesuffix(".py").replace("/", ".") for name in found] == wanted


def test_a_task_may_have_no_name_that_a_loaded_model_has() -> None:
    assert set(names.TAKEN) >= {name for name in dir(zoo.LoadedModel) if not name.startswith("_")}


@pytest.mark.parametrize(
    "name",
    [
        *COMMANDS,
        "registry build",
        "registry refresh",
        "plugin new",
        "data list",
        "data get",
        "data info",
    ],
)
def test_every_command_has_help_with_an_example(name: str, zoo_call: Command) -> None:
    done = zoo_call(*name.split(), "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout
    assert len(done.stdout.splitlines()) > 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str, zoo_command: Command) -> None:
    script = zoo_command("completion", shell)
    assert "_ZOO_COMPLETE" in script.stdout
    words = "zoo train vae.d"
    done = zoo_command(
        env={
            "_ZOO_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": "2" if shell != "fish" else "vae.d",
        }
    )
    assert "vae.digits" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_settings_of_the_model_are_completed(zoo_command: Command) -> None:
    words = {"COMP_WORDS": "zoo train vae.tiny --set lat", "COMP_CWORD": "4", "_ZOO_COMPLETE": "bash_complete"}
    assert "latent=" in zoo_command(env=words).stdout
