"""Reads from the Hub: what a revision is, how large files are, and one file at one commit. Every call ends in time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo._version import __version__
from zoo.core.errors import HubError
from zoo.hub import reasons
from zoo.hub.deadline import TooLate, in_time
from zoo.hub.source import HubSource

PATIENCE = 8.0
"""Seconds to wait for an answer that is needed."""


class CutError(HubError):
    """A download broke off."""


Progress = Callable[[int, int | None, str], None]
"""Called with the bytes done, the total bytes (None if unknown), and the name of the file."""


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) switches the network off. Imports no client."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def api() -> Any:
    """The Hub's client (``huggingface_hub.HfApi``), which finds the endpoint and the token by itself.

    It trusts the authorities of ``SSL_CERT_FILE`` and, unlike the client alone, of ``REQUESTS_CA_BUNDLE``.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not os.environ.get("SSL_CERT_FILE") and os.path.isfile(bundle):
        os.environ["SSL_CERT_FILE"] = bundle
    from huggingface_hub import HfApi

    return HfApi(endpoint=reasons.endpoint(), library_name="genzoo", library_version=__version__)


def resolve(source: HubSource, file: str, patience: float = PATIENCE) -> tuple[str, int | None]:
    """Return the full commit that a revision means now, and the bytes of a file that it must have.

    Raises :class:`NotFoundError` or :class:`HubError` (see :func:`zoo.hub.reasons.explain`).
    """
    if is_offline():
        raise reasons.offline(f"Looking up {source}")

    def ask() -> Any:
        client = api()
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(source.repository, file, revision=source.revision, endpoint=reasons.endpoint())
        return client.get_hf_file_metadata(url=url, timeout=patience)

    try:
        found = in_time(patience, ask)
    except (Exception, TooLate) as error:
        raise reasons.explain(error, source, file) from error
    commit = found.commit_hash
    if not isinstance(commit, str) or not source.at(commit).is_commit:
        raise HubError(f"{reasons.address()} does not say which commit {source} is. Check HF_ENDPOINT.")
    return commit, found.size


def sizes(source: HubSource, names: Sequence[str], patience: float = PATIENCE) -> dict[str, int]:
    """Return the bytes of files of a commit by name; others are left out. Errors as :func:`resolve`."""
    try:
        found = in_time(
            patience, lambda: api().get_paths_info(source.repository, list(names), revision=source.revision)
        )
    except (Exception, TooLate) as error:
        raise reasons.explain(error, source) from error
    return {entry.path: entry.size for entry in found if getattr(entry, "size", None) is not None}


def fetch(source: HubSource, name: str, folder: Path, progress: Progress | None = None, afresh: bool = False) -> Path:
    """Download one file of a commit into a folder and return its path. What it holds is not checked.

    A download that was cut goes on where it stopped, unless `afresh`. Nothing is taken from or put into the Hub's own
    cache. Errors as :func:`resolve`.
    """
    if is_offline():
        raise reasons.offline(f"Downloading {name} of {source}")
    try:
        client = api()
        path = client.hf_hub_download(
            source.repository,
            name,
            revision=source.revision,
            local_dir=folder,
            cache_dir=folder / ".cache",
            etag_timeout=PATIENCE,
            force_download=afresh,
            tqdm_class=_bar(name, progress),
        )
    except Exception as error:
        raise _explain_transfer(error, source, name) from error
    return Path(path)


def models(query: Mapping[str, Any], limit: int, patience: float = PATIENCE) -> list[Any]:
    """Return what the Hub lists of models, `limit` at most, for a query of its ``/api/models``, as it comes.

    One request, and one for each further page. (``HfApi.list_models`` would ask a Hub that is down six times, and a
    card with an odd field is an error to it.) Raises :class:`HubError` as :func:`zoo.hub.reasons.unreachable` says.
    """
    if is_offline():
        raise reasons.offline("Searching the Hub")

    def ask() -> list[Any]:
        client, found = api(), list[Any]()
        import huggingface_hub

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
    if isinstance(error, hub.LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    found = reasons.explain(error, source, name)
    if isinstance(found, HubError) and not isinstance(error, hub.HfHubHTTPError) and not reasons.is_timeout(error):
        return CutError(f"{source}: the download of {name} broke off ({reasons.said(error)}). Try again.")
    return found


def _bar(name: str, progress: Progress | None) -> type:
    """A class for the client's progress bars that reports to `progress` and shows nothing itself."""
    from tqdm.std import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            total, initial = options.get("total"), options.get("initial", 0)
            super().__init__(*args, **{**options, "disable": True})
            self.n, self.total = initial or 0, total

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if progress is not None and n:
                progress(int(self.n), None if self.total is None else int(self.total), name)
            return None

    return Bar
