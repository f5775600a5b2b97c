"""Makes the golden releases: tiny ones, and beside each what it gave when it was made, which must never change.

    python tests/golden/make.py              # those of this format that are not there yet
    python tests/golden/make.py --force vae  # again; only before the format that they are of is published

Each is a folder MODEL.FORMAT with the release, and expected.json. When FORMAT rises, those of older formats stay as
they are, and this script makes new ones beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo import registry
from zoo.core import files
from zoo.release import FORMAT, MANIFEST
from zoo.runtime import given_of
from zoo.runtime.example_inputs import examples

HERE = Path(__file__).parent
EXPECTED = "expected.json"
RELEASE = "release"
SHAPES = HERE.parent / "thirdparty" / "shapes"

SETTINGS: dict[str, dict[str, Any]] = {
    "vae": {"width": 2},
    "dcgan": {"width": 2},
    "chargpt": {},
    "features": {"width": 2},
    "pixelcnn": {"width": 4},
    "ddpm": {"width": 2},
    "painter": {},  # of tests/thirdparty/shapes: it has a codec, and generates from an image that is given
    "rows": {},  # of tests/kinds_plugin.py, on a table: its columns and classes have names
}
"""What is changed in the tiny recipe of each model, so that together they stay small."""

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "ddpm": [{}, {"steps": 3, "eta": 0.5}],
    "chargpt": [{"length": 40}, {"length": 24, "prompt": "a ", "temperature": 0.7, "top_k": 5, "top_p": 0.9}],
}
"""What is asked of a generation beside the seed; nothing for the others."""

SEEDS = ((0, 0), (2**63 + 5, 2**32 - 3))  # a seed, and the first index of two samples


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(SETTINGS)}; default: all")
    parser.add_argument("--force", action="store_true", help="replace those of this format that are there")
    asked = parser.parse_args(arguments)
    for model in asked.models or SETTINGS:
        to = HERE / f"{model}.{FORMAT}"
        if to.exists() and not asked.force:
            print(f"{to} is there already and was kept")
            continue
        make(model, to)
        print(f"{to} made: {sum(path.stat().st_size for path in to.rglob('*') if path.is_file()):,} bytes")


def install_shapes(site: Path) -> None:
    """Install the distribution zoo-shapes into a folder for this process, and write its data beside it."""
    about = tomllib.loads((SHAPES / "pyproject.toml").read_text("utf-8"))["project"]
    shutil.copytree(SHAPES / "zoo_shapes", site / "zoo_shapes")
    install(site, about["name"], about["version"], about["entry-points"])
    subprocess.run([sys.executable, "-m", "zoo_shapes.shapes", str(site / "data")], cwd=site, check=True)
    os.environ["ZOO_DATA_DIR"] = str(site / "data")


def install_rows(site: Path) -> Path:
    """Install tests/kinds_plugin.py into a folder for this process; returns a table beside it."""
    site.mkdir()
    shutil.copy(HERE.parent / "kinds_plugin.py", site)
    install(site, "zoo-kinds", "1.0", {registry.MODELS: {"rows": "kinds_plugin:rows"}})
    numbers = np.random.default_rng(0).normal(size=(60, 3)).round(3)
    rows = [f"{a},{('up', 'down')[place % 2]},{b},{c}" for place, (a, b, c) in enumerate(numbers)]
    (site / "table.csv").write_text("\n".join(["width,label,b b,é", *rows]) + "\n", "utf-8")
    return site / "table.csv"


def install(site: Path, name: str, version: str, points: Mapping[str, Mapping[str, str]]) -> None:
    """Install a distribution, whose code is in a folder, for this process."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in found.items())])
        for group, found in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    sys.path.insert(0, str(site))
    registry.forget()


def make(model: str, to: Path) -> None:
    """Train a tiny model, and put its release and what it gives into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        if model == "painter":
            install_shapes(Path(folder) / "site")
        data = f"array:{install_rows(Path(folder) / 'site')}" if model == "rows" else None
        run = zoo.train(f"{model}.tiny", data=data, set=SETTINGS[model], out=Path(folder) / "run", quiet=True).folder
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(run / RELEASE, to / RELEASE)
    expected = {
        "manifest": files.sha256(to / RELEASE / MANIFEST),
        "generate": generated(to / RELEASE, OPTIONS.get(model, [{}])),
        "tasks": computed(to / RELEASE),
    }
    files.write(to / EXPECTED, json.dumps(expected, indent=1) + "\n")


def generated(release: Path, options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a release generates for the seeds, and what was asked."""
    with zoo.load(release, device="cpu") as model:
        if model.release.generation is None:
            return []
        given = {name: to_json(value) for name, value in given_of(model, 2).items()}
        asked = [
            {"n": 2, "seed": seed, "first": first, **others, **given} for seed, first in SEEDS for others in options
        ]
        return [{"asked": one, "samples": to_json(model.generate(**arguments(one)))} for one in asked]


def arguments(asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked, as the arguments of ``generate``."""
    return {name: from_json(value) for name, value in asked.items()}


def computed(release: Path) -> dict[str, Any]:
    """What each task's graph gives for a batch of two plausible inputs, and these."""
    found = {}
    with zoo.load(release, device="cpu") as model:
        for name, task in model.release.tasks.items():
            plan = model.release.plan
            given = examples(task.inputs, 2, plan.schedule(name) if plan is not None else ())
            made = model.backend.run(name, given)
            found[name] = {
                side: {key: to_json(value) for key, value in values.items()}
                for side, values in (("inputs", given), ("outputs", made))
            }
    return found


def to_json(value: Any) -> Any:
    """Texts as they are; an array with its type, its shape and its bytes, little-endian."""
    if not isinstance(value, np.ndarray):
        return value
    little = value.astype(value.dtype.newbyteorder("<"))
    return {"dtype": str(value.dtype), "shape": list(value.shape), "hex": little.tobytes().hex()}


def from_json(value: Any) -> Any:
    """What :func:`to_json` was given."""
    if not isinstance(value, dict):
        return value
    flat: NDArray[Any] = np.frombuffer(bytes.fromhex(value["hex"]), np.dtype(value["dtype"]).newbyteorder("<"))
    return flat.astype(value["dtype"]).reshape(value["shape"])


if __name__ == "__main__":
    main(sys.argv[1:])
