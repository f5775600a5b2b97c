"""The proof refuses what is not what the task declares, and what an exporter could bake in or mix up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import zoo
from conftest import Shelf
from zoo.core.errors import ExportError, ParityError, PluginError
from zoo_export import onnx_graph, parity

VECTOR = {"x": zoo.Vector((3,))}


def graph(method: Callable[..., Any], outputs: dict[str, Any], module: nn.Module | None = None) -> Any:
    return onnx_graph.trace(module or nn.Module(), zoo.Task(method, VECTOR, outputs), "odd")


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (lambda x: torch.cat([x, x]), "batch"),
        (lambda x: x.double(), "float64"),
        (lambda x: x[:, :2], "2"),
        (lambda x: x.sum(), r"\[\]"),
        (lambda x: (x, x), "declares"),
    ],
    ids=["two batches", "dtype", "shape", "no batch", "two outputs"],
)
def test_an_output_that_is_not_what_the_task_declares(method: Callable[..., Any], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        graph(method, {"y": zoo.Vector((3,))})


def test_a_task_that_does_not_export_is_named() -> None:
    with pytest.raises(ExportError, match="Task 'odd' does not export"):
        graph(lambda x: x if x.sum() > 0 else -x, {"y": zoo.Vector((3,))})


@pytest.mark.parametrize(
    ("spec", "left", "right", "says"),
    [
        (zoo.Vector((1,)), [[1.0]], [[1.0002]], "differs by up to 0.0002"),
        (zoo.Vector((1,)), [[np.nan]], [[np.nan]], "not finite"),
        (zoo.Vector((1,)), [1.0], [1.0], r"declares float32 \(1, 1\)"),
        (zoo.Vector((1,), "int64"), [[50_000]], [[50_001]], "differs by up to 1"),
        (zoo.Label(4), [4], [4], "must be in 0 to 3"),
        (zoo.Image(1, 1, 1), [[[[9.0]]]], [[[[9.0]]]], r"must be in \[0, 1\]"),
    ],
)
def test_a_difference_is_refused(spec: Any, left: list[Any], right: list[Any], says: str) -> None:
    values = [{"y": np.array(value, spec.dtype)} for value in (left, right)]
    with pytest.raises(ParityError, match=says):
        parity._compare("task 'odd'", {"y": spec}, 1, *values)


def test_an_item_that_depends_on_its_batch_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sample less the mean of its batch: torch and ONNX Runtime agree, and it is still not releasable."""
    from zoo_autoencoders.ae import Autoencoder

    run, whole = shelf.run("ae"), Autoencoder.encode
    monkeypatch.setattr(Autoencoder, "encode", lambda ae, x: whole(ae, x) - whole(ae, x).mean(0))
    with pytest.raises(ParityError, match=r"'encode', an item alone against the same in a batch of 3"):
        zoo.export(run, run.parent / "never")
    assert not (run.parent / "never").exists()


@pytest.mark.parametrize("options", [{"every": 0}, {"during": (0.9, 0.1)}, {"during": (0.0, 2.0)}])
def test_an_objective_that_is_never_due(options: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="every must be at least 1"):
        zoo.Objective(lambda *args: {}, **options)


class Constants(nn.Module):
    """Large constants of equal values and different types, and a weight with the name of an output."""

    def __init__(self) -> None:
        super().__init__()
        self.y = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: Tensor) -> Tensor:
        whole, real = torch.arange(600), torch.arange(600, dtype=torch.float32)
        return x * self.y + whole.sum() / 1000 + real.mean()


def test_constants_and_names_are_not_mixed_up() -> None:
    module = Constants()
    made = graph(module.forward, {"y": zoo.Vector((3,))}, module)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.ones((2, 3), np.float32)
    (found,) = session.run(None, {"x": x})
    np.testing.assert_allclose(found, module(torch.from_numpy(x)).detach().numpy(), rtol=1e-5)
    names = {"y": "y"}
    constants: dict[str, Any] = {}
    assert "y" in onnx_graph.take_out(made, names, constants)
    tensors = [value.name for value in (*made.graph.input, *made.graph.output, *made.graph.initializer)]
    assert len(tensors) == len(set(tensors))
    assert len({value.dtype for value in constants.values()}) == len(constants)
