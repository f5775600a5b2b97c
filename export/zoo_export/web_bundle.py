"""A web bundle, a static folder for any web server: a page, the release, and ONNX Runtime for browsers."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.contract.generation import DDIM
from zoo.contract.generation_plan import Plan
from zoo.contract.spec_json import to_json
from zoo.contract.specs import Image, Label
from zoo.core import files
from zoo.core.errors import NotFoundError, SettingError
from zoo.media.images import AS_THEY_ARE, CHANNELS
from zoo.release import Release, read

PAGE = Path(__file__).parent / "web"
MODEL = "model"
"""The folder of the release in a bundle."""

MARK = "runtime.json"
"""The file that locates ONNX Runtime's files; a folder with this file is a bundle."""

OPTIONS = "options.json"
"""The file that says what the page offers: what the generation takes, and the tasks that reconstruct an image."""

LENGTH, LONGEST = 200, 2000
"""Characters of a text that a page writes, by default and at most."""

VERSION = "1.30.0"
ADDRESS = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
RUNTIME = {
    "ort.wasm.min.mjs": "sha384-SfFfy/pvthiOsgaw3KX0bV5TfQ6Iq+oY9KutMe4SxIuHH4cl+DCSD4rTsYOoG1tJ",
    "ort-wasm-simd-threaded.mjs": "sha384-XcXA/MtAf0WpB8e023xQH9CM7RIjiugakT7x99DIwpFf7k56BIFFcAPerIF7FDad",
    "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
"""The files of onnxruntime-web that a page needs, with their SHA-384 at that version."""


def write(folder: Path, runtime: Path | None) -> None:
    """Write the files of a bundle around the release in the folder's ``model``.

    `runtime` is the folder of the npm package onnxruntime-web, whose files are copied; with None the page loads them
    from their pinned address. In both cases the page checks their hashes. Raises :class:`NotFoundError` if the folder
    is not that package, and :class:`SettingError` for a model that a page cannot run.
    """
    held = read(folder / MODEL)
    if isinstance(held.generation, DDIM):
        raise SettingError(
            f"{held.name} is a release of an older format, whose sampler a page cannot run. Export its run again."
        )
    if not held.generate and not reconstruction(held):
        raise SettingError(
            f"{held.name} neither generates nor reconstructs images, so a page has nothing to show. "
            "Export it without --format web."
        )
    if runtime is None:
        about = {"base": ADDRESS, "files": [{"name": name, "integrity": digest} for name, digest in RUNTIME.items()]}
    else:
        about = {"base": "ort/", "files": _copied(runtime, folder / "ort")}
    files.write(folder / MARK, json.dumps(about, indent=2) + "\n")
    files.write(folder / OPTIONS, json.dumps(offered(held), indent=2) + "\n")
    for path in PAGE.iterdir():
        if path.name != "index.html":
            shutil.copyfile(path, folder / path.name)
    card = held.manifest["card"]
    paper = card["paper"] if card["paper"].startswith(("https://", "http://")) else ""
    words = {"TITLE": f"{held.name}: {card['title']}", "NAME": held.name, "PAPER": paper}
    words |= {"SUMMARY": card["summary"], "CITATION": card["citation"]}
    page = (PAGE / "index.html").read_text("utf-8")
    for key, text in words.items():
        page = page.replace(f"@{key}@", html.escape(text))
    files.write(folder / "index.html", page)


def offered(held: Release) -> dict[str, Any]:
    """What the page offers, in the form that ``page.js`` reads; transparent images are laid on ``background``."""
    return {
        "options": options(held.plan),
        "reconstruct": reconstruction(held),
        "background": "rgb({}, {}, {})".format(*replace(AS_THEY_ARE, background=held.background).colour),
    }


def reconstruction(held: Release) -> list[str]:
    """The tasks that reconstruct an image, in the order of their calls; [] where there are none, or for other samples.

    A page offers it for images that files and canvases can hold, and for tasks that take nothing beside them.
    """
    x = held.sample.x
    if not (isinstance(x, Image) and x.channels in CHANNELS):
        return []
    for way in (["reconstruct"], ["encode", "decode"]):
        forms = [held.tasks[name] for name in way if name in held.tasks]
        if len(forms) == len(way) and all(len(form.inputs) == 1 and form.outputs for form in forms):
            gives = [x, *(next(iter(form.outputs.values())) for form in forms)]
            takes = [*(next(iter(form.inputs.values())) for form in forms), x]
            joined = all((a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(gives, takes, strict=True))
            if joined and takes[0] == x == gives[-1]:
                return way
    return []


def options(plan: Plan | None) -> list[dict[str, Any]]:
    """The options of a generation, in the form that ``controls.js`` reads.

    ``each`` marks those of which every sample has its own, ``most`` is the largest integer, a number must be ``above``
    another, and ``names`` are those of the classes.
    """
    found = []
    for option in plan.options.values() if plan is not None else ():
        about: dict[str, Any] = {"name": option.name, "what": option.what, "default": option.default}
        about |= {"help": option.help, "each": option.each}
        if option.spec is not None:
            about["spec"] = to_json(option.spec) | {"shape": option.spec.shape, "dtype": option.spec.dtype}
        if option.most is not None:
            about["most"] = option.most
        if isinstance(option.spec, Label) and option.spec.names:
            about["names"] = option.spec.names
        if option.name == "top_p" and not option.each:
            about["above"] = 0
        if option.name == "length" and not option.each:
            about |= {"default": LENGTH, "most": LONGEST}
        found.append(about)
    return found


def _copied(package: Path, to: Path) -> list[dict[str, str]]:
    """Copy the files that a page needs from the npm package, and return their names and hashes."""
    dist = package / "dist"
    to.mkdir()
    said = []
    for name in RUNTIME:
        if not (dist / name).is_file():
            raise NotFoundError(
                f"{package} is not the npm package onnxruntime-web: it has no dist/{name}. "
                f"Run: npm install onnxruntime-web@{VERSION}, and give node_modules/onnxruntime-web"
            )
        shutil.copyfile(dist / name, to / name)
        said.append({"name": name, "integrity": _integrity((to / name).read_bytes())})
    return said


def _integrity(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
