"""A local double of the Hugging Face Hub: real HTTP on two origins of this machine, for the real ``huggingface_hub``.

A test in this process has the fixture `hub` (see ``double_fixture.py``)::

    pytest_plugins = ("double_fixture",)

    def test_a_file_is_fetched(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
        hub.user("ana", token="hf_ana_write", orgs=("acme",))
        hub.put("acme/vae", {"README.md": b"# A VAE"})  # makes the repository, and a commit by somebody else
        monkeypatch.setenv("HF_TOKEN", "hf_ana_write")  # logs in
        huggingface_hub.hf_hub_download("acme/vae", "README.md")
        assert hub.fetched == ["README.md"]

Without the fixture, ``with Double() as hub:`` starts one, in milliseconds. A process of its own is given
``env=env(hub, token="hf_ana_write", home=tmp_path)``. After ``hub.close()`` nobody listens at its address.

The Hub is ``http://127.0.0.1:PORT``, the storage of large files ``http://localhost:OTHER``: other hosts, so that a
token which is sent along is seen (``hub.storage_requests``; the storage refuses it, as S3 does). A new repository
has one commit with a .gitattributes, as on the Hub. What is ``*.safetensors``, ``*.onnx``, ``*.png``, ``*.wav`` or
larger than 10 MiB is a large file.

Faults happen to requests that match, in the order in which they were asked for, so many times or always::

    hub.fail(Corrupt(), method="GET", path=r"model\\.safetensors$", times=1)
    hub.fail(Status(429, retry_after=1), method="POST", path="/commit/")
    hub.fail(Before(lambda: hub.put("acme/vae", {"x": b"1"})), method="POST", path="/commit/", times=1)

`path` is searched in the decoded path without its query. The content of a large file comes from the storage, at a
path that ends with the file's name too. :class:`Corrupt`, :class:`Slow` and the :class:`Cut` of a download happen to
answers with content only, so a redirect or a HEAD never uses one up; the :class:`Cut` of a PUT or POST takes half of
what is sent.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from double_faults import (
    Answer,
    Before,
    Corrupt,
    Cut,
    Drip,
    Fault,
    Faults,
    Late,
    LostAnswer,
    Request,
    Silent,
    Slow,
    Status,
    Trigger,
)
from double_files import stored
from double_repos import Commit, Huge, Repo
from double_routes import answer
from double_server import Origin
from double_state import State, Token

__all__ = [
    "Before",
    "Corrupt",
    "Cut",
    "Double",
    "Drip",
    "Huge",
    "Late",
    "LostAnswer",
    "Request",
    "Silent",
    "Slow",
    "Status",
    "env",
    "settings",
    "without_settings",
]


class Double:
    """A Hub of its own: set up and looked at from Python, used over HTTP."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        """Every request to either origin, in the order in which they came."""
        self.lock = threading.RLock()
        self.state = State()
        self.faults = Faults()
        self._hub = Origin("hub", self._answer, self.requests, self.faults)
        self._storage = Origin("storage", self._stored, self.requests, self.faults)
        self.endpoint = self.state.endpoint = f"http://127.0.0.1:{self._hub.port}"
        self.state.storage = f"http://localhost:{self._storage.port}"

    def __enter__(self) -> Double:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End both servers with all their connections; those that wait for a silent one too."""
        self._hub.close()
        self._storage.close()

    # Set up.

    def user(
        self,
        name: str,
        token: str,
        role: str = "write",
        orgs: Iterable[str] | Mapping[str, str] = (),
        scopes: Mapping[str, Iterable[str]] | None = None,
    ) -> str:
        """Add a user, or one more token of a user; gives the token.

        `role` is that of the token: ``read``, ``write`` or ``fine-grained``; a fine-grained one has `scopes`, such as
        ``{"acme": ["repo.content.read", "repo.write"]}`` or ``{"acme/vae": ["repo.content.read"]}``. `orgs` are the
        organisations that the user may write to, or a role in each (``read``, ``contributor``, ``write``, ``admin``).
        """
        self.state.tokens[token] = Token(name, role, {key: tuple(value) for key, value in (scopes or {}).items()})
        roles = orgs if isinstance(orgs, Mapping) else dict.fromkeys(orgs, "write")
        self.state.orgs.setdefault(name, {}).update(roles)
        return token

    def repo(
        self, name: str, *, private: bool = False, gated: str | bool = False, downloads: int = 0, likes: int = 0
    ) -> str:
        """Make a repository with its initial commit; gives the name. `gated` is ``"auto"``, ``"manual"`` or False."""
        assert self.state.named(name) is None, f"{name} exists already"
        self.state.repos[name] = Repo(name, private=private, gated=gated, downloads=downloads, likes=likes)
        return name

    def put(
        self,
        name: str,
        files: Mapping[str, bytes | Huge | None],
        *,
        message: str = "A change by somebody else",
        revision: str = "main",
        author: str = "somebody",
    ) -> str:
        """Commit files as somebody else does, where None removes one; gives the id of the commit.

        Makes the repository where it is missing. ``Huge(2**30)`` stands for a gigabyte without holding it.
        """
        with self.lock:
            if self.state.named(name) is None:
                self.repo(name)
            return self._repo(name).add(revision, files, message, author=author).id

    def tag(self, name: str, tag: str, revision: str = "main") -> None:
        """Set a tag, or move it."""
        with self.lock:
            self._repo(name).tags[tag] = self._repo(name).resolve(revision).id

    def branch(self, name: str, branch: str, revision: str = "main") -> None:
        with self.lock:
            self._repo(name).branches[branch] = self._repo(name).resolve(revision).id

    def grant(self, name: str, user: str) -> None:
        """Let a user into a gated repository."""
        self._repo(name).granted.add(user)

    def rename(self, old: str, new: str) -> None:
        """Rename a repository; requests for the old name are redirected."""
        with self.lock:
            self.state.rename(self._repo(old).name, new)

    def spoil(self, name: str, path: str, content: bytes) -> None:
        """Let the storage have other bytes of a large file than those that were uploaded, of another length even."""
        with self.lock:
            repo = self._repo(name)
            repo.objects[repo.head.files[path].sha256] = content

    def remove(self, name: str) -> None:
        """Delete a repository."""
        with self.lock:
            del self.state.repos[self._repo(name).name]

    def fail(self, how: Fault, *, method: str | None = None, path: str = "", times: int | None = None) -> Trigger:
        """Let a fault happen to requests that match, so many times or always. See the head of this file.

        The result counts: ``fault.happened``. ``fault.times = 0`` ends it.
        """
        trigger = Trigger(how, method, re.compile(path), times)
        self.faults.triggers.append(trigger)
        return trigger

    # Look.

    def exists(self, name: str) -> bool:
        return self.state.named(name) is not None

    def private(self, name: str) -> bool:
        return self._repo(name).private

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a revision by path, large ones with their content; those that are :class:`Huge` are left out."""
        with self.lock:
            found = self._repo(name).resolve(revision).files
            return {
                path: bytes(blob.content) for path, blob in sorted(found.items()) if isinstance(blob.content, bytes)
            }

    def commits(self, name: str, revision: str = "main") -> list[Commit]:
        """The commits of a revision, the newest first."""
        with self.lock:
            return self._repo(name).history(revision)

    def head(self, name: str, revision: str = "main") -> str:
        """The id of the newest commit."""
        return self.commits(name, revision)[0].id

    def tags(self, name: str) -> dict[str, str]:
        return dict(self._repo(name).tags)

    def close_pull(self, name: str, number: int) -> None:
        """Close a pull request; its branch stays."""
        with self.lock:
            self._repo(name).closed.add(f"refs/pr/{number}")

    def pulls(self, name: str) -> dict[str, str]:
        """The pull requests: ``refs/pr/1`` to the head of each."""
        return dict(self._repo(name).pulls)

    def objects(self, name: str) -> dict[str, int]:
        """The large files that were uploaded, also those that no commit names: SHA-256 to size."""
        return {oid: len(content) for oid, content in self._repo(name).objects.items()}

    @property
    def writes(self) -> list[Request]:
        """The requests that asked for a change."""
        return [request for request in self.requests if request.writes]

    @property
    def fetched(self) -> list[str]:
        """The files whose content was sent, in order; a file is there once for each time."""
        return [request.file for request in self.requests if request.file is not None]

    @property
    def storage_requests(self) -> list[Request]:
        """The requests to the storage, which must never have a token."""
        return [request for request in self.requests if request.origin == "storage"]

    # Answer.

    def _repo(self, name: str) -> Repo:
        repo = self.state.named(name)
        assert repo is not None, f"the double has no repository {name}"
        return repo

    def _answer(self, request: Request) -> Answer:
        with self.lock:
            return answer(self.state, request)

    def _stored(self, request: Request) -> Answer:
        with self.lock:
            return stored(self.state, request)


def settings(hub: Double, home: Path) -> dict[str, str]:
    """The variables that let a client use the double, with everything that it writes in a folder."""
    return {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home / "huggingface"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


_UNWANTED = re.compile(
    r"(HF|HUGGINGFACE|HUGGING_FACE)_.*|.*_PROXY|TRANSFORMERS_OFFLINE|(REQUESTS_CA|CURL_CA)_BUNDLE", re.I
)


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what whoever runs the tests has set for the Hub, for proxies and for certificates."""
    return {name: value for name, value in environment.items() if not _UNWANTED.fullmatch(name)}


def env(hub: Double, token: str | None = None, *, home: Path) -> dict[str, str]:
    """The environment of a process that uses the double, and writes into `home` only what it keeps."""
    return {**without_settings(os.environ), **settings(hub, home), **({} if token is None else {"HF_TOKEN": token})}
