"""The same weights and seeds in Node and in a browser: ``zoo export --format web``, used as a person would."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import zoo
from browsers import CHROMIUM, RUNTIME, browser, in_node, javascript, node
from conftest import MODELS, Refused, Shelf, contents, few, flip, plugged, raises, slow
from zoo.contract.specs import Text
from zoo.core import philox
from zoo.core.errors import NotFoundError
from zoo.media import wav
from zoo.media.convert import fitted
from zoo.release import read, verify
from zoo.runtime import derived, given_of
from zoo.sampling import generation
from zoo.sampling.autoregressive import SamplingParams
from zoo_export import web_bundle

# The bundle


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the npm package, of which a bundle only knows the hashes."""
    package = tmp_path_factory.mktemp("onnxruntime-web")
    (package / "dist").mkdir()
    for name in web_bundle.RUNTIME:
        (package / "dist" / name).write_text(f"// {name}\n")
    return package


def test_a_bundle_has_the_release_the_page_and_the_runtime(shelf: Shelf, npm: Path, tmp_path: Path) -> None:
    before = contents(shelf.release("vae"))
    folder = zoo.export(shelf.release("vae"), tmp_path / "site", format="web", runtime=npm)
    assert contents(shelf.release("vae")) == before == contents(folder / "model")
    assert verify(read(folder / "model")) > 5
    about = json.loads((folder / "runtime.json").read_text())
    assert about["base"] == "ort/"
    for entry in about["files"]:
        content = (folder / "ort" / entry["name"]).read_bytes()
        assert entry["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
    page = (folder / "index.html").read_text("utf-8")
    assert "<h1>vae.tiny</h1>" in page
    assert "@" not in page
    for link in ("style.css", "page.js"):
        assert f'"{link}"' in page
        assert (folder / link).is_file()


def test_without_a_runtime_the_address_is_pinned(shelf: Shelf, tmp_path: Path) -> None:
    folder = zoo.export(shelf.release("vae"), tmp_path / "site", format="web")
    about = json.loads((folder / "runtime.json").read_text())
    assert about["base"].endswith(f"onnxruntime-web@{web_bundle.VERSION}/dist/")
    assert {entry["name"]: entry["integrity"] for entry in about["files"]} == web_bundle.RUNTIME
    assert not (folder / "ort").exists()


@node
def test_the_pinned_hashes_are_those_of_the_package() -> None:
    assert json.loads((RUNTIME / "package.json").read_text())["version"] == web_bundle.VERSION
    for name, integrity in web_bundle.RUNTIME.items():
        digest = hashlib.sha384((RUNTIME / "dist" / name).read_bytes()).digest()
        assert integrity == "sha384-" + base64.b64encode(digest).decode()


def test_what_cannot_be_bundled(shelf: Shelf, npm: Path, refused: Refused, tmp_path: Path) -> None:
    site = ("-o", "site", "--format", "web")
    refused("export", "features.digits", *site, says=("features.digits neither generates nor reconstructs",))
    (tmp_path / "empty").mkdir()
    says = ("empty is not the npm package onnxruntime-web", "npm install onnxruntime-web@")
    refused("export", shelf.release("vae"), *site, "--runtime", "empty", says=says)
    refused("export", shelf.release("vae"), "-o", "x", "--runtime", npm, says=("is only for --format web",))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    refused("export", shelf.release("vae"), *site, "--force", says=("has no runtime.json, so --force does not",))


def test_a_bundle_is_replaced_by_force_alone(shelf: Shelf, npm: Path, tmp_path: Path) -> None:
    for model in ("vae", "ae"):
        folder = zoo.export(shelf.release(model), tmp_path / "site", format="web", runtime=npm, force=model == "ae")
    assert read(folder / "model").name == "ae.tiny"
    with raises(NotFoundError, "nowhere is not the npm package"):
        zoo.export(shelf.release("vae"), folder, format="web", runtime=tmp_path / "nowhere", force=True)
    assert read(folder / "model").name == "ae.tiny"


# In Node


@node
@pytest.mark.parametrize("model_name", few(MODELS, "vae"))
def test_node_gives_the_samples_of_python(model_name: str, shelf: Shelf) -> None:
    """For every registered model that generates: ONNX Runtime for Node, and for browsers, against Python's."""
    release = read(shelf.release(model_name))
    plan = release.plan
    if plan is None:
        return
    given = derived.feeds(plan, seed=2**64 - 2, first=2**32 - 8, n=5)
    if isinstance(release.sample.x, Text):
        prompt = np.array([3, 1, 2])
        sampling = SamplingParams(0.7, 6, 0.9)
        given = derived.feeds(plan, seed=2**64 - 2, first=9, n=5, prompt=prompt, length=30, sampling=sampling)
    in_node(release, given)


@node
@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("dots", {"sampling": SamplingParams(0.7, 4, 0.9)}),
        *slow(("cells", {}), ("mist", {"steps": 7}), ("masked", {}), ("drift", {}), ("sentence", {"length": 9})),
        *slow(("flow", {"steps": 3})),
    ],
)
def test_node_gives_the_samples_of_many_steps(model: str, asked: dict[str, Any], stepwise: Mapping[str, Path]) -> None:
    release = read(stepwise[model] / "release")
    assert release.plan is not None
    numbers = {name: asked[name] for name in release.plan.asked() if name in asked}
    others = {name: value for name, value in asked.items() if name not in numbers}
    first = 2**32 - 8
    batches = generation.asked_of(release.plan, np.arange(first, first + 5), **numbers)
    in_node(release, derived.feeds(release.plan, seed=2**64 - 2, first=first, n=5, asked=batches, **others))


@node
def test_the_page_draws_the_noise_of_python(tmp_path: Path) -> None:
    table = [float(value) for value in philox.normal_table()[::257]]
    code = f"""
        import {{ draw, philox }} from {json.dumps(str(web_bundle.PAGE / "noise.js"))};
        const table = new Float32Array({json.dumps(philox.normal_table().tolist())});
        const seed = 2n ** 64n - 1n;
        const known = philox(2n ** 64n - 1n, [2n ** 32n - 1n, 2n ** 32n - 1n, 2n ** 32n - 1n, 2n ** 32n - 1n]);
        console.log(JSON.stringify({{
            known: known.map(Number), uniform: [...draw("uniform", 7, seed, 4294967295, 1)],
            normal: [...draw("normal", 7, seed, 3, 0, table)],
        }}));
    """
    (tmp_path / "draw.mjs").write_text(code)
    drawn = javascript(str(tmp_path / "draw.mjs"))
    assert table[0] < -4
    assert drawn["known"] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]  # published with Random123
    assert drawn["uniform"] == philox.draw("uniform", (7,), 2**64 - 1, np.array([2**32 - 1]), 1)[0].tolist()
    assert drawn["normal"] == philox.draw("normal", (7,), 2**64 - 1, np.array([3]))[0].tolist()


# In a browser

Browse = Callable[..., dict[str, Any]]


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Browse]:
    """Serves a folder on this machine, and plays a scenario of ``tests/web/browser.mjs`` there."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    def play(folder: Path, scenario: str, *arguments: object) -> dict[str, Any]:
        handler = functools.partial(Quiet, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{servers[-1].server_port}/"
        return javascript("browser.mjs", CHROMIUM, url, scenario, *arguments)

    yield play
    for server in servers:
        server.shutdown()
        server.server_close()


def bundle(release: Path, folder: Path) -> Path:
    return zoo.export(release, folder, format="web", runtime=RUNTIME)


def levels(image: dict[str, Any]) -> NDArray[np.int64]:
    """A grey image of the page: (h, w)."""
    return np.array(image["data"]).reshape(image["height"], image["width"], 4)[..., 0]


@browser
@pytest.mark.parametrize("model", ["vae", *slow("dcgan", "ae")])
def test_the_page_gives_the_samples_of_python(model: str, shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    seen = browse(bundle(shelf.release(model), tmp_path / "site"), "generate")
    wanted = zoo.load(shelf.release(model)).generate(5, seed=2**64 - 1, first=3)
    assert [image["label"] for image in seen["samples"]] == [f"Sample {i} of seed {2**64 - 1}" for i in range(3, 8)]
    assert np.abs(np.stack([*map(levels, seen["samples"])]) - wanted).max() <= 1
    assert seen["wrong"] == f"The seed {2**64} is too large: it must be below 2^64."
    assert seen["said"] == []


@browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", [*slow("fp16"), "int8"])
def test_the_page_runs_low_precision(kind: Literal["fp16", "int8"], browse: Browse, tmp_path: Path) -> None:
    site = zoo.export("vae.digits", tmp_path / "site", format="web", runtime=RUNTIME, quantize=kind, quiet=True)
    seen = browse(site, "generate")
    wanted = zoo.load(site / "model").generate(5, seed=2**64 - 1, first=3)
    assert np.abs(np.stack([*map(levels, seen["samples"])]) - wanted).mean() <= 1
    assert seen["said"] == []


@browser
@pytest.mark.parametrize(
    ("model", "fields", "asked"),
    [
        *slow(
            ("dots", {"Label": "7", "Temperature": "0.6", "Top k": "3"}, {"label": 7, "temperature": 0.6, "top_k": 3})
        ),
        *slow(
            ("mist", {"Steps": "6", "Eta": "0.5"}, {"steps": 6, "eta": 0.5}),
            ("flow", {"Label": "4", "Guidance": "5.5"}, {"label": 4, "guidance": 5.5}),
            ("drift", {}, {}),
        ),
        ("paint", {"Image from the test data": "2", "Strength": "1.5"}, {"image": 2, "strength": 1.5}),
    ],
)
def test_the_page_offers_what_applies(
    model: str,
    fields: dict[str, str],
    asked: dict[str, Any],
    stepwise: Mapping[str, Path],
    browse: Browse,
    tmp_path: Path,
) -> None:
    seen = browse(
        bundle(stepwise[model] / "release", tmp_path / "site"), "options", json.dumps({"How many": "3", **fields})
    )
    with zoo.load(stepwise[model] / "release") as loaded:
        if "image" in asked:  # that test sample, which the release holds
            asked = {**asked, "image": given_of(loaded, 1, asked["image"])["image"]}
        wanted = loaded.generate(3, **asked)
    assert seen["status"] == ""
    assert np.abs(np.stack([*map(levels, seen["samples"])]) - wanted).max() <= 1
    assert seen["hidden"] == (model in ("dots", "paint"))
    assert seen["said"] == []


@browser
@pytest.mark.slow
def test_the_page_walks_through_the_codes(shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    seen = browse(bundle(shelf.release("vae"), tmp_path / "site"), "walk")
    model = zoo.load(shelf.release("vae"))
    code = philox.draw("normal", (2,), 0, np.array([2]))
    assert np.abs(levels(seen["middle"][0]) - model.decode(np.zeros((1, 2), np.float32))[0]).max() <= 1
    assert np.abs(levels(seen["started"][0]) - model.generate(1, seed=0, first=2)[0]).max() <= 1
    moved = model.decode(code + np.array([[0.8, 0]], np.float32))[0].astype(int)  # 80 steps of 0.01
    assert np.abs(levels(seen["moved"][0]) - moved).max() <= 2  # a slider stands at multiples of its step
    assert seen["said"] == []


@pytest.mark.slow
@browser
def test_the_page_reconstructs_what_is_chosen_and_drawn(shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    image = np.kron(np.arange(0, 256, 64, dtype=np.uint8).reshape(2, 2), np.ones((4, 4), np.uint8))
    Image.fromarray(image).save(tmp_path / "image.png")
    seen = browse(bundle(shelf.release("ae"), tmp_path / "site"), "reconstruct", tmp_path / "image.png")
    model = zoo.load(shelf.release("ae"))
    by_python = model.reconstruct(image)[0]
    assert np.abs(levels(seen["chosen"][0]) - by_python).mean() < 3  # the page enlarges it, and makes it small again
    black = model.reconstruct(np.zeros((8, 8), np.uint8))[0]
    assert np.abs(levels(seen["cleared"][0]) - black).max() <= 1
    assert np.abs(levels(seen["drawn"][0]) - black).max() > 1
    assert seen["said"] == []


@pytest.fixture
def page_run(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives a run of a plugin for these tests, trained on first use. Read only."""
    sets = {name: f"kinds_data:{name}" for name in ("dots", "moons", "four")} | {"chimes": "page_plugin:chimes"}
    models = {"flat": "kinds_plugin:flat", "chime": "page_plugin:chime", "words": "page_plugin:words"}

    def made(model: str, data: str | None = None) -> Path:
        def train(folder: Path) -> None:
            with plugged(tmp_path_factory.mktemp("plugged"), data=sets, **models):
                zoo.train(f"{model}.tiny", data=data, out=folder, quiet=True, force=True)

        return shelf.made(f"page-{model}-{data}", train)

    return made


def colours(image: dict[str, Any]) -> NDArray[np.int64]:
    """An image of the page: (h, w, 4)."""
    return np.array(image["data"]).reshape(image["height"], image["width"], 4)


@pytest.mark.slow
@browser
def test_the_page_shows_images_with_alpha(page_run: Callable[..., Path], browse: Browse, tmp_path: Path) -> None:
    run = page_run("flat", "four")
    site = bundle(run / "release", tmp_path / "site")
    seen = browse(site, "kinds")
    assert (seen["ready"], seen["status"], seen["said"]) == ("yes", "", [])
    wanted = zoo.load(run).generate(16, seed=0).astype(int)  # (n, h, w, 4)
    found = np.stack([*map(colours, seen["samples"])])
    assert np.abs(found[..., 3] - wanted[..., 3]).max() <= 1
    blended = [image[..., :3] * image[..., 3:] / 255 for image in (found, wanted)]  # a canvas holds no more than that
    assert np.abs(blended[0] - blended[1]).max() <= 2
    image = np.full((5, 6, 4), (255, 0, 128, 51), np.uint8)
    Image.fromarray(image.repeat(10, 0).repeat(10, 1)).save(tmp_path / "image.png")
    seen = browse(site, "reconstruct", tmp_path / "image.png")
    by_python = zoo.load(run).reconstruct(image)[0].astype(int)
    made = colours(seen["chosen"][0])
    assert np.abs(made[..., 3] - by_python[..., 3]).max() <= 2
    assert seen["said"] == []


@browser
@pytest.mark.parametrize("data", ["dots", *slow("moons")])
def test_the_page_of_other_kinds_offers_no_drawing(
    data: str, page_run: Callable[..., Path], browse: Browse, tmp_path: Path
) -> None:
    run = page_run("flat", data)
    assert {"reconstruct", "encode", "decode"} <= read(run / "release").tasks.keys()
    seen = browse(bundle(run / "release", tmp_path / "site"), "kinds")
    assert (seen["ready"], seen["status"], seen["said"]) == ("yes", "", [])
    assert seen["sections"] == ["generate", "walk", "about"]
    wanted = zoo.load(run).generate(16, seed=0)
    if data == "moons":
        assert np.allclose([[float(cell) for cell in text.split()] for text in seen["texts"]], wanted, rtol=1e-3)
    else:
        frames = np.stack([*map(levels, seen["samples"])])
        assert np.abs(frames[:, None] - wanted).max((2, 3)).min(1).max() <= 1  # a video moves: each is at some frame


@browser
@pytest.mark.slow
def test_the_page_shows_texts_that_are_made_at_once(
    page_run: Callable[..., Path], browse: Browse, tmp_path: Path
) -> None:
    run = page_run("words")
    seen = browse(bundle(run / "release", tmp_path / "site"), "kinds")
    assert (seen["ready"], seen["status"], seen["said"]) == ("yes", "", [])
    assert seen["texts"] == zoo.load(run).generate(16, seed=0)


@pytest.mark.slow
@browser
def test_the_page_shows_names_of_classes_and_planes_side_by_side(
    page_run: Callable[..., Path], browse: Browse, tmp_path: Path
) -> None:
    run = page_run("chime")
    fields = {"How many": "3", "Label": "neither", "Clip from the test data": "2"}
    seen = browse(bundle(run / "release", tmp_path / "site"), "options", json.dumps(fields))
    with zoo.load(run) as loaded:
        wanted = loaded.generate(3, label=2, clip=given_of(loaded, 1, 2)["clip"])
    beside = np.concatenate([wanted[..., 0], wanted[..., 1]], 2)
    assert np.abs(np.stack([*map(levels, seen["samples"])]) - beside).max() <= 1
    assert (seen["status"], seen["said"]) == ("", [])


@browser
@pytest.mark.parametrize(("model", "name"), [("paint", "image"), *slow(("chime", "clip"))])
def test_a_file_that_cannot_be_read_is_reported_and_nothing_else_is_taken(
    model: str,
    name: str,
    stepwise: Mapping[str, Path],
    page_run: Callable[..., Path],
    browse: Browse,
    tmp_path: Path,
) -> None:
    run = page_run("chime") if model == "chime" else stepwise[model]
    (tmp_path / "bad.txt").write_text("neither an image nor audio")
    if name == "image":
        good = tmp_path / "good.png"
        Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8).repeat(9, 0).repeat(7, 1)).save(good)
    else:
        good = tmp_path / "good.wav"
        good.write_bytes(wav.write(np.sin(np.arange(30, dtype=np.float32)) / 2, 8000))
    steps = json.dumps([name.capitalize(), str(good), str(tmp_path / "bad.txt")])
    seen = browse(bundle(run / "release", tmp_path / "site"), "given", steps)
    with zoo.load(run) as loaded:
        ours = fitted([good], loaded.release.sample.x, "white", "crop") if name == "image" else good
        of_file = loaded.generate(2, **{name: ours}, seed=0)
        of_test = loaded.generate(2, **{name: given_of(loaded, 1, 1)[name]}, seed=0)

    def far(part: str, wanted: NDArray[Any]) -> float:
        found = np.stack([*map(levels, seen[part]["samples"])])
        wanted = np.concatenate([wanted[..., 0], wanted[..., 1]], 2) if name == "clip" else wanted
        return float(np.abs(found - wanted).max())

    done = {"image": "An image of another size is cropped and resized to 8×8 pixels."}
    assert done.get(name, "Resampled to 8000 Hz, cut or padded.") in seen["hints"]
    assert seen["good"]["status"] == ""
    assert far("good", of_file) <= (3 if name == "image" else 1)  # the browser resizes by a filter of its own
    wrong = f"bad.txt is no {'image' if name == 'image' else 'audio'} that this browser can read. Choose another file."
    assert seen["refused"]["status"] == seen["again"]["status"] == wrong
    assert seen["refused"]["previews"] == 0
    assert seen["again"]["samples"] == seen["good"]["samples"]
    assert (seen["test"]["status"], seen["file"]) == ("", "")
    assert far("test", of_test) <= 1
    assert seen["said"] == []


@pytest.mark.slow
@browser
def test_a_given_text_is_padded_with_the_first_character(
    stepwise: Mapping[str, Path], browse: Browse, tmp_path: Path
) -> None:
    run, texts = stepwise["illustrate"], ["six", "", "fivefive", "fivefives", "é"]
    seen = browse(bundle(run / "release", tmp_path / "site"), "texts", json.dumps(["Caption", texts]))
    with zoo.load(run) as loaded:
        first = loaded.release.sample.fields["caption"].vocabulary[0]  # type: ignore[union-attr]
        for text, made in zip(texts[:3], seen["seen"], strict=False):
            wanted = loaded.generate(2, caption=text.ljust(8, first), seed=0)
            assert made["status"] == ""
            assert np.abs(np.stack([*map(levels, made["samples"])]) - wanted).max() <= 1
    assert seen["seen"][3]["status"] == "The text has 9 characters; at most 8 are possible."
    assert 'The character "é" is not one of the' in seen["seen"][4]["status"]
    assert seen["said"] == []


@browser
@pytest.mark.slow
def test_transparent_images_are_laid_on_the_background(shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    Image.new("RGBA", (20, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    seen = browse(bundle(shelf.release("ae"), tmp_path / "site"), "reconstruct", tmp_path / "clear.png")
    white = zoo.load(shelf.release("ae")).reconstruct(np.full((8, 8), 255, np.uint8))[0]
    assert np.abs(levels(seen["chosen"][0]) - white).max() <= 1
    assert seen["said"] == []


@pytest.mark.slow
@browser
def test_the_page_refuses_a_top_p_of_zero(gpt: Path, browse: Browse, tmp_path: Path) -> None:
    seen = browse(bundle(gpt, tmp_path / "site"), "nucleus")
    assert seen["zero"] == "Top p must be above 0."
    assert "1" in seen["large"]
    assert (seen["small"], seen["status"], seen["said"]) == ("", "", [])


@pytest.mark.slow
@browser
def test_without_a_network_the_page_names_the_option(shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    folder = bundle(shelf.release("vae"), tmp_path / "site")
    about = json.loads((folder / "runtime.json").read_text())
    (folder / "runtime.json").write_text(json.dumps({**about, "base": "http://127.0.0.1:1/dist/"}))
    seen = browse(folder, "status")
    assert seen["ready"] == "failed"
    assert "http://127.0.0.1:1/dist/" in seen["status"]
    assert seen["status"].endswith(
        "The page loads ONNX Runtime from there: check the network, or bring it along with zoo export --format web "
        "--runtime DIR."
    )
    (folder / "model" / "model.safetensors").unlink()
    (folder / "runtime.json").write_text(json.dumps(about))
    seen = browse(folder, "status")
    assert seen["status"].endswith("Is the whole folder there, and the server running?")


@browser
@pytest.mark.slow
def test_the_page_completes_a_text(gpt: Path, browse: Browse, tmp_path: Path) -> None:
    seen = browse(bundle(gpt, tmp_path / "site"), "complete")
    wanted = zoo.load(gpt).generate(1, seed=7, prompt="the ", length=40, temperature=0.8, top_k=5)
    assert seen["status"] == ""
    assert seen["text"] == wanted[0]
    assert 'The character "é" is not one of the' in seen["wrong"]
    assert seen["said"] == []


@browser
@pytest.mark.slow
def test_the_page_fits_phones_and_takes_both_colour_schemes(shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    seen = browse(bundle(shelf.release("vae"), tmp_path / "site"), "look", tmp_path)
    grounds = set()
    for name in ("phone light", "phone dark", "desktop light", "desktop dark"):
        assert seen[name]["wide"] <= 0, name
        assert seen[name]["unlabelled"] == 0
        assert seen[name]["unnamed"] == 0
        grounds.add(seen[name]["ground"])
    assert len(grounds) == 2


@browser
@pytest.mark.parametrize("name", ["model/generate.onnx", *slow("model/model.safetensors", "ort/ort.wasm.min.mjs")])
def test_the_page_refuses_a_file_that_was_altered(name: str, shelf: Shelf, browse: Browse, tmp_path: Path) -> None:
    folder = bundle(shelf.release("vae"), tmp_path / "site")
    flip(folder / name)
    seen = browse(folder, "status")
    assert seen["ready"] == "failed"
    assert f"{Path(name).name} is damaged or altered: it has another hash" in seen["status"]
