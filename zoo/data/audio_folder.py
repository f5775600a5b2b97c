"""audio:DIR: the user's own audio files, all of one sampling rate. :mod:`zoo.data.folder_scan` has the folder layout.

Stereo is mixed down to mono. Longer audio clips are cut; shorter ones are padded with silence at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.contract.specs import Audio, Label, LogMel, Sample
from zoo.core.errors import DataError
from zoo.data import folder_scan
from zoo.data.dataset import DataSet, Options, Split, fingerprint
from zoo.media import audio_file, mel

SOUNDS = folder_scan.Sort(kind="audio", one="audio clip", endings=audio_file.ENDINGS)


def own(given: str, split: Split, options: Options) -> DataSet:
    """Load one split of the audio clips in a folder."""
    found = folder_scan.find(given, SOUNDS)
    rate = _common_rate(found.every)
    spec = mel.form(rate, options.seconds, options.bands)
    paths = found.paths(split)
    waveforms = in_memory((audio_file.read(path, str(path))[1] for path in paths), len(paths), spec)
    labels = found.labels(split)
    return DataSet(
        name=f"audio:{found.name}",
        split=split,
        sample=Sample(spec, {"label": Label(len(found.classes))} if found.classes else {}),
        x=of_waveforms(waveforms, spec),
        labels=labels,
        source=f"The user's own folder of audio clips {found.name!r}",
        licence="unknown",
        sha256=fingerprint(waveforms, labels),
        classes=found.class_names,
        note=found.note,
    )


def _common_rate(paths: Sequence[Path]) -> int:
    """Return the common sampling rate of all audio clips. Reads only their headers."""
    rate = audio_file.rate_of(paths[0])
    for path in paths:
        if (other := audio_file.rate_of(path)) != rate:
            raise DataError(
                f"Audio clips must have one sampling rate: {str(paths[0])!r} has {rate} Hz and {str(path)!r} has "
                f"{other} Hz. Resample or remove the odd ones."
            )
    return rate


def in_memory(clips: Iterable[NDArray[np.int16]], count: int, spec: Audio | LogMel) -> NDArray[np.int16]:
    """Cut or pad audio clips of any length, and return int16 (n, samples)."""
    waveforms = np.empty((count, spec.samples), np.int16)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:] = mel.fit(clip, spec.samples)
    return waveforms


def of_waveforms(waveforms: NDArray[np.int16], spec: Audio | LogMel) -> NDArray[np.int16] | NDArray[np.float32]:
    """Convert waveforms to the arrays of a data set: int16 (n, samples), or float32 (n, bands, frames)."""
    return mel.log_mel(waveforms, spec) if isinstance(spec, LogMel) else waveforms
