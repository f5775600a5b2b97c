"""Locates a mistake in a plugin: the file and line where its author should look."""

from __future__ import annotations

import inspect
import os
import traceback
from pathlib import Path


def place(subject: object, root: Path | None) -> str:
    """Return ``"/…/mine.py, line 41"`` for an exception, a function or a class of the plugin whose code is in `root`.

    For an exception this is the innermost line of its traceback within `root`. Returns ``""`` if there is none.
    """
    if root is None or subject is None:
        return ""
    root = Path(os.path.realpath(root))
    found = _of_exception(subject, root) if isinstance(subject, BaseException) else _of_code(subject)
    if found is None or not _within(found[0], root):
        return ""
    return f"{found[0]}, line {found[1]}"


def _of_exception(error: BaseException, root: Path) -> tuple[str, int] | None:
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _within(error.filename, root):
        return error.filename, error.lineno
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    inside = [frame for frame in frames if _within(frame[0], root)]
    if inside:
        return inside[-1]
    return None if error.__cause__ is None else _of_exception(error.__cause__, root)


def _of_code(subject: object) -> tuple[str, int] | None:
    """Return where a function, a method, a partial, a class, or the class of an instance is defined."""
    while hasattr(subject, "func"):  # functools.partial
        subject = subject.func
    subject = getattr(subject, "__func__", subject)
    if inspect.isfunction(subject):
        code = inspect.unwrap(subject).__code__
        return code.co_filename, code.co_firstlineno
    try:
        kind = subject if isinstance(subject, type) else type(subject)
        return inspect.getsourcefile(kind) or "", inspect.getsourcelines(kind)[1]
    except (TypeError, OSError):
        return None


def _within(file: str, root: Path) -> bool:
    path = os.path.realpath(file)
    return path == str(root) or path.startswith(f"{root}{os.sep}")
