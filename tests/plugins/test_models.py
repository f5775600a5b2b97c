"""What must hold for every registered model: the same checks, whatever kind of model it is.

By default they take one model of each kind, and with ``-m slow`` all others.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

import zoo
from conftest import MODELS, RELEASED, Shelf, raises
from zoo import registry
from zoo.contract.specs import LogMel
from zoo.core import philox
from zoo.core.errors import SettingError
from zoo.hub.resolve import find
from zoo.modules import build
from zoo.release import WEIGHTS, read
from zoo.runtime.example_inputs import example
from zoo.sampling import autoregressive, generation, loop
from zoo.training import checkpoints, frozen, run_folder
from zoo_export import onnx_graph
from zoo_export.onnx_graph import INSIDE

LEVEL = 1  # of 255


@pytest.mark.parametrize("model_name", MODELS)
def test_card_is_complete(model_name: str) -> None:
    card = registry.load(model_name).card
    assert card.title
    assert len(card.summary.split()) > 5
    assert card.paper.startswith("https://")
    assert card.citation[-4:].isdigit()
    described = registry.read_file(registry.find(model_name).distribution).models[model_name]
    assert described["title"] == card.title


@pytest.mark.parametrize("model_name", MODELS)
def test_recipes_have_tiny_and_a_real_one(model_name: str) -> None:
    recipes = registry.load(model_name).recipes
    assert "tiny" in recipes
    assert len(recipes) > 1


def test_every_phase_moves_its_weights(model_name: str, shelf: Shelf) -> None:
    """Each submodule that an objective names, and what no objective names, is as it was, or has moved."""
    model, recipe = registry.load_recipe(f"{model_name}.tiny")
    _, _, _, sample = run_folder.model_of(shelf.run(model_name))
    fresh, trained = build(model, recipe, sample, model_name), _checkpoint(shelf.run(model_name))
    moved = {name for name, weight in fresh.named_parameters() if not torch.equal(weight, trained[f"module.{name}"])}
    for objective in model.phases(recipe, fresh):
        for path in objective.params or ("",):
            assert any(name.startswith(path) for name in moved), f"{objective.loss.__name__} moves {path or 'nothing'}"
    held = frozen.paths(model, fresh)
    for name, tensor in fresh.state_dict().items():
        assert not frozen.inside(name, held) or torch.equal(tensor, trained[f"module.{name}"]), name


def test_metrics_hold_every_term_of_every_step(model_name: str, shelf: Shelf) -> None:
    lines = _metrics(shelf.run(model_name))
    assert [line["step"] for line in lines] == list(range(1, registry.load(model_name).recipes["tiny"].steps + 1))
    assert all(line["terms"] for line in lines)


def test_same_seed_and_resume_are_exact(
    model_name: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run, stopped after 7 steps and resumed, ends with the same weights, optimisers and metrics: every bit."""
    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.phases.Phase.move", _stop_at(7))
        with pytest.raises(_Stopped):
            zoo.train(f"{model_name}.tiny", out=tmp_path / "run", release=False, quiet=True, checkpoint_every=2)
    assert checkpoints.steps(tmp_path / "run")[-1] == 6
    run = zoo.train(
        f"{model_name}.tiny", out=tmp_path / "run", release=False, quiet=True, checkpoint_every=2, resume=True
    )
    assert _equal(_checkpoint(run.folder), _checkpoint(shelf.run(model_name)))
    assert _metrics(run.folder) == _metrics(shelf.run(model_name))


def test_another_seed_gives_other_weights(shelf: Shelf, tmp_path: Path) -> None:
    other = zoo.train("vae.tiny", set={"seed": 1}, out=tmp_path / "other", release=False, quiet=True)
    assert not _equal(_checkpoint(other.folder), _checkpoint(shelf.run("vae")))


def test_release_holds_what_the_checkpoint_holds(model_name: str, shelf: Shelf) -> None:
    module = zoo.load_module(shelf.release(model_name))
    weights = load_file(shelf.release(model_name) / WEIGHTS)
    trained = {key[7:]: value for key, value in _checkpoint(shelf.run(model_name)).items() if key.startswith("module.")}
    state = module.state_dict()
    kept = [name for name in state if name in weights]
    assert kept
    for name in kept:
        assert torch.equal(state[name], trained[name]), name


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


def test_graphs_carry_no_weights(model_name: str, shelf: Shelf) -> None:
    for path in shelf.release(model_name).glob("*.onnx"):
        graph = onnx.load(path, load_external_data=False)
        bodies = [part.g for node in graph.graph.node for part in node.attribute if part.HasField("g")]
        for tensor in [tensor for part in (graph.graph, *bodies) for tensor in part.initializer]:
            inside = tensor.data_location != onnx.TensorProto.EXTERNAL
            assert not inside or tensor.ByteSize() <= INSIDE, tensor.name
            assert inside or {entry.key: entry.value for entry in tensor.external_data}["location"] == WEIGHTS
        for node in graph.graph.node:
            assert node.op_type not in onnx_graph.RANDOM
            assert not node.metadata_props
            for attribute in node.attribute:
                assert attribute.t.ByteSize() <= INSIDE, node.name
        content = path.read_bytes()
        assert b".py" not in content
        assert str(Path.home()).encode() not in content or str(Path.home()) == "/"
        assert graph.ir_version == 10
        assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]


def test_every_task_matches_at_other_batches_than_the_gate_tried(model_name: str, shelf: Shelf) -> None:
    release = read(shelf.release(model_name))
    eager, fast = (zoo.load(release.folder, backend=backend) for backend in ("torch", "onnx"))
    for name, task in release.tasks.items():
        for batch in (2, 70):
            feeds = {key: example(spec, batch, stream + 5) for stream, (key, spec) in enumerate(task.inputs.items())}
            left, right = eager.backend.run(name, feeds), fast.backend.run(name, feeds)
            for key in task.outputs:
                np.testing.assert_allclose(right[key], left[key], rtol=1e-4, atol=1e-5, err_msg=f"{name}.{key}")


def test_parity_is_recorded_for_every_task_and_batch(model_name: str, shelf: Shelf) -> None:
    release = read(shelf.release(model_name))
    proof = release.manifest["parity"]
    assert set(proof["tasks"]) == set(release.tasks)
    for rows in proof["tasks"].values():
        assert set(rows) == {"1", "3", "64"}
        assert max(rows.values()) < 1e-4


def test_samples_are_the_same_alone_in_a_batch_and_on_both_backends(model_name: str, shelf: Shelf) -> None:
    if _generates_nothing(model_name, shelf):
        return
    fast, eager = (zoo.load(shelf.release(model_name), backend=backend) for backend in ("onnx", "torch"))
    together = fast.generate(5, seed=3)
    alone = [fast.generate(1, seed=3, first=index)[0] for index in range(5)]
    by_torch = eager.generate(5, seed=3)
    if fast.release.sample.x.kind == "text":
        assert len(together) == 5
        assert all(len(text) == fast.release.sample.x.shape[0] for text in together)
        _same_texts(fast, together, alone)
        _same_texts(fast, together, by_torch)
        assert fast.generate(5, seed=4) != together
        return
    shape = fast.release.sample.x.shape
    if isinstance(fast.release.sample.x, LogMel):
        assert together.dtype == np.float32
        assert together.shape == (5, *shape)
        for other in (np.stack(alone), by_torch):
            np.testing.assert_allclose(other, together, rtol=1e-4, atol=1e-5)
        assert np.abs(fast.generate(5, seed=4) - together).max() > 1e-4
        return
    assert together.dtype == np.uint8
    assert together.shape == (5, *shape[1:], *(shape[:1] if shape[0] > 1 else ()))
    for other in (np.stack(alone), by_torch):
        assert np.abs(together.astype(int) - other).max() <= LEVEL
    assert np.abs(fast.generate(5, seed=4).astype(int) - together).max() > LEVEL


def test_loading_twice_gives_equal_bits(model_name: str, shelf: Shelf) -> None:
    if _generates_nothing(model_name, shelf):
        return
    first, second = (zoo.load(shelf.release(model_name)).generate(3, seed=1) for _ in range(2))
    assert np.array_equal(first, second)


def _generates_nothing(model_name: str, shelf: Shelf) -> bool:
    """Whether a model, such as a classifier, generates nothing; then asking it to is refused in one line."""
    model = zoo.load(shelf.release(model_name))
    if model.release.generation is not None:
        return False
    with raises(SettingError, f"{model_name}.tiny does not generate", *model.tasks):
        model.generate(1)
    return True


def _same_texts(model: zoo.LoadedModel, left: list[str], right: list[str]) -> None:
    """Equal, or different from a character on at which the two best were closer than the margin of the proof."""
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        if one != other:
            position = next(place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
            scores = _scores(model, one, index, position)
            assert scores[-1] - scores[-2] <= autoregressive.MARGIN


def _scores(model: zoo.LoadedModel, text: str, index: int, position: int) -> list[float]:
    """The sorted scores from which the character at a position was picked."""
    from zoo.media.kinds import text_to_ids

    release = model.release
    assert release.plan is not None
    before = np.array([[0, *text_to_ids(text[:position], release.sample.x)]])
    indices = np.array([index])
    start = loop.begin(release.plan, indices, 3, generation.asked_of(release.plan, indices))
    *_, (_, outputs) = autoregressive.read(model.backend.run, release.plan, start, before.T)
    gumbel = philox.draw("gumbel", outputs["logits"].shape[1:], 3, np.array([index]), step=position)
    return sorted((outputs["logits"] + gumbel)[0].tolist())


class _Stopped(Exception):
    """Stands for a process that ends at once."""


def _stop_at(stop: int):  # type: ignore[no-untyped-def]
    from zoo.training.phases import Phase

    move = Phase.move

    def stopping(self, batch, step):  # type: ignore[no-untyped-def]
        if step == stop:
            raise _Stopped
        return move(self, batch, step)

    return stopping


def _checkpoint(run: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoints.read(run).tensors)


def _equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def _metrics(run: Path) -> list[dict[str, object]]:
    """The lines but for their times and the metrics, which are taken at each checkpoint."""
    lines = [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines if "terms" in line]


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
