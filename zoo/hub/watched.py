"""The content of a file that is uploaded, with how far it was read."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from zoo.hub.repository import Content


class Watched(io.BufferedIOBase):
    """The content of a file that tells how far it was read, from the start again where an upload is tried again.

    The client sends a path by Xet, which has no time-outs; what it can only read goes over its own HTTP connections.
    """

    def __init__(self, content: Content) -> None:
        self._file = open(content, "rb") if isinstance(content, Path) else io.BytesIO(content)  # noqa: SIM115
        self._moved: Callable[[int], None] | None = None

    def watch(self, moved: Callable[[int], None] | None) -> None:
        """Call `moved` with the bytes read so far, each time."""
        self._moved = moved

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(size)
        if self._moved is not None:
            self._moved(self._file.tell())
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
