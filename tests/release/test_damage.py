"""Damaged, altered or hostile releases: always one line, never a traceback, nothing touched outside."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import zoo
from conftest import Command, Refused, Shelf, cut, empty, flip, one_error, patch_registry, raises
from spoil import edit, places, put
from zoo.cli import main
from zoo.cli.arguments import as_one
from zoo.core import files
from zoo.core.errors import ReleaseError, ZooError
from zoo.hub.preflight import PreflightError
from zoo.release import CARD, MANIFEST, WEIGHTS, seal

# Damaged releases


@pytest.mark.parametrize("damage", [cut, flip, empty])
@pytest.mark.parametrize("name", [WEIGHTS, "decode.onnx"])
def test_an_altered_file_is_found_whoever_reads_it(
    name: str, damage: Callable[[Path], None], release: Path, refused: Refused
) -> None:
    expected = files.sha256(release / name)
    damage(release / name)
    says = (name, "damaged or altered", f"expected SHA-256 {expected}", f"found {files.sha256(release / name)}")
    refused("verify", release, says=says)
    refused("generate", release, says=says)
    refused("export", release, "-o", "copy", says=says)
    with raises(ReleaseError, *says):
        zoo.load(release).generate()


def test_altered_weights_are_found_by_torch(release: Path) -> None:
    flip(release / WEIGHTS)
    with raises(ReleaseError, WEIGHTS, "expected SHA-256"):
        zoo.load(release, backend="torch")
    with raises(ReleaseError, WEIGHTS, "expected SHA-256"):
        zoo.load_module(release)


def test_an_altered_image_is_found_by_verify(release: Path, refused: Refused) -> None:
    flip(release / "samples.png")
    refused("verify", release, says=("samples.png", "expected SHA-256"))


def test_a_strangers_manifest_does_not_draw_on_the_terminal(release: Path, zoo_call: Command) -> None:
    title = "\x1b]0;PWNED\x07"

    def change(manifest: dict[str, Any]) -> None:
        manifest["provenance"] |= {title: {title: {title: title}}}
        manifest["quantized"] = {
            "kind": title,
            "of": title,
            "losses": [],
            "bytes": {"float": 2, "quantized": 1},
        }

    edit(release, change)
    shown, verified = zoo_call("info", release), zoo_call("verify", release)
    edit(release, lambda manifest: manifest["parity"]["tasks"].update({title: {"1": "low"}}))
    failed = zoo_call("info", release)
    one_error(failed, "PWNED")
    assert "does not apply to  ]0;PWNED " in verified.stdout
    for done in (shown, verified, failed):
        assert "PWNED" in done.stdout + done.stderr
        assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}


def test_several_problems_do_not_draw_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    as_one(PreflightError(["\x1b]0;PWNED\x07", "more"]))
    assert capsys.readouterr().err == "- ]0;PWNED\n- more\n"


def test_the_card_may_be_edited_or_missing(release: Path, zoo_call: Command, tmp_path: Path) -> None:
    """People edit the card, also of older releases, whose manifests list it."""
    manifest = json.loads((release / MANIFEST).read_text())
    assert CARD not in manifest["files"]
    entry = {"sha256": "0" * 64, "bytes": 1}
    (release / MANIFEST).write_text(json.dumps(seal({**manifest, "files": manifest["files"] | {CARD: entry}})))
    (release / CARD).write_text("Edited")
    assert zoo_call("verify", release).returncode == 0
    assert zoo_call("export", release, "-o", tmp_path / "copy").returncode == 0
    assert (tmp_path / "copy" / CARD).read_text() == "Edited"
    (release / CARD).unlink()
    assert zoo_call("verify", release).returncode == 0
    (tmp_path / "secret").write_text("secret")
    (release / CARD).symlink_to(tmp_path / "secret")
    assert zoo_call("export", release, "-o", tmp_path / "other").returncode == 0
    assert not (tmp_path / "other" / CARD).exists()


@pytest.mark.parametrize("name", [WEIGHTS, "decode.onnx", "samples.png"])
def test_a_missing_file(name: str, release: Path, refused: Refused) -> None:
    (release / name).unlink()
    refused("verify", release, says=(f"{name} is missing", "Get the release again"))
    if name != "samples.png":
        refused("generate", release, says=(f"{name} is missing",))


def linked(release: Path, blobs: str) -> None:
    """Make every file of a release a link, as the Hub's cache does: into `blobs`, where {0} is its SHA-256."""
    for path in [*release.iterdir()]:
        digest = files.sha256(path)
        blob = release / blobs.format(digest, digest[:2])
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, blob)
        path.symlink_to(os.path.relpath(blob, release))


@pytest.mark.parametrize("blobs", ["../../blobs/{0}", "../../../blobs/{1}/{0}"])
def test_links_to_the_right_content(blobs: str, shelf: Shelf, tmp_path: Path, zoo_call: Command) -> None:
    """They work like files, and a copy has real ones; in both layouts of the Hub's cache."""
    release = tmp_path / "models--a--b" / "snapshots" / "1"
    shutil.copytree(shelf.release("vae"), release)
    linked(release, blobs)
    assert all(path.is_symlink() for path in release.iterdir())
    with zoo.load(shelf.release("vae")) as one, zoo.load(release) as other:
        assert np.array_equal(one.generate(3), other.generate(3))
    with zoo.load(release, backend="torch") as model:
        model.generate()
    assert zoo_call("verify", release).returncode == 0
    assert zoo_call("export", release, "-o", "real").returncode == 0
    assert not [path for path in (tmp_path / "real").iterdir() if path.is_symlink()]
    assert zoo_call("verify", "./real").returncode == 0


def test_an_onnx_runtime_that_refuses_links(release: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not take weights from memory either; the line says how to get real files."""
    linked(release, "../blobs/{1}/{0}")
    monkeypatch.setattr("zoo.runtime.onnx_backend.IN_MEMORY", "no such method")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("External data path escapes model directory")

    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    refused("generate", release, says=("escapes model directory", f"zoo export {release} -o DIR"))


@pytest.mark.parametrize("name", [WEIGHTS, "decode.onnx"])
def test_a_link_to_other_content(name: str, release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("private")
    (release / name).unlink()
    (release / name).symlink_to(tmp_path / "elsewhere")
    refused("generate", release, says=(name, f"a link to {tmp_path / 'elsewhere'}", "damaged or altered"))
    (tmp_path / "elsewhere").unlink()
    refused("generate", release, says=(f"{name} is missing",))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MANIFEST.JSON", "which another file has but for upper and lower case"),
        ("manifest.json", "which another file has"),
        ("readme.md", "which another file has"),
        ("Model.Safetensors", "which another file has"),
        ("a" * 129, "which is not allowed"),
    ],
)
def test_file_names_that_not_every_disk_can_hold(name: str, says: str, release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    refused("info", release, says=(f"lists the file name {name[:80]!r}", says))


def test_a_file_too_many_is_said_and_not_used(release: Path, zoo_call: Command, tmp_path: Path) -> None:
    (release / "extra.bin").write_bytes(b"x")
    for name in ("config.json", ".gitattributes"):  # those of the Hub go without saying
        (release / name).write_bytes(b"{}")
    said = "note  other files: extra.bin: not in the manifest, and not used\n"
    assert said in zoo_call("verify", release).stdout
    zoo_call("export", release, "-o", tmp_path / "copy")
    assert not (tmp_path / "copy" / "extra.bin").exists()


def test_samples_that_the_weights_do_not_give(release: Path, refused: Refused) -> None:
    """All hashes are right, and still the image is of something else."""
    buffer = io.BytesIO()
    with Image.open(release / "samples.png") as image:
        Image.new("L", image.size).save(buffer, "PNG")
    put(release, "samples.png", buffer.getvalue())
    refused("verify", release, says=("samples of seed 0 are not those in samples.png",))


def test_the_registry_pins_the_manifest(release: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {"manifest_sha256": "0" * 64}
    patch_registry(monkeypatch, released_folder=lambda name: (release, pinned))
    refused("generate", "vae.tiny", says=(MANIFEST, "expected SHA-256 000", files.sha256(release / MANIFEST)))


def test_an_altered_manifest_is_found(release: Path, refused: Refused) -> None:
    text = (release / MANIFEST).read_text("utf-8")
    (release / MANIFEST).write_text(text.replace('"step": 20', '"step": 99'), "utf-8")
    for command in ("verify", "generate", "info"):
        refused(command, release, says=(MANIFEST, "expected SHA-256", "found"))


# Damaged manifests


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b'{"format": 1', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"1" * 10_000, "is not JSON"),
        (b'{"a": ' * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"{}", "format is 'None', not 1 to 3"),
        (b'{"format": "1"}', "format is '1', not 1 to 3"),
        (b'{"format": 4}', "format 4, and this zoo reads up to 3. Run: pip install --upgrade genzoo"),
        (b'{"format": 1}', "files is missing"),
    ],
)
def test_a_manifest_that_is_none(content: bytes, says: str, release: Path, refused: Refused) -> None:
    (release / MANIFEST).write_bytes(content)
    refused("verify", release, says=(MANIFEST, says))
    with raises(ReleaseError, MANIFEST, says):
        zoo.load(release)


def test_a_manifest_that_is_missing(release: Path, refused: Refused) -> None:
    (release / MANIFEST).unlink()
    refused("verify", release, says=("neither a run folder nor a release folder", MANIFEST))


BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no name": (lambda m: m.pop("name"), "name"),
    "no files": (lambda m: m.pop("files"), "files is missing"),
    "no tasks": (lambda m: m.pop("tasks"), "tasks is missing"),
    "no sample": (lambda m: m.pop("sample"), "sample is missing"),
    "no weights": (lambda m: m["files"].pop(WEIGHTS), WEIGHTS),
    "no graph": (lambda m: m["files"].pop("decode.onnx"), "decode.onnx is not among its files"),
    "tasks is a list": (lambda m: m.update(tasks=[]), "tasks is missing or not of the right type"),
    "a hash is a number": (lambda m: m["files"][WEIGHTS].update(sha256=1), "sha256 is missing or not of the right"),
    "a name with a path": (lambda m: m.update(name="../../vae.tiny"), "../../vae.tiny"),
    "a file with ..": (lambda m: m["files"].update({"../x": {"sha256": "0"}}), "'../x', which is not allowed"),
    "a file that is ..": (lambda m: m["files"].update({"..": {"sha256": "0"}}), "'..', which is not allowed"),
    "a file with /": (lambda m: m["files"].update({"/etc/passwd": {"sha256": "0"}}), "'/etc/passwd', which is not"),
    "a graph elsewhere": (
        lambda m: m["tasks"]["decode"].update(graph="../decode.onnx"),
        "'../decode.onnx', which is not",
    ),
    "a task with spaces": (lambda m: m["tasks"].update({"de code": m["tasks"]["decode"]}), "'de code'"),
    "a task with __": (lambda m: m["tasks"].update({"__init__": m["tasks"]["decode"]}), "'__init__'"),
    "a task like a method": (lambda m: m["tasks"].update({"generate": m["tasks"]["decode"]}), "'generate'"),
    "a graph of another format": (lambda m: m["tasks"]["decode"].update(graph=WEIGHTS), "which is no .onnx file"),
    "a value that no float holds": (lambda m: m["metrics"][0].update(value=10**400), "value is missing or not of"),
    "an input with a space": (lambda m: m["tasks"]["decode"]["inputs"].update({"a b": m["sample"]["x"]}), "'a b'"),
    "an input called class": (lambda m: m["tasks"]["decode"]["inputs"].update({"class": m["sample"]["x"]}), "'class'"),
    "images in a text": (lambda m: m["samples"].update(file="samples.txt"), "'samples.txt', which cannot be"),
    "images in no columns": (lambda m: m["samples"].update(columns=0), "columns = 0, which is out of range"),
    "half a character": (lambda m: m["card"].update(title="\ud800"), "is not JSON"),
    "an endless text": (
        lambda m: m["sample"].update(x={"kind": "text", "vocabulary": "ab", "length": 2**20}),
        "texts of 1048576 characters",
    ),
    "no inputs": (lambda m: m["tasks"]["decode"].update(inputs={}), "'decode'"),
    "no outputs": (lambda m: m["tasks"]["decode"].update(outputs={}), "'decode'"),
    "a kind that is none": (lambda m: m["sample"]["x"].update(kind="scent"), "its kind must be one of"),
    "a negative size": (lambda m: m["sample"]["x"].update(width=-8), "Image: width is -8, and must be at least 1"),
    "a size that is text": (
        lambda m: m["sample"]["x"].update(width="8"),
        "Image: width is '8', and should be an integer",
    ),
    "a gigantic image": (lambda m: m["sample"]["x"].update(width=2**40), "not usable"),
    "gigantic noise": (lambda m: m["tasks"]["decode"]["inputs"]["z"].update(shape=[2**20, 2**20]), "not usable"),
    "a field too many": (lambda m: m["sample"]["x"].update(depth=3), "depth"),
    "a generation of nothing": (lambda m: m["generation"].update(task="paint"), "'paint', which is not there"),
    "a generation of noise by text": (lambda m: m["generation"].update(kind="autoregressive"), "generation"),
    "a generation from images": (
        lambda m: m["generation"].update(task="reconstruct"),
        "generation starts from what is given, and given.safetensors is not among its files",
    ),
    "images said to be text": (
        lambda m: m["sample"].update(x={"kind": "text", "vocabulary": "abc", "length": 8}),
        "generation",
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest(case: str, release: Path, refused: Refused) -> None:
    change, says = BAD_MANIFESTS[case]
    edit(release, change)
    refused("generate", release, says=(MANIFEST, says))
    refused("verify", release, says=(MANIFEST, says))


def test_a_manifest_that_lies_about_its_graphs(release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["tasks"]["decode"]["inputs"]["z"].update(shape=[3]))
    refused("generate", release, says=("decode", "Get the release again"))


def test_a_manifest_that_is_gigantic(release: Path, refused: Refused) -> None:
    (release / MANIFEST).write_text('{"format": 1}' + " " * 2**24, "utf-8")
    refused("info", release, says=(MANIFEST, "16,777,229 bytes"))


def test_a_manifest_that_links_to_something_else(release: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("private")
    (release / MANIFEST).unlink()
    (release / MANIFEST).symlink_to(tmp_path / "elsewhere")
    line = refused("info", release, says=(MANIFEST, "is not JSON"))
    assert "private" not in line


def test_tasks_that_the_plugin_does_not_have(release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["tasks"].update(paint=manifest["tasks"]["decode"]))
    refused("generate", release, "--backend", "torch", says=("'paint'", "is not that of the installed plugin"))


@pytest.mark.parametrize(("content", "says"), [(b"\xff", "is not text in UTF-8"), (b"a" * 70_000, "69999 characters")])
def test_a_text_of_samples_that_is_none(
    content: bytes, says: str, shelf: Shelf, tmp_path: Path, refused: Refused
) -> None:
    release = Path(shutil.copytree(shelf.release("chargpt"), tmp_path / "release"))
    put(release, "samples.txt", content)
    refused("verify", release, says=("samples.txt", says))


def test_a_image_of_samples_that_is_none(release: Path, refused: Refused) -> None:
    put(release, "samples.png", b"no image")
    refused("verify", release, says=("samples.png is not an image, or damaged",))


def test_weights_that_are_not_numbers(release: Path, refused: Refused) -> None:
    content = (release / WEIGHTS).read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    put(release, WEIGHTS, content[:size] + b"\xff" * (len(content) - size))
    refused("generate", release, says=("values that are not numbers",))


def spoiled(manifest: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The manifest with one thing under `key` left out or made something else, and what that is, in words."""
    for path in [(key,), *((key, *rest) for rest in places(manifest[key]))]:
        for wrong in (None, -1, "../x", [], {"x": [1]}, "left out"):
            changed: Any = copy.deepcopy(manifest)
            inner = changed
            for part in path[:-1]:
                inner = inner[part]
            if wrong == "left out":
                del inner[path[-1]]
            else:
                inner[path[-1]] = wrong
            yield f"{'.'.join(map(str, path))} {wrong}", changed


@pytest.mark.parametrize(
    "key",
    ["name", "card", "plugin", "recipe", "sample", "tasks", "generation", "metrics", "provenance", "tied", "left_out"],
)
def test_whatever_a_manifest_says_there_is_no_traceback(
    key: str, release: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is changed in it, a release works as before, or a ZooError says why it does not."""

    def info() -> None:
        with contextlib.suppress(SystemExit):
            main()

    def sample() -> None:
        with zoo.load(release) as model:
            model.generate()

    def module() -> None:
        zoo.load_module(release)

    monkeypatch.setattr(sys, "argv", ["zoo", "info", str(release)])
    only_torch_reads = ("recipe", "plugin", "tied", "left_out")
    uses = [info, module] if key in only_torch_reads else [info, sample]
    tracebacks = []
    for what, changed in spoiled(json.loads((release / MANIFEST).read_text("utf-8")), key):
        (release / MANIFEST).write_text(json.dumps(seal(changed)), "utf-8")
        for use in uses:
            try:
                use()
            except ZooError:
                pass
            except Exception as error:
                tracebacks.append(f"{use.__name__}, {what}: {error!r}"[:200])
    assert not tracebacks, "\n".join(tracebacks)


def test_sizes_that_are_no_sizes(release: Path, refused: Refused) -> None:
    edit(release, lambda manifest: manifest["files"][WEIGHTS].update(bytes="many"))
    refused("info", release, says=(MANIFEST, "bytes"))


# Graphs whose weights lie elsewhere


def redirect(release: Path, **changes: str) -> None:
    """Point the graph's external data elsewhere; the manifest has the right hash of the graph."""
    graph = onnx.load(release / "decode.onnx", load_external_data=False)
    for initialiser in graph.graph.initializer:
        for entry in initialiser.external_data:
            entry.value = changes.get(entry.key, entry.value)
    put(release, "decode.onnx", graph.SerializeToString())


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "../elsewhere.bin"},
        {"location": "nosuch.bin"},
        {"offset": "1000000000"},
        {"offset": "-8"},
        {"offset": "x"},
        {"length": "1000000000"},
    ],
    ids=str,
)
def test_external_data_elsewhere(changes: dict[str, str], release: Path, zoo_call: Command, tmp_path: Path) -> None:
    shutil.copy(release / WEIGHTS, tmp_path / "elsewhere.bin")
    redirect(release, **changes)
    says = (
        "may only read model.safetensors"
        if "location" in changes
        else "reads data that is not a tensor of model.safetensors"
    )
    one_error(zoo_call("generate", release), "decode.onnx", says)


def test_external_data_anywhere_on_the_machine(release: Path, zoo_call: Command, tmp_path: Path) -> None:
    shutil.copy(release / WEIGHTS, tmp_path / "elsewhere.bin")
    redirect(release, location=str(tmp_path / "elsewhere.bin"))
    one_error(zoo_call("generate", release), "decode.onnx", "may only read model.safetensors")


def test_a_graph_that_is_none(release: Path, refused: Refused) -> None:
    put(release, "decode.onnx", b"this is no graph")
    refused("generate", release, says=("decode.onnx is not an ONNX graph, or is damaged",))


def test_a_graph_whose_fields_readers_number_differently(release: Path, refused: Refused) -> None:
    """A tag of more than 32 bits is field 2²⁹ + 13 to some readers, and field 13, external data, to others."""
    put(release, "decode.onnx", (release / "decode.onnx").read_bytes() + b"\xea\x80\x80\x80\x10\x00")
    refused("generate", release, says=("decode.onnx is not an ONNX graph, or is damaged",))


def test_weights_that_are_none(release: Path) -> None:
    put(release, WEIGHTS, b"these are no weights")
    with raises(ReleaseError, WEIGHTS, "cannot be read"):
        zoo.load_module(release)
