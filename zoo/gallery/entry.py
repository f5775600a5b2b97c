"""One model of a gallery: what its release says of it, what it makes, and how fast it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo
from zoo.contract.metric import Figure, from_json
from zoo.contract.specs import Audio, Image, Text
from zoo.core.progress import duration
from zoo.gallery import media, speed
from zoo.gallery.media import Back, Samples, Tests
from zoo.gallery.speed import Speed
from zoo.pipeline.catalogue import licence
from zoo.release import Release
from zoo.sampling import latent

WIDE = {"fid": ("fid",), "likelihood": ("iwae_100", "negative_elbo", "nll"), "mse": ("mse",), "accuracy": ("accuracy",)}
"""The figures that models are compared by, each the first of its names that a model has."""


@dataclass(frozen=True)
class Entry:
    """What a gallery shows of one model."""

    release: Release
    address: str
    """What it is loaded by: its released name, or a path."""
    figures: tuple[Figure, ...]
    samples: Samples | None
    back: tuple[Back, ...]
    speed: Speed

    @property
    def name(self) -> str:
        """``model.recipe``."""
        return self.release.name

    @property
    def verbs(self) -> tuple[str, ...]:
        """Everything that it can do: its tasks, what follows from them, and generate."""
        generates = ("generate",) if self.release.generation is not None else ()
        return (*generates, *self.release.tasks, *latent.verbs(self.release))

    @property
    def data(self) -> str:
        """The data set that it was trained on."""
        return self._provenance("data", "name") or "unknown"

    @property
    def data_source(self) -> tuple[str, str]:
        """Where the data set is from, and its licence."""
        return self._provenance("data", "source"), self._provenance("data", "licence") or "unknown"

    @property
    def bytes(self) -> int:
        """Of all files that the manifest lists."""
        return sum(entry["bytes"] for entry in self.release.manifest["files"].values())

    def main(self, kind: str) -> Figure | None:
        """The figure of a kind in :data:`WIDE`, if the model has one."""
        by_name = {figure.name: figure for figure in self.figures}
        return next((by_name[name] for name in WIDE[kind] if name in by_name), None)

    def facts(self) -> dict[str, str]:
        """Lines of words, each under its heading; what a manifest does not say is left out."""
        plugin = self.release.manifest["plugin"]
        facts = {
            "Data": f"{self.data}, licence: {self.data_source[1]}",
            "Weights": f"{self.bytes / 1e6:.2f} MB with graphs, licence: {licence(plugin['distribution'])}",
            "Training": self._training(),
            "Speed": f"{self.speed.words}: {self.speed.milliseconds:.3g} ms",
            "Tasks": ", ".join(self.verbs),
            "From": f"{plugin['distribution']} {plugin['version']}",
        }
        return {heading: text for heading, text in facts.items() if text}

    def _training(self) -> str:
        made = self.release.manifest["provenance"]
        seconds, step, device = (made.get(key) for key in ("seconds", "step", "device"))
        parts = [
            f"{step:,} steps" if type(step) is int else "",
            f"in {duration(seconds)}" if type(seconds) in (int, float) else "",
            f"on {device}" if isinstance(device, str) else "",
        ]
        return " ".join(filter(None, parts))

    def _provenance(self, *keys: str) -> str:
        found: Any = self.release.manifest["provenance"]
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""

    def use(self) -> tuple[str, str]:
        """How to use it: two lines of Python, and one for the shell."""
        load, address = f'zoo.load("{self.address}")', self.address
        task, declared = next(iter(self.release.tasks.items()))
        spec = next(iter(declared.inputs.values()))
        if self.release.generation is not None and isinstance(self.release.sample.x, Text):
            python, shell = f"print({load}.generate(1, seed=0)[0])", f"zoo generate {address} --seed 0"
        elif self.release.generation is not None:
            python, shell = f"samples = {load}.generate(16, seed=0)", f"zoo generate {address} -n 16 --seed 0"
        elif len(declared.inputs) == 1 and isinstance(spec, (Image, Audio)):
            name = "image.png" if isinstance(spec, Image) else "sound.wav"
            python, shell = f'made = {load}.{task}("{name}")', f"zoo run {address} {task} {name}"
        else:
            python, shell = f"help({load}.{task})", f"zoo info {address}"
        return f"import zoo\n{python}", shell


def make(folder: Path, address: str, into: Path, tests: Tests) -> Entry:
    """Run a release with one thread: measure it, and write its samples and test images into the folder `into`."""
    with zoo.load(folder, device="cpu", threads=1) as model:
        figures = tuple(from_json(measure) for measure in model.release.manifest["measures"])
        samples = media.samples(model.release, into)
        back = media.given_back(model, tests, into)
        return Entry(model.release, address, figures, samples, back, speed.measure(model))
