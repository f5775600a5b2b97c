"""fsdd: spoken digits, read from the archive of recordings/DIGIT_SPEAKER_INDEX.wav."""

from __future__ import annotations

import re

import numpy as np

from zoo.contract.specs import Label, Sample
from zoo.core.errors import DataError
from zoo.data import archives
from zoo.data.audio_folder import in_memory, of_waveforms
from zoo.data.dataset import DataSet, Options, Split, fingerprint
from zoo.data.named import NamedSet
from zoo.media import mel, wav

RATE = 8000
TEST = 5
"""Recordings with an index below this are for testing, the others for training."""

_NAME = re.compile(r"recordings/(\d)_([a-z]+)_(\d+)\.wav")


def load(known: NamedSet, split: Split, options: Options) -> DataSet:
    """Load the official split, sorted by index, speaker and digit, so that the first n samples are balanced."""
    (file,) = known.files[split]
    found: list[tuple[int, str, int, bytes]] = []
    for name, held in archives.obtain(file, options.data_dir, options.progress).items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{file.name} has {name[:80]!r}, which is not part of fsdd. Delete it and run again.")
        digit, speaker, index = int(match[1]), match[2], int(match[3])
        if (index < TEST) == (split == "test"):
            found.append((index, speaker, digit, held))
    found.sort(key=lambda item: item[:3])
    spec = mel.form(RATE, options.seconds, options.bands)
    clips = (wav.read(held, f"{digit}_{speaker}_{index}.wav")[1] for index, speaker, digit, held in found)
    waveforms = in_memory(clips, len(found), spec)
    labels = np.array([digit for _, _, digit, _ in found], np.int64)
    x = of_waveforms(waveforms, spec)
    return known.data_set(
        split, Sample(spec, {"label": Label(len(known.classes))}), x, labels, fingerprint(waveforms, labels)
    )
