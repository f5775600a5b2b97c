"""Where the files of a release are downloaded from: a commit on the Hub, or a mirror."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from zoo.core.errors import HubError, SettingError
from zoo.hub import client, reasons
from zoo.hub.client import CutError, Progress
from zoo.hub.source import HubSource
from zoo.release import MANIFEST

CHUNK = 1 << 16
NOT_IN_TIME = "does not answer in time"


class Origin(Protocol):
    """A place that has the files of one release."""

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        """The bytes of those files that are there, or None if the place does not say it beforehand."""

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        """Download a file into a folder: of `most` bytes at most, from the start if `afresh`. It is not checked."""


class HubFiles:
    """The files of a repository on the Hub at a full commit."""

    def __init__(self, source: HubSource, manifest_bytes: int | None = None) -> None:
        self._source = source
        self._sizes = {} if manifest_bytes is None else {MANIFEST: manifest_bytes}

    def __str__(self) -> str:
        return str(self._source)

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        if missing := [name for name in names if name not in self._sizes]:
            self._sizes |= client.sizes(self._source, missing)
        return {name: self._sizes[name] for name in names if name in self._sizes}

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        client.fetch(self._source, name, folder, progress, afresh)


class Mirror:
    """The files of one release on an https server, in a folder named after the SHA-256 of its manifest.

    A folder ``releases`` of a cache is such a mirror. `address` is that of the folder above, as in ``ZOO_MIRROR``.
    Raises :class:`SettingError` for an address that is not https; on this machine, http will do.
    """

    def __init__(self, address: str, sha256: str) -> None:
        parts = urlsplit(address)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise SettingError(f"ZOO_MIRROR = {reasons.without_secrets(address)!r} is no https address.")
        self._base = f"{address.rstrip('/')}/{sha256}/"

    def __str__(self) -> str:
        return f"the mirror {reasons.without_secrets(self._base)}"

    def sizes(self, names: Sequence[str]) -> dict[str, int] | None:
        return None

    def fetch(self, name: str, folder: Path, most: int, afresh: bool, progress: Progress | None) -> None:
        request = Request(self._base + name, headers={"User-Agent": "genzoo"})
        try:
            with urlopen(request, timeout=client.PATIENCE, context=_authorities()) as response:
                self._receive(response, folder / name, most, progress)
        except HTTPError as error:
            error.close()
            raise HubError(f"{self} answers {error.code} for {name}.") from error
        except URLError as error:
            late = isinstance(error.reason, TimeoutError)
            raise HubError(
                f"{self} {NOT_IN_TIME if late else f'cannot be reached ({reasons.said(error)})'}."
            ) from error
        except TimeoutError as error:
            raise HubError(f"{self} {NOT_IN_TIME}.") from error
        except (OSError, HTTPException) as error:
            raise CutError(f"{self}: the download of {name} broke off ({reasons.said(error)}). Try again.") from error

    def _receive(self, response: HTTPResponse, path: Path, most: int, progress: Progress | None) -> None:
        length = response.headers.get("Content-Length", "")
        total, done = int(length) if length.isdecimal() and len(length) < 20 else None, 0
        with open(path, "wb") as file:
            while chunk := response.read1(CHUNK):
                done += len(chunk)
                if done > most:
                    return  # it is not the file, as its SHA-256 will say
                file.write(chunk)
                if progress:
                    progress(done, total, path.name)
        if total is not None and done < total:
            raise CutError(f"{self}: the download of {path.name} broke off after {done:,} bytes. Try again.")


def _authorities() -> ssl.SSLContext:
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return ssl.create_default_context(cafile=bundle if bundle and os.path.isfile(bundle) else None)
