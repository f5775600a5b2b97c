"""The parts of training, each against what it must compute: schedules, EMA, batches, stops, starts, images."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import zoo
from conftest import Command, Refused, Shelf, patch_registry, raises, slow
from zoo import data, registry
from zoo.core import files
from zoo.core.errors import SettingError, TrainingError
from zoo.training import checkpoints, curves, finetune, run_folder
from zoo.training.batches import Batches, split
from zoo.training.distributed import World
from zoo.training.ema import EMA
from zoo.training.phases import Phase, schedule

CPU = torch.device("cpu")
NOW = torch.tensor(0.0)


def recipe(**fields: object) -> zoo.Recipe:
    return zoo.Recipe(precision="fp32", **fields)  # type: ignore[arg-type]


def train(name: str, run: Path, **options: object) -> list[dict[str, object]]:
    """The lines of metrics.jsonl of a run without a release."""
    zoo.train(name, out=run, release=False, quiet=True, **options)  # type: ignore[arg-type]
    return [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]


# Learning rates and steps


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("constant", [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.25, 0.5, 0.75, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", [0.25, 0.5, 0.75, 1] + [0.5 * (1 + math.cos(math.pi * part / 8)) for part in range(8)]),
    ],
)
def test_schedules(decay: str, expected: list[float]) -> None:
    value = recipe(steps=12, warmup=4, decay=decay)
    assert [schedule(step, value) for step in range(12)] == pytest.approx(expected)


@pytest.mark.parametrize(("during", "acts"), [((0.0, 0.5), range(12)), ((0.5, 1.0), range(12, 24))])
def test_a_phase_of_a_part_of_the_run_has_its_schedule_whole(during: tuple[float, float], acts: range) -> None:
    value, whole = recipe(steps=24, warmup=4, decay="cosine"), recipe(steps=12, warmup=4, decay="cosine")
    assert [schedule(step, value, during) for step in acts] == [schedule(step, whole) for step in range(12)]


class Line(nn.Module):
    """One weight w and a loss of which the gradient is known."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[2.0]]))


def squares(line: Line, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
    return {"loss": (line.w * batch.x.flatten(1).mean(1)).square().mean()}


def batches(size: int, parts: int = 1) -> Batches:
    return Batches(data.load("digits", "train"), size, 0, CPU, micro_batches=parts)


def gradient_of_a_phase(value: zoo.Recipe) -> float:
    """The gradient that one step of a phase hands to its optimiser."""
    phase = Phase(0, zoo.Objective(squares), Line(), value, CPU, World())
    seen: list[float] = []
    phase.optimiser.register_step_pre_hook(lambda *_: seen.append(float(phase.parameters[0].grad)))  # type: ignore[arg-type]
    source = batches(value.batch, value.accumulate)
    phase.move(lambda part: source.train(0, NOW, part), 0)
    return seen[0]


def test_accumulated_parts_give_the_gradient_of_the_whole_batch() -> None:
    one, four = (gradient_of_a_phase(recipe(batch=64, accumulate=parts)) for parts in (1, 4))
    assert one != 0
    assert four == pytest.approx(one, rel=1e-6)


def test_gradients_are_clipped_to_the_norm() -> None:
    whole = gradient_of_a_phase(recipe(batch=64))
    assert whole > 0.01
    assert gradient_of_a_phase(recipe(batch=64, clip=0.01)) == pytest.approx(0.01, rel=1e-4)


def test_a_batch_that_cannot_be_split(refused: Refused) -> None:
    says = ("A batch of 32 cannot be split into 3 micro-batches", "Set batch=30")
    refused("train", "ae.tiny", "--set", "accumulate=3", says=says)


def test_weight_decay_spares_biases_and_norms() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    objective = zoo.Objective(squares, optimiser=zoo.AdamW(weight_decay=0.1))
    groups = Phase(0, objective, module, recipe(), CPU, World()).optimiser.param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]


def test_bf16_runs_the_network_in_bfloat16() -> None:
    seen: list[torch.dtype] = []

    def loss(net: nn.Linear, batch: zoo.Batch, recipe: zoo.Recipe) -> Mapping[str, Tensor]:
        out = net(batch.x.flatten(1))
        seen.append(out.dtype)
        return {"loss": out.float().square().mean()}

    for kind in ("fp32", "tf32", "bf16"):
        phase = Phase(0, zoo.Objective(loss), nn.Linear(64, 2), recipe().__class__(precision=kind), CPU, World())
        phase.move(lambda part: batches(8).train(0, NOW, part), 0)
        assert next(iter(phase.loss.parameters())).dtype == torch.float32
    assert seen == [torch.float32, torch.float32, torch.bfloat16]


def test_the_precision_that_auto_chose_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run computes as it began, whatever the device that it goes on on would choose."""
    monkeypatch.setattr("zoo.pipeline.train.best", lambda device: "bf16")
    train("ae.tiny", tmp_path / "run", set={"precision": "auto"})
    assert run_folder.described(tmp_path / "run")["recipe"]["precision"] == "bf16"
    monkeypatch.setattr("zoo.pipeline.train.best", lambda device: "fp32")
    train("ae.tiny", tmp_path / "run", set={"precision": "auto"}, resume=True)


# EMA


def test_the_average_is_what_its_equation_says() -> None:
    line = Line()
    ema = EMA(line, decay=0.9)
    expected = 2.0
    for step in range(200):
        with torch.no_grad():
            line.w.fill_(math.sin(step))
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * math.sin(step)
    assert float(ema.weights[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("model", ["vae", *slow("chargpt")])  # statistics in buffers; tied weights
def test_a_release_holds_the_averages(model: str, tmp_path: Path) -> None:
    run = zoo.train(f"{model}.tiny", set={"ema": 0.9}, out=tmp_path / "run", quiet=True)
    held = checkpoints.read(run.folder)
    ema = {name[4:]: tensor for name, tensor in held.tensors.items() if name.startswith("ema.")}
    module = zoo.load_module(run.folder)
    assert ema.keys() == dict(module.named_parameters(remove_duplicate=False)).keys()
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):  # which no task needs
            continue
        assert torch.equal(tensor, ema.get(name, held.tensors[f"module.{name}"])), name
    first = next(iter(ema))
    assert not torch.equal(ema[first], held.tensors[f"module.{first}"])


def test_a_run_with_every_option_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a checkpoint lies between two lines of metrics.jsonl, and a phase is due in neither's step."""
    model = registry.load("dcgan")
    critic, generator = model.objectives
    rare = dataclasses.replace(model, objectives=(critic, dataclasses.replace(generator, every=4)))
    patch_registry(monkeypatch, load=lambda name: rare)
    monkeypatch.setattr("zoo.training.loop.LOGGED", 5)  # a line in four steps
    options = {
        "set": {
            "ema": 0.9,
            "accumulate": 2,
            "clip": 0.5,
            "data.flip": True,
            "data.crop": 1,
            "validation": 100,
            "leave_out": 3,
        },
        "precision": "bf16",
        "checkpoint_every": 6,
    }
    whole = train("dcgan.tiny", tmp_path / "whole", **options)
    with monkeypatch.context() as patch:
        move = Phase.move

        def stopping(self: Phase, batch: object, step: int) -> object:
            if step == 8 and self.number == 1:
                raise KeyError("stopped")
            return move(self, batch, step)  # type: ignore[arg-type]

        patch.setattr(Phase, "move", stopping)
        with pytest.raises(KeyError):
            train("dcgan.tiny", tmp_path / "cut", **options)
    cut = train("dcgan.tiny", tmp_path / "cut", resume=True, **options)
    left, right = (checkpoints.read(tmp_path / name).tensors for name in ("whole", "cut"))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    for lines in (whole, cut):
        for line in lines:
            line.pop("seconds", None)
    assert whole == cut
    assert all(line["terms"].keys() == {"d_real", "d_fake", "generator"} for line in whole)  # type: ignore[attr-defined]
    assert [line["step"] for line in whole] == [4, 8, 12, 16, 20]


# Batches


def test_parts_of_a_batch_are_the_batch() -> None:
    whole, parts = batches(60), batches(60, parts=3)
    for k in (0, 7, 40):  # 40 lies in the second epoch
        one = whole.train(k, NOW)
        three = [parts.train(k, NOW, part) for part in range(3)]
        assert torch.equal(one.x, torch.cat([part.x for part in three]))
        assert torch.equal(one.index, torch.cat([part.index for part in three]))


def test_an_epoch_has_each_image_once() -> None:
    source = batches(100)
    for epoch in (0, 1):
        index = torch.cat([source.train(15 * epoch + k, NOW).index for k in range(15)])
        assert sorted(index.tolist()) == list(range(1500))


def test_augmentation_mirrors_and_moves() -> None:
    """Each image of an augmented batch is its image, mirrored or not, moved by one of the allowed steps."""
    digits = data.load("digits", "train")
    plain, augmented = Batches(digits, 50, 0, CPU), Batches(digits, 50, 0, CPU, flip=True, crop=2)
    found = set()
    for before, after in zip(plain.train(3, NOW).x, augmented.train(3, NOW).x, strict=True):
        padded = nn.functional.pad(torch.stack([before, before.flip(2)]), [2] * 4)
        found.add(
            next(
                (mirrored, top, left)
                for mirrored in (0, 1)
                for top in range(5)
                for left in range(5)
                if torch.equal(padded[mirrored, :, top : top + 8, left : left + 8], after)
            )
        )
    assert {place[0] for place in found} == {0, 1}
    assert {place[1] for place in found} == {place[2] for place in found} == set(range(5))
    parts = Batches(digits, 50, 0, CPU, micro_batches=2, flip=True, crop=2)
    halves = torch.cat([parts.train(3, NOW, part).x for part in (0, 1)])
    assert torch.equal(halves, augmented.train(3, NOW).x)


@pytest.mark.parametrize("option", ["flip", "crop"])
def test_text_is_not_augmented(option: str, refused: Refused) -> None:
    says = ("'descriptions' has no option", f"{option!r}", "It has: length")
    refused("train", "chargpt.tiny", "--set", f"data.{option}=1", says=says)
    with raises(SettingError, "flip and crop are for images and videos, and descriptions is text"):
        Batches(data.load("descriptions", "train", length=16), 8, 0, CPU, flip=True)


def test_images_are_not_moved_out_of_sight(refused: Refused) -> None:
    says = ("crop = 5 moves images by more than half of their 8×8 pixels",)
    refused("train", "vae.tiny", "--set", "data.crop=5", says=says)


def test_a_class_is_left_out() -> None:
    digits = data.load("digits", "train")
    kept, held = split(digits, recipe(leave_out=3))
    assert held is None
    assert kept.labels is not None
    assert digits.labels is not None
    assert 3 not in kept.labels
    assert len(kept) == len(digits) - (digits.labels == 3).sum()
    assert np.array_equal(kept.x, digits.x[digits.labels != 3])


@pytest.mark.parametrize(("name", "setting"), [("ae.tiny", "leave_out=10"), ("chargpt.tiny", "leave_out=0")])
def test_a_class_that_is_not_there(name: str, setting: str, refused: Refused) -> None:
    refused("train", name, "--set", setting, says=(f"{setting.replace('=', ' = ')} names no class", "classes, from 0"))


def test_samples_are_held_out() -> None:
    digits = data.load("digits", "train")
    kept, held = split(digits, recipe(validation=200))
    assert held is not None
    assert (len(kept), len(held)) == (1300, 200)
    images = {image.tobytes() for image in digits.x}
    assert {image.tobytes() for image in np.concatenate([kept.x, held.x])} == images
    assert len({int(label) for label in held.labels}) == 10  # at random, not the end
    assert not np.array_equal(split(digits, recipe(validation=200, seed=1))[1].x, held.x)  # type: ignore[union-attr]


def test_text_is_held_out_from_its_end() -> None:
    text = data.load("descriptions", "train", length=16)
    kept, held = split(text, recipe(validation=20))
    assert held is not None
    assert len(held) == 20
    assert np.array_equal(np.concatenate([kept.x, held.x]), text.x)


def test_no_window_of_text_is_left_to_train_on(refused: Refused) -> None:
    count = len(data.load("descriptions", "train", length=17))
    options = ("--set", "data.length=17", "--set", f"validation={count - 1}")
    refused("train", "chargpt.tiny", *options, says=(f"validation = {count - 1} leaves nothing to train on",))


def test_too_much_is_held_out(refused: Refused) -> None:
    says = ("validation = 1500 leaves nothing to train on", "digits has 1500")
    refused("train", "ae.tiny", "--set", "validation=1500", says=says)


# Early stops and the best checkpoint


def test_a_run_that_gets_no_better_is_stopped_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a learning rate that ruins the net, the first checkpoint is the best and is what is released."""
    settings = {"lr": 1.0, "steps": 40, "validation": 100, "early_stop": "reconstruction_error", "patience": 3}
    run = zoo.train("ae.tiny", set=settings, out=tmp_path / "run", checkpoint_every=2)
    assert "reconstruction_error did not improve for 3 checkpoints: stopped early" in capsys.readouterr().err
    assert run.steps < 40
    lines = [json.loads(line) for line in (run.folder / run_folder.METRICS).read_text().splitlines()]
    metrics = [line for line in lines if "metrics" in line]
    assert {(line["split"], line["measured"]) for line in metrics} == {("validation", 100)}
    values = [line["metrics"]["reconstruction_error"] for line in metrics]
    best = metrics[int(np.argmin(values))]["step"]
    assert best == run.steps - 6
    assert json.loads((run.folder / "release" / "manifest.json").read_text())["provenance"]["step"] == best
    found = zoo.evaluate(run.folder, only=["mse"], quiet=True)
    assert found.kept is not None
    assert list(json.loads(found.kept.read_text())["steps"]) == [str(best)]
    with raises(SettingError, "The run was started with --checkpoint-every 2", "3 was given"):
        zoo.train("ae.tiny", set=settings, out=tmp_path / "run", checkpoint_every=3, resume=True, quiet=True)
    checkpoints.path_of(run.folder, run.steps).unlink()
    again = zoo.train("ae.tiny", set=settings, out=tmp_path / "run", resume=True, quiet=True)
    assert again.steps == run.steps  # as often as it began


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("early_stop=elbo", "validation=100"), ("is no metric of ae.tiny", "There are: reconstruction_error")),
        (
            ("early_stop=reconstruction_error",),
            ("early_stop needs validation samples, which are not test samples", "validation=1000"),
        ),
    ],
)
def test_early_stops_that_cannot_be(settings: tuple[str, ...], says: tuple[str, ...], refused: Refused) -> None:
    refused("train", "ae.tiny", *(word for setting in settings for word in ("--set", setting)), says=says)


# What is not finite


@pytest.mark.parametrize("step", [1, 4, 13])
def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also at a step whose loss is not logged, and its checkpoint is not written."""
    model = registry.load("ae")
    loss = model.objectives[0].loss

    def ruined(module: nn.Module, batch: zoo.Batch, value: zoo.Recipe) -> Mapping[str, Tensor]:
        terms = dict(loss(module, batch, value))
        if round(float(batch.progress) * value.steps) == step - 1:
            terms["penalty"] = terms["penalty"] * math.inf
        return terms

    broken = dataclasses.replace(model, objectives=(zoo.Objective(ruined),))
    patch_registry(monkeypatch, load=lambda name: broken)
    monkeypatch.setattr("zoo.training.loop.LOGGED", 2)  # one line in ten steps
    last = f"The last good checkpoint is {tmp_path / 'run'}" if step > 4 else "There is no checkpoint"
    with raises(TrainingError, f"ae.tiny stopped at step {step}: the loss term 'penalty' (inf) is not finite", last):
        train("ae.tiny", tmp_path / "run", checkpoint_every=4)
    assert checkpoints.steps(tmp_path / "run") == [s for s in (4, 8, 12) if s < step][-2:]


# Starting from weights


def test_starting_from_a_release(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One step with next to no learning rate leaves the released weights as they are."""
    settings = {"steps": 1, "lr": 1e-12}
    zoo.train("vae.tiny", start=shelf.release("vae"), set=settings, out=tmp_path / "run")
    assert re.search(r"Starting weights: (\d+) of \1 tensors matched", capsys.readouterr().err)
    released = dict(zoo.load_module(shelf.release("vae")).named_parameters())
    for name, tensor in zoo.load_module(tmp_path / "run").named_parameters():
        torch.testing.assert_close(tensor, released[name], rtol=0, atol=1e-6)
    manifest = json.loads((tmp_path / "run" / "release" / "manifest.json").read_text())
    origin = manifest["provenance"]["from"]
    assert (origin["name"], origin["fresh"]) == ("vae.tiny", 0)
    assert len(origin["sha256"]) == 64


def test_starting_from_a_run_takes_what_a_release_leaves_out(shelf: Shelf) -> None:
    origin = finetune.origin(shelf.run("dcgan"))
    assert any(name.startswith("discriminator") for name in origin.tensors)
    assert not any(name.startswith("discriminator") for name in finetune.origin(shelf.release("dcgan")).tensors)


def test_starting_from_a_run_takes_the_checkpoint_that_it_releases(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(shelf.run("vae"), tmp_path / "run"))
    older, newer = checkpoints.steps(run)[-2:]
    assert finetune.origin(run).name == f"vae.tiny, step {newer}"
    monkeypatch.setattr(run_folder, "released", lambda recipe: str(older))
    taken = finetune.origin(run)
    assert taken.name == f"vae.tiny, step {older}"
    assert taken.sha256 == files.sha256(checkpoints.path_of(run, older))
    damaged = checkpoints.path_of(run, older)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with raises(TrainingError, "is damaged", f"Name a release instead: zoo export {run} -o DIR"):
        finetune.origin(run)


def test_starting_and_killed_before_the_first_checkpoint(shelf: Shelf, tmp_path: Path) -> None:
    """A resumed run would begin with fresh weights, and must not."""
    train("ae.tiny", tmp_path / "run", start=shelf.release("ae"))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with raises(TrainingError, "started from other weights and ended before its first checkpoint", "Give --from again"):
        train("ae.tiny", tmp_path / "run", resume=True)


def test_starting_from_other_sizes(shelf: Shelf, tmp_path: Path) -> None:
    """What fits is taken and the rest said; where nothing fits there is no run."""
    origin = finetune.origin(shelf.release("ae"))
    model, tiny = registry.load_recipe("ae.tiny")
    sample = data.load("digits", "train").sample
    module = model.build(dataclasses.replace(tiny, latent=5), sample)  # type: ignore[call-arg]
    match = finetune.start_from(module, origin)
    assert "encoder.1.weight" in match.taken
    assert "encoder.3.weight" in match.fresh
    assert "fresh: " in match.describe()
    with raises(TrainingError, "None of the", "vae.tiny", "same model and sizes"):
        train("ae.tiny", tmp_path / "run", start=shelf.release("vae"))
    assert not (tmp_path / "run").exists()


def test_a_folded_weight_goes_into_a_spectrally_normalised_one() -> None:
    plain = nn.Linear(3, 2)
    module = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)))
    origin = finetune.Origin("x.y", "", {f"0.{name}": tensor for name, tensor in plain.state_dict().items()})
    match = finetune.start_from(module, origin)
    assert "0.parametrizations.weight.original" in match.taken
    assert torch.equal(module[0].parametrizations.weight.original, plain.weight)


def test_starting_from_nothing(refused: Refused) -> None:
    refused("train", "ae.tiny", "--from", "./nowhere", says=("nowhere", "does not exist"))
    refused("train", "ae.tiny", "--from", "ae.tiny", says=("No weights are released under 'ae.tiny'",))


# What people see


def test_the_curves_are_drawn(shelf: Shelf) -> None:
    with Image.open(shelf.run("vae") / run_folder.CURVES) as image:
        assert image.width > image.height > 300
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10
    lines = (shelf.run("vae") / run_folder.METRICS).read_text().splitlines()
    terms, metrics = curves.points(lines)
    assert set(terms) == {"reconstruction", "kl"}
    assert set(metrics) == {"negative_elbo"}
    assert [step for step, _ in terms["kl"]] == list(range(1, 21))


def test_smoothing_leaves_short_curves_and_evens_long_ones() -> None:
    assert curves.smooth([1.0, 5.0, 2.0]) == [1.0, 5.0, 2.0]
    noisy = np.random.default_rng(0).normal(size=1000)
    assert np.std(curves.smooth(noisy.tolist())[200:]) < 0.5 * np.std(noisy)


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of what it meets on the way
def test_compiling_falls_back_where_a_loss_differentiates_twice() -> None:
    """torch.compile refuses a gradient penalty; that phase goes on in eager torch, just the same, and says so."""

    def penalty(line: Line, batch: zoo.Batch, value: zoo.Recipe) -> Mapping[str, Tensor]:
        x = batch.x.flatten(1).requires_grad_()
        (gradient,) = torch.autograd.grad((x.square() @ torch.ones(64, 1) @ line.w).sum(), x, create_graph=True)
        return {"penalty": (gradient.norm(dim=1) - 1).square().mean()}

    weights = []
    for options in (None, {"backend": "aot_eager"}):
        line = Line()
        phase = Phase(0, zoo.Objective(penalty), line, recipe(batch=8), CPU, World(), options)
        phase.move(lambda part: batches(8).train(0, NOW, part), 0)
        assert not phase.compiled
        assert ("The loss 'penalty' runs without torch.compile" in phase.note) == (options is not None)
        weights.append(line.w.item())
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_compiled_run_learns_as_an_eager_one(tmp_path: Path, zoo_command: Command) -> None:
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler (g++)")
    eager = train("ae.tiny", tmp_path / "eager", precision="fp32")
    options = ("--compile", "--precision", "fp32", "--no-release", "-o", "compiled")
    assert zoo_command("train", "ae.tiny", *options, timeout=300).returncode == 0
    compiled = [json.loads(line) for line in (tmp_path / "compiled" / run_folder.METRICS).read_text().splitlines()]
    for left, right in zip(eager, compiled, strict=True):
        for key in ("terms", "metrics"):
            assert left.get(key, {}) == pytest.approx(right.get(key, {}), rel=1e-4)


def test_options_that_need_several_processes(refused: Refused) -> None:
    refused("train", "chargpt.tiny", "--shard", says=("--shard splits a model over several processes", "torchrun"))
