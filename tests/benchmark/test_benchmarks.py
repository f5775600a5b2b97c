"""The scripts in benchmarks/ run on the code as it is, and compare what they say they compare."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from conftest import Shelf
from zoo import data, registry
from zoo.benchmark import rounds
from zoo.modules import build, derive_seed
from zoo.training import loop, phases, rehearsal, run_folder
from zoo.training.batches import Batches
from zoo.training.distributed import World
from zoo.training.trainer_state import TrainingRun, TrainOptions

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "benchmarks"
sys.path.append(str(SCRIPTS))

import measure  # noqa: E402
import plain  # noqa: E402
import training  # noqa: E402
import trials  # noqa: E402

CPU = torch.device("cpu")

needs_data = pytest.mark.skipif(
    not all((Path(os.environ.get("ZOO_DATA_DIR", "")) / name).is_dir() for name in ("mnist", "tinyshakespeare")),
    reason="needs MNIST and Tiny Shakespeare: ZOO_DATA_DIR names no folder that holds mnist/ and tinyshakespeare/",
)

Script = Callable[..., tuple[object, str]]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Script:
    """Runs a script of benchmarks/ in this process: its exit status, or the line that it ends with, and its output."""

    def call(name: str, *arguments: str | Path) -> tuple[object, str]:
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        capsys.readouterr()
        status: object = 0
        try:
            measure.run(module.main)
        except SystemExit as ended:
            status = ended.code
        return status, capsys.readouterr().out

    return call


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads: the cells of each."""
    found = [[case.strip() for case in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    heads = [number for number, row in enumerate(found) if set("".join(row)) <= {"-", " ", "|"}]
    assert heads, text
    assert all(len(row) == len(found[heads[0]]) for row in found) or len(heads) > 1
    return [row for number, row in enumerate(found) if number not in heads and number + 1 not in heads]


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Data of the form that the recipes have, by the recipe's data set: 40 images of 28 × 28, and a short text."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(40):
        pixels = random.integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 100)
    return {"mnist": f"folder:{folder / 'images'}", "shakespeare": f"text:{folder / 'text.txt'}"}


@pytest.mark.parametrize("name", plain.LOOPS)
def test_a_plain_loop_is_the_trainer_step_by_step(name: str, own_data: dict[str, str], tmp_path: Path) -> None:
    """From the same weights, batches and noise both have the same losses, and then the same weights and EMA."""
    model, kind, _ = plain.LOOPS[name]
    _, recipe = registry.load_recipe(name)
    assert recipe == model.recipes[name.partition(".")[2]]
    # What a recipe may ask for and no plain loop does.
    assert (recipe.accumulate, recipe.data.options, recipe.leave_out, recipe.validation) == (1, {}, -1, 0)
    recipe = dataclasses.replace(
        recipe, data=zoo.use(own_data[recipe.data.name]), batch=4, warmup=2, steps=3, precision="fp32"
    )

    how = TrainOptions(compiled=None, sharded=False, checkpoint_every=3, loggers={}, release=False, quiet=True)
    run = TrainingRun(name, model, recipe, tmp_path, CPU, World(), None, None, False, how)
    fresh = {key: value.clone() for key, value in run.module.state_dict().items()}
    loop.train(run, lambda: None)
    lines = map(json.loads, (tmp_path / run_folder.METRICS).read_text().splitlines())
    terms = [list(line["terms"].values()) for line in lines if "terms" in line]

    train = data.load(recipe.data, "train")
    plain_loop = kind(build(model, recipe, train.sample, name), recipe)
    batches = Batches(train, recipe.batch, recipe.seed, CPU)
    for step in range(recipe.steps):
        for number, phase in enumerate(plain_loop.phases):
            torch.manual_seed(derive_seed(recipe.seed, "step", step, number, 0))
            loss = phase(batches.train(step * len(plain_loop.phases) + number, torch.zeros(())).x).item()
            several = len(terms[step]) - len(plain_loop.phases) + 1  # terms of the first phase, or of the only one
            mine = terms[step][:several] if number == 0 else terms[step][several:]
            assert loss == pytest.approx(sum(mine), rel=1e-5 if step == 0 else 1e-3)

    moved = {key: (weight - fresh[key]).abs().mean() for key, weight in run.module.named_parameters()}
    for key, weight in plain_loop.net.named_parameters():
        apart = (weight - run.module.get_parameter(key)).abs().mean()
        assert apart <= 0.02 * moved[key], key
    assert (plain_loop.average is None) == (run.ema is None)
    if run.ema is not None:
        held = run.ema.named()
        for (key, average), mine in zip(held, plain_loop.average.parameters(), strict=True):
            assert (average - mine).abs().mean() <= 0.02 * moved[key], key


@pytest.mark.parametrize("name", plain.LOOPS)
def test_a_plain_loop_has_the_optimisers_and_the_schedule_of_the_recipe(name: str, own_data: dict[str, str]) -> None:
    model, kind, _ = plain.LOOPS[name]
    _, recipe = registry.load_recipe(name)
    sample = data.load(own_data[recipe.data.name], "train").sample
    module = build(model, recipe, sample, name)
    loop = kind(module, recipe)
    held = [
        phases.Phase(number, objective, module, recipe, CPU, World()).optimiser
        for number, objective in enumerate(model.objectives)
    ]
    assert groups(loop.optimisers) == groups(held)
    for step in range(0, recipe.steps, max(1, recipe.steps // 50)):
        assert plain.factor(step, recipe) == pytest.approx(phases.schedule(step, recipe))


def groups(optimisers: list[torch.optim.Optimizer]) -> list[Any]:
    """What each group of weights is moved by, and which weights these are."""
    return [
        (
            type(optimiser),
            [group.get("initial_lr", group["lr"]) for group in optimiser.param_groups],
            [(group["betas"], group["eps"], group["weight_decay"]) for group in optimiser.param_groups],
            [{id(weight) for weight in group["params"]} for group in optimiser.param_groups],
        )
        for optimiser in optimisers
    ]


@pytest.mark.slow
def test_a_lap_of_zoo_train(tmp_path: Path) -> None:
    """The command that training.py runs: it writes the lines that a trial is timed by, and stops when it is told to."""
    ways = training.ours(sys.executable, "vae.tiny", "cpu", rehearsal.LONG - 1)
    assert [way.name for way in ways] == ["zoo, fp32", "zoo, defaults"]
    found = trials.trial(ways[0], 0, 3)
    assert found.rate > 0
    assert found.start > 0
    assert found.megabytes > 50


LINES = """
import json, time
for n in range(1, 9):
    print(json.dumps({"step": n, "seconds": n / 4}), flush=True)
time.sleep(60)
"""


def test_a_lap_is_timed_by_the_process_itself(tmp_path: Path) -> None:
    lines = tmp_path / "lines.py"
    lines.write_text(LINES)
    way = trials.Way(name="lines", command=[sys.executable, str(lines)])
    found = trials.rounds([way], 2, 6, 2)["lines"]
    assert [trial.rate for trial in found] == [4.0, 4.0]
    broken = trials.Way(name="broken", command=[sys.executable, "-c", "raise ValueError('no good')"])
    with pytest.raises(SystemExit, match=r"broken failed(.|\n)*no good"):
        trials.trial(broken, 0, 1)


def test_bounds_of_training_follow_what_the_defaults_compute_in() -> None:
    found = {
        "plain loop": [trials.Trial(10.0, 1.0, 100.0)],
        "A/A": [trials.Trial(9.8, 1.0, 100.0)],
        "zoo, fp32": [trials.Trial(11.0, 1.0, 50.0)],
        "zoo, defaults": [trials.Trial(13.0, 1.0, 50.0)],
    }
    assert training.short_of("vae.mnist", found, "fp32") == []
    (line,) = training.short_of("vae.mnist", found, "bf16")
    assert "1.30" in line
    assert "1.35" in line
    assert (
        training.short_of("vae.mnist", found | {"A/A": [trials.Trial(9.4, 1.0, 100.0)]}, "bf16") == []
    )  # within the noise
    cells = rows(training.comparison("vae.mnist", found, 128, {}))
    assert [row[3] for row in cells] == ["1.00", "0.98", "1.10", "1.30"]


def test_a_lap_has_lines_enough_whatever_the_length_of_the_recipe() -> None:
    for name, steps in training.STEPS.items():
        if "pythae" not in name:
            recipe_steps = registry.load_recipe(name)[1].steps
            whole = training.whole_run(steps, recipe_steps, "cpu")
            assert steps <= whole <= recipe_steps
            assert steps // max(1, whole // training.LINES) >= 20
            assert training.whole_run(steps, recipe_steps, "cuda") == recipe_steps


@pytest.mark.parametrize("name", ["plain", "training", "all"])
def test_scripts_that_need_data_say_so(name: str, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    status, _ = script(name, *(["vae.mnist"] if name == "plain" else []))
    assert str(status).startswith("ZOO_DATA_DIR is not set.")


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", plain.LOOPS)
def test_plain_loops_run_on_real_data(name: str, script: Script) -> None:
    status, out = script("plain", name, "--steps", "2")
    assert status == 0
    assert [json.loads(line)["step"] for line in out.splitlines()] == [1, 2]
    model, _, batches = plain.LOOPS[name]
    recipe = model.recipes[name.partition(".")[2]]
    sample, _ = batches(Path(os.environ["ZOO_DATA_DIR"]), recipe, "cpu")
    assert sample == data.load(recipe.data, "train").sample


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", plain.LOOPS)
def test_training_compares_every_way(name: str, script: Script) -> None:
    status, out = script("training", "--only", name, "--rounds", "1", "--steps", "2")
    assert status in (0, measure.MISSED)
    assert [row[0] for row in rows(out)] == [
        "plain loop",
        "A/A",
        "plain loop, GOMP_SPINCOUNT=1000",
        "zoo, fp32",
        "zoo, defaults",
    ]


@pytest.mark.skipif(importlib.util.find_spec("pythae") is not None, reason="pythae is installed")
def test_pythae_is_asked_for() -> None:
    with pytest.raises(SystemExit, match=r"No module named 'pythae'.*pip install"):
        importlib.import_module("pythae_vae")


def test_startup(script: Script) -> None:
    status, out = script("startup", "--rounds", "1")
    assert status in (0, measure.MISSED)
    assert [row[0] for row in rows(out)] == [
        '`python -c "import click"`',
        "A/A",
        "`zoo --help`",
        "`zoo list`",
        "`zoo data list`",
    ]


@pytest.mark.slow
def test_inference(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TRIAL", 0.005)
    status, out = script("inference", "--only", "vae.digits", "--rounds", "1", "--batch", "1", "--batch", "64")
    assert status in (0, measure.MISSED)
    found = rows(out)
    assert [row[1] for row in found[:5]] == ["encode", "decode", "reconstruct", "score", "generate"]
    assert len(found[0]) == 8  # both batches side by side
    assert found[5][0] == "`vae.digits`"
    assert "A/A differs by" in out
    status, _ = script("inference", "--only", "nothing")
    assert "No model begins with nothing" in str(status)


@pytest.mark.slow
def test_how_soon_a_large_release_is_ready(script: Script) -> None:
    status, out = script("inference", "--only", "ready", "--rounds", "1")
    assert status in (0, measure.MISSED)
    assert "A release of 103 MB" in out
    assert len(rows(out)) == 6


@pytest.mark.slow
def test_anomaly(script: Script, tmp_path: Path) -> None:
    status, out = script("anomaly", "vae.tiny", "--steps", "2", "--without", "3", "--runs", tmp_path)
    assert status == 0
    ((name, value, mean, pca),) = rows(out)
    assert name == "`vae.tiny`"
    assert value == mean
    assert 0 <= float(value) <= 1
    assert 0 <= float(pca) <= 1


@pytest.mark.slow
def test_denoising(script: Script, shelf: Shelf) -> None:
    pytest.importorskip("skimage", reason="the filters are scikit-image's")
    status, out = script("denoising", shelf.run("denoising-ae"), "--limit", "2")
    assert status in (0, measure.MISSED)
    assert [row[0].partition(",")[0] for row in rows(out)] == [
        "as it is",
        "median",
        "non-local means",
        "`denoising-ae.tiny`",
    ]


def test_paired(script: Script) -> None:
    status, out = script("paired", "vae.digits", "vae.digits", "negative_elbo", "--limit", "20")
    assert status == 0
    assert rows(out)[0][2:4] == ["0.000", "0.000 to 0.000"]  # a model differs from itself by nothing
    status, _ = script("paired", "vae.digits", "vae.digits", "fid")
    assert "does not declare the metric 'fid'" in str(status)
    status, _ = script("paired", "vea.digits", "vae.digits", "fid")
    assert "No model named 'vea'" in str(status)


def test_peak() -> None:
    import peak

    model, recipe = registry.load_recipe("vae.tiny")
    weights = sum(p.numel() for p in build(model, recipe, data.load("digits", "train").sample, "vae.tiny").parameters())
    assert peak.operations("vae.tiny") > 6 * recipe.batch * weights / 2
    assert peak.peak("NVIDIA H100 80GB HBM3", "bf16") == 989e12
    assert peak.peak("another card", "bf16") is None


def test_what_misses_its_bound_ends_with_a_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for missed, status in ((["one is late."], measure.MISSED), ([], 0), (None, 0)):
        with pytest.raises(SystemExit) as ended:
            measure.conclude(tmp_path / "figures.json", {"a": 1}, missed)
        assert ended.value.code == status
    assert json.loads((tmp_path / "figures.json").read_text()) == {"a": 1}
    out = capsys.readouterr().out
    assert "Not within the bounds:\n\n- one is late." in out
    assert out.count("All within the bounds.") == 1


DOCUMENT = """# Title
<!-- made by: python benchmarks/startup.py --rounds 1 -->
old
<!-- end -->
by hand
<!-- made by: python benchmarks/startup.py --rounds none -->
kept
<!-- end -->
<!-- made at length by: python benchmarks/anomaly.py --steps 7 -->
long
<!-- end -->
"""


def test_all_writes_what_scripts_print_between_their_marks(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = importlib.import_module("all")
    document = tmp_path / "benchmarks.md"
    document.write_text(DOCUMENT)
    monkeypatch.setattr(every, "DOCS", document)
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
    status, out = script("all")
    assert "startup.py --rounds none failed, and its old output was kept." in str(status)
    assert "anomaly" not in out
    first, rest = document.read_text().split("<!-- end -->", 1)
    assert "old" not in first
    assert len(rows(first)) == 5
    assert rest == DOCUMENT.split("<!-- end -->", 1)[1]
    again = document.read_text()
    status, out = script("all", "--list", "anomaly", "startup")
    assert status == 0
    assert out.splitlines() == [
        "python benchmarks/startup.py --rounds 1",
        "python benchmarks/startup.py --rounds none",
        "python benchmarks/anomaly.py --steps 7",
    ]
    assert document.read_text() == again
    status, _ = script("all", "speed")
    assert "There are: startup, anomaly." in str(status)


def test_the_docs_name_every_script_and_each_part_has_its_command() -> None:
    every = importlib.import_module("all")
    text = every.DOCS.read_text("utf-8")
    known = every.blocks(text)
    assert text.count("<!-- made ") == text.count("<!-- end -->") == len(known) == 6
    assert [block.script for block in known if block.long] == ["anomaly"]
    for name in re.findall(r"benchmarks/(\w+\.py)", text):
        assert (SCRIPTS / name).is_file()
    for path in SCRIPTS.glob("*.py"):
        if path.stem not in ("trials", "measure"):  # what the others use
            assert f"benchmarks/{path.name}" in text or path.stem in text, path.name
    named = re.findall(r"`(\w[\w-]*\.(?:mnist|digits|fsdd|shakespeare|cifar10|cifar10-jpeg))`", text)
    assert set(named) <= set(zoo.list_models())
