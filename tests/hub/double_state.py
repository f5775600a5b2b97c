"""What the local double of the Hub knows: users and their tokens, repositories, and who may do what with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from double_faults import Request
from double_repos import Refused, Repo


class Moved(Exception):
    """The repository has another name now."""


@dataclass(frozen=True)
class Token:
    """A token, and what it allows."""

    user: str
    role: str
    """``read``, ``write`` or ``fine-grained``."""
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of a fine-grained token: the permissions for a namespace or repository, such as ``repo.write``."""

    def allows(self, permission: str, repo: str) -> bool:
        if self.role == "fine-grained":
            return any(permission in self.scopes.get(entity, ()) for entity in (repo, repo.partition("/")[0]))
        return self.role == "write" or permission != "repo.write"


@dataclass
class State:
    """All that the Hub knows."""

    storage: str = ""
    """The address of the origin that has the large files."""
    endpoint: str = ""
    tokens: dict[str, Token] = field(default_factory=dict)
    orgs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each user: the organisations, and the role in each."""
    repos: dict[str, Repo] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_size: int = 1000

    def token(self, request: Request) -> Token | None:
        """Who asks. Raises :class:`Refused` for a token that is none."""
        if request.token is None:
            return None
        if request.token not in self.tokens:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.tokens[request.token]

    def role(self, token: Token | None, namespace: str) -> str | None:
        """The role of a user in a namespace: admin of the own one, and what an organisation gave."""
        if token is None:
            return None
        return "admin" if token.user == namespace else self.orgs.get(token.user, {}).get(namespace)

    def may_read(self, token: Token | None, repo: Repo) -> bool:
        if not repo.private:
            return True
        return self.role(token, repo.namespace) is not None and token.allows("repo.content.read", repo.name)  # type: ignore[union-attr]

    def may_write(self, token: Token | None, name: str) -> bool:
        role = self.role(token, name.partition("/")[0])
        return role in ("admin", "write", "contributor") and token.allows("repo.write", name)  # type: ignore[union-attr]

    def named(self, name: str) -> Repo | None:
        """A repository by its name, whatever the case."""
        return next((repo for known, repo in self.repos.items() if known.lower() == name.lower()), None)

    def rename(self, old: str, new: str) -> None:
        self.repos[new] = self.repos.pop(old)
        self.repos[new].name = new
        self.renamed = {known: new if now == old else now for known, now in self.renamed.items()} | {old: new}
        self.renamed.pop(new, None)

    def repo(self, request: Request, name: str) -> Repo:
        """The repository that a request may read.

        Raises :class:`Moved` for one that was renamed. One that is missing and one that is private look the same.
        """
        token = self.token(request)
        found = self.named(name) or self.named(self.renamed.get(name, ""))
        if found is None or not self.may_read(token, found):
            raise Refused(404 if token else 401, "Repository not found", "RepoNotFound")
        if found.name.lower() != name.lower():
            raise Moved(found.name)
        return found

    def open_gate(self, request: Request, repo: Repo) -> None:
        """Raise :class:`Refused` where a gated repository does not let this user in."""
        token = self.token(request)
        if not repo.gated or (token and (self.role(token, repo.namespace) or token.user in repo.granted)):
            return
        begin = f"Access to model {repo.name} is restricted"
        if token is None:
            raise Refused(
                401,
                f"{begin}. You must have access to it and be authenticated to access it. Please log in.",
                "GatedRepo",
            )
        where = f"Visit {self.endpoint}/{repo.name} to ask for access."
        raise Refused(403, f"{begin} and you are not in the authorized list. {where}", "GatedRepo")


def writable(state: State, request: Request, name: str, pull: bool = False) -> Repo:
    """The repository that a request may write to, or at least open a pull request on."""
    token = state.token(request)
    repo = state.repo(request, name)
    if token is None:
        raise Refused(401, "Invalid username or password.")
    if token.role == "read":
        raise Refused(403, "Forbidden: this token has no write access, only read access.")
    if not pull and not state.may_write(token, repo.name):
        raise Refused(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
    return repo
