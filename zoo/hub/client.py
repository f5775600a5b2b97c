"""Reads from the Hub: what a revision is, how large files are, and one file at one commit. Every call ends in time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zoo._version import __version__
from zoo.core.errors import HubError
from zoo.hub import reasons
from zoo.hub.deadline import TooLate, in_time
from zoo.hub.download import PATIENCE as PATIENCE
from zoo.hub.download import AnswerError, CutError, Progress, RedirectError, is_safe, receive, session
from zoo.hub.source import HubSource


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) switches the network off. Imports no client."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def api() -> Any:
    """The Hub's client (``huggingface_hub.HfApi``), which finds the endpoint and the token by itself."""
    from huggingface_hub import HfApi

    session()
    return HfApi(endpoint=reasons.endpoint(), library_name="genzoo", library_version=__version__)


class Resolved(NamedTuple):
    """What a revision means now."""

    commit: str
    """The full commit."""
    bytes: int | None
    """The size of the file that was asked about, if the Hub says it."""
    repository: str
    """Its name now: another one than was asked for where it was renamed."""


def resolve(source: HubSource, file: str, patience: float = PATIENCE) -> Resolved:
    """Return what a revision means now; it must have the file.

    Raises :class:`NotFoundError` or :class:`HubError` (see :func:`zoo.hub.reasons.explain`).
    """
    if is_offline():
        raise reasons.offline(f"Looking up {source}")

    client, url = api(), _address(source, file)  # importing the client takes a while, and is no wait for an answer
    try:
        found = in_time(patience, lambda: client.get_hf_file_metadata(url=url, timeout=patience))
    except (Exception, TooLate) as error:
        raise reasons.explain(error, source, file) from error
    commit = found.commit_hash
    if not isinstance(commit, str) or not source.at(commit).is_commit:
        raise HubError(f"{reasons.address()} does not say which commit {source} is. Check HF_ENDPOINT.")
    if source.is_commit and commit != source.revision:
        raise HubError(f"{reasons.address()} gives commit {commit} for {source}. Check HF_ENDPOINT.")
    return Resolved(commit, found.size, _repository(str(found.location)) or source.repository)


def _repository(location: str) -> str:
    """The repository whose file has this address on the Hub; "" for an address that is elsewhere."""
    place, mark, _ = location.partition("/resolve/")
    name = place.removeprefix(f"{reasons.endpoint()}/")
    return name if mark and place != name and name.count("/") == 1 else ""


def info(source: HubSource) -> Any:
    """Return the Hub's description of a repository at a revision, with its files. Raises the client's own errors."""
    client = api()
    options = {"revision": source.revision, "files_metadata": True, "timeout": PATIENCE}
    return in_time(PATIENCE, lambda: client.model_info(source.repository, **options))


def sizes(source: HubSource, names: Sequence[str], patience: float = PATIENCE) -> dict[str, int]:
    """Return the bytes of files of a commit by name; others are left out. Errors as :func:`resolve`."""
    if is_offline():
        raise reasons.offline(f"Looking up {source}")
    client = api()
    try:
        found = in_time(
            patience, lambda: client.get_paths_info(source.repository, list(names), revision=source.revision)
        )
    except (Exception, TooLate) as error:
        raise reasons.explain(error, source) from error
    return {entry.path: entry.size for entry in found if getattr(entry, "size", None) is not None}


def fetch(
    source: HubSource,
    name: str,
    folder: Path,
    most: int,
    progress: Progress | None = None,
    afresh: bool = False,
    patience: float = PATIENCE,
) -> Path:
    """Download one file of a commit, of `most` bytes at most, into a folder; return its path. It is not checked.

    A download that was cut goes on where it stopped, unless `afresh`. The token goes to the Hub alone. Nothing is taken
    from or put into the Hub's own cache, and Xet, whose waits have no end, is not used. Errors as :func:`resolve`, and
    :class:`CutError`.
    """
    if is_offline():
        raise reasons.offline(f"Downloading {name} of {source}")
    client = api()
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    headers = utils.build_hf_headers(library_name=client.library_name, library_version=client.library_version)
    path = folder / name
    try:
        receive(
            _address(source, name), path, most,
            headers=headers, allowed=_is_allowed, progress=progress, afresh=afresh, patience=patience,
        )  # fmt: skip
    except HubError:
        raise
    except AnswerError as error:
        answer = f"{reasons.address()} answers {error.status} for {name} of {source}. Try again later."
        if error.wait is not None:
            raise CutError(answer, error.wait) from error
        if error.status == 429:
            raise reasons.limited(error.headers.get("retry-after", "")) from error
        resolve(source, name)  # the client tells a missing file from a forbidden one
        raise HubError(answer) from error
    except Exception as error:
        raise _explain_transfer(error, source, name) from error
    return path


def _address(source: HubSource, name: str) -> str:
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(source.repository, name, revision=source.revision, endpoint=reasons.endpoint()))


def _is_allowed(address: str) -> bool:
    return is_safe(address) or reasons.endpoint().startswith("http://")


def models(query: Mapping[str, Any], limit: int, patience: float = PATIENCE) -> list[Any]:
    """Return what the Hub lists of models, `limit` at most, for a query of its ``/api/models``, as it comes.

    One request, and one for each further page. (``HfApi.list_models`` would ask a Hub that is down six times, and a
    card with an odd field is an error to it.) Raises :class:`HubError` as :func:`zoo.hub.reasons.unreachable` says.
    """
    if is_offline():
        raise reasons.offline("Searching the Hub")

    client = api()
    import huggingface_hub.utils

    def ask() -> list[Any]:
        found: list[Any] = []
        utils: Any = huggingface_hub.utils
        headers = utils.build_hf_headers(library_name=client.library_name, library_version=client.library_version)
        address, parameters = f"{reasons.endpoint()}/api/models", dict(query)
        while address.startswith(f"{reasons.endpoint()}/") and len(found) < limit:  # the token goes nowhere else
            response = utils.get_session().get(address, params=parameters or None, headers=headers, timeout=patience)
            utils.hf_raise_for_status(response)
            page = response.json()
            if not isinstance(page, list):
                raise HubError(f"{reasons.address()} gives no list of models. Check HF_ENDPOINT.")
            found += page
            address, parameters = response.links.get("next", {}).get("url", "") if page else "", {}
        return found[:limit]

    try:
        return in_time(patience, ask)
    except (Exception, TooLate) as error:
        raise reasons.unreachable(error) from error


def _explain_transfer(error: Exception, source: HubSource, name: str) -> Exception:
    from huggingface_hub import errors as hub

    if isinstance(error, hub.OfflineModeIsEnabled):
        return reasons.offline(f"Downloading {name} of {source}")
    if isinstance(error, RedirectError):
        return HubError(f"{source}: {name} cannot be downloaded: {error}. Check HF_ENDPOINT.")
    if reasons.is_timeout(error) or isinstance(error, UnicodeError):
        return reasons.explain(error, source, name)
    return CutError(f"{source}: the download of {name} broke off ({reasons.message(error)}). Try again.")
