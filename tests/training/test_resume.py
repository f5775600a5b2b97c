"""``--resume`` can always be said: whenever a job is killed, the same command goes on, and ends with the same bits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from conftest import Command, Refused, Shelf, few, one_error, raises, slow
from zoo.core.errors import ExistsError, TrainingError
from zoo.training import checkpoints, run_folder

OPTIONS = ("ae.tiny", "--set", "steps=3", "--checkpoint-every", "2", "-o", "run", "--no-release")
COMMAND = ("train", *OPTIONS, "--resume")


def train(out: Path, **more: Any) -> Path:
    return zoo.train("ae.tiny", set={"steps": 3}, out=out, checkpoint_every=2, release=False, quiet=True, **more).folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stopped."""
    return train(tmp_path_factory.mktemp("whole") / "run")


def same(run: Path, other: Path) -> bool:
    """Whether the last checkpoints of two runs have the same bits."""
    left, right = (checkpoints.read(one).tensors for one in (run, other))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def begun(run: Path, whole: Path) -> None:
    """A run that has written its recipe, and no checkpoint yet."""
    run.mkdir()
    shutil.copy(whole / "recipe.json", run)


def in_a_checkpoint(run: Path, whole: Path) -> None:
    begun(run, whole)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".step-00000002.safetensors.partial").write_bytes(b"half of")
    (run / "metrics.jsonl").write_text('{"step": 1, "terms": {"rec')
    (run / ".metrics.jsonl.123.partial").write_text('{"st')


def after_a_checkpoint(run: Path, whole: Path) -> None:
    shutil.copytree(whole, run)
    checkpoints.path_of(run, 3).unlink()


LEFT: dict[str, Callable[[Path, Path], object]] = {
    "nothing": lambda run, whole: None,
    "an empty folder": lambda run, whole: run.mkdir(),
    "a lock": lambda run, whole: [run.mkdir(), (run / run_folder.LOCK).touch()],
    "a folder for samples": lambda run, whole: (run / run_folder.SAMPLES).mkdir(parents=True),
    "half a recipe": lambda run, whole: [run.mkdir(), (run / ".recipe.json.123.partial").write_text('{"form')],
    "a recipe": begun,
    "half a checkpoint": in_a_checkpoint,
    "a checkpoint": after_a_checkpoint,
}


@pytest.mark.parametrize("left", few(LEFT, "a lock", "a recipe", "a checkpoint"))
def test_what_a_killed_job_leaves(left: str, whole: Path, tmp_path: Path, zoo_call: Command) -> None:
    run = tmp_path / "run"
    LEFT[left](run, whole)
    starts = not (run / "recipe.json").exists()
    done = zoo_call(*COMMAND)
    assert done.returncode == 0, done.stderr
    assert ("run holds no run to resume, so a new run starts." in done.stderr) == starts
    assert same(run, whole)
    assert not list(run.rglob("*.partial"))
    again = zoo_call(*COMMAND)
    assert again.returncode == 0
    assert "run is complete: 3 steps." in again.stderr
    assert same(run, whole)


@pytest.mark.parametrize("left", ["a lock", *slow("a folder for samples", "half a recipe")])
def test_a_killed_start_is_no_run_to_keep(left: str, whole: Path, tmp_path: Path) -> None:
    """Nor does it need --resume or --force."""
    LEFT[left](tmp_path / "run", whole)
    assert same(train(tmp_path / "run"), whole)


def test_other_things_are_kept(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").touch()
    refused(*COMMAND, says=("run already exists and is not a run; it was kept",))
    (tmp_path / "file").touch()
    refused("train", "ae.tiny", "-o", "file", "--resume", says=("file is a file, and a run is a folder",))


def test_one_s_own_files_stay_in_a_run_that_starts_again(whole: Path, tmp_path: Path) -> None:
    begun(tmp_path / "run", whole)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    train(tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_resume_and_force(refused: Refused) -> None:
    refused(*COMMAND, "--force", says=("--force replaces a run and --resume continues one", "give only one"))


def test_a_run_that_is_killed_while_it_is_replaced(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recipe goes last, so the same command replaces it again."""
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    removed: list[str] = []

    def rmtree(path: Path) -> None:
        removed.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt):
            train(run, force=True)
    assert removed
    assert (run / "recipe.json").is_file()
    assert same(train(run, force=True), whole)


# Starting weights


@pytest.fixture
def source(shelf: Shelf, tmp_path: Path) -> Path:
    """A release to start from."""
    return Path(shutil.copytree(shelf.release("ae"), tmp_path / "source"))


def test_fine_tuning_goes_on_by_the_same_command(source: Path, tmp_path: Path, zoo_call: Command) -> None:
    command = (*COMMAND, "--from", "./source")
    assert zoo_call(*command).returncode == 0
    run, tuned = tmp_path / "run", Path(shutil.copytree(tmp_path / "run", tmp_path / "tuned"))
    recorded = run_folder.described(run)["from"]

    shutil.rmtree(run / "checkpoints")  # killed before its first one
    assert zoo_call(*command).returncode == 0
    assert same(run, tuned)
    assert run_folder.described(run)["from"] == recorded

    checkpoints.path_of(run, 3).unlink()  # and after it
    done = zoo_call(*command)
    assert (done.returncode, "continues from its checkpoint" in done.stderr) == (0, False)
    assert same(run, tuned)

    checkpoints.path_of(run, 3).unlink()
    shutil.rmtree(source)  # which a run with a checkpoint needs no more
    done = zoo_call(*command)
    assert done.returncode == 0
    assert "run continues from its checkpoint, without the weights of --from: SOURCE 'source' does not" in done.stderr
    assert same(run, tuned)


def test_weights_that_have_changed_since(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path / "run", start=shelf.run("ae"))
    before = Path(shutil.copytree(run, tmp_path / "before"))
    checkpoints.path_of(run, 3).unlink()
    train(run, start=shelf.release("ae"), resume=True)  # the same model, of another hash
    assert "the weights of --from" in capsys.readouterr().err
    assert same(run, before)


def test_other_starting_weights(shelf: Shelf, whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "fresh"))
    with raises(TrainingError, "fresh started from fresh weights, and --from was given", "--force"):
        train(run, start=shelf.release("ae"), resume=True)
    run = train(tmp_path / "tuned", start=shelf.release("ae"))
    with raises(TrainingError, "tuned started from ae.tiny, and --from gives vae.tiny", "--force"):
        train(run, start=shelf.release("vae"), resume=True)
    shutil.rmtree(run / "checkpoints")
    with raises(TrainingError, "started from other weights and ended before its first checkpoint", "Give --from again"):
        train(run, resume=True)
    with raises(ExistsError, "already holds a run"):
        train(run)


# Real kills

KILL = """
import os, signal, sys
from pathlib import Path
from zoo.core import files
from zoo.cli import main
from zoo.training import checkpointing, checkpoints, run_folder as runs
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def in_a_recipe(old, new):
    die() if Path(new).name == "recipe.json" else rename(old, new)
def in_a_checkpoint(tensors, path, about):
    save_file(tensors, path, about)
    path.write_bytes(path.read_bytes()[:1000])
    die()
start, rename, save_file = runs.start, os.replace, checkpoints.save_file
moment = sys.argv.pop(1)
if moment == "before the folder": runs.lock = die
if moment == "after mkdir": runs.clear = die
if moment == "in the recipe": os.replace = in_a_recipe
if moment == "after the recipe": runs.start = lambda *a: (start(*a), die())
if moment == "before a checkpoint": checkpoints.write = die
if moment == "in a checkpoint": checkpoints.save_file = in_a_checkpoint
if moment == "after a checkpoint": checkpointing._sample = die
main()
"""
MOMENTS = (
    "before the folder", "after mkdir", "in the recipe", "after the recipe", "before a checkpoint", "in a checkpoint",
    "after a checkpoint",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_kill_9_at_every_early_moment(whole: Path, tmp_path: Path, zoo_call: Command) -> None:
    """One job, killed at one moment after the other, by the same command each time; then it is left alone."""
    for moment in MOMENTS:
        command = [sys.executable, "-c", KILL, moment, *COMMAND]
        killed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, (moment, killed.stderr)
    assert checkpoints.steps(tmp_path / "run") == [2]
    assert zoo_call(*COMMAND).returncode == 0
    assert same(tmp_path / "run", whole)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "terms" in line] == [1, 2, 3]


@pytest.mark.slow
def test_two_processes_start_where_nothing_is(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "zoo"]
    for said in ("run holds no run to resume, so a new run starts.", "run is complete: 3 steps."):
        done = subprocess.run(
            [*torchrun, *COMMAND], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(said) == 1
    assert checkpoints.steps(tmp_path / "run") == [2, 3]


def test_a_damaged_recipe_is_no_run_to_go_on_with(zoo_call: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{")
    one_error(zoo_call(*COMMAND), "recipe.json is damaged", "--force")
