"""video:DIR: the user's own videos. :mod:`zoo.data.video_folder` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zoo
from zoo.contract.data import Split
from zoo.data import video_folder


@dataclass(frozen=True, kw_only=True)
class VideoOptions(zoo.ImageOptions):
    frames: int = zoo.setting(0, "frames of each video, the first ones; 0 takes as many as the shortest has", ge=0)


def load(split: Split, folder: Path, options: VideoOptions) -> zoo.Loaded:
    """Load one split of the videos in a folder."""
    return video_folder.read(folder, split, options, options.frames)


video = zoo.DataSet(
    card=zoo.DataCard(
        title="videos in a folder",
        source="The user's own folder of videos",
        licence="unknown",
        citation="none",
        split="DIR/train and DIR/test, else every tenth video to test",
    ),
    options=VideoOptions,
    load=load,
    place="DIR",
)
