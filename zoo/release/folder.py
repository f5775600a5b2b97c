"""A release folder whose manifest has been read: its tasks, and its files, each checked against its SHA-256.

vae.mnist/
  manifest.json        what it is, and the SHA-256 of every other file but the card
  model.safetensors    the weights, once
  encode.onnx …        graphs whose external data is inside model.safetensors
  samples.png
  metrics.jsonl        how its training went
  README.md            the card, which people may edit
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.contract.codec import Codec
from zoo.contract.generation import Generation
from zoo.contract.generation_plan import Plan
from zoo.contract.spec_json import named_as
from zoo.contract.specs import Sample, Spec
from zoo.contract.use import Use, from_json
from zoo.core import files
from zoo.core.errors import ReleaseError

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
SIGNATURE = "model.sig"
"""The signature of whoever published the release, which the manifest cannot list because it covers the manifest."""

UNSEALED = (CARD, SIGNATURE, "config.json", ".gitattributes", ".gitignore")
"""Files that may lie in a release and are not in its manifest: people edit the card, and the Hub needs the others."""

QUANTIZED = "quantized"
"""The key under which the manifest of a quantised release says what it was made of, and what it lost."""

THRESHOLD, USUAL = "score_threshold", 0.99
"""The metric that says from which score on a sample is anomalous, and the fraction of test samples below it."""


@dataclass(frozen=True)
class ReleasedTask:
    """A task as a release holds it: its graph's file name, and its inputs and outputs by name."""

    graph: str
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]

    def named_as(self, sample: Sample) -> ReleasedTask:
        """The task with the names of columns and classes that the samples have."""
        inputs, outputs = (
            {name: named_as(spec, name, sample) for name, spec in side.items()} for side in (self.inputs, self.outputs)
        )
        return ReleasedTask(self.graph, inputs, outputs)


@dataclass(frozen=True)
class Release:
    """A release folder whose manifest has been read. Make one with :func:`read`."""

    folder: Path
    manifest: Mapping[str, Any]
    name: str
    sample: Sample
    tasks: Mapping[str, ReleasedTask]
    generation: Generation | None
    generate: str
    """The file name of the graph that generates as a whole, from a seed; empty where there is none."""
    uint8: Mapping[str, str]
    """By the name of a task, or ``generate``: the file name of its graph for images as uint8 (n, h, w, channels)."""
    files: Mapping[str, str]
    """SHA-256 by file name, of every file but the manifest and the card."""
    codec: Codec | None = None
    """How it compresses samples; None where it does not."""

    @cached_property
    def plan(self) -> Plan | None:
        """Its generation with the tasks that it calls; None where it does not generate."""
        return None if self.generation is None else Plan(self.generation, self.tasks, self.sample)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by file name, of every file but the manifest and the card."""
        return {name: self.manifest["files"][name]["bytes"] for name in self.files}

    @property
    def background(self) -> str:
        """The colour behind the transparent pixels of what it was trained on, and so of what it is given."""
        colour = self.data.options.get("background")
        return colour if isinstance(colour, str) else "white"

    @property
    def data(self) -> Use:
        """The data set of its recipe, the user's own by the last part of its path; nameless for a module in memory."""
        return from_json(self.manifest["recipe"]["data"]) if "recipe" in self.manifest else Use("")

    def path(self, name: str) -> Path:
        """The path of one of its files, checked against its SHA-256 just now; :class:`ReleaseError` if altered."""
        path = self.folder / name
        if name not in self.files:
            raise ReleaseError(f"{self.folder}: {name} is not in the manifest.")
        if not path.is_file():  # a link may lead to a device, or to nothing
            raise ReleaseError(f"{path} is missing. Get the release again.")
        self._check(path, files.sha256(path))
        return path

    def content(self, name: str) -> bytes:
        """The bytes of one of its files, checked against its SHA-256; :class:`ReleaseError` if altered."""
        content = self.path(name).read_bytes()
        self._check(self.folder / name, hashlib.sha256(content).hexdigest())
        return content

    def _check(self, path: Path, found: str) -> None:
        if found != self.files[path.name]:
            linked = f" (a link to {path.resolve()})" if path.is_symlink() else ""
            raise ReleaseError(
                f"{path}{linked} is damaged or altered: expected SHA-256 {self.files[path.name]}, found {found}. "
                "Get the release again; zoo pull repairs one from the Hub."
            )

    def weights(self) -> Path:
        """The path of its weights for torch, checked; :class:`ReleaseError` if altered, or of a quantised release."""
        made = self.manifest.get(QUANTIZED)
        if made is not None:
            raise ReleaseError(
                f"{self.folder} is in {made['kind']} and has no weights for torch; the release of {self.name} that it "
                f"was made of has them (SHA-256 of its manifest: {made['of']})."
            )
        return self.path(WEIGHTS)


def verify(release: Release) -> int:
    """Check every file of a release against its SHA-256 and return how many there are.

    Raises :class:`ReleaseError` for the first file that is missing or altered.
    """
    for name in release.files:
        release.path(name)
    return len(release.files)


def strays(release: Release) -> list[str]:
    """The names in a release's folder that its manifest does not have. Nothing reads them."""
    known = {MANIFEST, *UNSEALED, *release.files}
    return sorted(path.name for path in release.folder.iterdir() if path.name not in known)
