"""audio:DIR: the user's own audio files, all of one sampling rate. :mod:`zoo.data.folder_scan` has the folder layout.

Stereo is mixed down to mono. Longer audio clips are cut; shorter ones are padded with silence at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import zoo
from zoo.contract.data import Split
from zoo.core.errors import DataError
from zoo.data import clips, folder_scan
from zoo.data.data_split import fingerprint
from zoo.media import audio_file, mel

CLIPS = folder_scan.Sort(kind="audio", one="audio clip", endings=audio_file.ENDINGS)


def load(split: Split, folder: Path, options: zoo.AudioOptions) -> zoo.Loaded:
    """Load one split of the audio clips in a folder."""
    found = folder_scan.find(folder, CLIPS)
    rate = _common_rate(found.every)
    spec = mel.form(rate, options.seconds, options.bands)
    paths = found.paths(split)
    waveforms = clips.in_memory((audio_file.read(path, str(path))[1] for path in paths), len(paths), spec)
    labels = found.labels(split)
    return zoo.Loaded(
        fields={"x": clips.of_waveforms(waveforms, spec)} | ({} if labels is None else {"label": labels}),
        sample=zoo.Sample(spec, {"label": zoo.Label(len(found.classes))} if found.classes else {}),
        source=f"The user's own folder of audio clips {found.name!r}",
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


audio = zoo.DataSet(
    card=zoo.DataCard(
        title="audio clips in a folder",
        source="The user's own folder of audio clips",
        licence="unknown",
        citation="none",
        split="DIR/train and DIR/test, else every tenth file to test",
    ),
    options=zoo.AudioOptions,
    load=load,
    place="DIR",
)
