"""Verifies a release: its hashes, its graphs, its samples, and its parity with torch if that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import registry
from zoo import release as releases
from zoo.contract.specs import Spec
from zoo.core import files
from zoo.core.errors import HubError, ParityError, ReleaseError, SettingError, ZooError, installed
from zoo.hub import keys, signature_files, signing
from zoo.hub.resolve import find, on_hub, pin_of
from zoo.hub.source import HubSource
from zoo.media import kinds
from zoo.media.convert import from_batch
from zoo.pipeline import verify_samples
from zoo.runtime import LoadedModel, OnnxBackend, derived
from zoo.runtime.example_inputs import example, examples


class Note(str):
    """The description of something that was not checked."""


def verify(source: str | Path, key: str | Path | None = None, require_signature: bool = False) -> dict[str, str]:
    """Check a release and return a description of each check's result. Raises :class:`ReleaseError` if one fails.

    With `key`, the public key of a publisher in PEM, the signature of the release is checked too; a release without one
    is an error if `require_signature`. Without `key`, that which a registry pins for the release is taken, and then the
    signature is required; :class:`SettingError` if there is none and `require_signature`. The signature of weights in
    a package is at the pinned commit; where the Hub cannot be reached, that is a note, unless `require_signature`.
    """
    pin = pin_of(source)
    pinned = pin.signer.encode() if key is None and pin is not None and pin.signer else None
    public = pinned if key is None else files.expand(key)
    required = require_signature or pinned is not None
    if required and public is None:
        raise SettingError("A required signature needs the public key of whoever should have signed. Give --key PUB.")
    if public is not None:
        keys.public_key(public)  # a wrong path is an error for a release without a signature too
    release = releases.read(find(source))
    found = {"files": f"{releases.verify(release)} files have the SHA-256 of the manifest"}
    if strays := releases.strays(release):
        names = f"{', '.join(strays[:5])}{' …' if len(strays) > 5 else ''}"
        found["other files"] = Note(f"{names}: not in the manifest, and not used")
    place = on_hub(source)
    try:
        if signature := _signature(release, place or (pin.source if pin else None), public, required):
            found["signature"] = signature
    except HubError as error:
        if place is not None or require_signature:
            raise
        found["signature"] = Note(f"not checked: the weights are in the package, and their signature is not. {error}")
    backend = OnnxBackend(release, "cpu")
    model = LoadedModel(release, backend)
    found["graphs"] = _graphs(model, release, backend)
    if "samples" in release.manifest and release.generation is not None:
        found["samples"] = verify_samples.check(model)
    if release.codec is not None:
        found["codec"] = _codec(model)
    plugin = registry.plugins().get(registry.split(release.name)[0])
    if releases.QUANTIZED in release.manifest:
        made = release.manifest[releases.QUANTIZED]
        found["parity"] = f"does not apply to {made['kind']}, which differs from torch; zoo info shows its losses"
    elif not installed("torch"):
        found["parity"] = "as released; not proven again: torch is not installed"
    elif not plugin:
        found["parity"] = "as released; not proven again: the plugin is not installed"
    else:
        try:
            found["parity"] = _parity(release)
        except ParityError:
            raise
        except ZooError as error:  # the plugin cannot check parity, but the release itself is valid
            found["parity"] = f"as released; not proven again: {error}"
    model.close()
    return found


def _signature(release: releases.Release, source: HubSource | None, key: Path | bytes | None, required: bool) -> str:
    """Check the signature of a release; empty where there is neither a signature nor a key.

    That of a release on the Hub is neither in its cached folder nor in the package, and is downloaded if there is a key
    to check it with. Raises :class:`HubError` where the Hub cannot be reached.
    """
    content, where = signing.read(release.folder), str(release.folder / releases.SIGNATURE)
    if content is None and source is not None and key is not None:
        content, where = signature_files.fetch(source), f"{releases.SIGNATURE} of {source}"
    if content is None and required:
        raise ReleaseError(f"{release.name} has no signature: {where} is missing. Ask its publisher to sign it.")
    if content is None:
        return "" if key is None else Note(f"none: {where} is missing, so the key could not be checked")
    if key is None:
        return Note(f"not checked: give the public key of the publisher (--key PUB) to check {where}")
    signed = signing.verify(release.folder, content, key, where)
    also = f"; {len(signed.others)} more are signed, are no part of the release, and were not checked"
    return (
        f"{len(signed.files)} files, the manifest among them, are signed by the key with the fingerprint "
        f"{signed.fingerprint}{also if signed.others else ''}"
    )


def _graphs(model: LoadedModel, release: releases.Release, backend: OnnxBackend) -> str:
    """Run every task on zeros, or on points of a schedule: outputs must be finite and have the declared shape.

    Derived graphs must agree with the tasks.
    """
    for name, task in model.release.tasks.items():
        for batch in (1, 3):
            feeds = {key: _zeros(spec, batch) for key, spec in task.inputs.items()}
            if schedule := release.plan.schedule(name) if release.plan is not None else ():
                feeds = examples(task.inputs, batch, schedule)
            outputs = backend.run(name, feeds)
            for key, spec in task.outputs.items():
                if outputs[key].shape != (batch, *spec.shape) or not np.isfinite(outputs[key]).all():
                    raise ReleaseError(
                        f"{model.release.folder}: task {name!r} gives {key} of shape {outputs[key].shape}, "
                        "or values that are not finite, unlike its declaration."
                    )
    others = derived.check(release, backend)
    also = f"; {', '.join(others)} agree with them" if others else ""
    return f"{', '.join(model.tasks)} run at batches 1 and 3{also}"


def _zeros(spec: Spec, batch: int) -> NDArray[Any]:
    """A batch of zeros, or of the numbers nearest to 0 that a sample may have."""
    kind = kinds.SAMPLES.get(spec.kind)
    return np.full((batch, *spec.shape), np.clip(0, *kind.bounds(spec)) if kind else 0, spec.dtype)


def _codec(model: LoadedModel) -> str:
    """Compress examples and decompress them: the result must be that of the two tasks, bit for bit."""
    codec = model.release.codec
    assert codec is not None
    samples = from_batch(example(model.release.sample.x, 3, 0), model.release.sample.x)
    expected = _first(model.run(codec.decode, _first(model.run(codec.encode, samples))))
    data = model.compress(samples)
    if not np.array_equal(model.decompress(data), expected):
        raise ReleaseError(f"{model.release.folder}: what it compresses does not come back. Get the release again.")
    return f"3 examples become {len(data):,} bytes, and come back as {codec.decode} gives them"


def _first(made: Any) -> Any:
    """The first output of a task."""
    return next(iter(made.values())) if isinstance(made, dict) else made


def _parity(release: releases.Release) -> str:
    from zoo.modules.torch_backend import TorchBackend
    from zoo_export import parity

    found = parity.prove(release, TorchBackend(release, "cpu"), OnnxBackend(release, "cpu"))
    worst = max(gap for rows in found["tasks"].values() for gap in rows.values())
    return f"torch and ONNX Runtime agree on every task, largest difference {worst:.1e}"
