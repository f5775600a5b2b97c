"""What runs without torch, and what is not even imported."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import TRAINING, Shelf, python
from zoo import registry

ROOT = Path(__file__).parents[1]
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]["layers"]
"""The packages of zoo from the top, each of which imports only those below."""

HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "numpy",
    "sklearn",
    "zoo_autoencoders",
    "zoo_gans",
    "zoo_diffusion",
    "zoo_autoregressive",
    "zoo_features",
    "zoo_data",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["info", "vae.mnist-beta4"], ["train", "--help"], ["data", "list"]]
)
def test_looking_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, zoo.cli\n"
        f"sys.argv = ['zoo', *{arguments!r}]\n"
        "try: zoo.cli.main()\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_packages_below_the_torch_side_are_imported_without_it() -> None:
    below = LAYERS[LAYERS.index("zoo.modules") + 1 :]
    assert {"zoo.runtime", "zoo.plugin", "zoo.core"} < set(below)
    code = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith("zoo.")]))
"""
    assert int(python(code, *below, block=TRAINING)) > 60


def test_the_contract_needs_neither_torch_nor_numpy() -> None:
    code = """
import importlib, pkgutil, zoo.contract, zoo.plugin
for module in pkgutil.iter_modules(zoo.contract.__path__, "zoo.contract."):
    importlib.import_module(module.name)
"""
    python(code, block=[*TRAINING, "numpy", "PIL", "onnxruntime"])


def test_a_release_is_used_without_what_training_needs(model_name: str, shelf: Shelf, tmp_path: Path) -> None:
    code = """
import sys, json, numpy as np, zoo
assert f"{sys.argv[2]}.tiny" in zoo.list_models()
with zoo.load(sys.argv[1]) as model:
    count = None if model.release.generation is None else len(model.generate(2, seed=0))
    for name, task in model.release.tasks.items():
        model.backend.run(name, {key: np.zeros((1, *spec.shape), spec.dtype) for key, spec in task.inputs.items()})
    print(json.dumps([count, sorted(model.tasks), model.providers, "torch" in sys.modules]))
"""
    count, tasks, providers, torch = json.loads(python(code, shelf.release(model_name), model_name, block=TRAINING))
    assert count == (None if registry.load(model_name).generate is None else 2)
    graphs = {path.stem for path in shelf.release(model_name).glob("*.onnx")}
    assert tasks == sorted(graphs - {"generate"})
    assert providers
    assert not torch


@pytest.mark.slow
def test_the_command_line_works_without_what_training_needs(shelf: Shelf, tmp_path: Path) -> None:
    code = """
import sys
from zoo.cli import main
try: main()
except SystemExit as done: assert not done.code, done.code
"""
    release = shelf.release("vae")
    for arguments in (
        ["list"],
        ["info", str(release)],
        ["generate", str(release), "-n", "4", "-o", "a.png"],
        ["run", str(release), "encode", str(_image(tmp_path))],
        ["verify", str(release)],
        ["doctor"],
    ):
        python(f"import sys; sys.argv = ['zoo', *{arguments!r}]\n{code}", block=TRAINING, cwd=tmp_path)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_python_m_zoo_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "zoo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("zoo ")


def _image(folder: Path) -> Path:
    from PIL import Image

    path = folder / "digit.png"
    Image.new("L", (8, 8), 200).save(path)
    return path
