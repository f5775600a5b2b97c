"""Hostile releases whose every hash is right, used in every way in a process that may die of them.

Each use works as before or says in one line why not: it never crashes, hangs, takes all memory, or touches a file
outside the release. Releases whose hashes are wrong are in test_damage.py.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from conftest import Shelf, contents, slow
from spoil import edit, places, put
from zoo.release import MANIFEST, WEIGHTS, seal

USES = ("load", "task", "generate", "torch", "module", "verify", "info", "copy", "uint8", "web")
RUNS = ("task", "generate", "verify", "uint8")
"""The uses that open the graph of decode."""

LOADS = ("torch", "module")
"""Those that read the weights by torch."""


class Worker:
    """The process of fuzz_worker.py, started again when it has died."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary
        self._process: subprocess.Popen[str] | None = None

    def use(self, use: str, folder: Path) -> str | None:
        """None where the use worked, or the line that it said; fails for anything else."""
        if self._process is None:
            command = [sys.executable, str(Path(__file__).parents[1] / "fuzz_worker.py"), str(self.canary.parent)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = contents(folder.parent)
        self._process.stdin.write(json.dumps([use, str(folder)]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            self.close()
            pytest.fail(f"{use}: the process ended with {code}")
        said: str | None = json.loads(answer)
        if said is not None:
            assert len(said.splitlines()) == 1, f"{use}: {said!r}"
            assert not said.startswith(("TRACEBACK", "OPENED")), f"{use}: {said}"
            assert "CANARY" not in said
        assert contents(folder.parent) == before, f"{use} changed files"
        return said

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    canary = tmp_path_factory.mktemp("outside") / "canary"
    worker = Worker(canary)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def canary(worker: Worker) -> Path:
    """A file that nothing may read; as weights it would do: every four bytes are a number."""
    worker.canary.write_bytes(b"CANARY.." * 50_000)
    return worker.canary


def check(worker: Worker, release: Path, uses: tuple[str, ...], refused: tuple[str, ...]) -> None:
    """Every use keeps to what a use must, and those of `refused` do not work."""
    said = {use: worker.use(use, release) for use in uses}
    assert not [use for use in refused if said[use] is None], said


# Weights


def header(release: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of the weights, and nothing behind it."""
    content = (release / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    found = json.loads(content[8 : 8 + size])
    change(found)
    text = json.dumps(found).encode()
    put(release, WEIGHTS, struct.pack("<Q", len(text)) + text + content[8 + size :])


def length(size: int) -> Callable[[Path], None]:
    def change(release: Path) -> None:
        put(release, WEIGHTS, struct.pack("<Q", size) + (release / WEIGHTS).read_bytes()[8:])

    return change


def text(content: bytes) -> Callable[[Path], None]:
    """Another header, as it stands."""
    return lambda release: put(release, WEIGHTS, struct.pack("<Q", len(content)) + content + bytes(4096))


def first(**values: Any) -> Callable[[Path], None]:
    """Other values in the entry of the first tensor."""

    def change(found: dict[str, Any]) -> None:
        found[next(name for name in found if name[0] != "_")].update(values)

    return lambda release: header(release, change)


def overlap(found: dict[str, Any]) -> None:
    names = [name for name in found if name[0] != "_"]
    for name in names[1:]:
        found[name]["data_offsets"] = found[names[0]]["data_offsets"]


ENTRY = b'{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'

WRONG_WEIGHTS: dict[str, Callable[[Path], None]] = {
    "empty": lambda release: put(release, WEIGHTS, b""),
    "seven bytes": lambda release: put(release, WEIGHTS, b"1234567"),
    "no header": length(0),
    "a header past the end": length(10**7),
    "a huge header": length(2**40),
    "a header of 2^63": length(2**63),
    "a negative header": length(2**64 - 1),
    "a header cut short": length(100),
    "a header that is not JSON": text(b"{weights}"),
    "a header that is not text": text(b"\xff\xfe\x00\x80"),
    "a header that is a list": text(b"[]"),
    "a header that is deep": text(b'{"a":' * 100_000),
    "a name twice": text(b'{"a":' + ENTRY + b',"a":' + ENTRY + b"}"),
    "metadata that is none": text(b'{"__metadata__":5,"a":' + ENTRY + b"}"),
    "no tensors": text(b"{}"),
    "overlapping offsets": lambda release: header(release, overlap),
    "offsets past the end": first(data_offsets=[0, 2**40]),
    "gigantic offsets": first(data_offsets=[2**63, 2**64]),
    "negative offsets": first(data_offsets=[-8, 0]),
    "offsets backwards": first(data_offsets=[64, 0]),
    "offsets that are text": first(data_offsets=["0", "8"]),
    "one offset": first(data_offsets=[0]),
    "no such dtype": first(dtype="F99"),
    "a dtype of another size": first(dtype="F64"),
    "a dtype that is a number": first(dtype=32),
    "a gigantic shape": first(shape=[2**31, 2**31]),
    "a shape that overflows": first(shape=[2**32, 2**32, 2]),
    "a negative shape": first(shape=[-1, -8]),
    "a shape that is text": first(shape="8"),
    "another shape": first(shape=[1]),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_wrong_weights(case: str, release: Path, worker: Worker) -> None:
    WRONG_WEIGHTS[case](release)
    check(worker, release, (*LOADS, "load", "generate", "verify", "copy"), (*LOADS, "generate", "verify"))


# Graphs


def graph(release: Path, change: Callable[[onnx.ModelProto], object], name: str = "decode.onnx") -> None:
    model = onnx.load(release / name, load_external_data=False)
    change(model)
    put(release, name, model.SerializeToString())


def data(**values: str) -> Callable[[Path, Path], None]:
    """Other values of where the graph's weights lie; {canary} and {aside} are its path, absolute and from the graph."""

    def change(release: Path, canary: Path) -> None:
        paths = {"canary": str(canary), "aside": os.path.relpath(canary, release), "inside": str(release / WEIGHTS)}

        def redirect(model: onnx.ModelProto) -> None:
            for initialiser in model.graph.initializer:
                held = {entry.key: entry.value for entry in initialiser.external_data}
                if held:
                    del initialiser.external_data[:]
                    for key, value in (held | {key: text.format(**paths) for key, text in values.items()}).items():
                        initialiser.external_data.add(key=key, value=value)

        graph(release, redirect)

    return change


def through(make: Callable[[Path, Path], None], location: str) -> Callable[[Path, Path], None]:
    """Weights at `location`, which `make` makes in the release."""

    def change(release: Path, canary: Path) -> None:
        make(release, canary)
        data(location=location, offset="0")(release, canary)

    return change


def model(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path, Path], None]:
    return lambda release, canary: graph(release, change)


def form(side: str, kind: int = 0, dims: list[int | str] | None = None) -> Callable[[Path, Path], None]:
    """Another type or shape of the first input or output, as a graph declares them."""

    def change(found: onnx.ModelProto) -> None:
        tensor = getattr(found.graph, side)[0].type.tensor_type
        tensor.elem_type = kind or tensor.elem_type
        if dims is not None:
            del tensor.shape.dim[:]
            for dim in dims:
                tensor.shape.dim.add(**{"dim_param" if isinstance(dim, str) else "dim_value": dim})

    return model(change)


def rename(found: onnx.ModelProto) -> None:
    for node in found.graph.node:
        for place, name in enumerate(node.input):
            if name == found.graph.input[0].name:
                node.input[place] = "other"
    found.graph.input[0].name = "other"


def cycle(found: onnx.ModelProto) -> None:
    found.graph.node[0].input[0] = found.graph.node[-1].output[0]


def nothing_but(*nodes: onnx.NodeProto) -> Callable[[Path, Path], None]:
    """A graph of other nodes, from z to x, that says it is of the same form."""

    def change(found: onnx.ModelProto) -> None:
        del found.graph.node[:]
        del found.graph.initializer[:]
        found.graph.node.extend(nodes)

    return model(change)


def constant(value: int | list[int], name: str) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], **{"value_int" if isinstance(value, int) else "value_ints": value})


OUTSIDE: dict[str, Callable[[Path, Path], None]] = {
    "aside": data(location="{aside}", offset="0"),
    "aside, by way of the weights": data(location=f"{WEIGHTS}/../{{aside}}", offset="0"),
    "aside, by way of a folder": data(location="./././{aside}", offset="0"),
    "anywhere": data(location="{canary}", offset="0"),
    "anywhere, as an address": data(location="file://{canary}", offset="0"),
    "the weights, by their whole path": data(location="{inside}"),
    "a link": through(lambda release, canary: (release / "link").symlink_to(canary), "link"),
    "a linked folder": through(lambda release, canary: (release / "link").symlink_to(canary.parent), "link/canary"),
    "a hard link": through(lambda release, canary: (release / "link").hardlink_to(canary), "link"),
    "a file beside": through(
        lambda release, canary: (release / "more").write_bytes(canary.read_bytes()) and None, "more"
    ),
    "the processor's memory": data(location="/proc/self/mem", offset="0"),
    "this process's memory, by ONNX Runtime's own name": data(location="*/_ORT_MEM_ADDR_/*", offset="64"),
    "zeros": data(location="/dev/zero", offset="0"),
    "nothing": data(location=""),
    "a folder": data(location="."),
    "NUL": data(location=f"{WEIGHTS}\0"),
    "a long name": data(location="x" * 10_000),
    "past the end": data(offset="1000000000"),
    "far past the end": data(offset=str(2**63 - 1)),
    "past 64 bits": data(offset=str(2**64)),
    "before the beginning": data(offset="-8"),
    "far before the beginning": data(offset=str(-(2**63))),
    "a length past the end": data(length=str(2**40)),
    "a length past 64 bits": data(length=str(2**64 + 4)),
    "a length below 0": data(length="-4"),
    "a length that is another": data(length="4"),
    "an offset that is text": data(offset="here"),
    "an offset that is no whole number": data(offset="0.5"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_graph_whose_weights_lie_elsewhere(case: str, release: Path, worker: Worker, canary: Path) -> None:
    OUTSIDE[case](release, canary)
    check(worker, release, RUNS, RUNS)


WRONG_GRAPHS: dict[str, Callable[[Path, Path], None]] = {
    "empty": lambda release, _: put(release, "decode.onnx", b""),
    "noise": lambda release, _: put(release, "decode.onnx", random.Random(0).randbytes(5000)),
    "no nodes": model(lambda found: found.graph.ClearField("node")),
    "no graph": model(lambda found: found.ClearField("graph")),
    "no opset": model(lambda found: found.ClearField("opset_import")),
    "opset 0": model(lambda found: setattr(found.opset_import[0], "version", 0)),
    "opset 999": model(lambda found: setattr(found.opset_import[0], "version", 999)),
    "an opset below 0": model(lambda found: setattr(found.opset_import[0], "version", -(2**63))),
    "IR 999": model(lambda found: setattr(found, "ir_version", 999)),
    "an unknown operation": model(lambda found: setattr(found.graph.node[0], "op_type", "Paint")),
    "a foreign domain": model(lambda found: setattr(found.graph.node[0], "domain", "com.example")),
    "a circle": model(cycle),
    "another name of the input": model(rename),
    "an input too many": model(lambda found: found.graph.input.add(name="w").CopyFrom(
        helper.make_tensor_value_info("w", TensorProto.FLOAT, ["batch", 1])
    )),
    "no input": model(lambda found: found.graph.ClearField("input")),
    "no output": model(lambda found: found.graph.ClearField("output")),
    "another name of the output": model(lambda found: setattr(found.graph.output[0], "name", "other")),
    "an input of float64": form("input", TensorProto.DOUBLE),
    "an input of text": form("input", TensorProto.STRING),
    "an input of no such type": form("input", 99),
    "an input of another rank": form("input", dims=["batch", 2, 2]),
    "an input of another size": form("input", dims=["batch", 3]),
    "an input of a gigantic size": form("input", dims=["batch", 2**62]),
    "an input of a size below 0": form("input", dims=["batch", -2]),
    "a fixed batch": form("input", dims=[7, 2]),
    "no batch": form("input", dims=[]),
    "an output of whole numbers": form("output", TensorProto.INT64),
    "an output of another size": form("output", dims=["batch", 1, 9, 9]),
    "an output that is gigantic": nothing_but(
        constant([2**20, 2**20], "zoo.size"), helper.make_node("ConstantOfShape", ["zoo.size"], ["x"])
    ),
    "an output that overflows": nothing_but(
        constant([2**32, 2**32, 2**32], "zoo.size"), helper.make_node("ConstantOfShape", ["zoo.size"], ["x"])
    ),
    "an output that is the input": nothing_but(helper.make_node("Identity", ["z"], ["x"])),
    "a sequence for a tensor": nothing_but(helper.make_node("SequenceConstruct", ["z"], ["x"])),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_GRAPHS)
def test_a_wrong_graph(case: str, release: Path, worker: Worker, canary: Path) -> None:
    WRONG_GRAPHS[case](release, canary)
    check(worker, release, RUNS, RUNS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "use", "times"), [("decode.onnx", "generate", 60), ("generate.onnx", "verify", 6)])
def test_a_graph_that_is_cut_or_has_other_bytes(name: str, use: str, times: int, release: Path, worker: Worker) -> None:
    content = (release / name).read_bytes()
    chance = random.Random(1)
    for size in chance.sample(range(1, len(content)), times):
        put(release, name, content[:size])
        worker.use(use, release)
    for _ in range(times):
        spoiled = bytearray(content)
        for place in chance.sample(range(len(content)), chance.choice((1, 8))):
            spoiled[place] = chance.randrange(256)
        put(release, name, bytes(spoiled))
        worker.use(use, release)


# Other files


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def change(release: Path, canary: Path) -> None:
        (release / name).unlink()
        make(release / name)

    return change


def renamed(name: str, other: str) -> Callable[[Path, Path], None]:
    """A graph under another name, of a file that is there."""

    def change(release: Path, canary: Path) -> None:
        if other != WEIGHTS:
            (release / name).rename(release / other)
        edit(release, lambda m: m["files"].update({other: m["files"][name if other != WEIGHTS else WEIGHTS]}))
        edit(release, lambda m: m["tasks"]["decode"].update(graph=other))

    return change


WRONG_FILES: dict[str, tuple[Callable[[Path, Path], None], tuple[str, ...]]] = {
    "weights that are a link to a device": (
        replaced(WEIGHTS, lambda path: path.symlink_to("/dev/zero")), ("load", "module", "copy"),
    ),
    "a manifest that is a link to a device": (replaced(MANIFEST, lambda path: path.symlink_to("/dev/zero")), USES),
    "a graph that is a link to itself": (replaced("decode.onnx", lambda path: path.symlink_to(path)), RUNS),
    "a pipe for a manifest": (replaced(MANIFEST, os.mkfifo), USES),
    "a pipe for weights": (replaced(WEIGHTS, os.mkfifo), ("load", "module", "copy")),
    "a folder for a graph": (replaced("decode.onnx", Path.mkdir), RUNS),
    "a graph by another name": (renamed("decode.onnx", "decode.ort"), USES),
    "a graph that is the weights": (renamed("decode.onnx", WEIGHTS), USES),
    "an image that is none": (lambda release, _: put(release, "samples.png", b"no image"), ("verify",)),
    "an image that is cut": (
        lambda release, _: put(release, "samples.png", (release / "samples.png").read_bytes()[:200]), ("verify",),
    ),
    "an image that is gigantic": (
        lambda release, _: put(release, "samples.png", bomb((release / "samples.png").read_bytes())), ("verify",),
    ),
    "a gigantic grid": (
        lambda release, _: edit(release, lambda m: m["samples"].update(n=4096, columns=1, gap=4096)), ("verify",),
    ),
    "a gigantic noise": (
        lambda release, _: edit(release, lambda m: m["tasks"]["decode"]["inputs"]["z"].update(shape=[2**28])),
        ("generate", "torch", "verify", "uint8"),
    ),
    "a gigantic manifest": (
        lambda release, _: (release / MANIFEST).write_text('{"format": 1}' + " " * 2**26), USES,
    ),
}  # fmt: skip


def bomb(png: bytes) -> bytes:
    """The image, whose header says that it is of 60,000 times 60,000 pixels."""
    import zlib

    chunk = b"IHDR" + struct.pack(">II", 60_000, 60_000) + png[24:29]
    return png[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_is_not_what_it_should_be(case: str, release: Path, worker: Worker, canary: Path) -> None:
    change, refused = WRONG_FILES[case]
    change(release, canary)
    check(worker, release, refused, refused)


# Manifests

SPECS = (
    {"kind": "image", "channels": 2**9, "height": 2**9, "width": 2**9},
    {"kind": "text", "vocabulary": "ab\n\0", "length": 2**16},
    {"kind": "audio", "rate": 1, "samples": 2**27},
    {"kind": "log-mel", "rate": 8000, "samples": 2**20, "bands": 1, "window": 2, "hop": 1},
    {"kind": "vector", "shape": [2**28], "dtype": "float32"},
    {"kind": "label", "classes": 2**63, "shape": []},
    {"kind": "noise", "shape": [2**28], "distribution": "normal"},
    {"kind": "noise", "shape": [], "distribution": "uniform"},
    {"kind": "score"},
    {"kind": "autoregressive", "task": "reconstruct"},
    {"kind": "one-shot", "task": "encode"},
    {"kind": "autoregressive", "task": "step", "shape": [2**8, 2**8]},
    {"kind": "number", "default": 1.0, "ge": 0.0, "le": 1e308, "help": "\u2028"},
    {"kind": "number", "default": float("nan"), "ge": 1.0, "le": 0.0},
    {"kind": "chain", "first": {"kind": "autoregressive", "task": "step", "shape": [8, 8]}, "task": "decode"},
    {
        "kind": "chain",
        "first": {"kind": "iterative", "task": "decode", "schedule": [0.0, 1.0], "steps": 1},
        "task": "x",
    },
    {"kind": "chain", "first": {"kind": "chain"}, "task": "decode"},
    {"kind": "iterative", "task": "decode", "schedule": [0.0, 0.5, 1.0], "steps": 2},
    {"kind": "iterative", "task": "step", "schedule": [1e-320, float("nan")], "steps": 2**63},
    {"kind": "ddim", "task": "predict", "alphas": [0.9, 0.1], "steps": 2, "eta": 1.0},
    {"kind": "ddim", "task": "decode", "alphas": [1e-320, float("nan")], "steps": 2**63, "eta": -1},
)
ODD = (
    *("", "..", "../x", "/etc/passwd", "a/b", "a\0b", "a\nb", "\ud800", "\u2028", "\x1b[2J", "class", "__init__", "é"),
    *("decode", "decode.onnx", "README.md", WEIGHTS, MANIFEST, "x" * 5000),
    *(0, -1, 1, 2, 4096, 2**31, 2**63, 2**64, -(2**63), 10**4000, 1e308, 1e-320, float("nan"), float("inf")),
    *(None, True, False, [], {}, [None], {"": None}, [2**28], [2**14, 2**14], [-1], [0], [1.5], *SPECS),
)
ANY = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def changed(manifest: dict[str, Any], draw: st.DataObject) -> dict[str, Any]:
    """A manifest with one to three things in it replaced by something else, renamed, or left out."""
    manifest = copy.deepcopy(manifest)
    for _ in range(draw.draw(st.integers(1, 3))):
        path = draw.draw(st.sampled_from([path for path in places(manifest) if path != ("sha256",)]))
        inner: Any = manifest
        for part in path[:-1]:
            inner = inner[part]
        how = draw.draw(st.sampled_from(["any", "any", "of another place", "renamed", "left out"]))
        if how == "any":
            inner[path[-1]] = copy.deepcopy(draw.draw(ANY))
        elif how == "of another place":
            other: Any = manifest
            for part in draw.draw(st.sampled_from(list(places(manifest)))):
                other = other[part]
            inner[path[-1]] = copy.deepcopy(other)
        elif how == "renamed" and isinstance(inner, dict):
            inner[draw.draw(st.sampled_from(ODD[:19]) | st.text())] = inner.pop(path[-1])
        else:
            del inner[path[-1]]
    return manifest


@pytest.mark.parametrize("name", slow("vae", "chargpt", "features", "cells", "mist"))
def test_whatever_a_manifest_says(
    name: str, shelf: Shelf, stepwise: Mapping[str, Path], tmp_path: Path, worker: Worker
) -> None:
    source = stepwise[name] / "release" if name in stepwise else shelf.release(name)
    release = Path(shutil.copytree(source, tmp_path / "release"))
    manifest = json.loads((release / MANIFEST).read_text("utf-8"))

    @settings(max_examples=MANIFESTS, deadline=None, database=None, derandomize=DERANDOMIZE)
    @given(use=st.sampled_from(USES), draw=st.data())
    def one(use: str, draw: st.DataObject) -> None:
        found = changed(manifest, draw)
        (release / MANIFEST).write_text(json.dumps(seal(found)), "utf-8")
        worker.use(use, release)

    one()


MANIFESTS = int(os.environ.get("ZOO_FUZZ", "60"))
"""Manifests that are tried for each model."""

DERANDOMIZE = "ZOO_FUZZ" not in os.environ
