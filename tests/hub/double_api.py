"""What the local double of the Hub answers to requests that read: users, models, listings, trees, references."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from double_cards import card, tags
from double_faults import Answer, Request
from double_repos import Blob, Commit, Refused, Repo, folders
from double_state import State

INFO = ("author", "sha", "lastModified", "gated", "disabled", "siblings")
LISTED = ("likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt")


def whoami(state: State, request: Request) -> Answer:
    token = state.token(request)
    if token is None:
        raise Refused(401, "Invalid username or password.")
    access: dict[str, Any] = {"displayName": "test", "role": token.role, "createdAt": "2026-01-01T00:00:00.000Z"}
    if token.role == "fine-grained":
        scoped = [
            {
                "entity": {"_id": "0" * 24, "type": "model" if "/" in name else "org", "name": name},
                "permissions": [*given],
            }
            for name, given in token.scopes.items()
        ]
        access |= {"role": "fineGrained", "fineGrained": {"canReadGatedRepos": False, "global": [], "scoped": scoped}}
    orgs = [
        {"type": "org", "id": "1" * 24, "name": name, "fullname": name, "isEnterprise": False, "roleInOrg": role}
        for name, role in state.orgs.get(token.user, {}).items()
    ]
    return Answer(
        {
            "type": "user",
            "id": "2" * 24,
            "name": token.user,
            "fullname": token.user,
            "isPro": False,
            "email": f"{token.user}@example.org",
            "emailVerified": True,
            "canPay": False,
            "avatarUrl": "",
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": access},
        }
    )


def auth_check(state: State, request: Request, name: str, write: str) -> Answer:
    repo = state.repo(request, name)
    if write:
        if request.token is None:
            raise Refused(401, "Invalid username or password.")
        if not state.may_write(state.token(request), name):
            raise Refused(403, "Forbidden: you do not have the right to write to this repository.")
    state.open_gate(request, repo)
    return Answer({})


def _numbers(commit: Commit) -> dict[str, Any] | None:
    """The Hub's count of the numbers of each type in the weights."""
    weights = commit.files.get("model.safetensors")
    content = weights.content if weights else b""
    try:
        assert isinstance(content, bytes)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        counts: dict[str, int] = {}
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + math.prod(tensor["shape"])
    except (AssertionError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return {"parameters": counts, "total": sum(counts.values())}


def _described(repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    """All that the Hub says of a model at one commit."""
    data = card(commit)
    siblings = []
    for path, blob in sorted(commit.files.items()):
        entry: dict[str, Any] = {"rfilename": path}
        if blobs:
            entry |= {"size": blob.size, "blobId": blob.git}
            if blob.lfs:
                entry["lfs"] = {"sha256": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
        siblings.append(entry)
    described = {
        "_id": repo.id,
        "id": repo.name,
        "modelId": repo.name,
        "author": repo.namespace,
        "sha": commit.id,
        "lastModified": commit.time,
        "createdAt": repo.history()[-1].time,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": repo.downloads,
        "likes": repo.likes,
        "trendingScore": 0,
        "tags": tags(data),
        "cardData": data or None,
        "siblings": siblings,
        "pipeline_tag": data.get("pipeline_tag"),
        "library_name": data.get("library_name"),
        "model-index": data.get("model-index"),
        "safetensors": _numbers(commit),
        "usedStorage": sum(map(len, repo.objects.values())),
    }
    return {key: value for key, value in described.items() if value is not None}


def _expanded(request: Request) -> list[str]:
    return [*request.query.get("expand", []), *request.query.get("expand[]", [])]


def model(state: State, request: Request, name: str, revision: str) -> Answer:
    repo = state.repo(request, name)
    described = _described(repo, repo.resolve(revision or "main"), request.query.get("blobs") == ["true"])
    if expand := _expanded(request):
        described = {key: described[key] for key in ("_id", "id", *expand) if key in described}
    return Answer(described)


def models(state: State, request: Request) -> Answer:
    """The listing: what the one who asks may see, by search, author and tags, sorted, page by page."""
    token, query = state.token(request), request.query
    found = [_described(repo, repo.head) for repo in state.repos.values() if state.may_read(token, repo)]
    wanted = {tag for value in query.get("filter", []) for tag in value.split(",")}
    wanted |= {*query.get("pipeline_tag", [])}
    search = query.get("search", [""])[0].lower()
    found = [
        entry
        for entry in found
        if wanted <= {*entry["tags"]}
        and search in entry["id"].lower()
        and entry["author"] in query.get("author", [entry["author"]])
        and ("gated" not in query or (query["gated"] == ["true"]) == bool(entry["gated"]))
    ]
    key = query.get("sort", ["trendingScore"])[0]
    found.sort(key=lambda entry: entry[key], reverse=query.get("direction", ["-1"]) != ["1"])
    keys = _expanded(request) or [*LISTED]
    if "full" in query:
        keys += INFO
    if "cardData" in query:
        keys.append("cardData")
    entries = [{key: entry[key] for key in ("_id", "id", "modelId", *keys) if key in entry} for entry in found]
    return _page(state, request, entries)


def _page(state: State, request: Request, entries: Sequence[Any]) -> Answer:
    """One page of a listing, with the address of the next one in a Link header."""
    size = min(state.page_size, int(request.query.get("limit", [state.page_size])[0]))
    start = int(request.query.get("cursor", ["0"])[0])
    headers = {}
    if start + size < len(entries):
        query = urlencode({**request.query, "cursor": start + size}, doseq=True)
        headers["Link"] = f'<{state.endpoint}{quote(request.path)}?{query}>; rel="next"'
    return Answer([*entries[start : start + size]], headers=headers)


def _entry(path: str, blob: Blob | None, commit: Commit, expand: bool) -> dict[str, Any]:
    """A file, or a folder, as the tree shows it."""
    if blob is None:
        return {"type": "directory", "oid": commit.id, "size": 0, "path": path}
    entry: dict[str, Any] = {"type": "file", "oid": blob.git, "size": blob.size, "path": path}
    if blob.lfs:
        entry["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
    if expand:
        entry["lastCommit"] = {"id": commit.id, "title": commit.title, "date": commit.time}
    return entry


def _entries(commit: Commit, paths: Iterable[str], expand: bool) -> list[dict[str, Any]]:
    known = folders(commit.files)
    return [
        _entry(path, commit.files.get(path), commit, expand) for path in paths if path in commit.files or path in known
    ]


def tree(state: State, request: Request, name: str, revision: str, folder: str) -> Answer:
    commit = state.repo(request, name).resolve(revision)
    above = f"{folder}/" if folder else ""
    known = folders(commit.files)
    if folder and folder not in known:
        raise Refused(404, f"{folder} does not exist on {revision!r}", "EntryNotFound")
    paths = [path for path in sorted({*commit.files, *known}) if path.startswith(above)]
    if request.query.get("recursive", ["false"])[0].lower() != "true":
        paths = [path for path in paths if "/" not in path[len(above) :]]
    expand = request.query.get("expand", ["false"])[0].lower() == "true"
    return _page(state, request, _entries(commit, paths, expand))


def paths_info(state: State, request: Request, name: str, revision: str) -> Answer:
    commit = state.repo(request, name).resolve(revision)
    asked = parse_qs(request.body.decode())
    return Answer(_entries(commit, asked.get("paths", []), asked.get("expand", [""])[0].lower() == "true"))


def refs(state: State, request: Request, name: str) -> Answer:
    repo = state.repo(request, name)

    def listed(values: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
        return [{"name": key, "ref": f"{prefix}{key}", "targetCommit": commit} for key, commit in values.items()]

    found = {"branches": listed(repo.branches, "refs/heads/"), "converts": [], "tags": listed(repo.tags, "refs/tags/")}
    if "include_prs" in request.query:
        found["pullRequests"] = listed(repo.pulls, "")
    return Answer(found)


def commits(state: State, request: Request, name: str, revision: str) -> Answer:
    history = state.repo(request, name).history(revision)
    entries = [
        {"id": commit.id, "title": commit.title, "message": commit.message, "date": commit.time}
        | {"authors": [{"user": commit.author}]}
        for commit in history
    ]
    return _page(state, request, entries)


def discussions(state: State, request: Request, name: str) -> Answer:
    """The pull requests, the newest first; the double has no other discussions."""
    repo = state.repo(request, name)
    wanted = request.query.get("status", ["all"])[0]
    found = []
    for number, (ref, commit) in reversed([*enumerate(repo.pulls.items(), 1)]):
        status = "closed" if ref in repo.closed else "open"
        entry = {"num": number, "title": repo.commits[commit].title, "status": status, "isPullRequest": True}
        entry |= {"author": {"name": repo.commits[commit].author}, "createdAt": repo.commits[commit].time}
        if wanted in ("all", status):
            found.append(entry | {"repo": {"name": repo.name, "type": "model"}})
    start = 50 * int(request.query.get("p", ["0"])[0])
    return Answer({"discussions": found[start : start + 50], "count": len(found), "start": start})
