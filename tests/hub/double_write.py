"""What the local double of the Hub answers to requests that write: repositories, commits, tags, branches."""

from __future__ import annotations

import base64
import json
from typing import Any

from double_cards import front_matter
from double_faults import Answer, Request
from double_repos import Blob, Commit, Refused, Repo
from double_state import State, writable


def create(state: State, request: Request) -> Answer:
    given = request.json()
    token = state.token(request)
    if token is None:
        raise Refused(401, "Invalid username or password.")
    namespace = given.get("organization") or token.user
    name = f"{namespace}/{given['name']}"
    if not state.may_write(token, name):
        raise Refused(403, f'You don\'t have the rights to create a model under the namespace "{namespace}"')
    if found := state.named(name):
        raise Refused(409, "You already created this model repo", url=f"{state.endpoint}/{found.name}")
    private = given.get("visibility") == "private" or given.get("private", False)
    state.repos[name] = repo = Repo(name, private=private)
    return Answer({"url": f"{state.endpoint}/{name}", "name": name, "id": repo.id})


def delete(state: State, request: Request) -> Answer:
    given, token = request.json(), state.token(request)
    namespace = given.get("organization") or (token.user if token else "")
    del state.repos[writable(state, request, f"{namespace}/{given['name']}").name]
    return Answer({})


def move(state: State, request: Request) -> Answer:
    given = request.json()
    repo = writable(state, request, given["fromRepo"])
    if state.named(given["toRepo"]):
        raise Refused(409, "The new name is taken.")
    if not state.may_write(state.token(request), given["toRepo"]):
        raise Refused(403, "You don't have the rights to create a model there.")
    state.rename(repo.name, given["toRepo"])
    return Answer({})


def settings(state: State, request: Request, name: str) -> Answer:
    given, repo = request.json(), writable(state, request, name)
    repo.private = given.get("visibility", "private" if repo.private else "public") == "private"
    repo.gated = given.get("gated", repo.gated)
    return Answer({"private": repo.private, "gated": repo.gated})


def validate_yaml(state: State, request: Request) -> Answer:
    data = front_matter(request.json()["content"])
    missing = [] if data else [{"message": "empty or missing yaml metadata in repo card"}]
    return Answer({"errors": [], "warnings": missing})


def commit(state: State, request: Request, name: str, revision: str) -> Answer:
    """One commit of all that the lines of the body ask for, or none of it."""
    pull = request.query.get("create_pr") == ["1"]
    repo = writable(state, request, name, pull)
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    head = repo.resolve(revision)
    if revision not in (*repo.branches, *repo.pulls):
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    if header.get("parentCommit") not in (None, head.id):
        raise Refused(412, "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for line in lines:
        if line["key"] != "header":
            _apply(repo, files, line["key"], line["value"])
    if "README.md" in files:
        front_matter(files["README.md"].text)
    token = state.token(request)
    user = token.user if token else ""
    made = repo.record(revision, files, header["summary"], header.get("description", ""), user, pull)
    answer: dict[str, Any] = {
        "success": True,
        "commitOid": made.id,
        "hookOutput": "",
        "commitUrl": f"{state.endpoint}/{repo.name}/commit/{made.id}",
    }
    if pull:
        answer["pullRequestUrl"] = f"{state.endpoint}/{repo.name}/discussions/{len(repo.pulls)}"
    return Answer(answer)


def _apply(repo: Repo, files: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    """Let one line of a commit change the files."""
    path = value["path"]
    if key == "file":
        files[path] = Blob(base64.b64decode(value["content"]), lfs=False)
    elif key == "lfsFile":
        if value["oid"] not in repo.objects:
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        files[path] = Blob(repo.objects[value["oid"]], lfs=True)
    elif key in ("deletedFile", "deletedFolder"):
        gone = [known for known in files if known == path or known.startswith(path.rstrip("/") + "/")]
        if key == "deletedFile":
            gone = [known for known in gone if known == path]
        if not gone:
            raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        for known in gone:
            del files[known]
    else:
        raise Refused(400, f"The double knows no {key!r} in a commit.")


def create_tag(state: State, request: Request, name: str, revision: str) -> Answer:
    repo, tag = writable(state, request, name), request.json()["tag"]
    target = repo.resolve(revision)
    if tag in repo.tags:
        raise Refused(409, "Reference already exists")
    repo.tags[tag] = target.id
    return Answer({"name": tag})


def delete_tag(state: State, request: Request, name: str, tag: str) -> Answer:
    if writable(state, request, name).tags.pop(tag, None) is None:
        raise Refused(404, f"Invalid rev id: {tag}", "RevisionNotFound")
    return Answer({})


def create_branch(state: State, request: Request, name: str, branch: str) -> Answer:
    repo = writable(state, request, name)
    target: Commit = repo.resolve(request.json().get("startingPoint", "main"))
    if branch in repo.branches:
        raise Refused(409, "Reference already exists")
    repo.branches[branch] = target.id
    return Answer({"name": branch})


def delete_branch(state: State, request: Request, name: str, branch: str) -> Answer:
    repo = writable(state, request, name)
    if branch == "main":
        raise Refused(403, "Cannot delete the branch main")
    if repo.branches.pop(branch, None) is None:
        raise Refused(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    return Answer({})
