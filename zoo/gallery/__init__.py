"""A gallery of released models: a static folder for any web server, or for a browser alone.

    entry.py    the data of one model, from its release
    media.py    the outputs of a model: samples, and reconstructions of test images
    speed.py    the time of one call on this machine
    render.py   the HTML page; page/ has the template, the style and the script

The gallery needs ONNX Runtime and numpy, and never imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.core import files
from zoo.core.errors import NotFoundError, SettingError

MARK = "gallery.json"
"""The content of the gallery, for scripts. A folder with this file is a gallery."""


@dataclass(frozen=True)
class Gallery:
    """A gallery that was written."""

    folder: Path
    models: tuple[str, ...]
    without: Mapping[str, str]
    """Why the test images of a model are left out, by the name of the model."""
    lacking: tuple[str, ...]
    """The named data sets that are missing."""


def build(
    folder: str | Path,
    sources: Sequence[str | Path] = (),
    *,
    data_dir: str | Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Gallery:
    """Write the gallery of `sources` into `folder`, atomically.

    A source is a released name, a wildcard, a run folder or a release folder; the default is every released model. Test
    images come from `data_dir`; nothing is downloaded. Raises :class:`NotFoundError` for a source that does not exist,
    :class:`SettingError` for two models of one name, and :class:`ExistsError` if `folder` exists, unless `force` and it
    is a gallery.
    """
    from zoo import data
    from zoo.core.progress import Progress
    from zoo.gallery import entry, media, render
    from zoo.release import MANIFEST

    target = files.expand(folder)
    found = _found(sources)
    tests = media.Tests(data.data_folder(data_dir))
    with files.new_folder(target, force, MARK) as place:
        entries = []
        with Progress("Gallery", len(found), unit="models", quiet=quiet) as progress:
            for done, (name, (release, address)) in enumerate(found.items(), 1):
                entries.append(entry.make(release, address, place / media.FOLDER / name, tests))
                progress.move(done, done)
        render.write(place, entries)
        shown = [
            {
                "name": one.name,
                "manifest_sha256": files.sha256(one.release.folder / MANIFEST),
                "task": one.speed.task,
                "milliseconds": float(f"{one.speed.milliseconds:.4g}"),
            }
            for one in entries
        ]
        files.write(place / MARK, json.dumps({"models": shown}, indent=2) + "\n")
    return Gallery(target, tuple(found), tests.without, tuple(tests.lacking))


def _found(sources: Sequence[str | Path]) -> dict[str, tuple[Path, str]]:
    """Return the release folder of each model, and the name or path to load it by, by the name of the model."""
    from zoo import registry
    from zoo.hub.resolve import find, is_path
    from zoo.release import read

    found: dict[str, tuple[Path, str]] = {}
    for source in sources or ("*",):
        names = [] if is_path(source) else registry.list_models(str(source), pretrained=True)
        if not names and not is_path(source) and set("*?[") & set(str(source)):
            raise NotFoundError(f"No released model matches {str(source)!r}. Run: zoo list --pretrained")
        for folder, name in [(find(name), name) for name in names] or [(find(source), "")]:
            release = read(folder)
            there, _ = found.setdefault(release.name, (folder, name or f"./{release.name}"))
            if there.resolve() != folder.resolve():
                raise SettingError(
                    f"{there} and {folder} are both {release.name}, and a gallery shows a name once. Leave one out."
                )
    return found
