"""What the tests trace once is what would be traced anew: the same bytes, but for the weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import zoo
from conftest import MODELS, Shelf, few
from traced import Once, trace
from zoo import registry


@pytest.mark.slow
@pytest.mark.parametrize("model_name", few(MODELS, "vae"))
def test_other_weights_in_the_same_graph(model_name: str, shelf: Shelf) -> None:
    once, model = Once(), registry.load(model_name)
    modules = [zoo.load_module(shelf.release(model_name)) for _ in range(2)]
    with torch.no_grad():
        for weight in modules[1].parameters():
            weight.add_(torch.rand_like(weight))
    name = [*model.tasks(modules[0])][-1]
    first, second = (once(module, model.tasks(module)[name], name) for module in modules)
    assert first != second
    assert second == trace(modules[1], model.tasks(modules[1])[name], name)


@pytest.mark.slow
def test_what_a_graph_depends_on_is_traced_anew() -> None:
    class Scaled(torch.nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale
            self.register_buffer("shift", torch.full((2,), scale), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale + self.shift  # type: ignore[operator]

    once = Once()
    for module in (Scaled(1.0), Scaled(2.0)):
        task = zoo.Task(module.forward, {"x": zoo.Vector((2,))}, {"y": zoo.Vector((2,))})
        assert once(module, task, "scale") == trace(module, task, "scale")
        larger = dataclasses.replace(task, inputs={"x": zoo.Vector((1,))})
        assert once(module, larger, "scale") == trace(module, larger, "scale")
