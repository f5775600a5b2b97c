"""Audio: WAV files, log-mel spectrograms, folders of clips, and models of them from training to WAV files."""

from __future__ import annotations

import os
import shutil
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import zoo
from conftest import Command, Refused, one_error, plugged, raises, slow
from zoo.contract.spec_json import spec_from_json, to_json
from zoo.contract.specs import Audio, Label, LogMel, Sample
from zoo.core.errors import DataError, ParityError, ReleaseError, SettingError
from zoo.data import load
from zoo.media import display, wav
from zoo.media import mel as audio
from zoo.media.convert import to_batch
from zoo.media.griffin_lim import griffin_lim
from zoo.pipeline import verify_samples
from zoo.pipeline.verify import verify
from zoo.release import parse, read
from zoo.runtime.example_inputs import example
from zoo_export import parity

RATE = 1000
TONE = np.sin(np.arange(400) * 0.5) * 0.5


def save(path: Path, frames: bytes, rate: int = RATE, width: int = 2, channels: int = 1) -> Path:
    """A WAV file as Python writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return path


def tone(path: Path, level: float = 1.0, samples: int = 400, rate: int = RATE) -> Path:
    return save(path, wav.to_int16(TONE[:samples] * level).astype("<i2").tobytes(), rate)


# WAV files


def chunk(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk of a RIFF file, whose size may be a lie."""
    return kind + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def form(tag: int, bits: int, channels: int = 1, more: bytes = b"") -> bytes:
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, RATE, RATE * block, block, bits) + more)


def riff(*chunks: bytes, size: int | None = None, kind: bytes = b"RIFF") -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(content) if size is None else size) + content


SHORTS = np.array([-32768, -16384, 0, 8192, 32767], "<i2")
DATA = SHORTS.tobytes()
GUID = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")
NOTE = chunk(b"LIST", b"INFOICMT\x03\0\0\0hey")  # of 15 bytes: one follows, so that the next begins at an even one


@pytest.mark.parametrize(
    "content",
    [
        riff(form(1, 16), chunk(b"data", DATA, 0xFFFFFFFF), size=0xFFFFFFFF),  # ffmpeg to a pipe
        riff(form(1, 16), chunk(b"data", DATA, 0x7FFFF000), size=0x7FFFF024),  # sox
        riff(form(1, 16), chunk(b"data", DATA, 0x80000000), size=0x80000024),  # arecord
        riff(form(1, 16), chunk(b"data", DATA, 0), size=0),  # a recorder that was killed
        riff(form(1, 16), chunk(b"data", DATA + b"\x07", 0xFFFFFFFF))[:-1],  # half a sample
        riff(form(1, 16), chunk(b"data", DATA), size=4),
        riff(form(1, 16), chunk(b"data", DATA), NOTE),
        riff(NOTE, form(1, 16), chunk(b"JUNK", bytes(29)), chunk(b"data", DATA)),
        riff(form(1, 16, more=b"\0\0"), chunk(b"data", DATA)),
        riff(form(0xFFFE, 16, more=struct.pack("<HHIH", 22, 16, 4, 1) + GUID), chunk(b"data", DATA)),
        riff(form(3, 32), chunk(b"data", (SHORTS / 32768).astype("<f4").tobytes())),
        riff(form(3, 64), chunk(b"data", (SHORTS / 32768).astype("<f8").tobytes())),
        riff(
            form(0xFFFE, 32, more=struct.pack("<HHIH", 22, 32, 4, 3) + GUID),
            chunk(b"data", (SHORTS / 32768).astype("<f4").tobytes()),
        ),
        riff(form(1, 16, 2), chunk(b"data", np.repeat(SHORTS, 2).tobytes(), 0xFFFFFFFF)),
        riff(
            chunk(b"ds64", struct.pack("<QQQI", 0, 10, 5, 0)),
            form(1, 16),
            chunk(b"data", DATA, 0xFFFFFFFF),
            NOTE,
            kind=b"RF64",
        ),
    ],
    ids=[
        "ffmpeg",
        "sox",
        "arecord",
        "killed",
        "half",
        "size",
        "after",
        "before",
        "long",
        "extensible",
        "f4",
        "f8",
        "extensible f4",
        "stereo",
        "rf64",
    ],
)
def test_files_as_programs_leave_them(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for file in (path, content):
        rate, waveform = wav.read(file, "a.wav")
        assert rate == RATE
        assert waveform.tolist() == SHORTS.tolist()
    assert wav.rate_of(path) == RATE


def test_no_samples_and_chunks_behind() -> None:
    with raises(DataError, "empty or cut short: 0 of 0"):
        wav.read(riff(form(1, 16), chunk(b"data", b""), NOTE), "a.wav")


def test_a_folder_of_sounds_from_pipes(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / os.fsdecode(b"\xe9%d.wav" % index)).write_bytes(
            riff(form(1, 16), chunk(b"data", DATA, 0xFFFFFFFF), size=0xFFFFFFFF)
        )
    (tmp_path / "a.mid").write_bytes(b"")
    data = load(f"audio:{tmp_path}", "train", seconds=0.005)
    assert (data.x == SHORTS).all()
    assert data.note == "1 file does not have the extension of an audio clip and was ignored: 'a.mid'"


@pytest.mark.parametrize(
    ("width", "frames"),
    [
        (1, bytes([0, 64, 128, 192, 255])),
        (2, struct.pack("<5h", -32768, -16384, 0, 16384, 32512)),
        (
            3,
            b"".join(
                (value << 8 | 7).to_bytes(3, "little", signed=True) for value in (-32768, -16384, 0, 16384, 32512)
            ),
        ),
        (
            4,
            b"".join(
                (value << 16 | 9).to_bytes(4, "little", signed=True) for value in (-32768, -16384, 0, 16384, 32512)
            ),
        ),
    ],
)
def test_every_width(width: int, frames: bytes, tmp_path: Path) -> None:
    rate, waveform = wav.read(save(tmp_path / "a.wav", frames, 8000, width), "a.wav")
    assert rate == 8000
    assert waveform.dtype == np.int16
    assert waveform.tolist() == [-32768, -16384, 0, 16384, 32512]


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", struct.pack("<6h", 100, 200, -32768, -32768, 5, 6), channels=2)
    assert wav.read(path, "a.wav")[1].tolist() == [150, -32768, 6]  # halves to even


def test_written_and_read_again() -> None:
    waveform = np.array([-1, -0.5, 0, 0.25, 1, 2], np.float32)
    rate, back = wav.read(wav.write(waveform, 44_100), "a.wav")
    assert rate == 44_100
    assert back.tolist() == [-32768, -16384, 0, 8192, 32767, 32767]
    assert wav.to_int16(back) is not None
    assert (wav.read(wav.write(back, 8000), "a.wav")[1] == back).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["no WAV file", "16-bit PCM"]),
        (b"RIFF????WAVE", ["no WAV file"]),
        (b"ID3\x04 an mp3", ["no WAV file"]),
        (wav.write(TONE, RATE)[:-9], ["cut short: 395 of 400 samples"]),
        (wav.write(TONE[:0], RATE), ["empty or cut short: 0 of 0"]),
        (
            wav.write(TONE, RATE).replace(b"\x01\0\x01\0", b"\x06\0\x01\0"),
            ["unknown format: 6, A-law", "Save it as 16-bit PCM"],
        ),
        (riff(form(3, 32), chunk(b"data", np.array([0, np.nan], "<f4").tobytes())), ["samples that are no numbers"]),
        (wav.write(TONE, RATE).replace(b"\x02\0\x10\0", b"\x02\0\x30\0"), ["48 bits", "Save it as 16-bit PCM"]),
    ],
    ids=["empty", "header", "mp3", "cut", "silent", "law", "nan", "wide"],
)
def test_what_cannot_be_read(content: bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with raises(DataError, path, *words):
        wav.read(path, str(path))


def test_random_damage_is_an_error_or_a_sound(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    whole = np.frombuffer(wav.write(TONE, RATE), np.uint8)
    errors = 0
    for _ in range(200):
        content = whole.copy()
        content[numbers.integers(0, 44, 3)] = numbers.integers(0, 256, 3)
        try:
            wav.read(content.tobytes(), "a.wav")
        except DataError:
            errors += 1
    assert 0 < errors < 200


# Log-mel


def test_log_mel_is_the_formula() -> None:
    """Against the definition, a sum for each bin."""
    spec = LogMel(RATE, 64, bands=5, window=16, hop=4)
    x = np.random.default_rng(1).uniform(-1, 1, 64)
    made = audio.log_mel(x[None], spec)
    assert made.shape == (1, 5, 16)
    assert made.dtype == np.float32
    padded = np.concatenate([np.zeros(6), x, np.zeros(16)])
    window = np.sin(np.pi * np.arange(16) / 16) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 500 / 700), 7)
    edges = 700 * (10 ** (mel / 2595) - 1)
    for frame in (0, 7, 15):
        piece = padded[frame * 4 :][:16] * window
        for band in range(5):
            power = 0.0
            for k in range(9):
                frequency = k * RATE / 16
                weight = np.interp(frequency, edges[band : band + 3], [0, 1, 0], left=0, right=0)
                power += (
                    weight * abs(2 / window.sum() * (piece * np.exp(-2j * np.pi * k * np.arange(16) / 16)).sum()) ** 2
                )
            wanted = np.clip((10 * np.log10(max(power, 1e-8)) + 80) / 80, 0, 1)
            np.testing.assert_allclose(made[0, band, frame], wanted, atol=1e-6)


def test_a_full_scale_sine_is_one_and_silence_is_nothing() -> None:
    spec = audio.form(8000, 0.5, 20)
    assert spec == LogMel(8000, 4000, 20, 256, 64)
    peak = int(audio.filters(8000, 20, 256)[9].argmax()) * 8000 / 256  # a bin near the top of the tenth filter
    sine = np.sin(2 * np.pi * peak * np.arange(4000) / 8000)
    made = audio.log_mel(np.stack([sine, sine / 10, np.zeros(4000), sine / 1000]), spec)
    middle = made[:, :, 20:-20].mean(2)
    assert middle[0].argmax() == 9
    np.testing.assert_allclose(middle[0, 9], 1, atol=0.02)
    np.testing.assert_allclose(middle[1, 9] - middle[3, 9], 40 / 80, atol=1e-3)  # 1/100 of it is 40 dB less
    assert not made[2].any()
    assert (audio.log_mel(wav.to_int16(sine)[None], spec) - made[:1]).max() < 0.01


def test_forms_and_their_limits() -> None:
    assert audio.form(8000, 1.0, 0) == Audio(8000, 8000)
    assert audio.form(8000, 1.024, 64).shape == (64, 128)
    assert audio.form(44_100, 1.0, 80) == LogMel(44_100, 44_100, 80, 1024, 256)
    with raises(SettingError, "bands = 200 is too many", "256 samples at 8000 Hz", "at most 86 hold"):
        audio.form(8000, 1.0, 200)
    assert audio.form(8000, 1.0, 86).shape[0] == 86
    with raises(SettingError, "seconds = 0.001", "one hop of 64"):
        audio.form(8000, 0.001, 10)
    with raises(SettingError, "seconds = 1e-05", "0 samples"):
        audio.form(8000, 1e-5, 0)
    with raises(SettingError, "seconds = 1000000", "8,000,000,000 samples"):
        audio.form(8000, 1e6, 0)


@pytest.mark.parametrize("spec", [Audio(8000, 100), LogMel(8000, 640, 8, 256, 64)])
def test_specs_in_a_manifest(spec: Audio | LogMel) -> None:
    assert spec_from_json(to_json(spec), "here") == spec
    for change in ({"rate": 0}, {"samples": 0}, {"samples": 2**40}, {"rate": 1.5}):
        with raises(ReleaseError, "here"):
            spec_from_json(to_json(spec) | change, "here")
    if isinstance(spec, LogMel):
        for change in ({"hop": 641}, {"window": 2**30}, {"hop": 300}, {"bands": 2**40}):
            with raises(ReleaseError, "here"):
                spec_from_json(to_json(spec) | change, "here")


# Folders of audio clips


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Twenty-one clips in two classes."""
    root = tmp_path / "sounds"
    for index in range(12):
        tone(root / "high" / f"{index:02}.wav", 0.5 + index / 40)
    for index in range(9):
        tone(root / "low" / "deeper" / f"{index}.WAV", index / 40, samples=100)
    return root


def test_folder_of_sounds(sounds: Path) -> None:
    train, test = (load(f"audio:{sounds}", split, seconds=0.2) for split in ("train", "test"))  # type: ignore[arg-type]
    assert train.sample == test.sample == Sample(Audio(RATE, 200), {"label": Label(2)})
    assert train.x.shape == (18, 200)
    assert isinstance(train.x, np.ndarray)
    assert train.x.dtype == np.int16
    assert train.labels is not None
    assert test.labels is not None
    assert sorted(test.labels.tolist()) == [0, 0, 1]  # the first, the eleventh and the last of 21
    assert (train.name, train.licence) == ("audio:sounds", "unknown")
    assert (train.x == wav.to_int16(TONE[:200] * (0.5 + 1 / 40))).all(1).sum() == 1  # cut
    (padded,) = train.x[(train.x[:, :100] == wav.to_int16(TONE[:100] * 7 / 40)).all(1)]
    assert not padded[100:].any()
    mel = load(f"audio:{sounds}", "train", seconds=0.2, bands=6)
    assert mel.sample.x == LogMel(RATE, 200, 6, 32, 8)
    assert isinstance(mel.x, np.ndarray)
    assert mel.x.shape == (18, 6, 25)
    assert mel.x.dtype == np.float32
    assert mel.sha256 == train.sha256  # that of the waveforms, which does not depend on rounding


def test_folder_of_sounds_errors(sounds: Path) -> None:
    with raises(DataError, "does not exist", "after 'audio:'"):
        load(f"audio:{sounds}/no", "train")
    with raises(DataError, "is a file", "holds the audio clips"):
        load(f"audio:{sounds}/high/00.wav", "train")
    with raises(DataError, "'audio:' names no folder", "Write audio:DIR"):
        load("audio:", "train")
    odd = tone(sounds / "low" / "odd.wav", rate=2000)
    with raises(DataError, "one sampling rate", "1000 Hz", odd, "2000 Hz", "Resample or remove"):
        load(f"audio:{sounds}", "train")
    odd.write_bytes(b"nothing")
    with raises(DataError, odd, "no WAV file"):
        load(f"audio:{sounds}", "train")
    shutil.rmtree(sounds / "high")
    shutil.rmtree(sounds / "low")
    with raises(DataError, sounds, "no audio clips", ".wav"):
        load(f"audio:{sounds}", "train")
    with raises(SettingError, "seconds = 0 "):
        load(f"audio:{sounds}", "train", seconds=0)
    with raises(SettingError, "bands = -1"):
        load(f"audio:{sounds}", "train", bands=-1)


# Inputs


def test_inputs_of_sounds(tmp_path: Path) -> None:
    spec = Audio(RATE, 300)
    paths = [tone(tmp_path / "a.wav"), tone(tmp_path / "b.wav", samples=100)]
    batch = to_batch([str(path) for path in paths], spec, "sound")
    assert batch.shape == (2, 300)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0], TONE[:300], atol=2e-5)
    assert not batch[1, 100:].any()
    assert (to_batch(paths[0], spec, "sound") == batch[:1]).all()
    assert (to_batch(batch, spec, "sound") == batch).all()
    mel = LogMel(RATE, 300, 6, 32, 8)
    assert (to_batch(paths, mel, "sound") == audio.log_mel(batch, mel)).all()
    with raises(DataError, "does not exist"):
        to_batch("no.wav", spec, "sound")
    with raises(SettingError, "from 0 to 2", "[-1, 1]"):
        to_batch(np.linspace(0, 2, 300), spec, "sound")
    with raises(SettingError, "from -1 to 1", "[0, 1]"):
        to_batch(np.linspace(-1, 1, 6 * 37).reshape(6, 37), mel, "sound")
    with raises(SettingError, "shape (2, 200)", "(n, 300)"):
        to_batch(np.zeros((2, 200)), spec, "sound")


def test_images_of_sounds() -> None:
    waves = display.frames(np.stack([TONE, TONE * 0]), Audio(RATE, 400))
    assert waves.shape == (2, 64, 256)
    heights = (waves > 100).sum(1)
    assert heights[0].max() > 10  # the envelope of a tone
    assert set(heights[1]) == {1}  # a line
    spectrogram = np.zeros((1, 3, 4), np.float32)
    spectrogram[0, 0] = 1
    assert display.frames(spectrogram, LogMel(RATE, 400, 3, 256, 100))[0, :, 0].tolist() == [
        0,
        0,
        255,
    ]  # low at the bottom


# Models of audio clips


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata of a distribution that brings the model ``hums``."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module", autouse=True)
def installed(site: Path) -> Iterator[None]:
    with plugged(site, hums="audio_plugin:hums"):
        yield


class Hums(dict[str, Path]):
    """A run on waveforms and one on spectrograms, each trained on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for index in range(20):
            tone(folder / "sounds" / f"{index:02}.wav", 0.2 + index / 30)

    def __missing__(self, kind: str) -> Path:
        recipe, form = {"waves": ("hums.tiny", {}), "mel": ("hums.mel", {"data.bands": 6})}[kind]
        data = f"audio:{self.folder / 'sounds'}"
        zoo.train(recipe, data=data, set={"data.seconds": 0.2, **form}, out=self.folder / kind, quiet=True)
        self[kind] = self.folder / kind
        return self[kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Hums:
    return Hums(tmp_path_factory.mktemp("hums"))


@pytest.mark.slow
def test_a_model_of_waveforms(runs: dict[str, Path]) -> None:
    run = runs["waves"]
    model = zoo.load(run)
    assert model.release.sample == Sample(Audio(RATE, 200))
    made = model.generate(3, seed=1)
    assert made.shape == (3, 200)
    assert made.dtype == np.float32
    assert np.abs(made).max() <= 1
    np.testing.assert_allclose(model.generate(1, seed=1, first=2)[0], made[2], atol=1e-5)
    np.testing.assert_allclose(zoo.load(run, backend="torch").generate(3, seed=1), made, atol=1e-5)
    assert model.encode(str(run.parent / "sounds" / "00.wav")).shape == (1, 4)
    rate, waveform = wav.read(run / "release" / "samples.wav", "samples.wav")
    assert (rate, len(waveform)) == (RATE, 8 * 200)
    assert np.abs(waveform.reshape(8, 200) - model.generate(8) * 32768).max() <= 1
    with Pillow.open(run / "release" / "samples.png") as image:
        assert image.size[0] > image.size[1]
    card = (run / "release" / "README.md").read_text()
    assert "audio of 0.2 s at 1000 Hz" in card
    assert "(samples.wav)" in card
    assert "float32 (n, 200) in [-1, 1] at 1000 Hz" in card
    assert len(list((run / "samples").glob("*.wav"))) == len(list((run / "samples").glob("*.png"))) == 10
    assert model.release.manifest["metrics"][0]["value"] < 1  # it was trained on floats in [-1, 1]
    assert set(verify(run)) == {"files", "graphs", "samples", "parity"}


@pytest.mark.slow
def test_a_model_of_spectrograms(runs: dict[str, Path]) -> None:
    run = runs["mel"]
    model = zoo.load(run)
    assert model.release.sample == Sample(LogMel(RATE, 200, 6, 32, 8))
    made = model.generate(2)
    assert made.shape == (2, 6, 25)
    assert (made.min() >= 0) & (made.max() <= 1)
    sound = run.parent / "sounds" / "00.wav"
    given = audio.log_mel(audio.fit(wav.read(sound, "")[1], 200)[None], model.release.sample.x)  # type: ignore[arg-type]
    np.testing.assert_allclose(model.encode(str(sound)), model.encode(given), atol=1e-6)
    rate, waveform = wav.read(run / "release" / "samples.wav", "samples.wav")
    assert (rate, len(waveform)) == (RATE, 8 * 200)
    assert np.abs(waveform / 32768 - griffin_lim(model.generate(8), model.release.sample.x).reshape(-1)).max() < 1e-4  # type: ignore[arg-type]
    card = (run / "release" / "README.md").read_text()
    assert "log-mel spectrogram 6×25" in card
    assert "(samples.wav)" in card
    assert len(list((run / "samples").glob("*.wav"))) == 10
    assert set(verify(run)) == {"files", "graphs", "samples", "parity"}


@pytest.mark.parametrize(("kind", "form"), [*slow(("waves", (200,))), ("mel", (6, 25))])
def test_verbs_and_files_of_sounds(kind: str, form: tuple[int, ...], runs: dict[str, Path], tmp_path: Path) -> None:
    model = zoo.load(runs[kind])
    names = [runs[kind].parent / "sounds" / f"{index:02}.wav" for index in (0, 9)]
    between = model.interpolate(names[0], names[1], steps=3)
    assert between.shape == (3, *form)
    np.testing.assert_allclose(between[::2], model.reconstruct(names), atol=1e-5)
    assert model.traverse(names, dimension=3, steps=2).shape == (4, *form)
    mask = np.zeros(form, bool)
    mask[: form[0] // 2] = True
    sounds = model.inpaint(names, mask)
    given = to_batch(names, model.release.sample.x, "sound")
    assert np.array_equal(sounds[:, ~mask], given[:, ~mask])
    assert not np.array_equal(sounds[:, mask], given[:, mask])
    np.save(tmp_path / "mask.npy", mask)
    assert np.array_equal(model.inpaint(names, tmp_path / "mask.npy"), sounds)
    assert model.save(sounds, tmp_path / "both.png") == [tmp_path / "both.png"]
    heard = sounds if kind == "waves" else griffin_lim(sounds, model.release.sample.x)  # type: ignore[arg-type]
    paths = model.save(sounds, tmp_path / "x.wav")
    assert paths == [tmp_path / "x-0.wav", tmp_path / "x-1.wav"]
    assert np.abs(wav.read(paths[1], "")[1] - heard[1] * 32768).max() <= 1
    assert model.save(sounds[0], tmp_path / "one.wav") == [tmp_path / "one.wav"]
    with raises(SettingError, "ends in '.txt'; it must end in .", ".wav", ".png", ".npy"):
        model.save(sounds, tmp_path / "x.txt")


@pytest.mark.parametrize("kind", [*slow("waves"), "mel"])
def test_other_samples_than_those_of_the_seed_are_noticed(kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    release = Path(shutil.copytree(runs[kind] / "release", tmp_path / "release"))
    name = read(release).manifest["samples"]["file"]
    assert name == {"waves": "samples.wav", "mel": "samples.png"}[kind]

    model = zoo.load(release)
    assert "gives the samples in" in verify_samples.check(model)
    path = release / name
    if kind == "waves":
        _, waveform = wav.read(path, name)
        waveform[700] += 50
        path.write_bytes(wav.write(waveform, RATE))
    else:
        with Pillow.open(path) as image:
            pixels = np.array(image)
        pixels[60:90, 60:90] ^= 64
        Pillow.fromarray(pixels).save(path)
    object.__setattr__(model.release, "files", {**model.release.files, name: zoo_sha256(path)})
    with raises(ReleaseError, "seed 0 are not those in", name):
        verify_samples.check(model)


@pytest.mark.parametrize(("kind", "source"), [("mel", "."), *slow(("waves", "release"))])
def test_models_of_sounds_are_measured(kind: str, source: str, runs: dict[str, Path]) -> None:
    """With the form of their own recipe; what is for images costs a line."""
    found = zoo.evaluate(runs[kind] / source, data=f"audio:{runs[kind].parent / 'sounds'}", quiet=True)
    assert [measurement.name for measurement in found.measurements] == ["squared_error"]
    for group in ("reconstruction", "representation"):
        assert found.left_out[group] == "it models audio, and this is measured on images"


def test_other_sounds_than_those_of_the_spectrograms_are_noticed(runs: dict[str, Path], tmp_path: Path) -> None:
    release = Path(shutil.copytree(runs["mel"] / "release", tmp_path / "release"))

    model = zoo.load(release)
    path = release / "samples.wav"
    rate, waveform = wav.read(path, "")
    quieter = waveform.copy()
    quieter[200:400] //= 2  # the second sound, by 6 dB
    for content, well in (
        (wav.write(-waveform, rate), True),  # the same to the ear
        (wav.write(quieter, rate), False),
        (wav.write(waveform[:-1], rate), False),
        (wav.write(waveform, rate + 1), False),
    ):
        path.write_bytes(content)
        object.__setattr__(model.release, "files", {**model.release.files, "samples.wav": zoo_sha256(path)})
        if well:
            assert verify_samples.check(model).endswith("samples.png and, within tolerance, those in samples.wav")
        else:
            with raises(ReleaseError, "seed 0 are not those in samples.wav"):
                verify_samples.check(model)


@pytest.mark.parametrize(
    ("kind", "sound"), [("mel", "samples.png"), ("mel", "samples"), *slow(("waves", "samples.wav"))]
)
def test_sound_beside_a_image_is_of_spectrograms(kind: str, sound: str, runs: dict[str, Path], tmp_path: Path) -> None:
    manifest = dict(read(runs[kind] / "release").manifest)
    manifest["samples"] = {**manifest["samples"], "audio": sound}
    with raises(ReleaseError, f"are in {sound!r}, which cannot be"):
        parse(tmp_path, manifest)


def zoo_sha256(path: Path) -> str:
    from zoo.core import files

    return files.sha256(path)


def test_a_sound_out_of_range_is_no_release() -> None:
    with raises(ParityError, "an audio clip has values from -2 to 0", "[-1, 1]"):
        parity._check_form("here", Audio(RATE, 4), 1, np.array([[0, 0, -2, 0]], np.float32))
    with raises(ParityError, "a spectrogram has values from 0 to 2", "[0, 1]"):
        parity._check_form("here", LogMel(RATE, 4, 1, 2, 1), 1, np.array([[[0, 0, 2, 0]]], np.float32))
    for spec in (Audio(RATE, 50), LogMel(RATE, 50, 3, 2, 1)):
        parity._check_form("here", spec, 7, example(spec, 7, 0))


@pytest.mark.slow
def test_commands_with_sounds(
    runs: dict[str, Path], site: Path, zoo_command: Command, tmp_path: Path, refused: Refused
) -> None:
    env = {"PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).parents[1])])}
    run, sound = runs["waves"], runs["waves"].parent / "sounds" / "03.wav"
    assert zoo_command("generate", run, env=env).stdout == "hums.tiny-seed0.wav written\n"
    rate, one = wav.read(tmp_path / "hums.tiny-seed0.wav", "")
    assert (rate, len(one)) == (RATE, 200)
    several = zoo_command("generate", run, "-n", "2", "--first", "1", "-o", "x.wav", env=env)
    assert several.stdout == "x-1.wav written\nx-2.wav written\n"
    assert np.abs(wav.read(tmp_path / "x-1.wav", "")[1] - zoo.load(run).generate(1, first=1)[0] * 32768).max() <= 5
    for name in ("a.png", "a.npy"):
        assert zoo_command("generate", run, "-n", "2", "-o", name, env=env).returncode == 0
    assert np.load(tmp_path / "a.npy").shape == (2, 200)
    assert zoo_command("run", run, "reconstruct", sound, env=env).stdout == "reconstruct.wav written\n"
    assert zoo_command("generate", runs["mel"], "-o", "mel.wav", env=env).stdout == "mel.wav written\n"
    assert zoo_command("run", runs["mel"], "reconstruct", sound, "-o", "again.wav", env=env).returncode == 0
    for name in ("mel.wav", "again.wav"):
        rate, one = wav.read(tmp_path / name, "")
        assert (rate, len(one)) == (RATE, 200)
    assert wav.read(tmp_path / "reconstruct.wav", "")[0] == RATE
    assert zoo_command("run", runs["mel"], "reconstruct", sound, sound, env=env).stdout == "reconstruct.png written\n"
    assert zoo_command("run", runs["mel"], "encode", sound, "-o", "code.npy", env=env).returncode == 0
    assert np.load(tmp_path / "code.npy").shape == (1, 4)
    (tmp_path / "x-1.wav").unlink()
    refused("generate", run, "-n", "2", "--first", "1", "-o", "x.wav", says=("x-2.wav exists already", "--force"))
    refused("generate", run, "-o", "x.txt", says=("'x.txt' ends in '.txt'", ".wav or .png or .npy"))
    refused("generate", runs["mel"], "-o", "y.txt", says=("'y.txt' ends in '.txt'", ".png or .wav or .npy"))
    refused("run", run, "encode", tmp_path / "a.png", says=("a.png", "no WAV file"))
    refused(
        "train",
        "vae.tiny",
        "--data",
        f"audio:{sound.parent}",
        says=("vae.tiny cannot be built", "models images", "audio"),
    )
    one_error(zoo_command("train", "hums.tiny", "--data", "digits", env=env), "hums models audio clips", "image")
