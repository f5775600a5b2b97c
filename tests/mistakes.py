"""A plugin of one file, installed for a test with one thing in it replaced by a mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import zoo
from conftest import contents, plugged, raises, write_plugin
from zoo.core.errors import PluginError

Plug = Callable[[str, str], tuple[Path, int]]


class Mistake(NamedTuple):
    """What is replaced, by what, and what is said of it."""

    old: str
    new: str
    says: tuple[str, ...]
    at: str | None = ""
    """A text in the line that is named: "" is the line that was replaced, None is none."""


@contextmanager
def plugging(folder: Path, sound: str) -> Iterator[Plug]:
    """A function that installs the plugin `mine`, whose file is `sound`, with one thing replaced.

    It returns the plugin's file, and the line of that thing.
    """

    def install(old: str, new: str) -> tuple[Path, int]:
        assert sound.count(old) == 1, old
        before, after = sound.split(old)
        file = folder / "mine_plugin.py"
        write_plugin(file, before + new + after)
        return file, before.count("\n") + 1

    with plugged(folder, mine="mine_plugin:mine"):
        yield install
    sys.modules.pop("mine_plugin", None)


def check(mistake: Mistake, plug: Plug, folder: Path) -> None:
    """Training says what is wrong with its file and line, and writes nothing into the empty folder."""
    file, line = plug(mistake.old, mistake.new)
    if mistake.at:
        line = next(number for number, text in enumerate(file.read_text().split("\n"), 1) if mistake.at in text)
    where = str(file) if mistake.at is None else f"{file}, line {line}"
    with raises(PluginError, f"Plugin 'mine' ({where}): ", *mistake.says):
        zoo.train("mine.tiny", out=folder / "run", quiet=True)
    assert contents(folder) == {}
