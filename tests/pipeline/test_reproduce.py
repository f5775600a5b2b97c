"""``zoo reproduce``: a release is trained again, and each metric is compared by its intervals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from conftest import Command, Refused, Shelf
from zoo.contract.metric import Measurement
from zoo.core.errors import DataError, NotFoundError, PluginError, ReleaseError, SettingError, TrainingError, ZooError
from zoo.evaluation.agreement import agree, protocol_note, same_protocol
from zoo.release import MANIFEST
from zoo.release.manifest import seal

ROOT = Path(__file__).parents[2]

Change = Callable[[dict[str, Any]], object]


def doctored(release: Path, into: Path, change: Change = lambda manifest: None) -> Path:
    """A copy of a release with a changed manifest, sealed again."""
    folder = shutil.copytree(release, into)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)), "utf-8")
    return folder


def far_off(manifest: dict[str, Any]) -> None:
    for key in ("value", "low", "high"):
        manifest["metrics"][0][key] += 1000


@pytest.mark.slow
def test_a_run_that_is_trained_again_agrees_and_a_metric_that_is_far_off_does_not(
    shelf: Shelf, tmp_path: Path, zoo_call: Command
) -> None:
    off = doctored(shelf.release("vae"), tmp_path / "off", far_off)
    done = zoo_call("reproduce", off, "-o", tmp_path / "run", "-q")
    assert done.returncode == 1, done.stderr
    first, *others = [line for line in done.stdout.splitlines() if re.search(r"\[.*\]", line)]
    assert first.startswith("negative_elbo")
    assert first.endswith("differs")
    assert all(line.endswith("agrees") for line in others)
    assert "differs: negative_elbo" in done.stdout
    assert "The weights are bit-equal" in done.stdout  # the same machine

    log = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    done = zoo_call("reproduce", shelf.run("vae"), "-o", tmp_path / "run", "-q", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["agrees"], found["bit_equal"], found["quick"]) == (True, True, False)
    assert {row["verdict"] for row in found["metrics"]} == {"agrees"}
    assert all(row["new"]["value"] == row["recorded"]["value"] for row in found["metrics"])
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == log  # the run was complete


def one_more(manifest: dict[str, Any]) -> None:
    manifest["metrics"].append(measured(1, 0, 2, name="of_an_older_zoo").to_json())


def test_weights_without_metrics_are_compared_and_a_metric_without_a_new_value_does_not_agree(
    shelf: Shelf, tmp_path: Path, zoo_call: Command
) -> None:
    done = zoo_call("reproduce", shelf.run("gan"), "-o", tmp_path / "run", "-q")
    assert done.returncode == 0, done.stderr
    assert "gan.tiny has no recorded metrics" in done.stdout
    assert "The weights are bit-equal" in done.stdout
    done = zoo_call("reproduce", doctored(shelf.release("gan"), tmp_path / "more", one_more), "-o", tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert "is complete: " in done.stderr
    assert "of_an_older_zoo: no metric has that name here." in done.stdout
    assert "no new value: of_an_older_zoo" in done.stdout


def same(manifest: dict[str, Any]) -> None:
    pass


def elsewhere(manifest: dict[str, Any]) -> None:
    manifest["plugin"]["distribution"] = "zoo-elsewhere"


def nobody(manifest: dict[str, Any]) -> None:
    elsewhere(manifest)
    manifest["name"] = "nobody.tiny"


def other_data(manifest: dict[str, Any]) -> None:
    manifest["provenance"]["data"]["test_sha256"] = "0" * 64


def private_data(manifest: dict[str, Any]) -> None:
    manifest["recipe"]["data"]["name"] = "folder:faces"


def unknown_data(manifest: dict[str, Any]) -> None:
    manifest["recipe"]["data"]["name"] = "nodigits"


def other_start(manifest: dict[str, Any]) -> None:
    manifest["provenance"]["from"] = {"name": "vae.digits", "sha256": "0" * 64, "matched": 1, "fresh": 0}


def lost_start(manifest: dict[str, Any]) -> None:
    manifest["provenance"]["from"] = {"name": "vae.digits, step 50", "sha256": "0" * 64, "matched": 1, "fresh": 0}


def other_needs(manifest: dict[str, Any]) -> None:
    entry = {"name": "features.mnist", "sha256": "0" * 64, "recipe": {}, "sample": {}, "needs": {}}
    manifest["provenance"]["needs"] = {"features": entry}


def quantised(manifest: dict[str, Any]) -> None:
    manifest["quantized"] = {"kind": "int8", "of": "0" * 64, "losses": [], "bytes": {"float": 2, "quantized": 1}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (nobody, ("'nobody' is not installed", "pip install zoo-elsewhere==")),
        (elsewhere, ("gan.tiny is of zoo-elsewhere", "of genzoo")),
        (other_data, ("The test split of digits", "SHA-256 " + "0" * 64)),
        (private_data, ("'folder:faces'", "--data folder:")),
        (unknown_data, ("No data set named 'nodigits'. Did you mean 'digits'?",)),
        (other_start, ("started from other weights than vae.digits", "SHA-256 " + "0" * 64)),
        (lost_start, ("'vae.digits, step 50'", "--from SOURCE")),
        (other_needs, ("features.mnist (000000000000) as 'features', and here it is none",)),
        (quantised, ("is in int8",)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_would_be_another_run_is_refused_before_training(
    change: Change, says: tuple[str, ...], shelf: Shelf, tmp_path: Path, refused: Refused
) -> None:
    folder = doctored(shelf.release("gan"), tmp_path / "release", change)
    refused("reproduce", folder, says=says)


@pytest.mark.parametrize(
    ("change", "options", "error"),
    [
        (nobody, {}, NotFoundError),
        (elsewhere, {}, PluginError),
        (other_data, {}, DataError),
        (private_data, {}, DataError),
        (other_start, {}, TrainingError),
        (other_needs, {}, TrainingError),
        (quantised, {}, ReleaseError),
        (same, {"start": "vae.mnist"}, SettingError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_function_raises_what_its_docstring_says(
    change: Change, options: dict[str, Any], error: type[ZooError], shelf: Shelf, tmp_path: Path
) -> None:
    folder = doctored(shelf.release("gan"), tmp_path / "release", change)
    with pytest.raises(error):
        zoo.reproduce(folder, out=tmp_path / "run", quiet=True, **options)
    assert not (tmp_path / "run").exists()


def test_the_function_has_a_typed_result(shelf: Shelf, tmp_path: Path) -> None:
    """A tiny recipe has fewer steps than a quick run has at least, so that the weights are the same."""
    off = doctored(shelf.release("vae"), tmp_path / "off", far_off)
    found = zoo.reproduce(off, quick=True, out=tmp_path / "run", quiet=True)
    assert isinstance(found, zoo.Reproduction)
    assert (found.name, found.run, found.quick) == ("vae.tiny", tmp_path / "run", True)
    assert found.steps == found.recorded_steps == 20
    assert found.bit_equal
    recorded = json.loads((off / MANIFEST).read_text("utf-8"))["metrics"]
    assert [one.recorded.name for one in found.comparisons] == [metric["name"] for metric in recorded]
    first = found.comparisons[0]
    assert first.new is not None
    assert (first.recorded.value - first.new.value, first.verdict) == (pytest.approx(1000), "differs")
    assert not found.agrees
    assert {one.verdict for one in found.comparisons[1:]} <= {"agrees", "no new value"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("vae.digit",), ("Did you mean 'digits'?",)),
        (("nomodel.mnist",), ("No model named 'nomodel'",)),
        (("vae.digits", "--from", "vae.mnist"), ("was trained from fresh weights",)),
        (("vae.digits", "--device", "tpu"), ("'tpu'",)),
    ],
)
def test_bad_arguments(arguments: tuple[str, ...], says: tuple[str, ...], refused: Refused) -> None:
    refused("reproduce", *arguments, says=says)


def measured(
    value: float, low: float | None = None, high: float | None = None, protocol: str = "", name: str = "fid"
) -> Measurement:
    return Measurement(name=name, value=value, unit="", protocol=protocol, low=low, high=high)


@pytest.mark.parametrize(
    ("recorded", "new", "wanted"),
    [
        (measured(1, 0, 2), measured(3, 2, 4), True),  # they touch
        (measured(1, 0, 2), measured(3, 2.1, 4), False),
        (measured(3, 2.1, 4), measured(1, 0, 2), False),
        (measured(5, 0, 10), measured(5.5, 5, 6), True),  # one contains the other
        (measured(1, 0, 2), measured(1.5), True),  # only one interval
        (measured(1, 0, 2), measured(2.5), False),
        (measured(2.5), measured(1, 0, 2), False),
        (measured(1), measured(1), True),
        (measured(1), measured(1.01), None),
    ],
)
def test_values_agree_if_their_intervals_overlap(recorded: Measurement, new: Measurement, wanted: bool | None) -> None:
    assert agree(recorded, new) is wanted


def test_the_class_that_was_found_is_no_part_of_a_protocol_and_the_hash_of_features_is_noted() -> None:
    text = "class {} of {} generated images (seed 0), by features.digits ({})"
    recorded = measured(1, protocol=text.format(1, "1,000", "4478007d"))
    other_class = measured(1, protocol=text.format(8, "1,000", "4478007d"))
    other_hash = measured(1, protocol=text.format(8, "1,000", "63fd8f51"))
    other_count = measured(1, protocol=text.format(1, "2,000", "4478007d"))
    assert same_protocol(recorded, other_class)
    assert protocol_note(recorded, other_class) == ""
    assert same_protocol(recorded, other_hash)
    assert "features.digits (63fd8f51), and the recorded value by features.digits (4478007d)" in protocol_note(
        recorded, other_hash
    )
    assert not same_protocol(recorded, other_count)
    assert "2,000" in protocol_note(recorded, other_count)


@pytest.mark.slow
def test_the_commands_of_the_docs(tmp_path: Path, zoo_call: Command) -> None:
    """The smallest released weights are reproduced in full, and others quickly."""
    text = (ROOT / "docs" / "how-to" / "reproduce.md").read_text("utf-8")
    full, quick = re.findall(r"^zoo ([^#\n]*)", text, re.M)
    done = zoo_call(*full.split(), "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["agrees"] is True
    assert found["steps"] == found["recorded_steps"] == 600
    assert (tmp_path / "runs" / "reproduce" / "features.digits" / "release" / MANIFEST).is_file()
    done = zoo_call(*quick.split())
    assert done.returncode == 0, done.stderr
    assert "This is no reproduction: the run has 100 of 1,500 steps." in done.stdout
    assert "agrees" not in done.stdout
    assert re.search(r"^fid .*\(\+\d+\.\d%\)$", done.stdout, re.M)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a process of its own")
def test_an_interrupted_run_is_continued_exactly_by_the_same_command(shelf: Shelf, tmp_path: Path) -> None:
    first = shelf.made("vae.long", lambda folder: zoo.train("vae.tiny", set={"steps": 400}, out=folder, quiet=True))
    command = [sys.executable, "-m", "zoo", "reproduce", str(first), "-q"]
    run = tmp_path / "runs" / "reproduce" / "vae.tiny"
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(run.glob("checkpoints/*.safetensors")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].endswith("The same command continues the run in runs/reproduce/vae.tiny exactly.")
    assert not (run / "release").exists()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "The weights are bit-equal" in done.stdout


@pytest.mark.slow
def test_starting_weights_and_private_data_are_found_again(shelf: Shelf, tmp_path: Path, zoo_call: Command) -> None:
    from PIL import Image

    for number in range(40):
        place = tmp_path / "faces" / "train" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number * 5).save(place)
    shutil.copytree(tmp_path / "faces" / "train", tmp_path / "faces" / "test")
    data = f"folder:{tmp_path / 'faces'}"
    zoo.train("vae.tiny", data=data, set={"data.size": 8}, start=shelf.run("vae"), out=tmp_path / "first", quiet=True)
    release = tmp_path / "first" / "release"
    done = zoo_call("reproduce", release, "--data", data, "--from", shelf.run("vae"), "-q")
    assert done.returncode == 0, done.stderr
    assert "The weights are bit-equal" in done.stdout
    Image.new("L", (8, 8), 255).save(tmp_path / "faces" / "train" / "0.png")
    done = zoo_call("reproduce", release, "--data", data, "--from", shelf.run("vae"), "-q")
    assert done.returncode == 1
    assert "is not the one that vae.tiny was trained on" in done.stderr


@pytest.mark.slow
def test_a_protocol_with_fewer_samples_is_found_again(shelf: Shelf, tmp_path: Path, zoo_call: Command) -> None:
    run = tmp_path / "run"
    zoo.train("vae.tiny", out=run, release=False, quiet=True)
    (run / "evaluation.json").unlink()
    zoo.evaluate(run, only=["mse", "fid"], limit=100, samples=50, quiet=True)
    zoo.export(run, tmp_path / "release", quiet=True)
    done = zoo_call("reproduce", tmp_path / "release", "-q", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["metrics"]}
    assert {row["note"] for row in rows.values()} == {""}
    assert rows["mse"]["new"]["count"] == 100
    assert rows["fid"]["new"]["count"] == 50
    assert rows["fid"]["new"]["value"] == rows["fid"]["recorded"]["value"]
