"""The modules of `zoo.load_module`: calling one does what docs/how-to/train.md says, and it can be trained."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import torch

import zoo
from conftest import Shelf
from zoo import data, registry
from zoo.runtime.example_inputs import example
from zoo.training.batches import Batches

DOCS = (
    (Path(__file__).parents[2] / "docs" / "how-to" / "fine-tune.md")
    .read_text("utf-8")
    .split("## In a loop of your own")[1]
)
CALLS = {
    name: call.split(", ")
    for names, call in re.findall(r"^\| (`.*?`) \| `net\((.*?)\)` \|", DOCS, re.MULTILINE)
    for name in re.findall(r"`(.*?)`", names)
}
"""What each model's module takes, by the table there."""

SHAPES = {"features": (4, 10), "pixelcnn": (4, 2, 8, 8)}
"""Of what it gives, where that is not the shape of the data."""


def test_the_table_has_every_model() -> None:
    assert set(CALLS) == {name for name in registry.plugins() if registry.find(name).distribution == "genzoo"}


def test_a_module_is_called(model_name: str, shelf: Shelf) -> None:
    """On real data it gives finite numbers of the shape in the table, and gradients reach its weights."""
    model, recipe = registry.load_recipe(f"{model_name}.tiny")
    net = zoo.load_module(shelf.release(model_name))
    assert list(inspect.signature(net.forward).parameters) == CALLS[model_name]
    split = data.load(recipe.data, "train")
    (batch,) = Batches(split, 4, 0, torch.device("cpu")).in_order(4)
    decode = model.tasks(net).get("decode")
    if decode and list(decode.inputs) == CALLS[model_name]:  # a generator
        known = {key: example(spec, 4, stream) for stream, (key, spec) in enumerate(decode.inputs.items())}
        known = {key: torch.from_numpy(value) for key, value in known.items()}
    else:
        known = {"x": batch.x, "label": batch.labels, "time": torch.tensor([0, 5, 10, 19])}
        known["tokens"] = net.encode(batch.x) if model_name == "pixelcnn" else batch.x
    found = net(*(known[name] for name in CALLS[model_name]))
    shape = (*batch.x.shape, net.classes) if model_name == "chargpt" else SHAPES.get(model_name, batch.x.shape)
    assert found.shape == shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert not torch.equal(found[0], found[1])
    found.square().mean().backward()
    slopes = [weight.grad for weight in net.parameters() if weight.grad is not None]
    assert all(slope.isfinite().all() for slope in slopes)
    assert any(slope.abs().max() > 0 for slope in slopes)


def test_the_gradient_of_a_vq_vae_passes_through_its_codes() -> None:
    """What it gives is the reconstruction before it is clipped, and the encoder has a gradient all the same."""
    net = zoo.load_module("vq-vae.mnist")
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    found = net(x)
    torch.testing.assert_close(found.clamp(0, 1), net.reconstruct(x))
    found.sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.encoder.parameters())


def test_the_loop_in_the_docs_lowers_the_loss() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    scope: dict[str, object] = {}
    exec(code, scope)
    x, loss = scope["x"], scope["loss"]
    assert isinstance(x, torch.Tensor)
    assert isinstance(loss, torch.Tensor)
    with torch.no_grad():
        before = (zoo.load_module("vae.digits").train()(x) - x).square().mean()
    assert loss < 0.95 * before
