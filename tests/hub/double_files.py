"""The files of the local double of the Hub: how they are downloaded and uploaded, with large ones on another origin."""

from __future__ import annotations

import re
from urllib.parse import quote

from double_faults import Answer, Request
from double_repos import Blob, Huge, Refused, Repo
from double_state import State, writable


def resolve(state: State, request: Request, name: str, revision: str, path: str) -> Answer:
    """A file: the content itself, or where the storage has it."""
    repo = state.repo(request, name)
    state.open_gate(request, repo)
    commit = repo.resolve(revision)
    if path not in commit.files:
        raise Refused(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.id})
    blob = commit.files[path]
    headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes", "ETag": f'"{blob.oid}"'}
    if not blob.lfs:
        request.file = path
        return ranged(request, blob.content, headers)
    address = signed(state, repo, blob.sha256, path)
    headers |= {"X-Linked-ETag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size), "Location": address}
    return Answer(status=302, headers=headers)


def signed(state: State, repo: Repo, oid: str, path: str = "") -> str:
    """The address of a large file in the storage."""
    return f"{state.storage}/{repo.id}/{oid}/{quote(path)}?X-Amz-Signature={signature(repo, oid)}"


def signature(repo: Repo, oid: str) -> str:
    """What an address of the storage must carry: only the Hub gives it."""
    return f"{hash((repo.id, oid)) & 0xFFFFFFFF:08x}"


def ranged(request: Request, content: bytes | Huge, headers: dict[str, str]) -> Answer:
    """The part of a file that a Range header asks for, or all of it."""
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    size = len(content)
    if not asked or asked[0] == "bytes=-":
        return Answer(content, headers=headers)
    start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    stop = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
    if start >= stop:
        return Answer(status=416, headers={"Content-Range": f"bytes */{size}"})
    return Answer(content[start:stop], 206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"})


def stored(state: State, request: Request) -> Answer:
    """The storage: gives and takes large files, at addresses that the Hub has signed."""
    found = re.fullmatch(r"/([0-9a-f]{24})/([0-9a-f]{64})/(.*)", request.path)
    repo = next((repo for repo in state.repos.values() if found and repo.id == found[1]), None)
    if request.token is not None:
        raise Refused(400, "Only one auth mechanism allowed; a token was sent to the storage.")
    if not found or not repo or request.query.get("X-Amz-Signature") != [signature(repo, found[2])]:
        raise Refused(403, "AccessDenied")
    oid = found[2]
    if request.method == "PUT":
        if Blob(request.body, True).sha256 != oid:
            raise Refused(400, "The SHA-256 of what was sent is another.")
        repo.objects[oid] = request.body
        return Answer(headers={"ETag": f'"{oid}"'})
    if oid not in repo.objects:
        raise Refused(404, "NoSuchKey")
    request.file = found[3]
    return ranged(request, repo.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})


def preupload(state: State, request: Request, name: str, revision: str) -> Answer:
    """How each file is to be uploaded, and the hash of what is there already."""
    repo = writable(state, request, name, pull=request.query.get("create_pr") == ["1"])
    commit = repo.resolve(revision)
    answers = []
    for file in request.json()["files"]:
        path, there = file["path"], commit.files.get(file["path"])
        mode = "lfs" if repo.large(path, file["size"], commit) else "regular"
        answers.append(
            {"path": path, "uploadMode": mode, "shouldIgnore": False, **({"oid": there.oid} if there else {})}
        )
    return Answer({"files": answers})


def batch(state: State, request: Request, name: str) -> Answer:
    """Where to upload large files: nowhere for those that are there."""
    repo = writable(state, request, name, pull=True)
    objects = []
    for wanted in request.json()["objects"]:
        actions = {
            "upload": {"href": signed(state, repo, wanted["oid"])},
            "verify": {"href": f"{state.endpoint}/{repo.name}.git/info/lfs/objects/verify"},
        }
        objects.append({**wanted, **({} if wanted["oid"] in repo.objects else {"actions": actions})})
    return Answer({"transfer": "basic", "objects": objects})


def verify(state: State, request: Request, name: str) -> Answer:
    repo, wanted = writable(state, request, name, pull=True), request.json()
    if len(repo.objects.get(wanted["oid"], b"")) != wanted["size"]:
        raise Refused(404, "The large file was not uploaded whole.")
    return Answer({})
