"""What a failed call of the Hub's client means, as one line with the next step."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from zoo.core.errors import HubError, NotFoundError, ZooError, one_line
from zoo.hub.deadline import TooLate
from zoo.hub.source import HubSource

LOGIN = "hf auth login"
PUBLIC = "https://huggingface.co"
"""The address of the public Hub."""

_SECRET = re.compile(r"\b(?:hf|api_org)_\w{8,}|(?i:bearer)\s+\S+|(?<=//)[^/\s]+(?=@)|(?<=\?)[^\s'\")]*=[^\s'\")]*")
"""Tokens, what stands before the @ of an address, and the parameters of one, which may be a signature."""


def endpoint() -> str:
    """The address of the Hub: ``HF_ENDPOINT``, or the public one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC


def address() -> str:
    """The address of the Hub for people, without a password that it may hold."""
    return without_secrets(endpoint())


def has_token() -> bool:
    """Whether the client finds a token: in ``HF_TOKEN``, or of a login."""
    return bool(_token())


def _token() -> str:
    import huggingface_hub

    return huggingface_hub.get_token() or ""


def explain(error: BaseException, source: HubSource, file: str = "") -> ZooError:
    """Return the error to raise for a failed call about a repository; `file` is what was asked for, if it was one.

    :class:`NotFoundError` where there is no such repository, revision or file, as far as the Hub tells that apart from
    one that may not be read; :class:`HubError` for the rest.
    """
    if isinstance(error, ZooError):
        return error
    from huggingface_hub import errors as hub

    name, page = source.repository, f"{address()}/{source.repository}"
    if isinstance(error, hub.GatedRepoError):
        then = "" if has_token() else f", then log in: {LOGIN}"
        return HubError(f"{name} is gated: its owners decide who may download it. Ask for access at {page}{then}")
    if isinstance(error, hub.RevisionNotFoundError):
        return NotFoundError(
            f"{name} has no revision {source.revision!r}. Give a branch, a tag, or a full commit of 40 digits; "
            f"there are: {page}/commits/main"
        )
    if isinstance(error, hub.EntryNotFoundError) and file:
        return NotFoundError(f"{source} has no {file}, so it is no release of zoo. See {page}")
    if isinstance(error, hub.DisabledRepoError):
        return HubError(f"{name} is disabled by the Hub. See {page}")
    status = status_of(error)
    if isinstance(error, hub.RepositoryNotFoundError):
        if not has_token():
            return NotFoundError(
                f"{name} does not exist on {address()}, or is private: no token is set. Check the name, or log in: "
                f"{LOGIN}"
            )
        return NotFoundError(
            f"{name} does not exist on {address()}, or is private and this token may not read it. Check the name, or "
            f"log in as somebody who may: {LOGIN}"
        )
    if status == 403 and not is_of_the_hub(error):
        return HubError(f"{place(error)} forbids that ({message(error)}). Try again; check proxies.")
    if status == 403 and not has_token():
        return HubError(f"{address()} forbids that for {name} without a token. Log in: {LOGIN}")
    if status == 403:
        return HubError(f"This token may not do that with {name} ({message(error)}). Choose another: {LOGIN}")
    return unreachable(error)


def unreachable(error: BaseException) -> ZooError:
    """Return the error to raise for a Hub that gives no usable answer, whatever it was asked."""
    if isinstance(error, ZooError):
        return error
    from huggingface_hub import errors as hub

    if isinstance(error, hub.OfflineModeIsEnabled):
        return offline("This")
    status = status_of(error)
    if status == 401:
        if has_token():
            held = "in HF_TOKEN" if os.environ.get("HF_TOKEN") else "of your login"
            return HubError(f"The Hub refuses the token {held}: it is wrong, or has expired. Make another: {LOGIN}")
        return HubError(f"{address()} asks for a token. Log in: {LOGIN}")
    if status == 429:
        return limited(_headers(error).get("retry-after", ""))
    if status is not None:
        page = "; see status.huggingface.co" if endpoint() == PUBLIC else ""
        return HubError(f"{place(error)} answers {status} ({message(error)}). Try again later{page}.")
    if isinstance(error, UnicodeError):
        return HubError(f"The token cannot be right: it has letters that no token has. Make another: {LOGIN}")
    if is_timeout(error):
        return HubError(
            f"{place(error)} does not answer in time. Check the network, HF_ENDPOINT and proxies; try again later."
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return HubError(
            f"{place(error)} shows a certificate that is not trusted here. Give the file of your authority in "
            "SSL_CERT_FILE or REQUESTS_CA_BUNDLE."
        )
    return HubError(
        f"{place(error)} cannot be reached ({message(error)}). Check the network, HF_ENDPOINT and proxies; "
        "try again later."
    )


def limited(wait: str) -> HubError:
    """The error for a Hub that answers 429; `wait` is the seconds that it asks for, if it says so."""
    then = f"{wait} s" if wait.isdigit() else "some minutes"
    return HubError(f"{address()} limits how often it is asked. Try again in {then}.")


def is_timeout(error: BaseException) -> bool:
    """Whether an exception says that no answer came in time."""
    return isinstance(error, TooLate) or "timeout" in type(error).__name__.lower() or "timed out" in str(error)


def offline(what: str) -> HubError:
    """The error for what would need the network while it is switched off."""
    return HubError(f"{what} needs the network, and HF_HUB_OFFLINE switches it off. Unset it to go on.")


def without_secrets(text: str) -> str:
    """A text for people, without tokens and passwords that it may hold."""
    for token in {os.environ.get("HF_TOKEN", ""), _token() if "huggingface_hub" in sys.modules else ""}:
        if len(token) > 3:
            text = text.replace(token, "…")
    return _SECRET.sub("…", text)


def message(error: BaseException) -> str:
    """What an exception says, as one short line without anything secret."""
    server = getattr(error, "server_message", None)
    text = " ".join(str(server).split()) if server else one_line(error)
    text = without_secrets(text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def status_of(error: BaseException) -> int | None:
    """The status of the answer that an exception is about; None where there was no answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def url_of(error: BaseException | None) -> str:
    """The address of the request that an exception is about; "" where it does not say it."""
    request = getattr(getattr(error, "response", None), "request", None) or getattr(error, "_request", None)
    return str(getattr(request, "url", ""))


def is_of_the_hub(error: BaseException) -> bool:
    """Whether an exception is about the Hub itself, and not about its storage, which is sent no token."""
    url = url_of(error)
    return not url or url.startswith(f"{endpoint()}/")


def place(error: BaseException) -> str:
    """What an exception is about, for people: the Hub or its storage."""
    return address() if is_of_the_hub(error) else f"The storage of {address()}"


def _headers(error: BaseException) -> Any:
    return getattr(getattr(error, "response", None), "headers", {})
