"""Calls that end in time. Some calls of the Hub's client have no time-out, and looking up a name has none either."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class TooLate(Exception):
    """A call did not end in time."""


def in_time(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a call, or raise its exception, or :class:`TooLate` after `seconds`.

    The call is then left to its thread, which does not keep the process from ending. So only what reads may be called.
    """
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            done["result"] = call()
        except BaseException as error:
            done["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TooLate
    if "error" in done:
        raise done["error"]
    result: T = done["result"]
    return result
