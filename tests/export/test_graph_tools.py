"""Other people's tools take every released graph, and what they make of it gives the same."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

import zoo
from conftest import RELEASED, few
from zoo.contract.specs import Image
from zoo.hub.resolve import find
from zoo.release import GENERATE, Release, read
from zoo.runtime import derived
from zoo.runtime.derived import ATOL, RTOL
from zoo.runtime.example_inputs import example
from zoo_export import standard


def preprocess(graph: Path, to: Path) -> None:
    """ONNX Runtime's symbolic shape inference, which users of TensorRT run too, and its own simplification."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(graph), str(to))


def slim(graph: Path, to: Path) -> None:
    onnxslim = pytest.importorskip("onnxslim", reason="onnxslim is not installed")
    onnx.save(onnxslim.slim(onnx.load(graph)), to)


def simplify(graph: Path, to: Path) -> None:
    onnxsim = pytest.importorskip("onnxsim", reason="onnxsim has no wheel for this Python")
    simple, same = onnxsim.simplify(onnx.load(graph))
    assert same
    onnx.save(simple, to)


TOOLS: dict[str, Callable[[Path, Path], None]] = {"preprocess": preprocess, "onnxslim": slim, "onnxsim": simplify}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the tools log, and their own deprecated calls, are not ours."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def run(graph: Path, feeds: dict[str, Any]) -> dict[str, NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def graphs(release: Release) -> dict[str, dict[str, Any]]:
    """What each graph of a release can be fed, by its file name."""
    found = {}
    for name, task in release.tasks.items():
        feeds = {key: example(spec, 2, stream) for stream, (key, spec) in enumerate(task.inputs.items())}
        found[task.graph] = feeds
        if name in release.uint8:
            found[release.uint8[name]] = {
                key: (255 * feeds[key]).astype(np.uint8).transpose(0, 2, 3, 1)
                if isinstance(spec, Image)
                else feeds[key]
                for key, spec in task.inputs.items()
            }
    if release.plan is not None:
        feeds = derived.feeds(release.plan, seed=2**63, first=3, n=2, length=5, steps=2)
        found |= {file: feeds for file in (release.generate, release.uint8.get(GENERATE)) if file}
    return found


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("released", few(RELEASED, "vae.digits"))
def test_a_tool_takes_every_graph_and_makes_one_that_gives_the_same(released: str, tool: str, tmp_path: Path) -> None:
    release = read(find(released))
    if released == "vae.digits":
        release = read(zoo.export(released, tmp_path / "bytes", uint8=True))
        assert release.uint8
    for file, feeds in graphs(release).items():
        made = tmp_path / f"{tool}.{file}"
        with quiet():
            TOOLS[tool](release.folder / file, made)
            onnx.checker.check_model(str(made))
        wanted, found = run(release.folder / file, feeds), run(made, feeds)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert found[key].dtype == value.dtype
            atol = 1 if value.dtype == np.uint8 else ATOL
            if file == release.generate and isinstance(release.sample.x, Image):
                atol = 1 / 255  # rounding grows from step to step; of images one level, as everywhere
            np.testing.assert_allclose(found[key], value, rtol=RTOL, atol=atol)


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_the_quantiser_leaves_out_a_node_by_its_name(kind: str, tmp_path: Path) -> None:
    """The names are those of the layers, and the same at each export."""
    from onnxruntime import quantization

    graph, plain, made = find("vae.digits") / "decode.onnx", tmp_path / "plain.onnx", tmp_path / "int8.onnx"
    names = [node.name for node in onnx.load(graph, load_external_data=False).graph.node]
    kept = "decoder.0/Gemm"
    assert kept in names
    with quiet():
        preprocess(graph, plain)
        if kind == "dynamic":
            kept = f"{kept}_MatMul"  # what the quantiser itself makes of a Gemm, and then looks for
            quantization.quantize_dynamic(plain, made, nodes_to_exclude=[kept], op_types_to_quantize=["MatMul"])
        else:
            quantization.quantize_static(plain, made, _Batches(graph), nodes_to_exclude=[kept])
    left = {node.name: node.op_type for node in onnx.load(made).graph.node}
    assert left[kept] == ("MatMul" if kind == "dynamic" else "Gemm")
    kinds = set(left.values())
    assert kinds & {"MatMulInteger", "QGemm", "DequantizeLinear", "ConvInteger"}


class _Batches:
    def __init__(self, graph: Path) -> None:
        self._batches = iter([graphs(read(graph.parent))[graph.name]])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


@pytest.mark.parametrize("name", zoo.list_models(pretrained=True))
def test_every_node_has_a_name_and_no_constant_is_a_node(name: str) -> None:
    release = read(find(name))
    for file in graphs(release):
        model = onnx.load(release.folder / file, load_external_data=False)
        nodes = [*every_node(model.graph)]
        names = [node.name for node in nodes]
        assert all(names), file
        assert len(set(names)) == len(names), file
        assert not [node.name for node in nodes if node.op_type in ("Constant", "CastLike", "SequenceAt")], file
        assert not [found for found in names if found.startswith("/") or "\\" in found or "node_" in found], file
        assert not [node.name for node in nodes if node.op_type == "Shape" and node.attribute], file
        assert not model.functions


@pytest.mark.parametrize(
    "limits",
    [{}, {"end": 1}, {"start": 1}, {"start": 1, "end": 3}, {"start": -1}, {"end": -2}, {"start": -1, "end": 0}],
)
def test_a_part_of_a_shape_is_taken_from_all_of_it(limits: dict[str, int], tmp_path: Path) -> None:
    x = np.zeros((2, 3, 5, 7), np.float32)
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 5, 7])
    made = onnx.helper.make_tensor_value_info("size", onnx.TensorProto.INT64, None)
    node = onnx.helper.make_node("Shape", ["x"], ["size"], "layer/Shape", **limits)
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "task", [given], [made]),
        opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10,
    )  # fmt: skip
    standard.whole_shapes(model.graph)
    assert not [node.name for node in model.graph.node if node.op_type == "Shape" and node.attribute]
    onnx.save(model, tmp_path / "size.onnx")
    assert run(tmp_path / "size.onnx", {"x": x})["size"].tolist() == [*x.shape][limits.get("start") : limits.get("end")]


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for body in standard.bodies(node):
            yield from every_node(body)


def test_the_layers_of_a_module_are_in_the_names() -> None:
    names = [node.name for node in onnx.load(find("vae.digits") / "encode.onnx", load_external_data=False).graph.node]
    assert {"encoder.0/Conv", "encoder.1/BatchNormalization", "encode/Split"} <= set(names)
