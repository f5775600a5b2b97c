"""video:DIR: the user's own videos. :mod:`zoo.data.folder_scan` has the folder layout.

A video is an animated PNG, GIF or WebP, or a folder of images, which are its frames (:mod:`zoo.media.video_file`). All
videos have as many frames as the shortest, or as many as asked; of longer ones the first frames are taken. If all are
grey, the data has 1 channel, otherwise 3.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.contract.data import ImageOptions, Loaded, Split
from zoo.contract.specs import Label, Sample, Video
from zoo.core import memory
from zoo.core.errors import DataError
from zoo.data import folder_scan
from zoo.data.folder_scan import Tree
from zoo.media import images, video_file

VIDEOS = folder_scan.Sort(
    kind="video", one="video", endings=video_file.ENDINGS, is_folder=lambda path: video_file.is_folder(path)
)


def read(folder: Path, split: Split, options: ImageOptions = images.AS_THEY_ARE, frames: int = 0) -> Loaded:
    """Read one split of the videos in a folder, with `frames` frames of each; 0: as many as the shortest has."""
    found = folder_scan.find(folder, VIDEOS)
    count, (width, height), transparent = _common_form(found, options, frames)
    memory.check(
        3 * len(found.every) * count * height * width,
        f"{len(found.every):,} videos of {count} frames of {width}x{height} pixels",
        "Set a smaller data.size, or data.frames.",
    )
    grey, kept = True, []
    for part in found.splits:  # both, so that the number of channels is that of the whole folder
        for path in found.paths(part):
            pixels = video_file.read(path, 3, str(path), options, most=count)  # (f, h, w, 3)
            grey = grey and bool((pixels == pixels[..., :1]).all())
            if part == split:
                kept.append(pixels)
    x: NDArray[np.uint8] = np.stack(kept)[..., : 1 if grey else 3]
    x = np.ascontiguousarray(np.moveaxis(x, -1, 2))  # (n, f, c, h, w)
    labels = found.labels(split)
    return Loaded(
        fields={"x": x} | ({} if labels is None else {"label": labels}),
        sample=Sample(
            Video(x.shape[2], count, height, width), {"label": Label(len(found.classes))} if found.classes else {}
        ),
        source=f"The user's own folder of videos {found.name!r}{options.describe(transparent=transparent)}",
        classes=found.class_names,
        note=found.note,
    )


def _common_form(found: Tree, options: ImageOptions, frames: int) -> video_file.Form:
    """The common form of all videos of a folder: the frames to take, (width, height), whether any is transparent.

    Reads headers only.
    """
    shortest, size, transparent = math.inf, (0, 0), False
    first = found.every[0]
    for path in found.every:
        form = video_file.form(path, str(path))
        if form.frames == 1 and path.is_file():
            raise DataError(
                f"{str(path)!r} is a still image, and a video is an animated PNG, GIF or WebP, or a folder of frames. "
                "Put the frames of each video in a folder of its own, or train on folder:DIR."
            )
        if form.frames < frames:
            raise DataError(
                f"{str(path)!r} has {form.frames} frames, and {frames} are asked for. Set a smaller data.frames, or "
                "remove it."
            )
        size = size if path != first else form.size
        if not options.size and form.size != size:
            raise DataError(
                f"Videos must have one size: {str(first)!r} is {size[0]}x{size[1]} and {str(path)!r} is "
                f"{form.size[0]}x{form.size[1]} pixels. Make all of them squares of one size with "
                "--set data.size=64, or remove the odd ones."
            )
        shortest, transparent = min(shortest, form.frames), transparent or form.transparent
    return video_file.Form(frames or int(shortest), (options.size, options.size) if options.size else size, transparent)
