"""A gallery of released models: a static folder that any web server, or a browser alone, can show.

    entry.py    what is said of one model, from its release alone
    media.py    what it makes: samples, and test images as it gives them back
    speed.py    how long a call takes on this machine
    render.py   all of it as HTML, around which page/ has the style and the script

ONNX Runtime and numpy do all of it, and torch is never imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.core import files
from zoo.core.errors import NotFoundError, SettingError

MARK = "gallery.json"
"""What the gallery shows, for scripts; a folder that has it is a gallery."""


@dataclass(frozen=True)
class Gallery:
    """A gallery that was written."""

    folder: Path
    models: tuple[str, ...]
    without: Mapping[str, str]
    """Why a model's test images are left out, by its name."""
    lacking: tuple[str, ...]
    """The named data sets that are not there."""


def build(
    folder: str | Path,
    sources: Sequence[str | Path] = (),
    *,
    data_dir: str | Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Gallery:
    """Write the gallery of `sources` into `folder`, all or nothing.

    A source is a released name, a wildcard of such names, a run folder or a release folder; without any, all that is
    released is shown. Test images come from `data_dir`, and nothing is downloaded. Raises :class:`NotFoundError` for
    a source that is not there, :class:`SettingError` for two of one name, and :class:`ExistsError` where something is
    at `folder`, unless `force` and it is a gallery.
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
    """The release folder of each model, and what to load it by, by its name."""
    from zoo import registry
    from zoo.release import read
    from zoo.release.resolve import find, is_path

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
