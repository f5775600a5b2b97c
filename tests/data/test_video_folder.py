"""video:DIR: animated files and folders of frames, with and without classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from conftest import raises
from zoo import data
from zoo.core.errors import DataError, SettingError
from zoo.media import animation

RANDOM = np.random.default_rng(0)


def video(frames: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (frames, *shape)).astype(np.uint8)


def put(path: Path, frames: np.ndarray) -> None:
    """Write a video as its ending says, or as a folder of frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_bytes(getattr(animation, path.suffix[1:])(list(frames)))
        return
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number}.png")


def test_animated_files_and_folders_of_frames_are_videos(tmp_path: Path) -> None:
    given = {name: video(4 + place % 2, 6, 5) for place, name in enumerate(["a.png", "b.gif", "c", "d.png"])}
    for name, frames in given.items():
        put(tmp_path / name, frames)
    (tmp_path / "notes.txt").write_text("no video")
    train, test = (data.load(f"video:{tmp_path}", split) for split in ("train", "test"))
    assert train.sample == test.sample == zoo.Sample(zoo.Video(1, 4, 6, 5))
    assert (train.x.shape, test.x.shape) == ((3, 4, 1, 6, 5), (1, 4, 1, 6, 5))
    found = {row.tobytes() for part in (train, test) for row in part.array}
    assert found == {frames[:4].tobytes() for frames in given.values()}
    assert train.note == "1 file does not have the extension of a video and was ignored: 'notes.txt'"
    assert train.x.flags.writeable
    assert train.x.flags.c_contiguous
    again = data.load(f"video:{tmp_path}", "train")
    assert again.sha256 == train.sha256 != test.sha256


def test_folders_of_videos_are_classes(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(2):
            put(tmp_path / split / "run" / f"{number}.gif", video(3, 4, 4, 3))
            put(tmp_path / split / "walk" / "deep" / str(number), video(3, 4, 4, 3))
    train = data.load(f"video:{tmp_path}", "train")
    assert train.sample == zoo.Sample(zoo.Video(3, 3, 4, 4), {"label": zoo.Label(2)})
    assert train.classes == ("run", "walk")
    assert sorted(train.labels) == [0, 0, 1, 1]


def test_frames_are_cut_and_sizes_made_alike(tmp_path: Path) -> None:
    for place, side in enumerate((6, 8, 7)):
        put(tmp_path / f"{place}.png", video(5, side, side + 1))
    with raises(
        DataError, "Videos must have one size", "2.png' is 8x7 and", "1.png' is 9x8", "pixels. Make all of them squares"
    ):
        data.load(f"video:{tmp_path}", "train")
    made = data.load(f"video:{tmp_path}", "train", size=4, frames=2)
    assert made.sample.x == zoo.Video(1, 2, 4, 4)
    assert "resized to 4x4 pixels" in made.source
    with raises(DataError, "has 5 frames, and 6 are asked for"):
        data.load(f"video:{tmp_path}", "train", size=4, frames=6)
    with raises(SettingError, "frames = -1"):
        data.load(f"video:{tmp_path}", "train", frames=-1)


def test_colour_in_one_video_is_colour_in_all(tmp_path: Path) -> None:
    put(tmp_path / "0.png", video(2, 4, 4))
    put(tmp_path / "1.gif", video(2, 4, 4, 3))
    assert [data.load(f"video:{tmp_path}", split).sample.x.channels for split in ("train", "test")] == [3, 3]


def test_what_is_no_folder_of_videos_is_one_line(tmp_path: Path) -> None:
    with raises(DataError, "does not exist. Check the path after 'video:'."):
        data.load(f"video:{tmp_path / 'none'}", "train")
    for number in range(2):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
    with raises(DataError, "png' is a still image", "Put the frames of each video in a folder of its own"):
        data.load(f"video:{tmp_path}", "train")
    (tmp_path / "1.png").write_bytes(b"no image")
    with raises(DataError, "1.png", "Replace it or remove it."):
        data.load(f"video:{tmp_path}", "train")
    with raises(DataError, "'video:' names no folder. Write video:DIR (videos in a folder)."):
        data.load("video:", "train")


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_a_damaged_video_is_one_line(tmp_path: Path, kind: str) -> None:
    for number in range(3):
        put(tmp_path / f"{number}.{kind}", video(4, 16, 16))
    path = tmp_path / f"2.{kind}"
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(DataError, match=r"2\.") as caught:
        data.load(f"video:{tmp_path}", "train")
    assert len(str(caught.value).splitlines()) == 1
