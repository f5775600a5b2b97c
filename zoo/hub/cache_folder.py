"""Where the zoo's cache is, and its locks between processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo.core import files
from zoo.core.errors import HubError

if sys.platform != "win32":
    import fcntl


def folder() -> Path:
    """The folder of the cache, as an absolute path. Nothing is created.

    ``ZOO_CACHE_DIR``; else ``zoo`` beside the Hub's own cache, where ``HF_HOME`` or ``HF_HUB_CACHE`` moves that (inside
    it where that is a volume, or at the root); else ``zoo`` in the user's cache folder (``XDG_CACHE_HOME``).
    """
    if own := os.environ.get("ZOO_CACHE_DIR"):
        return files.expand(own).absolute()
    if moved := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        path = files.expand(moved).absolute()
        return (path if os.path.ismount(path) or path.parent == Path(path.anchor) else path.parent) / "zoo"
    if home := os.environ.get("HF_HOME"):
        return files.expand(home).absolute() / "zoo"
    return files.user_cache()


@contextmanager
def locked(name: str, say: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold a lock of the cache, which the system releases when this process ends; wait for another that holds it.

    The lock of a release is held while it is downloaded or removed; give `say` for that, to say what is waited for.
    Raises :class:`HubError` where the cache cannot be written. Windows has no such locks: there, each process works on
    its own.
    """
    with ExitStack() as closing:
        try:
            file = closing.enter_context(lock_file(name))
            if sys.platform != "win32":
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if say:
                        say("Another process downloads this release; waiting for it.")
                    fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise unwritable(error) from error
        yield


def lock_file(name: str) -> BinaryIO:
    """Open the file of a lock. Raises :class:`OSError` where the cache cannot be written."""
    path = folder() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab")


def unwritable(error: OSError) -> HubError:
    """The error for a cache that this process may not write, or has no room in."""
    return HubError(
        f"The cache {folder()} cannot be written: {error.strerror or error}. Choose another with ZOO_CACHE_DIR."
    )
