"""What must hold for the built-in models beside the suite that all models pass (test_conformance.py).

By default one model of each kind is taken, and with ``-m slow`` all others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import zoo
from conftest import RELEASED, Shelf, raises
from zoo import registry
from zoo.contract.specs import LogMel
from zoo.core.errors import SettingError
from zoo.hub.resolve import find
from zoo.release import WEIGHTS, read
from zoo.training import checkpoints
from zoo_export import onnx_graph


def test_another_seed_gives_other_weights(shelf: Shelf, tmp_path: Path) -> None:
    other = zoo.train("vae.tiny", set={"seed": 1}, out=tmp_path / "other", release=False, quiet=True)
    assert not _equal(_checkpoint(other.folder), _checkpoint(shelf.run("vae")))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "task"), [("vae", "encode"), ("features", "classify")])
def test_convolutions_can_be_made_fast(model: str, task: str, shelf: Shelf, tmp_path: Path) -> None:
    """ONNX Runtime folds the batch norm behind a convolution into it; it cannot where a bias of zeros is computed."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(shelf.release(model) / f"{task}.onnx"), options)
    nodes = onnx.load(tmp_path / "optimised.onnx", load_external_data=False).graph.node
    convolved = {name for node in nodes if "Conv" in node.op_type for name in node.output}
    assert convolved
    assert not [node for node in nodes if node.op_type == "BatchNormalization" and node.input[0] in convolved]


def test_parity_is_recorded_for_every_task_and_batch(model_name: str, shelf: Shelf) -> None:
    release = read(shelf.release(model_name))
    proof = release.manifest["parity"]
    assert set(proof["tasks"]) == set(release.tasks)
    for rows in proof["tasks"].values():
        assert set(rows) == {"1", "3", "64"}
        assert max(rows.values()) < 1e-4


def test_samples_have_the_form_of_the_data(model_name: str, shelf: Shelf) -> None:
    """A model that generates nothing, such as a classifier, says so in a line."""
    model = zoo.load(shelf.release(model_name))
    if model.release.generation is None:
        with raises(SettingError, f"{model_name}.tiny does not generate", *model.tasks):
            model.generate(1)
        return
    made, x = model.generate(5, seed=3), model.release.sample.x
    if isinstance(x, zoo.Text):
        assert len(made) == 5
        assert all(len(text) == x.shape[0] for text in made)
    elif isinstance(x, LogMel):
        assert (made.dtype, made.shape) == (np.float32, (5, *x.shape))
    else:
        assert (made.dtype, made.shape) == (np.uint8, (5, *x.shape[1:], *(x.shape[:1] if x.shape[0] > 1 else ())))


def _checkpoint(run: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoints.read(run).tensors)


def _equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


FORMS = {
    "digits": zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)}),
    "mnist": zoo.Sample(zoo.Image(1, 28, 28), {"label": zoo.Label(10)}),
    "cifar10-jpeg": zoo.Sample(zoo.Image(3, 32, 32), {"label": zoo.Label(10)}),
    "fsdd": zoo.Sample(zoo.LogMel(8000, 6144, 64, 256, 64), {"label": zoo.Label(10)}),
    "shakespeare": zoo.Sample(zoo.Text("".join(map(chr, range(32, 97))), 128)),
}


REAL = [row.name for row in registry.rows() if row.distribution == registry.OWN and not row.name.endswith(".tiny")]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_graphs_are_small_beside_the_weights(name: str) -> None:
    """For every recipe of ours that is not tiny, all graphs together are under 5% of the weights.

    It is what we promise of our own releases, and no part of the contract: a small, deep model may need more.
    """
    if name in RELEASED:
        folder = find(name)
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        graphs = sum(size for file, size in sizes.items() if file.endswith(".onnx") and file != "generate.onnx")
        assert graphs < 0.05 * sizes[WEIGHTS], f"{graphs:,} of {sizes[WEIGHTS]:,} bytes"
        return
    model, recipe = registry.load_recipe(name)
    module = model.build(recipe, FORMS[recipe.data.name]).eval()
    names = {key: key for key in module.state_dict()}
    used: set[str] = set()
    graphs = 0
    for task_name, task in model.tasks(module).items():
        graph = onnx_graph.trace(module, task, task_name)
        used.update(onnx_graph.take_out(graph, names, {}))
        graphs += graph.ByteSize() + 50 * len(graph.graph.initializer)  # the references that `point` adds
    state = module.state_dict()
    weights = sum(state[key].nbytes for key in used if key in state)
    assert graphs < 0.05 * weights, f"{graphs:,} of {weights:,} bytes"
