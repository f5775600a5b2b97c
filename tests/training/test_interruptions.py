"""Runs and exports that are stopped, killed or refused: resumed exactly, and nothing lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import zoo
from conftest import Refused, Shelf, contents, cut, empty, flip, one_error, raises, scramble, slow
from zoo.cli import main
from zoo.core import files
from zoo.core.errors import ExistsError, ParityError, TrainingError, ZooError
from zoo.evaluation import measurements_file
from zoo.training import checkpoints, rehearsal, run_folder
from zoo.training import signals as stopping_module
from zoo_export import onnx_graph

# Runs that are stopped, and resumed


STEPS = rehearsal.LONG - 1  # a longer one makes its graphs first
LONG = (
    "train",
    "ae.tiny",
    "--set",
    f"steps={STEPS}",
    "--checkpoint-every",
    str(STEPS),
    "--no-release",
    "--output",
    "run",
)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint, the optimiser's too."""
    return {name: tensor.clone() for name, tensor in checkpoints.read(run).tensors.items()}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What the long run ends with if nobody stops it."""
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    zoo.train("ae.tiny", set={"steps": STEPS}, out=run, checkpoint_every=STEPS, release=False, quiet=True)
    return weights(run)


@pytest.mark.parametrize(
    ("number", "word", "code"),
    [
        pytest.param(signal.SIGINT, "Interrupted", 130, id="SIGINT", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "Terminated", 143, id="SIGTERM"),
    ],
)
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(
    number: signal.Signals,
    word: str,
    code: int,
    uninterrupted: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "zoo", *LONG]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as training:
        metrics = Path("run/metrics.jsonl")
        while training.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
            time.sleep(0.005)
        training.send_signal(number)
        _, said = training.communicate()
    done = subprocess.CompletedProcess(command, training.returncode, "", said)
    assert done.returncode == code
    (step,) = checkpoints.steps(Path("run"))
    assert 0 < step < STEPS
    one_error(done, f"{word} at step {step}", f"{checkpoints.path_of(Path('run'), step)}", "--resume")

    monkeypatch.setattr(sys, "argv", ["zoo", *LONG, "--resume"])
    main()
    assert equal(weights(Path("run")), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "dcgan"])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice by SIGKILL, each time at a random moment after a checkpoint, and resumed: the same, bit for bit."""
    monkeypatch.chdir(tmp_path)
    steps, seed = 600, int(time.time())
    print(f"moments by seed {seed}")  # shown if the test fails
    moment = random.Random(seed)
    options = ("train", f"{model}.tiny", "--set", f"steps={steps}", "--checkpoint-every", "20", "--no-release")
    zoo.train(f"{model}.tiny", set={"steps": steps}, out="whole", checkpoint_every=20, release=False, quiet=True)
    for kill in range(2):
        command = [sys.executable, "-m", "zoo", *options, "-o", "run", *(["--resume"] if kill else [])]
        before = checkpoints.steps(Path("run"))[-1:]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as training:
            while training.poll() is None and checkpoints.steps(Path("run"))[-1:] == before:
                time.sleep(0.002)
            time.sleep(moment.uniform(0, 0.3))
            training.kill()
        assert training.returncode == -signal.SIGKILL
        assert 0 < checkpoints.steps(Path("run"))[-1] < steps
    monkeypatch.setattr(sys, "argv", ["zoo", *options, "-o", "run", "--resume"])
    main()
    assert equal(weights(Path("run")), weights(Path("whole")))
    left, right = (lines(Path(run)) for run in ("run", "whole"))
    assert left == right


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, but for their times."""
    found = [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


FULL = """
mount -t tmpfs -o size={size}k none small || exit 77
{python} -m zoo train vae.tiny -o small/run --no-release --checkpoint-every 2 {more}
code=$?
cp -r small/run kept
exit $code
"""


def on_a_small_disk(size: int, more: str = "") -> subprocess.CompletedProcess[str]:
    """Train in a file system of so many kilobytes, of which the folder ``kept`` is a copy."""
    Path("small").mkdir(exist_ok=True)
    script = FULL.format(size=size, python=sys.executable, more=more)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()[:100]}")
    return done


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1), to mount a small file system")
def test_a_disk_that_is_full_when_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; the checkpoints that are there are kept, sound, and the run goes on from them elsewhere."""
    monkeypatch.chdir(tmp_path)
    whole = zoo.train("vae.tiny", out="whole", release=False, checkpoint_every=2, quiet=True)
    size = sum(path.stat().st_size for path in (whole.folder / "checkpoints").iterdir()) // 1024
    done = on_a_small_disk(size + 40)  # room for two, and not for the third, which is there while they still are
    step = checkpoints.steps(Path("kept"))[-1]
    next_one = checkpoints.path_of(Path("small/run"), step + 2)
    one_error(done, f"{next_one} could not be written", "No space left on device", "Existing checkpoints are kept")
    assert not list(Path("kept").rglob("*.partial"))
    zoo.train("vae.tiny", out="kept", resume=True, release=False, checkpoint_every=2, quiet=True)
    assert equal(weights(Path("kept")), weights(Path("whole")))
    assert lines(Path("kept")) == lines(Path("whole"))


@pytest.mark.parametrize(
    ("setting", "was", "now"),
    [("latent=8", "latent = 4", "8"), ("hidden=8,8", "hidden = (16,)", "(8, 8)"), ("steps=40", "steps = 20", "40")],
)
def test_resume_with_another_recipe(setting: str, was: str, now: str, run: Path, refused: Refused) -> None:
    resume = ("train", "ae.tiny", "-o", run, "--resume")
    refused(*resume, "--set", setting, says=("run was started with", was, f"is {now}", "--force"))


def test_resume_as_another_model(run: Path, refused: Refused) -> None:
    refused("train", "vae.tiny", "-o", run, "--resume", says=("run", "ae.tiny", "vae.tiny"))


def test_resume_on_other_data(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    described["data"]["sha256"] = "0" * 64
    (run / "recipe.json").write_text(json.dumps(described))
    refused(
        "train",
        "ae.tiny",
        "--output",
        run,
        "--resume",
        says=("run was trained on other data: the train split of digits", "--force"),
    )


def test_resume_with_another_test_split(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    described["data"]["test_sha256"] = "0" * 64
    (run / "recipe.json").write_text(json.dumps(described))
    says = ("run was evaluated on other data: the test split of digits", "--force")
    refused("train", "ae.tiny", "-o", run, "--resume", says=says)


@pytest.mark.parametrize("damage", [cut, flip, scramble, empty])
def test_a_damaged_checkpoint(
    damage: Callable[[Path], object], run: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is never used: an export refuses it, and a resumed run says so and goes on from the one before."""
    before = weights(run)
    last = checkpoints.path_of(run, 20)
    damage(last)
    refused("export", run, "-o", "new", says=(f"{last} is damaged", "--checkpoint 18"))
    zoo.train("ae.tiny", out=run, resume=True, release=False, quiet=True)
    assert f"{last} is damaged" in capsys.readouterr().err
    assert last.with_name(f"{last.name}.damaged").is_file()
    assert equal(weights(run), before)


def test_no_checkpoint_that_is_sound(run: Path, refused: Refused) -> None:
    cut(checkpoints.path_of(run, 18))
    flip(checkpoints.path_of(run, 20))
    says = ("No checkpoint of", "is intact", f"{checkpoints.path_of(run, 20)} is damaged", "--force")
    refused("train", "ae.tiny", "-o", run, "--resume", says=says)


def test_a_checkpoint_that_is_not_there(run: Path, refused: Refused, shelf: Shelf) -> None:
    refused("export", run, "-o", "new", "--checkpoint", "7", says=("run has no checkpoint '7'", "last, best, 18, 20"))
    best = ("export", shelf.run("dcgan"), "-o", "new", "--checkpoint", "best")
    refused(*best, says=("has no best checkpoint: none has a value of the metric that selects it", "--checkpoint last"))
    shutil.rmtree(run / "checkpoints")
    refused("export", run, "-o", "new", says=("run holds no checkpoint",))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"format": "x"}', "[" * 100_000])
def test_a_damaged_recipe_file(content: str, run: Path, refused: Refused) -> None:
    (run / "recipe.json").write_text(content)
    refused("train", "ae.tiny", "-o", run, "--resume", says=("recipe.json is damaged", "--force"))
    refused("export", run, "-o", "new", says=("recipe.json is damaged",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None}, {"name": "vae"}, {"name": "vea.tiny"}, {"recipe": []}, {"recipe": {"steps": "x"}},
        {"recipe": {"nosuch": 1}}, {"sample": []}, {"sample": {}}, {"sample": {"x": {"kind": []}, "classes": 10}},
        {"sample": {"x": {"kind": "image", "channels": 1, "height": 8, "width": 8}, "fields": "x"}},
        {"sample": {"x": {"kind": "image", "channels": 1, "height": 8, "width": 8}, "fields": {"label": "x"}}},
        {"needs": 3}, {"needs": {"features": {}}}, {"needs": {"features": 3}},
        {"data": None}, {"data": {}}, {"plugin": {}}, {"zoo": 1}, {"commit": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_recipe_file_with_wrong_values(wrong: dict[str, Any], run: Path) -> None:
    described = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(described | wrong))
    with pytest.raises(ZooError):
        run_folder.model_of(run)


def test_a_run_of_a_newer_zoo(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(described | {"format": run_folder.FORMAT + 1, "zoo": "9.0"}))
    refused("export", run, "-o", "new", says=("newer zoo (9.0)", "pip install --upgrade genzoo"))


def test_a_run_of_an_older_zoo(run: Path, refused: Refused) -> None:
    described = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(described | {"format": 2, "zoo": "0.0.1"}))
    refused("train", "ae.tiny", "-o", run, "--resume", says=("an older zoo (0.0.1)", "--force"))


def test_a_loss_that_is_not_finite(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with raises(TrainingError, "ae.tiny stopped at step", "'reconstruction' (nan)", "a lower lr"):
        zoo.train("ae.tiny", set={"lr": 1e30}, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "release").exists()


def test_two_trainings_in_one_folder(refused: Refused, tmp_path: Path) -> None:
    with run_folder.lock(tmp_path / "runs" / "ae.tiny"):
        refused("train", "ae.tiny", says=("runs/ae.tiny", "being trained by another process", "--output"))
    assert not list(tmp_path.iterdir())


# Exports that are stopped


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")], ids=repr)
def test_a_stopped_export_leaves_nothing(
    stop: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def prove(*_: object) -> None:
        raise stop

    run = shelf.run("dcgan")
    monkeypatch.setattr("zoo_export.parity.prove", prove)
    with pytest.raises((KeyboardInterrupt, RuntimeError, ZooError)):
        zoo.export(run, tmp_path / "new")
    assert contents(tmp_path) == {}


@pytest.mark.slow
def test_a_killed_export_can_be_done_again(shelf: Shelf, tmp_path: Path) -> None:
    code = """
        import os, signal, sys, zoo
        from zoo_export import parity
        parity.prove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        zoo.export(sys.argv[1], sys.argv[2])
    """
    killed = subprocess.run([sys.executable, "-c", _script(code), str(shelf.run("dcgan")), str(tmp_path / "new")])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    zoo.export(shelf.run("dcgan"), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_release_is_not_lost_when_its_replacement_is_killed(release: Path) -> None:
    """Between the two renames, the old release is out of the way and the new one not yet in its place."""
    code = """
        import os, signal, sys
        from pathlib import Path
        from zoo.core import files
        rename = os.replace
        os.replace = lambda old, new: (rename(old, new), os.kill(os.getpid(), signal.SIGKILL))
        with files.new_folder(Path(sys.argv[1]), force=True) as folder:
            (folder / "manifest.json").write_text("new")
    """
    before = contents(release)
    killed = subprocess.run([sys.executable, "-c", _script(code), str(release)])
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ExistsError), files.new_folder(release, force=False):  # the next export finds it again
        pass
    assert contents(release) == before
    assert [path.name for path in release.parent.iterdir()] == ["release"]


def _script(code: str) -> str:
    return "\n".join(line[8:] for line in code.splitlines())


def test_a_release_is_not_lost_when_its_replacement_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the two renames: the old release is put back."""
    old = tmp_path / "old"
    old.mkdir()
    (old / "manifest.json").write_text("old")
    rename = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if str(source).endswith(".partial"):
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), files.new_folder(old, force=True) as folder:
        (folder / "manifest.json").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (old / "manifest.json").read_text() == "old"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "word", "code"),
    [
        pytest.param(signal.SIGINT, "Interrupted", 130, marks=pytest.mark.slow),
        (signal.SIGTERM, "Terminated", 143),
    ],
)
@pytest.mark.parametrize(
    ("part", "task"),
    [
        pytest.param("at_end", "measuring", marks=pytest.mark.slow),
        ("zoo_export.export", "writing the release"),
    ],
)
def test_a_run_that_is_stopped_after_its_training(
    part: str, task: str, number: int, word: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"zoo.pipeline.train.{part}", lambda *_, **__: os.kill(os.getpid(), number))
        with pytest.raises(TrainingError) as stopped:
            zoo.train("ae.tiny", set={"steps": 1}, out=tmp_path / "run", quiet=True)
    assert str(stopped.value) == f"{word} while {task}. The training is complete. Continue with --resume."
    assert stopped.value.exit_code == code
    assert not (tmp_path / "run" / "release").exists()
    zoo.train("ae.tiny", set={"steps": 1}, out=tmp_path / "run", resume=True, quiet=True)
    assert measurements_file.read(tmp_path / "run", 1)
    assert (tmp_path / "run" / "release" / "manifest.json").is_file()


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "Terminated"), *slow((signal.SIGINT, "Interrupted"))])
def test_a_run_that_is_stopped_at_its_last_checkpoint(
    number: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoints.write

    def stopping(*arguments: Any) -> Path:
        os.kill(os.getpid(), number)
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", stopping)
        with raises(getattr(stopping_module, word), f"{word}. The training is complete. Continue with --resume."):
            zoo.train("ae.tiny", set={"steps": 1}, out=tmp_path / "run", quiet=True)
    zoo.train("ae.tiny", set={"steps": 1}, out=tmp_path / "run", resume=True, quiet=True)
    assert (tmp_path / "run" / "release" / "manifest.json").is_file()


def test_metrics_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / run_folder.METRICS).mkdir()
    with raises(TrainingError, f"{run_folder.METRICS} could not be written", "continue with --resume"):
        run_folder.append_metrics(tmp_path, {"step": 1})


# Parity is a gate


def off_by(amount: float, task: str) -> Callable[..., onnx.ModelProto]:
    """``onnx_graph.trace``, but the graph of one task adds a number to its first output."""
    trace = onnx_graph.trace

    def broken(module: Any, declared: Any, name: str) -> onnx.ModelProto:
        model = trace(module, declared, name)
        if name == task:
            output = model.graph.output[0].name
            (last,) = (node for node in model.graph.node if output in node.output)
            last.output[list(last.output).index(output)] = "exact"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(amount), "amount"))
            model.graph.node.append(onnx.helper.make_node("Add", ["exact", "amount"], [output]))
        return model

    return broken


@pytest.mark.parametrize("task", ["encode", "decode"])
def test_a_graph_that_computes_something_else_is_not_released(
    task: str, shelf: Shelf, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shelf.run("vae")
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-3, task))
    refused("export", run, "-o", "new", says=("Parity failed", f"task '{task}'", "0.001", "Nothing was"))


def test_a_text_graph_that_computes_something_else_is_not_released(
    gpt: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-2, "step"))
    refused("export", gpt, "-o", "new", says=("Parity failed", "task 'step'", "Nothing was released"))


def test_a_run_whose_release_fails_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_graph, "trace", off_by(1e-3, "decode"))
    with pytest.raises(ParityError):
        zoo.train("dcgan.tiny", set={"steps": 1}, out=tmp_path / "run", quiet=True)
    assert checkpoints.steps(tmp_path / "run") == [1]
    assert not [path for path in (tmp_path / "run").iterdir() if "release" in path.name]
