"""The connections of a publish: no wait on the network is endless, and the client writes nothing of its own."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from zoo.core.errors import HubError
from zoo.hub import reasons
from zoo.hub.download import authorities

CONNECT, SMALL, LARGE = 8.0, 15.0, 60.0
"""Seconds to wait for a connection; for the answer to a small request; for that to an upload or a commit."""

MOST_WAIT = 20
"""Seconds that a Hub which limits requests may ask for; a longer wait is reported instead."""

MOST_CONFLICTS = 30
"""How often a repository is tried to be made while the Hub makes another: the client would try it for ever."""

_ONE = threading.RLock()
"""Held within a block: of two that overlap, the second would put the limits of the first back for good."""


@contextmanager
def bounded() -> Iterator[None]:
    """Within the block every request of the Hub's client in this process has a time-out, and its own output is off.

    A request that gets no answer in time raises :class:`HubError` at once: the client would try it five times more.
    The limits replace those that the client sets, and its hook for offline mode stays. At both ends of the block the
    client's connections are closed, so no other thread may use it meanwhile; one that enters such a block waits.
    """
    import huggingface_hub.utils
    from huggingface_hub.utils import _http

    _utils: Any = huggingface_hub.utils
    from huggingface_hub.utils import logging as hub_logging

    with _ONE:
        before = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)

        def limited() -> Any:
            with authorities():
                session: Any = before()
            session.send = _Limited(session.send)
            return session

        logging: Any = hub_logging
        level = logging.get_verbosity()
        huggingface_hub.set_client_factory(limited)
        logging.set_verbosity_error()  # it logs addresses of uploads, which are signed
        bars = _utils.are_progress_bars_disabled()
        _utils.disable_progress_bars()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.set_verbosity(level)
            if not bars:
                _utils.enable_progress_bars()
            huggingface_hub.set_client_factory(before)


class _Limited:
    """Sends requests as a client does, with limits."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._conflicts = 0

    def __call__(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(str(request.url))
        long = request.method == "PUT" or "/commit/" in parts.path
        limits = {"connect": CONNECT, "read": LARGE if long else SMALL, "write": LARGE, "pool": SMALL}
        request.extensions = {**request.extensions, "timeout": limits}
        try:
            response = self._send(request, **options)
        except Exception as error:
            if not reasons.is_timeout(error):
                raise
            host = reasons.without_secrets(f"{parts.scheme}://{parts.netloc}")
            place = host if reasons.is_of_the_hub(error) else f"{reasons.place(error)} ({host})"
            raise HubError(
                f"{place} does not answer in time. Check the network and proxies; try again later."
            ) from error
        if response.status_code == 429 and (wait := _wait(response.headers)) > MOST_WAIT:
            raise reasons.limited(str(wait))
        self._conflicts += response.status_code == 409 and parts.path.endswith("/repos/create")
        if self._conflicts > MOST_CONFLICTS:
            raise HubError(f"{reasons.address()} is busy with making another repository of yours. Try again soon.")
        return response


def may_arrive(error: BaseException, path: str) -> bool:
    """Whether a request to a path was sent and not answered by the Hub, so that it may still do what was asked."""
    cause = error.__cause__ if isinstance(error, HubError) else error
    if cause is None or path not in reasons.url_of(cause):
        return False
    if (status := reasons.status_of(cause)) is not None:
        return status in (502, 504)  # of a gateway before it
    return not re.search("Connect|Pool|Proxy", type(cause).__name__)  # else it was not sent


def _wait(headers: Any) -> int:
    """The seconds after which a limited request may be sent again; 0 where that is not said."""
    after = headers.get("retry-after", "").strip()
    found = re.search(r"\bt\s*=\s*(\d{1,9})", headers.get("ratelimit", ""))
    return int(after) if after.isdecimal() and len(after) < 10 else int(found[1]) if found else 0
