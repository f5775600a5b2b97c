"""fsdd: spoken digits, read from the archive of recordings/DIGIT_SPEAKER_INDEX.wav."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import zoo
from zoo.core.errors import DataError
from zoo.data import archives, clips
from zoo.data.data_split import fingerprint
from zoo.media import mel, wav

RATE = 8000
TEST = 5
"""Recordings with an index below this are for testing, the others for training."""

_NAME = re.compile(r"recordings/(\d)_([a-z]+)_(\d+)\.wav")


ARCHIVE = zoo.KnownFile(
    name="fsdd-recordings.tar.gz",
    folders=("fsdd", "free-spoken-digit-dataset", ""),
    addresses=(),
    size=15_557_843,
    sha256="4df76f68b32ccb99e865e418c01add02cfe4de1718ea777f58f23f0a57adee63",
    inside=zoo.Inside(
        pattern=r"(?:.*/)?(recordings/[^/]+\.wav)",
        sha256="04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
        roots=("recordings",),
    ),
    note="It holds the recordings of https://github.com/Jakobovski/free-spoken-digit-dataset, which audio: reads too.",
)


def form(options: zoo.AudioOptions) -> zoo.Sample:
    """The form of the clips and their labels."""
    return zoo.Sample(mel.form(RATE, options.seconds, options.bands), {"label": zoo.Label(10)})


def load(split: str, folder: Path, options: zoo.AudioOptions) -> zoo.Loaded:
    """Load the official split, sorted by index, speaker and digit, so that the first n samples are balanced."""
    (file,) = fsdd.files[split]
    found: list[tuple[int, str, int, bytes]] = []
    for name, held in archives.obtain(file, folder).items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{file.name} has {name[:80]!r}, which is not part of fsdd. Delete it and run again.")
        digit, speaker, index = int(match[1]), match[2], int(match[3])
        if (index < TEST) == (split == "test"):
            found.append((index, speaker, digit, held))
    found.sort(key=lambda item: item[:3])
    spec = mel.form(RATE, options.seconds, options.bands)
    recordings = (wav.read(held, f"{digit}_{speaker}_{index}.wav")[1] for index, speaker, digit, held in found)
    waveforms = clips.in_memory(recordings, len(found), spec)
    labels = np.array([digit for _, _, digit, _ in found], np.int64)
    fields = {"x": clips.of_waveforms(waveforms, spec), "label": labels}
    return zoo.Loaded(fields=fields, sha256=fingerprint(waveforms, labels))


fsdd = zoo.DataSet(
    card=zoo.DataCard(
        title="Spoken digits, 6 speakers, 8 kHz",
        source="Free Spoken Digit Dataset; Z. Jackson et al., "
        "https://github.com/Jakobovski/free-spoken-digit-dataset; its recordings, repackaged",
        licence="CC BY-SA 4.0",
        citation="Jackson, Souza, Flaks, Pan, Nicolas & Thite 2018, https://doi.org/10.5281/zenodo.1342401",
        split="official: of each speaker's recordings of a digit, those numbered 0 to 4 to test",
    ),
    options=zoo.AudioOptions,
    sample=form,
    load=load,
    files={"train": (ARCHIVE,), "test": (ARCHIVE,)},
    classes=tuple("0123456789"),
    train=2700,
    test=300,
)
