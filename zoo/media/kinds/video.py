"""Videos: animated files, folders of frames and uint8 arrays as people hold them, float32 in [0, 1] in graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.data import ImageOptions
from zoo.contract.specs import Video
from zoo.core.errors import DataError, SettingError
from zoo.core.files import expand
from zoo.media import animation, video_file
from zoo.media.grid import Pixels
from zoo.media.kinds.base import Array, Layout, Reading, file_names, stored
from zoo.media.kinds.image import PixelKind


class VideoKind(PixelKind[Video]):
    """uint8 (n, frames, h, w), or (n, frames, h, w, 3) in colour."""

    noun, medium, unit, tag = "a video", "videos", "videos", "video-generation"
    card_count, card_ending = 16, ".png"
    endings = (".png", ".gif", ".npy")
    layout = Layout(16, 4, 1)

    def to_batch(self, value: Any, spec: Video, name: str, reading: Reading) -> Array:
        """Also floats in [0, 1], animated files, folders of frames, animated PIL images, and lists of these.

        Of a video with more frames the first are taken; one with fewer is an error.
        """
        files = file_names(value)
        if files and all(str(file).endswith(".npy") for file in files):
            names = [name] if len(files) == 1 else map(str, files)
            return np.concatenate(
                [self.from_array(stored(file), spec, of) for file, of in zip(files, names, strict=True)]
            )
        if isinstance(value, (str, Path)) or hasattr(value, "convert"):
            value = [value]
        if isinstance(value, np.ndarray):
            return self.from_array(value, spec, name)
        if not isinstance(value, Sequence) or not value:
            raise SettingError(f"{name} is {type(value).__name__}; it must be videos, file names or an array.")
        return np.concatenate([self._one(item, spec, name, reading) for item in value])

    def _one(self, item: Any, spec: Video, name: str, reading: Reading) -> Array:
        """A file, a folder, a PIL image or an array as an array with a batch axis of 1."""
        is_file = isinstance(item, (str, Path))
        label = str(item) if is_file else name
        if is_file or hasattr(item, "convert"):
            options = ImageOptions(background=reading.background)
            item = video_file.read(
                expand(item) if is_file else item, spec.channels, label, options,
                most=spec.frames, size=(spec.width, spec.height), fit=reading.fit,
            )  # fmt: skip
            if len(item) < spec.frames:
                number = f"{len(item)} frame{'s'[: len(item) > 1]}"
                raise DataError(f"{label} has {number}, and this model takes {spec.frames}. Give a longer video.")
        return self.from_array(item, spec, label)

    def takes(self, spec: Video) -> str:
        size = f"{spec.width}×{spec.height} pixels"
        return (
            f"{self.gives(spec)}, or floats in [0, 1]; the names of animated PNG, GIF or WebP files, or of folders of "
            f"frames, of which the first {spec.frames} are taken; all of {size}"
        )

    def describe(self, spec: Video) -> str:
        return f"video of {spec.frames} frames {spec.height}×{spec.width}{' in colour' if spec.channels == 3 else ''}"

    def frames(self, samples: Any, spec: Video) -> Pixels:
        """The first frame of each."""
        return self.moments(samples, spec)[0]

    def moments(self, samples: Any, spec: Video) -> list[Pixels]:
        levels = np.asarray(samples, np.uint8)
        return [levels[:, moment] for moment in range(spec.frames)]

    def write(self, value: Any, spec: Video | None, ending: str, columns: int | None = None) -> list[bytes]:
        """Of .png and .gif files one grid that moves."""
        if ending == ".gif":
            assert spec is not None
            return [animation.gif([*map(self.enlarged, self.images(value, spec, columns))])]
        return super().write(value, spec, ending, columns)
