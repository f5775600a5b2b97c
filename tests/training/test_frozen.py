"""What a model's `build` froze stays frozen: in every phase, with clipping, weight decay, EMA, and after a resume."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from conftest import Shelf, contents, patch_registry, raises
from zoo import data, registry
from zoo.core.errors import PluginError
from zoo.modules import build
from zoo.training import checkpoints

Freeze = Callable[[nn.Module], object]
Patch = Callable[..., zoo.Model]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Replaces a model by itself with something frozen by `build`, and other fields changed."""
    load = registry.load

    def patch(name: str, freeze: Freeze, **changes: object) -> zoo.Model:
        model = load(name)

        def built(recipe: zoo.Recipe, sample: zoo.Sample) -> nn.Module:
            module = model.build(recipe, sample)
            freeze(module)
            return module

        changed = dataclasses.replace(model, build=built, **changes)  # type: ignore[arg-type]
        patch_registry(monkeypatch, load=lambda name: changed)
        return changed

    return patch


def fresh(name: str, model: zoo.Model) -> dict[str, torch.Tensor]:
    recipe = model.recipes["tiny"]
    return build(model, recipe, data.load(recipe.data, "train").sample, name).state_dict()


def trained(run: Path, prefix: str = "module.") -> dict[str, torch.Tensor]:
    tensors = checkpoints.read(run).tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def decayed(objective: zoo.Objective) -> zoo.Objective:
    """The same phase with weight decay, which would move weights that no gradient reaches."""
    return dataclasses.replace(objective, optimiser=zoo.AdamW(weight_decay=0.5))


def test_a_frozen_part_of_a_model_of_one_phase(frozen: Patch, tmp_path: Path) -> None:
    objectives = tuple(map(decayed, registry.load("ae").objectives))
    model = frozen("ae", lambda module: module.encoder.requires_grad_(False), objectives=objectives)  # type: ignore[union-attr,operator]
    options = {"set": {"clip": 0.1, "ema": 0.9}, "checkpoint_every": 8, "release": False, "quiet": True}
    zoo.train("ae.tiny", out=tmp_path / "run", **options)  # type: ignore[arg-type]
    before, after, ema = fresh("ae.tiny", model), trained(tmp_path / "run"), trained(tmp_path / "run", "ema.")
    for name in before:
        if name.startswith("encoder."):
            assert torch.equal(after[name], before[name]), name
            assert torch.equal(ema[name], before[name]), name
        elif name.startswith("decoder."):
            assert not torch.equal(after[name], before[name]), name
    moments = {name.split(".")[2] for name in trained(tmp_path / "run", "optimiser.")}
    assert len(moments) == sum(name.startswith("decoder.") for name in before)
    whole = checkpoints.read(tmp_path / "run").tensors
    checkpoints.path_of(tmp_path / "run", 20).unlink()
    zoo.train("ae.tiny", out=tmp_path / "run", resume=True, **options)  # type: ignore[arg-type]
    resumed = checkpoints.read(tmp_path / "run").tensors
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_frozen_layer_inside_what_a_phase_names(frozen: Patch, tmp_path: Path) -> None:
    """Both phases of a GAN: the discriminator's moves the rest of the discriminator, the generator's none of it."""
    objectives = tuple(map(decayed, registry.load("dcgan").objectives))
    held = next(name for name, _ in registry.load("dcgan").build(*of("dcgan")).named_parameters() if "discrim" in name)
    model = frozen("dcgan", lambda module: module.get_parameter(held).requires_grad_(False), objectives=objectives)
    zoo.train("dcgan.tiny", out=tmp_path / "run", release=False, quiet=True)
    before, after = fresh("dcgan.tiny", model), trained(tmp_path / "run")
    assert torch.equal(after[held], before[held])
    moved = [name for name, weight in before.items() if weight.is_floating_point() and "running" not in name]
    assert [name for name in moved if torch.equal(after[name], before[name])] == [held]


def of(name: str) -> tuple[zoo.Recipe, zoo.Sample]:
    recipe = registry.load(name).recipes["tiny"]
    return recipe, data.load(recipe.data, "train").sample


@pytest.mark.parametrize("in_eval_mode", [True, False])
def test_statistics_stay_where_a_frozen_part_is_in_eval_mode(in_eval_mode: bool, frozen: Patch, tmp_path: Path) -> None:
    """BatchNorm's statistics are buffers: they follow the data, as in torch, unless `build` put the part in eval."""

    def freeze(module: nn.Module) -> None:
        encoder = module.get_submodule("encoder").requires_grad_(False)
        if in_eval_mode:
            encoder.eval()

    model = frozen("vae", freeze)
    zoo.train("vae.tiny", out=tmp_path / "run", checkpoint_every=5, release=False, quiet=True)
    before, after = fresh("vae.tiny", model), trained(tmp_path / "run")
    weights = [name for name in before if name.startswith("encoder.") and "running" not in name and "num_" not in name]
    statistics = [name for name in before if name.startswith("encoder.") and "running" in name]
    assert statistics
    assert all(torch.equal(after[name], before[name]) for name in weights)
    assert [torch.equal(after[name], before[name]) for name in statistics] == [in_eval_mode] * len(statistics)


def test_a_part_in_eval_mode_that_is_trained_trains(frozen: Patch, tmp_path: Path) -> None:
    model = frozen("vae", lambda module: module.eval())
    zoo.train("vae.tiny", out=tmp_path / "run", release=False, quiet=True)
    before, after = fresh("vae.tiny", model), trained(tmp_path / "run")
    assert not any(torch.equal(after[name], before[name]) for name in before if "running" in name)


def test_released_weights_can_be_frozen(frozen: Patch, shelf: Shelf, tmp_path: Path) -> None:
    """Fine-tuning: the encoder is the release's afterwards, and the decoder is not."""
    shelf.run("ae")  # with the model as it is
    frozen("ae", lambda module: module.encoder.requires_grad_(False))  # type: ignore[union-attr,operator]
    zoo.train("ae.tiny", start=shelf.release("ae"), out=tmp_path / "run", release=False, quiet=True)
    released, after = zoo.load_module(shelf.release("ae")).state_dict(), trained(tmp_path / "run")
    for name in released:
        if name.startswith(("encoder.", "decoder.")):
            assert torch.equal(after[name], released[name]) == name.startswith("encoder."), name


@pytest.mark.parametrize(("part", "words"), [("discriminator", "discriminator"), ("", "the whole module")])
def test_a_phase_with_nothing_left_to_move_is_refused(
    part: str, words: str, shelf: Shelf, frozen: Patch, tmp_path: Path
) -> None:
    name = "dcgan" if part else "ae"
    shelf.run(name)
    frozen(name, lambda module: module.get_submodule(part).requires_grad_(False))
    loss = registry.load(name).objectives[0].loss.__name__
    froze = f"froze every weight of {words} (requires_grad_(False))"
    says = (f"the objective of the loss {loss!r} has nothing to train", froze)
    with raises(PluginError, *says):
        zoo.train(f"{name}.tiny", out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    run = shutil.copytree(shelf.run(name), tmp_path / "run")
    before = contents(run)
    with raises(PluginError, *says):  # of a plugin that has changed since the run began
        zoo.train(f"{name}.tiny", out=run, resume=True, quiet=True)
    assert contents(run) == before


# What the model declares


def test_what_a_model_declares_frozen_keeps_every_bit(frozen: Patch, tmp_path: Path) -> None:
    """Weights and BatchNorm's statistics: with weight decay, clipping and EMA, and after a resume."""
    objectives = tuple(map(decayed, registry.load("vae").objectives))
    model = frozen("vae", lambda module: None, frozen=("encoder",), objectives=objectives)
    options = {"set": {"clip": 0.1, "ema": 0.9}, "checkpoint_every": 8, "release": False, "quiet": True}
    zoo.train("vae.tiny", out=tmp_path / "run", **options)  # type: ignore[arg-type]
    before, after, ema = fresh("vae.tiny", model), trained(tmp_path / "run"), trained(tmp_path / "run", "ema.")
    held = [name for name in before if name.startswith("encoder.")]
    assert any("running_mean" in name for name in held)
    assert any("num_batches_tracked" in name for name in held)
    for name in held:
        assert torch.equal(after[name], before[name]), name
        assert name not in ema or torch.equal(ema[name], before[name]), name
    assert not any(torch.equal(after[name], before[name]) for name in before if name.startswith("decoder."))
    whole = checkpoints.read(tmp_path / "run").tensors
    checkpoints.path_of(tmp_path / "run", 20).unlink()
    zoo.train("vae.tiny", out=tmp_path / "run", resume=True, **options)  # type: ignore[arg-type]
    resumed = checkpoints.read(tmp_path / "run").tensors
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_fine_tuning_keeps_the_frozen_weights_of_its_start(frozen: Patch, shelf: Shelf, tmp_path: Path) -> None:
    start = shelf.run("vae")
    frozen("vae", lambda module: None, frozen=("encoder",))
    zoo.train("vae.tiny", start=start, set={"lr": 0.1}, out=tmp_path / "run", release=False, quiet=True)
    before, after = trained(start), trained(tmp_path / "run")
    for name in before:
        assert torch.equal(after[name], before[name]) or not name.startswith("encoder."), name
    assert not any(torch.equal(after[name], before[name]) for name in before if name.startswith("decoder."))


def test_a_frozen_part_is_in_eval_mode_in_every_phase(frozen: Patch, tmp_path: Path) -> None:
    """A part without weights too, such as dropout; also after a checkpoint, which evaluates the whole model."""
    model = registry.load("ae")
    modes: list[tuple[bool, bool]] = []

    def loss(module: nn.Module, batch: zoo.Batch, recipe: zoo.Recipe) -> dict[str, torch.Tensor]:
        modes.append((module.get_submodule("noise").training, module.training))
        return dict(model.objectives[0].loss(module, batch, recipe))  # type: ignore[index]

    def build(module: nn.Module) -> None:
        module.add_module("noise", nn.Sequential(nn.Dropout(0.5)))

    frozen("ae", build, frozen=("noise",), objectives=(zoo.Objective(loss),))
    zoo.train("ae.tiny", out=tmp_path / "run", checkpoint_every=5, release=False, quiet=True)
    assert set(modes) == {(False, True)}
    assert len(modes) == 21  # the rehearsal's is the first


def test_a_frozen_part_that_changes_later_stops_the_run(frozen: Patch, tmp_path: Path) -> None:
    """A projection that the rehearsal does not catch: the next checkpoint is not written."""
    calls: list[int] = []

    def project(module: nn.Module, recipe: zoo.Recipe) -> None:
        calls.append(1)
        if len(calls) == 8:
            module.get_parameter("encoder.1.bias").add_(1e-7)

    objective = dataclasses.replace(registry.load("ae").objectives[0], after=project)  # type: ignore[index]
    frozen("ae", lambda module: None, frozen=("encoder",), objectives=(objective,))
    with raises(PluginError, "'encoder.1.bias' is frozen, and has changed by step 10"):
        zoo.train("ae.tiny", out=tmp_path / "run", checkpoint_every=5, release=False, quiet=True)
    assert checkpoints.steps(tmp_path / "run") == [5]
