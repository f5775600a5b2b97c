"""Models that need releases: these are loaded, checked, frozen, recorded, and not needed by what was made with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from conftest import Shelf, contents, plugged, raises
from zoo import registry
from zoo.cli.info import _about_release
from zoo.core import files
from zoo.core.errors import NotFoundError, PluginError, ReleaseError, TrainingError
from zoo.hub import resolve
from zoo.modules import torch_module
from zoo.release import MANIFEST, read, seal
from zoo.training import checkpoints, finetune

NEED = "features.digits"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    names = ("judged", "judging", "outer")
    with plugged(tmp_path_factory.mktemp("site"), **{name: f"needs_plugin:{name}" for name in names}):
        yield


@pytest.fixture
def judged(shelf: Shelf, installed: None) -> Path:
    """A run of the model with the needed release in its loss. Read only."""
    return shelf.run("judged")


def state(name: str | Path = NEED) -> dict[str, torch.Tensor]:
    return zoo.load_module(name).state_dict()


def held(run: Path, prefix: str = "module.features.") -> dict[str, torch.Tensor]:
    tensors = checkpoints.read(run).tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def without(monkeypatch: pytest.MonkeyPatch, *lost: str) -> None:
    """Within the test, these names are not released."""

    def find(source: str | Path) -> Path:
        if source in lost:
            raise NotFoundError(f"No weights are released under {source!r}.")
        return resolve.find(source)

    for module in ("zoo.modules.needs", "zoo.modules.torch_module"):
        monkeypatch.setattr(f"{module}.find", find)


def test_the_needed_release_is_as_it_was(judged: Path) -> None:
    """Weights, and the statistics of its BatchNorm: every bit, after steps in training mode."""
    assert same(held(judged), state())
    moved = held(judged, "module.auto.")
    assert int(moved["2.num_batches_tracked"]) == 12  # the loss calls it twice a step


def test_it_is_recorded_in_the_run_and_in_the_release(judged: Path) -> None:
    manifest = resolve.find(NEED) / MANIFEST
    recorded = json.loads((judged / "recipe.json").read_text())["needs"]
    release = read(judged / "release")
    assert recorded == release.manifest["provenance"]["needs"]
    assert recorded.keys() == {"features"}
    assert (recorded["features"]["name"], recorded["features"]["sha256"]) == (NEED, files.sha256(manifest))
    card = (judged / "release" / "README.md").read_text("utf-8")
    assert f"Built with: {NEED} (manifest SHA-256 {files.sha256(manifest)})" in card
    said = _about_release(str(judged))["needs"]
    assert said == {"features": f"{NEED}, manifest {files.sha256(manifest)}"}
    assert "needs" not in zoo.load("vae.digits").release.manifest["provenance"]


def test_a_release_keeps_of_it_what_a_task_reaches(judged: Path, shelf: Shelf) -> None:
    reached = read(shelf.release("judging")).manifest
    left_out = read(judged / "release").manifest["left_out"]
    assert {name for name in left_out if name.startswith("features.")} >= {
        f"features.{name}" for name in ("head.bias",)
    }
    assert not [name for name in reached["left_out"] if name.startswith("features.") and "num_batches" not in name]
    images = torch.randint(256, (3, 8, 8), dtype=torch.uint8)
    module = zoo.load_module(shelf.release("judging"))
    with zoo.load(shelf.release("judging")) as model, torch.no_grad():
        logits = torch.from_numpy(model.classify(images.numpy()))
        torch.testing.assert_close(logits, module.classify(images[:, None] / 255), rtol=1e-4, atol=1e-4)


def test_resume_is_exact(tmp_path: Path) -> None:
    options: dict[str, Any] = {"set": {"ema": 0.9}, "release": False, "quiet": True, "checkpoint_every": 4}
    run = zoo.train("judged.tiny", out=tmp_path / "run", **options).folder
    whole = checkpoints.read(run).tensors
    checkpoints.path_of(run, 6).unlink()
    zoo.train("judged.tiny", out=run, resume=True, **options)
    assert same(dict(checkpoints.read(run).tensors), dict(whole))
    average, released = held(run, "ema.features."), state()
    assert average.keys() == {name for name, _ in zoo.load_module(NEED).named_parameters()}
    assert all(torch.equal(weight, released[name]) for name, weight in average.items())


def test_a_resume_refuses_another_release(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = shutil.copytree(judged, tmp_path / "run")
    about = json.loads((run / "recipe.json").read_text())
    about["needs"]["features"]["sha256"] = "0" * 64
    (run / "recipe.json").write_text(json.dumps(about))
    before = contents(run)
    says = ("started with the release features.digits (000000000000) as 'features', and now it is", "--force")
    with raises(TrainingError, *says):
        zoo.train("judged.tiny", out=run, resume=True, quiet=True)
    del about["needs"]["features"]
    (run / "recipe.json").write_text(json.dumps(about))
    with raises(TrainingError, "started with the release none as 'features'"):
        zoo.train("judged.tiny", out=run, resume=True, quiet=True)
    (run / "recipe.json").write_bytes(before["recipe.json"] or b"")
    assert contents(run) == before


def test_altered_weights_of_a_need_are_refused(judged: Path, shelf: Shelf, tmp_path: Path) -> None:
    release = shutil.copytree(resolve.find(NEED), tmp_path / "features")
    weights = release / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with raises(PluginError, "judged.tiny needs the release", f"{weights} is damaged or altered"):
        zoo.train("judged.tiny", set={"judge": str(release)}, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_release_is_loaded_without_the_one_that_it_needed(
    there: bool, judged: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module has its form; what no task reaches has its released weights only if that release is there."""
    if not there:
        without(monkeypatch, NEED)
    module = zoo.load_module(judged / "release")
    weights = module.get_submodule("features").state_dict()
    assert not any(weight.requires_grad for weight in module.get_submodule("features").parameters())
    released = held(judged)
    assert torch.equal(weights["head.weight"], released["head.weight"]) == there
    assert torch.equal(module.state_dict()["auto.1.weight"], held(judged, "module.auto.")["1.weight"])
    classifier = zoo.load_module(shelf.release("judging"))
    assert torch.equal(classifier.get_parameter("features.head.weight"), released["head.weight"])


def test_a_run_is_evaluated_and_exported_without_it(
    judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, NEED)
    run = shutil.copytree(judged, tmp_path / "run")
    zoo.export(run, tmp_path / "release")
    weights = (judged / "release" / "model.safetensors").read_bytes()
    assert (tmp_path / "release" / "model.safetensors").read_bytes() == weights
    assert zoo.evaluate(run, only=("reconstruction",), limit=20, quiet=True).measurements


def test_the_plugin_of_a_need_is_not_installed(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, NEED)
    others = {name: claims for name, claims in registry.plugins().items() if name != "features"}
    monkeypatch.setattr(torch_module.registry, "plugins", lambda: others)
    with raises(NotFoundError, "needs features.digits, and no plugin of 'features' is installed"):
        zoo.load_module(judged / "release")


@pytest.mark.slow
def test_weights_to_start_from_do_not_replace_it(judged: Path, tmp_path: Path) -> None:
    """A run's checkpoint has other weights for it than the release that is needed now."""
    classifier = shelf_classifier(tmp_path)
    run = zoo.train(
        "judged.tiny", start=judged, set={"judge": str(classifier)}, out=tmp_path / "run", release=False, quiet=True
    ).folder
    assert same(held(run), state(classifier))
    assert not torch.equal(held(run)["head.weight"], state()["head.weight"])


def shelf_classifier(tmp_path: Path) -> Path:
    """A release of the same sizes as that of digits, of one step."""
    recipe = {"steps": 1, "warmup": 0}
    run = zoo.train("features.digits", set=recipe, out=tmp_path / "classifier", quiet=True)
    assert run.release is not None
    return run.release


def test_one_that_needs_one_that_needs_one(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release by its folder. What it was built with is recorded too, and its path is not."""
    run = zoo.train("outer.tiny", set={"judge": str(judged / "release")}, out=tmp_path / "run", quiet=True)
    assert same(held(run.folder, "module.inner."), state(judged))
    assert run.release is not None
    recorded = read(run.release).manifest["provenance"]["needs"]["inner"]
    assert recorded["name"] == "judged.tiny"
    assert recorded["needs"]["features"]["name"] == NEED
    without(monkeypatch, NEED, "judged.tiny")
    module = zoo.load_module(run.release)
    assert isinstance(module.get_submodule("inner.features"), nn.Module)
    assert torch.equal(module.get_parameter("inner.auto.1.weight"), held(judged, "module.auto.")["1.weight"])


@pytest.mark.parametrize(
    "needs",
    [
        3,
        [1],
        {"features": 3},
        {"features": {}},
        {"features": {"name": NEED, "sha256": 1, "recipe": []}},
        {"features": {"name": NEED, "sha256": "0" * 64, "recipe": []}},
    ],
)
def test_a_manifest_with_damaged_needs(needs: object, judged: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(judged / "release", tmp_path / "release")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["provenance"]["needs"] = needs
    (folder / MANIFEST).write_text(json.dumps(seal(manifest)))
    with raises(ReleaseError, "is damaged", "needs"):
        zoo.load_module(folder)


def test_an_origin_with_needs_is_read_without_them(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, NEED)
    assert finetune.origin(judged).name == "judged.tiny, step 6"
