"""Animated files: every image is a frame, also where two are the same."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from conftest import raises
from zoo.core.errors import DataError
from zoo.media import animation, grid, video_file

RANDOM = np.random.default_rng(0)


def moving(*shape: int) -> list[np.ndarray]:
    """Frames of which two neighbours are the same, and the last is the first."""
    frames = RANDOM.integers(0, 256, shape).astype(np.uint8)
    frames[2], frames[-1] = frames[1], frames[0]
    return list(frames)


def read(content: bytes) -> tuple[Image.Image, list[Image.Image]]:
    image = Image.open(io.BytesIO(content))
    frames = []
    for moment in range(image.n_frames):
        image.seek(moment)
        frames.append(image.copy())
    return image, frames


@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 7, 3)])
@pytest.mark.parametrize("kind", ["png", "gif"])
def test_each_image_is_a_frame_without_loss(kind: str, shape: tuple[int, ...]) -> None:
    frames = moving(*shape)
    image, found = read(getattr(animation, kind)(frames))
    assert len(found) == 6
    assert (image.size, image.info["duration"], image.info["loop"]) == ((7, 5), animation.FRAME, 0)
    for before, after in zip(frames, found, strict=True):  # at most 35 colours, so that a GIF has them all
        assert np.array_equal(np.asarray(after.convert("L" if before.ndim == 2 else "RGB")), before)


def test_an_image_that_does_not_move_is_a_plain_png() -> None:
    one = RANDOM.integers(0, 256, (5, 7)).astype(np.uint8)
    image, found = read(grid.png(one))
    assert len(found) == 1
    assert not image.is_animated
    assert b"acTL" not in grid.png(one)
    assert b"acTL" in grid.png(one, one)


def test_gif_of_many_colours_is_near() -> None:
    frame = np.stack(np.meshgrid(np.arange(32) * 8, np.arange(32) * 8), -1).astype(np.uint8)  # 1,024 colours
    frame = np.concatenate([frame, frame[..., :1]], -1)
    _, (found, _) = read(animation.gif([frame, frame]))
    gap = ImageChops.difference(found.convert("RGB"), Image.fromarray(frame))
    assert 0 < np.asarray(gap).mean() < 8


@pytest.mark.parametrize("ending", [".png", ".gif", ".webp"])
def test_animated_files_are_read_frame_by_frame(tmp_path: Path, ending: str) -> None:
    frames, path = moving(6, 8, 8), tmp_path / f"a{ending}"
    if ending == ".webp":
        first, *others = (Image.fromarray(frame).convert("RGB") for frame in frames)
        first.save(path, save_all=True, append_images=others, lossless=True)
    else:
        path.write_bytes(getattr(animation, ending[1:])(frames))
    expected = [0, 1, 3, 4, 5] if ending == ".webp" else range(6)  # Pillow joins frames that are the same
    assert video_file.form(path, "a")[:2] == (len(expected), (8, 8))
    assert np.array_equal(video_file.read(path, 1, "a"), np.stack(frames)[expected])
    assert video_file.read(path, 3, "a", most=2).shape == (2, 8, 8, 3)
    assert video_file.moves(path)


def test_folders_of_frames_are_sorted_by_number(tmp_path: Path) -> None:
    frames = moving(12, 4, 5, 3)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{number + 1}.png")  # frame10 after frame9
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_text("no frame either")
    assert np.array_equal(video_file.read(tmp_path, 3, "a"), np.stack(frames))
    assert video_file.is_folder(tmp_path)


def test_a_png_may_have_an_image_for_other_viewers(tmp_path: Path) -> None:
    still, *frames = (Image.fromarray(frame) for frame in RANDOM.integers(0, 256, (4, 8, 8)).astype(np.uint8))
    path = tmp_path / "a.png"
    still.save(path, save_all=True, append_images=frames, default_image=True, duration=[1, 2, 3])
    assert np.array_equal(video_file.read(path, 1, "a"), np.stack([np.asarray(frame) for frame in frames]))


def test_frames_that_are_transparent_are_laid_on_the_background(tmp_path: Path) -> None:
    from zoo.media.images import ImageOptions

    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.save(tmp_path / "a.png", save_all=True, append_images=[Image.new("RGBA", (4, 4), (0, 0, 255, 255))])
    video = video_file.read(tmp_path / "a.png", 3, "a", ImageOptions(background="lime"))
    assert video[:, 0, 0].tolist() == [[0, 255, 0], [0, 0, 255]]
    assert video_file.form(tmp_path / "a.png", "a").transparent


def test_videos_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    content = animation.png(moving(6, 8, 8))
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.gif").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    for side in (4, 5):
        Image.new("L", (side, 4)).save(tmp_path / "odd" / f"{side}.png")
    with raises(DataError, "cut.png", "damaged", "Replace it or remove it."):
        video_file.read(tmp_path / "cut.png", 1, "cut.png")
    with raises(DataError, "text.gif", "no animated PNG, GIF or WebP"):
        video_file.read(tmp_path / "text.gif", 1, "text.gif")
    with raises(DataError, "is a folder without images"):
        video_file.read(tmp_path / "empty", 1, "empty")
    with raises(DataError, "frames of several sizes: 4×4 and 5×4"):
        video_file.read(tmp_path / "odd", 1, "odd")
    with raises(DataError, "does not exist"):
        video_file.read(tmp_path / "none.png", 1, "none.png")
