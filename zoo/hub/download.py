"""Receives one file over HTTP: no more bytes than expected, no endless wait, and where it stopped after a cut."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urljoin, urlsplit

from zoo.core.errors import HubError, one_line
from zoo.hub.deadline import in_time

PATIENCE = 8.0
"""Seconds to wait for an answer, and for each part of it."""

STALL, LEAST = 60.0, 1 << 14
"""A download of which fewer than `LEAST` bytes arrive in `STALL` seconds is broken off."""

MOST_REDIRECTS = 5
MOST_WAIT = 5
"""Seconds that a server which is busy may ask for."""

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name certificates; within :func:`authorities` the value of one of the first is in the third."""

LOCAL = ("localhost", "127.0.0.1", "::1")

Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the total bytes (None if unknown), and the name of the file."""

_MAKING = Lock()
_TRUST = Lock()
_trusting = 0


class CutError(HubError):
    """A download broke off, or did not begin; it may go on after `wait` seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class AnswerError(Exception):
    """A server answers with an error."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"it answers {status}")
        self.status, self.headers = status, headers

    @property
    def wait(self) -> float | None:
        """The seconds after which it may be asked again; None where asking again is of no use."""
        if self.status != 429 and self.status < 500:
            return None
        asked = self.headers.get("retry-after", "1")
        return float(asked) if asked.isdecimal() and len(asked) < 3 and int(asked) <= MOST_WAIT else None


class RedirectError(Exception):
    """A server sends elsewhere, where nothing is fetched from."""


@contextmanager
def authorities() -> Iterator[None]:
    """Within the block, clients that are made trust ``REQUESTS_CA_BUNDLE`` too, where ``SSL_CERT_FILE`` is not set."""
    global _trusting
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
    with _TRUST:
        needed = os.path.isfile(bundle) and (_trusting > 0 or not os.environ.get("SSL_CERT_FILE"))
        if needed:
            os.environ["SSL_CERT_FILE"] = bundle
            _trusting += 1
    try:
        yield
    finally:
        with _TRUST:  # the last of the threads that are in such a block leaves the environment as it was
            _trusting -= needed
            if needed and not _trusting:
                del os.environ["SSL_CERT_FILE"]


def session() -> Any:
    """The HTTP client of the Hub's client: it knows proxies, and sends nothing where the network is switched off.

    Raises :class:`HubError` for certificates that cannot be read.
    """
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    with _MAKING, authorities():  # of threads that ask at once, version 1 of the client would give each its own
        try:
            return utils.get_session()
        except OSError as error:  # ssl.SSLError is one
            used = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR", "")
            name = next((name for name in CERTIFICATES if os.environ.get(name) == used), "SSL_CERT_FILE")
            raise HubError(
                f"The certificates in {name} = {used!r} cannot be used: {one_line(error)}. Give the file of your "
                "authority, or unset it."
            ) from error


def is_safe(address: str) -> bool:
    """Whether an address is https, or on this machine."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)
        )
    except ValueError:
        return False


def receive(
    address: str,
    path: Path,
    most: int,
    *,
    headers: Mapping[str, str] | None = None,
    allowed: Callable[[str], bool] = is_safe,
    progress: Progress | None = None,
    afresh: bool = False,
    patience: float = PATIENCE,
) -> None:
    """Write what is at an address into a file; what goes beyond `most` bytes is left. It is not checked.

    What is in the file already is continued, unless `afresh`. `headers` go to the origin of the address alone. Raises
    :class:`AnswerError`, :class:`RedirectError` for a redirect that is not `allowed`, and whatever the client raises.
    """
    start = 0 if afresh or not path.is_file() else path.stat().st_size
    sent = {"Accept-Encoding": "identity", **(headers or {}), **({"Range": f"bytes={start}-"} if start else {})}
    client = session()
    for _ in range(MOST_REDIRECTS):
        with _answer(client, address, sent, patience) as response:
            if 300 <= response.status_code < 400 and "location" in response.headers:
                further = urljoin(address, response.headers["location"])
                if not allowed(further):
                    raise RedirectError("it redirects to an address that is not https")
                if _origin(further) != _origin(address):
                    sent = {name: value for name, value in sent.items() if name not in (headers or {})}
                address = further
                continue
            if response.status_code == 416 and start:  # the file was whole
                return
            if response.status_code >= 400:
                raise AnswerError(response.status_code, dict(response.headers))
            _write(response, path, start if response.status_code == 206 else 0, most, progress)
            return
    raise RedirectError("it redirects too often")


@contextmanager
def _answer(client: Any, address: str, headers: Mapping[str, str], patience: float) -> Iterator[Any]:
    """The answer to a GET, whose head must be there in time, however it comes, and each part of its body too."""
    opened = client.stream("GET", address, headers=headers, timeout=patience, follow_redirects=False)
    response = in_time(patience, opened.__enter__)
    try:
        yield response
    finally:
        opened.__exit__(None, None, None)


def _write(response: Any, path: Path, done: int, most: int, progress: Progress | None) -> None:
    length = response.headers.get("content-length", "")
    total = done + int(length) if length.isdecimal() and len(length) < 20 else None
    since, before = time.monotonic(), done
    with _writing(path), open(path, "ab" if done else "wb") as file:
        for chunk in response.iter_raw():
            part = chunk[: most - done]
            file.write(part)
            done += len(part)
            if progress:
                progress(done, total, path.name)
            if len(part) < len(chunk):
                return  # it is not the file, as its SHA-256 will say
            if time.monotonic() - since > STALL:
                if done - before < LEAST:
                    raise EOFError(f"{done - before:,} bytes in {STALL:.0f} s")
                since, before = time.monotonic(), done
    if total is not None and done < total:
        raise EOFError(f"after {done:,} of {total:,} bytes")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the disk says into a :class:`HubError`; what the network says are other exceptions."""
    try:
        yield
    except OSError as error:
        if type(error).__module__ != "builtins" or not error.errno:
            raise
        raise HubError(
            f"{path} could not be written: {error.strerror}. Run zoo cache prune, or choose another folder with "
            "ZOO_CACHE_DIR."
        ) from error


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc
