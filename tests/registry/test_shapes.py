"""A distribution that brings what is not zoo's own: data, a sampler, an optimiser, a codec and a metric."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from browsers import in_node, node
from conftest import python
from zoo.release import read
from zoo.runtime import derived, given_of

PROJECT = Path(__file__).parents[1] / "thirdparty" / "shapes"
NAME = "zoo-shapes"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables of a process in which the distribution is installed, with its registry and its data."""
    folder = tmp_path_factory.mktemp("shapes")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    variables = {**os.environ, "PYTHONPATH": str(folder / "site"), "ZOO_DATA_DIR": str(folder / "data")}
    for module, *arguments in (
        ("zoo_shapes.shapes", str(folder / "data")),
        (
            "zoo",
            "registry",
            "build",
            "--distribution",
            NAME,
            "-o",
            str(folder / "site" / "zoo_shapes" / "registry.yaml"),
        ),
    ):
        subprocess.run([sys.executable, "-m", module, *arguments], env=variables, check=True, capture_output=True)
    return variables


def call(variables: Mapping[str, str], cwd: Path, *arguments: object) -> str:
    """What a command of zoo prints."""
    command = [sys.executable, "-m", "zoo", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(variables: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painter")
    said = call(variables, folder, "train", "painter.tiny")
    assert 'zoo generate runs/painter.tiny --outline "image.png"' in said
    return folder / "runs" / "painter.tiny"


def test_it_has_fewer_than_300_lines() -> None:
    files = [PROJECT / "pyproject.toml", *(PROJECT / "zoo_shapes").glob("*.py")]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) < 300


def test_lists_describe_it_without_importing_it(variables: Mapping[str, str], tmp_path: Path) -> None:
    code = "import sys; from zoo.cli import main; sys.argv.append('--json')\ntry: main()\nexcept SystemExit: pass\n"
    code += "assert not {'zoo_shapes', 'torch', 'numpy'} & {*sys.modules}"
    found = {}
    for words in (["list", "painter*"], ["data", "list"]):
        done = subprocess.run([sys.executable, "-c", code, *words], env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[words[0]] = {row["name"]: row for row in json.loads(done.stdout)}
    assert found["list"]["painter.shapes"]["title"] == "Painter of outlines"
    shapes = found["data"]["shapes"]
    assert (shapes["train"], shapes["test"], shapes["licence"], shapes["classes"]) == (300, 60, "MIT", 3)
    assert shapes["where"] == str(Path(variables["ZOO_DATA_DIR"]) / "shapes")


@pytest.mark.slow
def test_it_is_proven_and_measured(variables: Mapping[str, str], run: Path) -> None:
    found = json.loads(call(variables, run, "verify", run, "--json"))
    assert "agree on every task" in found["parity"]
    assert "come back as decode gives them" in found["codec"]
    names = [metric["name"] for metric in read(run / "release").manifest["metrics"]]
    assert names[:2] == ["codec_error", "mmd"]
    evaluated = json.loads(call(variables, run, "evaluate", run, "--only", "bits_per_dimension", "--json"))
    assert "header included" in str(evaluated)


SAMPLES = """
import json, sys, zoo
import numpy as np
with zoo.load(sys.argv[1], backend=sys.argv[2]) as model:
    outline = np.load(sys.argv[3])
    print(json.dumps(model.generate(outline=outline, guidance=3.0, seed=7, steps=5).tolist()))
"""


@pytest.mark.slow
def test_torch_and_onnx_runtime_generate_the_same(variables: Mapping[str, str], run: Path, tmp_path: Path) -> None:
    with zoo.load(run) as model:  # without its plugin
        outline = given_of(model, 4)["outline"]
        here = model.generate(outline=outline, guidance=3.0, seed=7, steps=5)
        assert np.array_equal(model.generate(outline=outline[3], guidance=3.0, seed=7, steps=5, first=3)[0], here[3])
    np.save(tmp_path / "outline.npy", outline)
    command = [sys.executable, "-c", SAMPLES, str(run), "torch", str(tmp_path / "outline.npy")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(np.array(json.loads(done.stdout)) - here.astype(int)).max() <= 1


@pytest.mark.slow
def test_it_generates_compresses_and_decompresses_files_without_torch_and_its_plugin(run: Path, tmp_path: Path) -> None:
    with zoo.load(run) as model:
        model.save(given_of(model, 1)["outline"], tmp_path / "outline.npy")
    code = f"""
import sys
from zoo.cli import main
for words in (
    ["generate", {str(run)!r}, "--outline", "outline.npy", "--guidance", "2", "-n", "3", "-o", "filled.npy"],
    ["compress", {str(run)!r}, "filled.npy", "-o", "small.zooc"],
    ["decompress", {str(run)!r}, "small.zooc", "-o", "again.npy"],
):
    try:
        sys.argv[1:] = words
        main()
    except SystemExit as end:
        assert not end.code, words
"""
    python(code, block=["torch", "zoo_shapes", "onnx"], cwd=tmp_path)
    filled, again = np.load(tmp_path / "filled.npy"), np.load(tmp_path / "again.npy")
    with zoo.load(run) as model:
        assert np.array_equal(again, model.decode(model.encode(filled)))


@pytest.mark.slow
@node
def test_the_graph_in_node_gives_the_same(run: Path) -> None:
    release = read(run / "release")
    assert release.plan is not None
    with zoo.load(run) as model:
        images = given_of(model, 3)["outline"].astype(np.float32)[:, None] / 255
    asked: dict[str, Any] = {"outline": images, "guidance": np.array([0, 2, 4], np.float32)}
    in_node(release, derived.feeds(release.plan, seed=2**64 - 2, first=5, n=3, asked=asked, steps=4))


@pytest.mark.slow
def test_it_resumes_exactly_after_kills(variables: Mapping[str, str], tmp_path: Path) -> None:
    options = ["train", "painter.tiny", "-q", "--set", "steps=120", "--checkpoint-every", "10", "--no-release"]
    call(variables, tmp_path, *options, "-o", "whole")
    for attempt in range(2):
        command = [sys.executable, "-m", "zoo", *options, "-o", "killed", *(["--resume"] if attempt else [])]
        training = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL)
        wanted, end = 10 + 30 * attempt, time.monotonic() + 120
        while not list((tmp_path / "killed" / "checkpoints").glob(f"step-*{wanted}.safetensors")):
            assert training.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        training.send_signal(signal.SIGKILL)
        assert training.wait() == -signal.SIGKILL
    call(variables, tmp_path, *options, "-o", "killed", "--resume")
    from zoo.training import checkpoints

    whole, killed = (checkpoints.read(tmp_path / name, "last") for name in ("whole", "killed"))
    assert whole.tensors.keys() == killed.tensors.keys()
    assert all(whole.tensors[name].equal(killed.tensors[name]) for name in whole.tensors)
