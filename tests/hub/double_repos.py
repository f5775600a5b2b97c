"""The repositories of the local double of the Hub: commits, branches, tags and files, in memory, as git counts them."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any

LARGE = 10 * 2**20
ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in ("*.safetensors", "*.onnx", "*.png", "*.wav")
).encode()
"""The .gitattributes of a new repository: which files are stored as large ones, whatever their size."""

_FULL_COMMIT = re.compile(r"[0-9a-f]{40}")
_ids = count(1)


class Refused(Exception):
    """An answer that is an error, with the code and the message that the Hub sends in headers."""

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers, self.more = status, message, code, headers or {}, more


class Huge:
    """The content of a file that is large and never held: zeros, with a made-up hash."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes | Huge:
        start, stop, _ = part.indices(self.size)
        return bytes(stop - start) if stop - start <= LARGE else Huge(stop - start)


@dataclass(frozen=True)
class Blob:
    """One version of a file."""

    content: bytes | Huge
    lfs: bool

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(b"huge" if isinstance(self.content, Huge) else self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        """What git stores of a large file."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return text.encode()

    @cached_property
    def git(self) -> str:
        """The hash by which git knows the file: of its content, or of the pointer to it."""
        stored = self.pointer if self.lfs else self.content
        assert isinstance(stored, bytes), "what is huge is a large file"
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def oid(self) -> str:
        return self.sha256 if self.lfs else self.git

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace") if isinstance(self.content, bytes) else ""


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: datetime
    files: Mapping[str, Blob]

    @property
    def time(self) -> str:
        return self.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    @property
    def tree(self) -> dict[str, str]:
        """The hash of each file, as the client compares it."""
        return {path: blob.oid for path, blob in self.files.items()}


@dataclass
class Repo:
    """A repository of one model."""

    name: str
    private: bool = False
    gated: str | bool = False
    downloads: int = 0
    likes: int = 0
    granted: set[str] = field(default_factory=set)
    """Users whom a gated repository lets in."""
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, str] = field(default_factory=dict)
    """``refs/pr/1`` to the head of that pull request."""
    closed: set[str] = field(default_factory=set)
    """Those of them that were closed."""
    objects: dict[str, bytes | Huge] = field(default_factory=dict)
    """The large files that were uploaded, by SHA-256, whether or not a commit names them."""

    def __post_init__(self) -> None:
        self.id = f"{next(_ids):024x}"
        self.add("main", {".gitattributes": ATTRIBUTES}, "initial commit", author=self.namespace)

    @property
    def namespace(self) -> str:
        return self.name.partition("/")[0]

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, tag, pull request or full commit id; a short id is none of these."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        for refs in (self.branches, self.tags, self.pulls):
            if name in refs:
                return self.commits[refs[name]]
        if _FULL_COMMIT.fullmatch(revision) and revision in self.commits:
            return self.commits[revision]
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def large(self, path: str, size: int, commit: Commit | None = None) -> bool:
        """Whether a file is stored as a large one, by the .gitattributes of a commit and its size."""
        rules = (commit or self.head).files.get(".gitattributes")
        lines = rules.text.splitlines() if rules else []
        patterns = [line.split()[0] for line in lines if "filter=lfs" in line]
        name = path.rpartition("/")[2]
        return size > LARGE or any(fnmatch.fnmatch(name, rule) or fnmatch.fnmatch(path, rule) for rule in patterns)

    def add(
        self,
        revision: str,
        files: Mapping[str, bytes | Huge | None],
        title: str,
        message: str = "",
        author: str = "",
    ) -> Commit:
        """Commit these files, where None removes one. Nothing that changes means no commit: the head is returned."""
        parent = self.resolve(revision) if self.commits else None
        blobs = dict(parent.files) if parent else {}
        for path, content in files.items():
            if content is None:
                del blobs[path]
                continue
            if isinstance(content, Huge) and content.size <= LARGE:
                content = bytes(content.size)
            lfs = bool(self.commits) and self.large(path, len(content), parent)
            blobs[path] = Blob(content, lfs)
            if lfs:
                self.objects[blobs[path].sha256] = content
        return self.record(revision, blobs, title, message, author)

    def record(
        self, revision: str, files: Mapping[str, Blob], title: str, message: str, author: str, pull: bool = False
    ) -> Commit:
        """Make a commit with exactly these files the head of a branch or of a pull request, new if `pull`."""
        parent = self.resolve(revision) if self.commits else None
        date = parent.date + timedelta(seconds=1) if parent else datetime.now(UTC).replace(microsecond=0)
        identity = hashlib.sha1(f"{self.id} {len(self.commits)} {title} {message}".encode()).hexdigest()
        commit = Commit(identity, parent.id if parent else None, title, message, author, date, dict(files))
        if parent and not pull and commit.tree == parent.tree:
            return parent
        self.commits[commit.id] = commit
        if pull:
            self.pulls[f"refs/pr/{len(self.pulls) + 1}"] = commit.id
        else:
            (self.pulls if revision in self.pulls else self.branches)[revision.removeprefix("refs/heads/")] = commit.id
        return commit

    def history(self, revision: str = "main") -> list[Commit]:
        """The commits of a revision, the newest first."""
        found = [self.resolve(revision)]
        while found[-1].parent:
            found.append(self.commits[found[-1].parent])
        return found


def folders(paths: Iterable[str]) -> set[str]:
    """Every folder above these files."""
    return {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
