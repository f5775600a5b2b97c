"""Atomic writes of files and folders, checks of paths, and SHA-256."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from zoo.core.errors import ExistsError, NotFoundError, SettingError, ZooError


def expand(given: str | os.PathLike[str]) -> Path:
    """Expand a leading ``~`` or ``~NAME`` of a user's path to the home folder.

    Commands and public functions expand every path once, on entry. The result never begins with ``~``, so expanding it
    again changes nothing; ``./~`` is a folder with that name. Raises :class:`SettingError` for a value that is not a
    path.
    """
    if not isinstance(given, (str, os.PathLike)):
        raise SettingError(f"{given!r} is not a path. Give a str or a Path.")
    text = os.path.expanduser(os.fsdecode(given))
    if not text or "\0" in text:
        raise SettingError(f"{text!r} is not a path. Give the path of a file or a folder.")
    path = Path(text)
    return Path.cwd() / path if path.parts and path.parts[0].startswith("~") else path


def user_cache() -> Path:
    """Return the folder ``zoo`` in the user's cache folder: ``XDG_CACHE_HOME``, else ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")  # XDG: a relative path is ignored
    return Path(base) / "zoo"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_free(path: Path, force: bool) -> None:
    """Raise :class:`ExistsError` if `path` exists, unless `force`."""
    if not force and os.path.lexists(path):
        raise ExistsError(
            f"{path} exists already and was kept. Choose another path, or replace it (--force, force=True)."
        )


def check_outside_releases(path: Path) -> None:
    """Raise :class:`ExistsError` if `path` is inside a release, which never changes."""
    for folder in path.resolve().parents:
        manifest = folder / "manifest.json"
        if manifest.is_file() and (folder / "model.safetensors").is_file():
            raise ExistsError(f"{path} is inside the release {folder}, which never changes. Choose another path.")


def check_utf8(path: Path, then: str = "Choose another --output.") -> None:
    """Raise :class:`ZooError` for a path that is not UTF-8: readers of ONNX and safetensors reject such paths."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ZooError(
            f"{str(path.absolute())!r} is not UTF-8, and ONNX Runtime cannot open such a path. {then}"
        ) from error


def write(path: Path, content: bytes | str, force: bool = True) -> Path:
    """Write a file atomically: into a temporary file in the same folder, which is then renamed. Creates the folder.

    Text is written as UTF-8. Characters of file names that UTF-8 cannot encode are escaped as in JSON: ``p\\udce9``.
    """
    check_free(path, force)
    if path.is_dir():
        raise ExistsError(f"{path} is a folder, so no file can be written there. Choose another path.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise ZooError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return path


def share(path: Path) -> None:
    """Set the default permissions of new files (umask): safetensors creates files that only the owner can read."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


@contextmanager
def new_folder(path: Path, force: bool, mark: str = "manifest.json") -> Iterator[Path]:
    """Yield a temporary folder, which becomes `path` if the block succeeds and is deleted if it fails.

    With `force`, the complete folder replaces an existing one, provided that this one has a file `mark`.
    """
    check_outside_releases(path)
    _sweep(path.absolute())
    check_free(path, force)
    if force and path.exists() and not (path / mark).is_file() and (path.is_file() or any(path.iterdir())):
        raise ExistsError(f"{path} has no {mark}, so --force does not replace it. Choose another path.")
    for ancestor in path.absolute().parents:
        if ancestor.exists():
            if not ancestor.is_dir():
                raise ZooError(f"{path} cannot be made: {ancestor} is a file. Choose another path.")
            break
    place = path.absolute()  # a path such as "." has no name
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise ZooError(f"{path} could not be made: {error.strerror or error}.") from error
    try:
        yield partial
        check_free(path, force)
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
    except OSError as error:
        raise ZooError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if old.exists() and not path.exists():  # interrupted between the two renames
            os.replace(old, path)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Delete temporary folders that killed processes left next to `path`, and restore a folder they had moved away."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid, _, kind = left.name.removeprefix(f".{path.name}.").partition(".")
        if kind not in ("partial", "old") or not pid.isdigit() or _alive(int(pid)):
            continue
        if kind == "old" and not os.path.lexists(path):
            os.replace(left, path)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill(pid, 0) would terminate the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def existing(path: Path, what: str) -> Path:
    """Return `path` if it exists; else raise :class:`NotFoundError` about `what`."""
    if not os.path.exists(path):  # unlike Path.exists, this is False for a name that is too long
        raise NotFoundError(
            f"{what} {str(path)!r} does not exist. Check the path; zoo list --pretrained shows released names."
        )
    return path
