"""Where the files of a release are downloaded from: a commit on the Hub, or a mirror."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from zoo.core.errors import HubError, SettingError
from zoo.hub import client, reasons
from zoo.hub.download import AnswerError, CutError, Progress, RedirectError, is_safe, receive
from zoo.hub.source import HubSource
from zoo.release import MANIFEST


class Origin(Protocol):
    """A place that has the files of one release."""

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        """The bytes of those files that are there, or None if the place does not say it beforehand."""

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        """Download a file into a folder: of `most` bytes at most, from the start if `afresh`. It is not checked."""


class HubFiles:
    """The files of a repository on the Hub at a full commit."""

    def __init__(self, source: HubSource, manifest_bytes: int | None = None, patience: float = client.PATIENCE) -> None:
        self._source, self._patience = source, patience
        self._sizes = {} if manifest_bytes is None else {MANIFEST: manifest_bytes}

    def __str__(self) -> str:
        return str(self._source)

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        if missing := [name for name in names if name not in self._sizes]:
            self._sizes |= client.sizes(self._source, missing, self._patience)
        return {name: self._sizes[name] for name in names if name in self._sizes}

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        client.fetch(self._source, name, folder, most, progress, afresh, self._patience)


class Mirror:
    """The files of one release on an https server, in a folder named after the SHA-256 of its manifest.

    A folder ``releases`` of a cache is such a mirror. `address` is that of the folder above, as in ``ZOO_MIRROR``.
    Raises :class:`SettingError` for an address that is not https, or has more than a host and a path; on this machine,
    http will do.
    """

    def __init__(self, address: str, sha256: str, patience: float = client.PATIENCE) -> None:
        self._patience = patience
        if not is_safe(address) or any(mark in address for mark in "@?# \\"):
            shown = reasons.without_secrets(address)
            raise SettingError(f"ZOO_MIRROR = {shown!r} is no https address of a folder, as https://host/path.")
        self._base = f"{address.rstrip('/')}/{sha256}/"

    def __str__(self) -> str:
        return f"the mirror {self._base}"

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        return None

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        from huggingface_hub import errors as hub

        if client.is_offline():
            raise reasons.offline(f"Downloading {name} from {self}")
        try:
            receive(self._base + name, folder / name, most, progress=progress, afresh=afresh, patience=self._patience)
        except HubError:
            raise
        except AnswerError as error:
            answer = f"{self} answers {error.status} for {name}."
            raise (HubError(answer) if error.wait is None else CutError(answer, error.wait)) from error
        except RedirectError as error:
            raise HubError(f"{self}: {name} cannot be downloaded: {error}.") from error
        except Exception as error:
            if isinstance(error, hub.OfflineModeIsEnabled) or reasons.is_timeout(error):
                raise HubError(f"{self} does not answer in time.") from error
            if "connect" in type(error).__name__.lower():
                raise HubError(f"{self} cannot be reached ({reasons.message(error)}).") from error
            raise CutError(
                f"{self}: the download of {name} broke off ({reasons.message(error)}). Try again."
            ) from error
