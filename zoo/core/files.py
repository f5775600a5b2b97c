"""Files and folders that appear whole or not at all, and their SHA-256."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.core.errors import ExistsError, NotFoundError, SettingError, ZooError


def expand(given: str | os.PathLike[str]) -> Path:
    """A path as a user gives it, with a leading ``~`` or ``~NAME`` as that user's home folder.

    Every path is expanded where it enters, in a command or in a function that users call. What comes out never begins
    with ``~``, so a path that enters twice is the same path: ``./~`` is a folder that is really called so. Raises
    :class:`SettingError` for what is no path.
    """
    if not isinstance(given, (str, os.PathLike)):
        raise SettingError(f"{given!r} is no path. Give a str or a Path.")
    text = os.path.expanduser(os.fsdecode(given))
    if not text or "\0" in text:
        raise SettingError(f"{text!r} is no path. Give the path of a file or a folder.")
    path = Path(text)
    return Path.cwd() / path if path.parts and path.parts[0].startswith("~") else path


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_free(path: Path, force: bool) -> None:
    """Raise :class:`ExistsError` if something is at `path` and `force` is not given."""
    if not force and os.path.lexists(path):
        raise ExistsError(
            f"{path} exists already and was kept. Choose another path, or replace it (--force, force=True)."
        )


def check_outside_releases(path: Path) -> None:
    """Raise :class:`ExistsError` if `path` would lie inside a release, which never changes."""
    for folder in path.resolve().parents:
        manifest = folder / "manifest.json"
        if manifest.is_file() and (folder / "model.safetensors").is_file():
            raise ExistsError(f"{path} would lie inside the release {folder}, which never changes. Write elsewhere.")


def check_utf8(path: Path) -> None:
    """Raise :class:`ZooError` for a path that is not UTF-8: no reader of ONNX or safetensors takes one."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ZooError(
            f"{str(path.absolute())!r} is not UTF-8, and ONNX Runtime cannot open such a path. Choose another --output."
        ) from error


def write(path: Path, content: bytes | str, force: bool = True) -> Path:
    """Write a file beside its place, then rename it there; its folder is made if need be.

    Text is UTF-8; what no UTF-8 can hold of the names of files is escaped, as JSON does it: ``p\\udce9``.
    """
    check_free(path, force)
    if path.is_dir():
        raise ExistsError(f"{path} is a folder, and a file was to be written there. Choose another path.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise ZooError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            beside.unlink()
    return path


def share(path: Path) -> None:
    """Give a file the permissions that new files have for this user: safetensors makes files only for its owner."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


@contextmanager
def new_folder(path: Path, force: bool, mark: str = "manifest.json") -> Iterator[Path]:
    """A folder to fill, which becomes `path` when the block ends well and vanishes when it does not.

    With `force` it replaces what is there, if that has a file `mark`, and only once it is complete.
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
    place = path.absolute()  # a name such as "." has no parent
    beside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise ZooError(f"{path} could not be made: {error.strerror or error}.") from error
    try:
        yield beside
        check_free(path, force)
        if path.exists():
            os.replace(path, old)
        os.replace(beside, path)
    except OSError as error:
        raise ZooError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if old.exists() and not path.exists():  # stopped between the two renames, by whatever
            os.replace(old, path)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sweep(path: Path) -> None:
    """Clear up what a killed process left beside `path`, and put back what it had moved away to replace."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid, _, kind = left.name.removeprefix(f".{path.name}.").partition(".")
        if kind not in ("partial", "old") or not pid.isdigit() or _alive(int(pid)):
            continue
        if kind == "old" and not os.path.lexists(path):
            os.replace(left, path)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill(pid, 0) would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def existing(path: Path, what: str) -> Path:
    """`path`, or a :class:`NotFoundError` that says `what` is not there."""
    if not os.path.exists(path):  # unlike Path.exists, False for a name that is too long
        raise NotFoundError(
            f"{what} {str(path)!r} does not exist. Check the path; zoo list --pretrained shows released names."
        )
    return path
