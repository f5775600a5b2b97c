"""One model of a gallery: the facts in its release, its samples and reconstructions, and its speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo
from zoo.contract.metric import Measurement, from_json
from zoo.contract.specs import Text
from zoo.core.progress import duration
from zoo.gallery import given, media, speed
from zoo.gallery.media import Back, Samples, Tests
from zoo.gallery.speed import Speed
from zoo.hub import licences
from zoo.release import Release
from zoo.runtime.describe import FILES, example_of_given
from zoo.sampling import latent

WIDE = {
    "fid": ("fid",),
    "likelihood": ("iwae_100", "negative_elbo", "exact_nll", "nll"),
    "mse": ("mse",),
    "accuracy": ("accuracy",),
}
"""The metrics for comparing models. For each kind, the first metric in the tuple that a model has is used."""


@dataclass(frozen=True)
class Entry:
    """The content of a gallery about one model."""

    release: Release
    address: str
    """The released name or the path to load the model by."""
    measurements: tuple[Measurement, ...]
    samples: Samples | None
    back: tuple[Back, ...]
    speed: Speed

    @property
    def name(self) -> str:
        """``model.recipe``."""
        return self.release.name

    @property
    def verbs(self) -> tuple[str, ...]:
        """Everything that the model can do: generate, its tasks, and the verbs derived from them."""
        generates = ("generate",) if self.release.generation is not None else ()
        return (*generates, *self.release.tasks, *latent.verbs(self.release))

    @property
    def data(self) -> str:
        """The name of the training data set."""
        return self._provenance("data", "name") or "unknown"

    @property
    def data_source(self) -> tuple[str, str]:
        """The origin of the data set, and its licence."""
        return self._provenance("data", "source"), self._provenance("data", "licence") or "unknown"

    @property
    def bytes(self) -> int:
        """The total size of all files in the manifest."""
        return sum(entry["bytes"] for entry in self.release.manifest["files"].values())

    def main(self, kind: str) -> Measurement | None:
        """Return the measurement of a kind in :data:`WIDE`, or None."""
        by_name = {measurement.name: measurement for measurement in self.measurements}
        return next((by_name[name] for name in WIDE[kind] if name in by_name), None)

    def facts(self) -> dict[str, str]:
        """Return lines of text by heading. Facts that the manifest does not have are left out."""
        plugin = self.release.manifest["plugin"]
        facts = {
            "Data": f"{self.data}, licence: {self.data_source[1]}",
            "Weights": f"{self.bytes / 1e6:.2f} MB with graphs, licence: {licences.of_manifest(self.release.manifest)}",
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
        """Return an example of use: two lines of Python, and one for the shell."""
        load, address = f'zoo.load("{self.address}")', self.address
        task, declared = next(iter(self.release.tasks.items()))
        spec = next(iter(declared.inputs.values()))
        given, options = example_of_given(self.release.plan)
        if self.release.generation is not None and isinstance(self.release.sample.x, Text):
            python, shell = f"print({load}.generate(1, {given}seed=0)[0])", f"zoo generate {address}{options} --seed 0"
        elif self.release.generation is not None:
            python = f"samples = {load}.generate(16, {given}seed=0)"
            shell = f"zoo generate {address}{options} -n 16 --seed 0"
        elif len(declared.inputs) == 1 and spec.kind in FILES:
            name = FILES[spec.kind]
            python, shell = f'made = {load}.{task}("{name}")', f"zoo run {address} {task} {name}"
        else:
            python, shell = f"help({load}.{task})", f"zoo info {address}"
        return f"import zoo\n{python}", shell


def make(folder: Path, address: str, into: Path, tests: Tests) -> Entry:
    """Run a release with one thread: time it, and write its samples and reconstructions into the folder `into`."""
    with zoo.load(folder, device="cpu", threads=1) as model:
        measurements = tuple(from_json(metric) for metric in model.release.manifest["metrics"])
        samples = media.samples(model.release, into)
        back = (*given.beside(model, into), *media.given_back(model, tests, into))
        return Entry(model.release, address, measurements, samples, back, speed.measure(model))
