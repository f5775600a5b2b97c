"""``zoo gallery``: the page says what the releases hold, is well-formed and safe, and works by keyboard."""

from __future__ import annotations

import dataclasses
import html
import json
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PngFile

import zoo
from browsers import CHROMIUM, browser, javascript
from conftest import TRAINING, Command, Refused, Shelf, contents, flip, python, raises
from zoo import gallery
from zoo.contract.metric import format_value, from_json
from zoo.contract.specs import Image
from zoo.core import philox
from zoo.core.errors import NotFoundError, ReleaseError, SettingError
from zoo.data import load as load_data
from zoo.evaluation.evaluated_model import of_module
from zoo.gallery import media, render, speed
from zoo.media import grid
from zoo.plugin import Label, Noise, Sample, Task, Vector
from zoo.release import read, seal

FOUR = ("features.cifar10-jpeg", "features.digits", "features.mnist", "vae.digits")
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Every element of a page, in order; raises for one that is closed in the wrong place or not at all."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> is not where it belongs"

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.elements if name == tag]


def page_of(folder: Path) -> Page:
    """The page, of which every reference resolves and every image has the size that it is said to have."""
    page = Page((folder / "index.html").read_text("utf-8"))
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids))
    for tag, given in page.elements:
        address = given.get("href") or given.get("src") or ""
        if address.startswith("#"):
            assert address[1:] in ids
        elif tag != "a" or "rel" not in given:
            assert address in ("", "data:,") or (folder / address).is_file(), address
        for key in ("aria-labelledby", "for"):
            assert given.get(key) is None or given[key] in ids
    for given in page.all("img"):
        with PngFile.open(folder / str(given["src"])) as image:
            assert (str(image.width), str(image.height)) == (given["width"], given["height"])
        assert given["loading"] == "lazy"
        assert "alt" in given
    return page


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Times are taken, and not for long: no test asserts one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "SECONDS", 0.01)
        yield


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of what is released with the package."""
    return gallery.build(tmp_path_factory.mktemp("four") / "site", FOUR, quiet=True).folder


Altered = Callable[[Callable[[dict[str, Any]], None]], Path]


@pytest.fixture
def altered(release: Path) -> Altered:
    """A release whose manifest was changed, and sealed again, as whoever makes releases can."""

    def alter(change: Callable[[dict[str, Any]], None]) -> Path:
        manifest = json.loads((release / "manifest.json").read_text("utf-8"))
        change(manifest)
        (release / "manifest.json").write_text(json.dumps(seal(manifest)), "utf-8")
        return release

    return alter


# What the page says


def test_the_page_says_what_the_releases_hold(four: Path) -> None:
    page = page_of(four)
    assert [given["id"] for given in page.all("article")] == list(FOUR)
    assert "4 models with released weights" in page.words
    held = read(zoo.hub.resolve.find("vae.digits"))
    for measurement in map(from_json, held.manifest["metrics"]):
        assert format_value(measurement) in page.words
        assert measurement.protocol in page.words
    made = held.manifest["provenance"]
    for text in (held.manifest["card"]["summary"], "Kingma & Welling 2014", "CC BY 4.0", f"{made['step']:,} steps in"):
        assert text in page.words
    assert "@" not in page.words.replace("EPYC", "")
    shown = json.loads((four / gallery.MARK).read_text())["models"]
    assert [(one["name"], one["task"]) for one in shown] == [(name, "classify") for name in FOUR[:3]] + [
        ("vae.digits", "generate")
    ]
    assert all(one["milliseconds"] > 0 for one in shown)


def test_the_images_are_those_of_the_model(four: Path) -> None:
    place = four / media.FOLDER / "vae.digits"
    release = zoo.hub.resolve.find("vae.digits")
    assert (place / "samples.png").read_bytes() == (release / "samples.png").read_bytes()
    real = load_data("digits", "test").array[:16, 0]
    with zoo.load(release) as model:
        wanted = grid.enlarge(grid.pairs(real, model.reconstruct(real)))
    assert np.array_equal(np.asarray(PngFile.open(place / "reconstruct.png")), wanted)
    assert sorted(path.name for path in (four / media.FOLDER).iterdir()) == ["vae.digits"]


def test_a_text_is_read_and_a_sound_is_heard(shelf: Shelf, release: Path, altered: Altered, tmp_path: Path) -> None:
    gpt = shelf.release("chargpt")
    (release / "samples.wav").write_bytes(b"RIFF")

    def with_sound(manifest: dict[str, Any]) -> None:
        digest = zoo.core.files.sha256(release / "samples.wav")
        manifest["files"]["samples.wav"] = {"sha256": digest, "bytes": 4}

    folder = gallery.build(tmp_path / "site", [gpt, altered(with_sound)], quiet=True).folder
    page = page_of(folder)
    assert read(gpt).path("samples.txt").read_text("utf-8").strip() in page.words
    (audio,) = page.all("audio")
    assert (folder / str(audio["src"])).read_bytes() == b"RIFF"
    assert len(page.all("img")) == 2  # of the vae; a text is shown as text
    assert "generate 16 characters" in page.words


def test_the_lines_to_copy_run(four: Path, zoo_call: Command, tmp_path: Path) -> None:
    PngFile.new("L", (28, 28)).save(tmp_path / "image.png")
    text = (four / "index.html").read_text("utf-8")
    for name in ("vae.digits", "features.mnist"):
        card = text.split(f'<article id="{name}"')[1].split("</article>")[0]
        lines, shell = (html.unescape(part.split("</code>")[0]) for part in card.split("<code>")[1:])
        assert len(lines.splitlines()) == 2
        python(f"import warnings; warnings.simplefilter('error')\n{lines}", cwd=tmp_path)
        done = zoo_call(*shell.split()[1:])
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "vae.digits-seed0.png").is_file()


def test_a_metric_that_nobody_knows_is_shown_at_once(altered: Altered, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        base = {"value": 0.25, "unit": "of a thing", "protocol": "guessed", "better": "higher"}
        names = ("ssim", "codebook_use", "iwae_100", "negative_elbo")
        manifest["metrics"] = [{"name": name, **base} for name in names]

    folder = gallery.build(tmp_path / "site", [altered(change)], quiet=True).folder
    card = (folder / "index.html").read_text("utf-8").split("<article")[1]
    at_once, on_demand = card.split("<details>")
    assert "codebook use" in at_once
    assert "SSIM" not in at_once
    assert "and 1 more" in on_demand
    assert at_once.index("IWAE-100") < at_once.index("−ELBO") < at_once.index("codebook use")


def test_texts_of_a_hostile_release_stay_texts(altered: Altered, tmp_path: Path) -> None:
    attack = "\"'><script>alert(1)</script><img src=x onerror=alert(2)> @CARDS@ &amp; </pre></table>"

    def change(manifest: dict[str, Any]) -> None:
        manifest["card"] = dict.fromkeys(("title", "summary", "citation"), attack) | {"paper": "javascript:alert(3)"}
        manifest["plugin"] = {"distribution": attack, "version": attack}
        made = {"data": dict.fromkeys(("name", "source", "licence"), attack), "device": attack, "seconds": "x"}
        manifest["provenance"] = made
        manifest["recipe"] = {"data": {"name": attack, "options": {attack: attack}}}
        words = dict.fromkeys(("unit", "protocol", "interval"), attack)
        beside = {"name": attack, "value": 1.0}
        manifest["metrics"] = [
            {"name": name, "value": 1.0, "better": "x", "baseline": beside, **words} for name in (attack, "nll", "ssim")
        ]

    made = gallery.build(tmp_path / "site", [altered(change)], quiet=True)
    page = page_of(made.folder)
    assert page.all("script") == [{"defer": None, "src": "page.js"}]
    assert not any(key.startswith("on") for _, given in page.elements for key in given)
    assert all("javascript:" not in str(given.get("href")) for given in page.all("a"))
    assert page.words.count(attack) >= 15
    assert len(page.all("article")) == 1
    assert made.without.keys() == {"vae.tiny"}
    if CHROMIUM is not None and not browser.args[0]:
        seen = javascript("gallery.mjs", CHROMIUM, (made.folder / "index.html").as_uri(), "pick", attack)
        assert seen == {"rows": ["vae.tiny"], "none": [], "said": []}


def test_a_template_is_filled_once() -> None:
    assert render.fill("@A@ @B@ a@b", {"A": "@B@", "B": "x"}) == "@B@ x a@b"


# Test images


def test_data_that_are_not_there_leave_images_out(altered: Altered, zoo_call: Command, tmp_path: Path) -> None:
    source = altered(lambda manifest: manifest["recipe"]["data"].update(name="mnist"))
    done = zoo_call("gallery", source, "-o", "site", "--data-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "site written: 1 model." in done.stdout
    line = done.stderr.splitlines()[-1]
    assert "Without test images: vae.tiny (mnist is missing)" in line
    assert f"zoo data get mnist --data-dir {tmp_path}" in line
    assert len(page_of(tmp_path / "site").all("img")) == 1


@pytest.mark.parametrize(
    ("data", "why"), [(data, "is not a named data set") for data in ("folder:pics", "wrong-form", "")]
)
def test_data_without_a_name_leave_images_out(data: str, why: str, altered: Altered, tmp_path: Path) -> None:
    source = altered(lambda manifest: manifest["recipe"]["data"].update(name=data))
    made = gallery.build(tmp_path / "site", [source], quiet=True)
    assert why in made.without["vae.tiny"]
    assert made.lacking == ()


def test_data_of_another_form_leave_images_out(tmp_path: Path) -> None:
    held = read(zoo.hub.resolve.find("vae.digits"))
    other = dataclasses.replace(held, sample=Sample(Image(1, 9, 9), {"label": Label(10)}))
    tests = media.Tests(tmp_path)
    assert tests.of(other) is None
    assert "another form" in tests.without["vae.digits"]
    assert tests.of(held) is not None


def test_a_image_comes_back_in_every_way_that_a_model_has(altered: Altered, tmp_path: Path) -> None:
    """The tasks of one release under other names: reconstruct as denoise too, and then encode and decode alone."""
    real = load_data("digits", "test").array[:16, 0]

    def denoising(manifest: dict[str, Any]) -> None:
        manifest["tasks"]["denoise"] = manifest["tasks"]["reconstruct"]
        manifest["recipe"] |= {"noise": "masking", "level": 0.4}

    source = altered(denoising)
    folder = gallery.build(tmp_path / "one", [source], quiet=True).folder
    place = folder / media.FOLDER / "vae.tiny"
    assert sorted(path.name for path in place.iterdir()) == ["denoise.png", "reconstruct.png", "samples.png"]
    assert "40% of its pixels black" in page_of(folder).words
    noisy, _ = media.corrupted(real, {"noise": "masking", "level": 0.4})
    with zoo.load(source) as model:
        wanted = grid.enlarge(grid.stacks([real, noisy, model.denoise(noisy)]))
        coded = grid.enlarge(grid.pairs(real, model.decode(model.encode(real))))
    assert np.array_equal(np.asarray(PngFile.open(place / "denoise.png")), wanted)

    source = altered(lambda manifest: [manifest["tasks"].pop(name) for name in ("reconstruct", "denoise")])
    folder = gallery.build(tmp_path / "two", [source], quiet=True).folder
    made = np.asarray(PngFile.open(folder / media.FOLDER / "vae.tiny" / "encode-decode.png"))
    assert np.array_equal(made, coded)


class Shown(torch.nn.Module):
    """Gives an image back if it is told that it shows a 3, and black otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def reconstruct(self, image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.scale * image * (label == 3)[:, None, None, None]


def test_a_conditional_model_is_told_the_labels(tmp_path: Path) -> None:
    image, module = Image(1, 8, 8), Shown()
    inputs, outputs = {"image": image, "label": Label(10)}, {"reconstruction": image}
    model = of_module(
        "shown.x",
        module,
        {"reconstruct": Task(module.reconstruct, inputs, outputs)},
        None,
        Sample(image, {"label": Label(10)}),
    )
    model.release = dataclasses.replace(model.release, manifest={"recipe": {"data": {"name": "digits", "options": {}}}})
    (back,) = media.given_back(model, media.Tests(tmp_path), tmp_path / "models" / "shown.x")
    test = load_data("digits", "test")
    real = test.array[:16, 0]
    assert test.labels is not None
    told = np.where((test.labels[:16] == 3)[:, None, None], real, 0).astype(np.uint8)
    assert np.array_equal(np.asarray(PngFile.open(tmp_path / back.image.path)), grid.enlarge(grid.pairs(real, told)))
    other = Task(module.reconstruct, {"image": image, "label": Label(7)}, outputs)  # not the labels of this data
    model = of_module("shown.x", module, {"reconstruct": other}, None, Sample(image, {"label": Label(10)}))
    assert media.ways(model.release) == []


def test_what_gives_nothing_back_has_no_way() -> None:
    image, net = Image(1, 8, 8), Shown()
    decode = Task(net.reconstruct, {"z": Noise((4,))}, {"image": image})
    encode = Task(net.reconstruct, {"image": image}, {"z": Vector((5,))})
    smaller = Task(net.reconstruct, {"image": image}, {"reconstruction": Image(1, 4, 4)})
    for tasks in ({"decode": decode}, {"decode": decode, "encode": encode}, {"reconstruct": smaller, "decode": decode}):
        assert media.ways(of_module("x.y", net, tasks, None, Sample(image)).release) == []


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_noise_is_what_it_is_called(shape: tuple[int, ...]) -> None:
    grey = np.full((8, *shape), 128, np.uint8)
    noisy, words = media.corrupted(grey, {"noise": "gaussian", "level": 0.1})
    assert "deviation 0.1" in words
    assert np.std(noisy / 255) == pytest.approx(0.1, rel=0.05)
    again, _ = media.corrupted(grey[:2], {"noise": "gaussian", "level": 0.1})
    assert np.array_equal(again, noisy[:2])
    for kind, levels in (("masking", {0: 0.25}), ("salt-and-pepper", {0: 0.125, 255: 0.125})):
        noisy, words = media.corrupted(grey, {"noise": kind, "level": 0.25})
        assert "25% of its pixels" in words
        for level, share in levels.items():
            assert np.mean(noisy == level) == pytest.approx(share, abs=0.02)
        assert np.mean(noisy == 128) == pytest.approx(0.75, abs=0.02)
        if len(shape) == 3:
            assert (noisy == noisy[..., :1]).all()
    for recipe in ({}, {"noise": 3, "level": "x"}, {"level": -1}, {"level": float("nan")}):
        assert media.corrupted(grey, recipe)[1] == "Gaussian noise of deviation 0.3"
    assert philox.draw("normal", (1,), media.SEED, np.arange(1)).dtype == np.float32


# The folder and the command


def test_a_gallery_is_replaced_by_force_alone(four: Path, shelf: Shelf, refused: Refused, tmp_path: Path) -> None:
    shutil.copytree(four, tmp_path / "site")
    source = shelf.release("ae")
    refused("gallery", source, "-o", "site", says=("site exists already", "--force"))
    gallery.build(tmp_path / "site", [source], force=True, quiet=True)
    assert [given["id"] for given in page_of(tmp_path / "site").all("article")] == ["ae.tiny"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    refused("gallery", source, "-o", "mine", "--force", says=("has no gallery.json, so --force does not",))
    refused("gallery", source, "-o", source / "site", says=("inside the release",))


def test_what_cannot_be_shown(shelf: Shelf, release: Path, refused: Refused, tmp_path: Path) -> None:
    refused("gallery", "-o", "site", "nothing*", says=("No released model matches 'nothing*'", "--pretrained"))
    refused("gallery", "-o", "site", "vea.digits", says=("Did you mean 'vae'?",))
    refused("gallery", "-o", "site", "vae.mnist-beta4", says=("No weights are released under 'vae.mnist-beta4'",))
    refused("gallery", "-o", "site", "./nowhere", says=("nowhere",))
    refused("gallery", "-o", "site", shelf.release("vae"), release, says=("are both vae.tiny", "Leave one out"))
    refused("gallery", "vae.digits", says=("Missing option '-o' / '--output'",))
    with raises(SettingError, "are both vae.tiny"):
        gallery.build(tmp_path / "site", [release, shelf.release("vae")], quiet=True)
    with raises(NotFoundError, "No released model matches"):
        gallery.build(tmp_path / "site", ["[x]"], quiet=True)


def test_a_source_that_is_given_twice_is_shown_once(tmp_path: Path) -> None:
    made = gallery.build(tmp_path / "site", ["vae.digits", "vae.d*", "*.digits"], quiet=True)
    every = zoo.list_models("*.digits", pretrained=True)
    assert len(every) > 2
    assert made.models == ("vae.digits", *(name for name in every if name != "vae.digits"))


def test_a_damaged_release_leaves_nothing(release: Path, four: Path, refused: Refused, tmp_path: Path) -> None:
    flip(release / "samples.png")
    before = contents(four)
    refused("gallery", "vae.digits", release, "-o", "site", says=("samples.png is damaged or altered",))
    refused("gallery", release, "-o", four, "--force", says=("samples.png is damaged or altered",))
    assert contents(four) == before


@pytest.mark.parametrize("kind", ["GIF", "SVG"])
def test_samples_that_are_no_png(kind: str, altered: Altered, release: Path, tmp_path: Path) -> None:
    (release / "samples.png").write_bytes(b"<svg onload='alert(1)'/>")
    if kind == "GIF":
        PngFile.new("L", (8, 8)).save(release / "samples.png", "GIF")
    digest = zoo.core.files.sha256(release / "samples.png")
    source = altered(lambda manifest: manifest["files"]["samples.png"].update(sha256=digest))
    with raises(ReleaseError, "samples.png is not a readable PNG image"):
        gallery.build(tmp_path / "site", [source], quiet=True)
    assert not (tmp_path / "site").exists()


def test_a_gallery_needs_nothing_of_training(tmp_path: Path) -> None:
    """Without scikit-learn the digits are not there either, which the command says."""
    code = "import sys; sys.argv = ['zoo', 'gallery', 'vae.digits', '-o', 'site']\nfrom zoo.cli import main; main()"
    assert "site written: 1 model." in python(code, block=TRAINING, cwd=tmp_path)
    assert len(page_of(tmp_path / "site").all("img")) == 1


# In a browser, from the folder alone


def used(folder: Path, scenario: str, *arguments: object) -> dict[str, Any]:
    seen = javascript("gallery.mjs", CHROMIUM, (folder / "index.html").as_uri(), scenario, *arguments)
    assert seen.pop("said") == []
    return seen


@browser
@pytest.mark.slow
def test_columns_sort_by_key_and_click(four: Path) -> None:
    seen = used(four, "sort")
    size = {
        name: sum(one["bytes"] for one in read(zoo.hub.resolve.find(name)).manifest["files"].values()) for name in FOUR
    }
    by_size = sorted(FOUR, key=lambda name: size[name])
    assert seen["first"]["rows"] == list(FOUR)
    assert seen["up"]["rows"] == seen["up"]["cards"] == by_size
    assert seen["down"]["rows"] == seen["down"]["cards"] == by_size[::-1]
    assert seen["down"]["hash"] == "#sort=bytes&down=1"
    assert seen["fid"]["rows"][0] == seen["clicked"]["rows"][0] == "vae.digits"
    assert seen["accuracy"]["rows"] == [*FOUR]  # 0.80, 0.96, 0.99; what has none is last, up and down
    assert seen["accuracies"]["rows"] == [*FOUR[2::-1], "vae.digits"]
    for name, column, order in (
        ("first", "name", "ascending"),
        ("up", "bytes", "ascending"),
        ("down", "bytes", "descending"),
        ("fid", "fid", "ascending"),
        ("clicked", "fid", "descending"),
    ):
        assert dict(seen[name]["sorted"]) == dict.fromkeys(dict(seen[name]["sorted"]), "none") | {column: order}


@browser
@pytest.mark.slow
def test_filters_and_links_to_what_they_show(four: Path) -> None:
    seen = used(four, "filter")
    shown = {name: look["rows"] for name, look in seen.items()}
    assert all(look["cards"] == look["rows"] for look in seen.values())
    assert shown["words"] == list(FOUR[:3])
    assert shown["both"] == shown["linked"] == ["features.digits"]
    assert shown["target"] == shown["cleared"] == list(FOUR)
    assert seen["cleared"]["hash"] == ""
    assert shown["task"] == ["vae.digits"]
    assert shown["nothing"] == []
    assert seen["nothing"]["status"] == "0 of 4 models"
    assert dict(seen["odd"]["sorted"])["name"] == "ascending"


@browser
@pytest.mark.slow
def test_lines_are_copied_by_keyboard(four: Path) -> None:
    seen = used(four, "copy")
    assert seen["copied"] == 'import zoo\nsamples = zoo.load("vae.digits").generate(16, seed=0)'
    assert seen["status"] == "Press Ctrl+C"
    assert seen["selected"].strip() == "zoo generate vae.digits -n 16 --seed 0"


@browser
def test_the_page_reads_well_without_javascript(four: Path) -> None:
    assert used(four, "plain") == {"rows": 4, "cards": 4, "buttons": 0}


@browser
@pytest.mark.slow
def test_the_page_fits_phones_and_takes_both_colour_schemes(four: Path, tmp_path: Path) -> None:
    seen = used(four, "look", tmp_path)
    assert len({look["ground"] for look in seen.values()}) == 2
    for name, look in seen.items():
        assert look["wide"] <= 0, name
        assert look["unlabelled"] == 0
        assert len(look["images"]) == 2
        assert all(wide * h == pytest.approx(high * w, rel=0.02) for wide, high, w, h in look["images"])
