"""The wheel stands alone, and so does an editable install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "zoo",
    "zoo_autoencoders",
    "zoo_gans",
    "zoo_diffusion",
    "zoo_autoregressive",
    "zoo_features",
    "zoo_data",
    "zoo_loggers",
    "zoo_export",
}

USE = """
import importlib.metadata, pathlib, subprocess, sys
for name in ("plugins", "export", "tests", "conftest", "benchmarks"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} can be imported")
import zoo
assert importlib.metadata.version("genzoo") == zoo.__version__
assert "vae.tiny" in zoo.list_models(), zoo.list_models()
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree as a release is: from the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_our_packages_and_the_registry(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {"zoo/registry.yaml", "zoo/hub/community.yaml"} <= set(names)
    assert "zoo/py.typed" in names
    assert {f"zoo/gallery/page/{name}" for name in ("index.html", "style.css", "page.js")} <= set(names)
    templates = ROOT / "zoo" / "tools" / "plugin_templates"
    assert {path.relative_to(ROOT).as_posix() for path in templates.rglob("*.tmpl")} <= set(names)
    assert "zoo_autoencoders/releases/vae.digits/model.safetensors" in names
    assert [name for name in names if name.endswith("LICENSE")]


@pytest.mark.slow
@pytest.mark.parametrize("editable", [pytest.param(False, id="wheel"), pytest.param(True, id="editable")])
def test_an_installation_works_from_any_folder(wheel: Path, editable: bool, tmp_path: Path) -> None:
    """Installed without its dependencies, which this environment lends, so that nothing else of it is seen."""
    site = tmp_path / "site"
    what = ["--editable", str(ROOT)] if editable else [str(wheel)]
    environment = _environment(tmp_path)
    install = [environment, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *what]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    site.mkdir()
    _run(environment, site, "-c", USE)
    _run(environment, site, "-m", "zoo", "list")
    _run(environment, site, "-m", "zoo", "generate", "vae.digits")
    _run(environment, site, "-m", "zoo", "train", "vae.tiny")
    _run(environment, site, "-m", "zoo", "generate", "runs/vae.tiny", "-o", "a.png")
    assert (site / "a.png").is_file()


def _environment(folder: Path) -> Path:
    """A fresh virtual environment that sees this one's dependencies, but not its genzoo."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    own = next((folder / "venv").rglob("site-packages"))
    lent = folder / "lent"
    lent.mkdir()
    for entry in sorted(Path(_site_packages()).iterdir()):
        name = entry.name.lower()
        if not name.startswith(("genzoo", "_genzoo", "_editable_impl_genzoo", "__pycache__", "distutils-precedence")):
            (lent / entry.name).symlink_to(entry)
    (own / "lent.pth").write_text(f"{lent}\n")
    return folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def _site_packages() -> str:
    import torch

    return str(Path(torch.__file__).parents[1])


def _run(python: Path, cwd: Path, *arguments: str) -> None:
    done = subprocess.run([python, *arguments], cwd=cwd, capture_output=True, text=True, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
