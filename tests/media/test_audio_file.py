"""Audio files that are no WAV files, and resampling: by soundfile and soxr, and one line where these are missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import raises
from zoo.contract.specs import Audio
from zoo.core.errors import DataError
from zoo.data import load
from zoo.media import audio_file, wav
from zoo.media.convert import to_batch

soundfile = pytest.importorskip("soundfile", reason="needs soundfile (extra audio)")
pytest.importorskip("soxr", reason="needs soxr (extra audio)")

RATE = 8000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)


def written(path: Path, waveform: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, waveform, rate, format="AIFF" if path.suffix.lower() == ".aif" else None)
    return path


@pytest.mark.parametrize("ending", [".flac", ".aiff", ".AIF"])
def test_lossless_formats_are_read_bit_for_bit(ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a{ending}", np.stack([TONE, TONE], 1))  # stereo
    rate, waveform = audio_file.read(path, "a")
    assert (rate, audio_file.rate_of(path)) == (RATE, RATE)
    assert waveform.dtype == np.int16
    assert np.abs(waveform - wav.to_int16(TONE).astype(int)).max() <= 1


@pytest.mark.parametrize("ending", [".ogg", ".mp3"])
def test_lossy_formats_are_close(ending: str, tmp_path: Path) -> None:
    rate, waveform = audio_file.read(written(tmp_path / f"a{ending}", TONE), "a")
    assert rate == RATE
    spectrum = np.abs(np.fft.rfft(waveform[: len(TONE)]))
    assert abs(spectrum.argmax() * RATE / len(TONE) - 440) < 5
    assert abs(np.abs(waveform).max() / 32768 - 0.5) < 0.05


def test_an_input_is_resampled_to_the_rate_of_the_model(tmp_path: Path) -> None:
    wide = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    path = tmp_path / "a.wav"
    path.write_bytes(wav.write(wide, 44_100))
    (found,) = to_batch(str(path), Audio(RATE, RATE), "audio")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert np.abs(found - expected)[100:-100].max() < 2e-3


def test_a_folder_of_flac_files(tmp_path: Path) -> None:
    for index in range(12):
        written(tmp_path / f"{index:02}.flac", TONE * (index + 1) / 12)
    train = load(f"audio:{tmp_path}", "train", seconds=0.25)
    assert train.sample.x == Audio(RATE, 2000)


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "a.flac"
    damaged.write_bytes(b"no audio")
    with raises(DataError, "a.flac", "damaged or no audio file", "Save it as 16-bit WAV"):
        audio_file.read(damaged, str(damaged))
    with raises(DataError, "does not exist"):
        audio_file.read(tmp_path / "b.flac", "b.flac")
    with raises(DataError, "is empty"):
        audio_file.read(written(tmp_path / "c.aiff", TONE[:0]), "c.aiff")
    whole = written(tmp_path / "d.flac", np.random.default_rng(0).uniform(-1, 1, RATE)).read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with raises(DataError, "a.flac"):
        audio_file.read(damaged, str(damaged))


def test_without_the_libraries_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flac, other = written(tmp_path / "a.flac", TONE), tmp_path / "a.wav"
    other.write_bytes(wav.write(TONE, RATE))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with raises(DataError, "a.flac", "soundfile", "pip install 'genzoo[audio]'"):
        audio_file.read(flac, str(flac))
    with raises(DataError, "8000 Hz, and 1000 Hz is wanted", "soxr", "pip install 'genzoo[audio]'"):
        to_batch(str(other), Audio(1000, 100), "audio")
    assert to_batch(str(other), Audio(RATE, 100), "audio").shape == (1, 100)
