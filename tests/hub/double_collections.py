"""The collections of the local double of the Hub."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from double_faults import Answer, Request
from double_repos import Refused
from double_state import State


def create(state: State, request: Request) -> Answer:
    given = request.json()
    _check(state, request, given["namespace"])
    begin = re.sub(r"[^a-z0-9]+", "-", given["title"].lower()).strip("-")
    slug = f"{given['namespace']}/{begin}-{hashlib.sha1(begin.encode()).hexdigest()[:24]}"
    if slug in state.collections:
        raise Refused(409, "This collection already exists", slug=slug)
    state.collections[slug] = {
        "slug": slug,
        "title": given["title"],
        "description": given.get("description"),
        "items": [],
        "owner": {"name": given["namespace"], "type": "org"},
        "private": given.get("private", False),
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "position": 0,
        "theme": "green",
        "upvotes": 0,
    }
    return Answer(state.collections[slug])


def get(state: State, request: Request, slug: str) -> Answer:
    return Answer(_visible(state, request, slug))


def listed(state: State, request: Request) -> Answer:
    owners = request.query.get("owner")
    found = [known for slug, known in state.collections.items() if not owners or slug.partition("/")[0] in owners]
    return Answer([{key: value for key, value in known.items() if key != "position"} for known in found])


def add_item(state: State, request: Request, slug: str) -> Answer:
    given = request.json()
    collection, item = _visible(state, request, slug), given["item"]
    _check(state, request, slug.partition("/")[0])
    state.repo(request, item["id"])
    if any(known["id"] == item["id"] and known["type"] == item["type"] for known in collection["items"]):
        raise Refused(409, "The item is in the collection already")
    position = len(collection["items"])
    note = {"text": given["note"], "html": given["note"]} if "note" in given else None
    entry = {"_id": f"{position:024x}", "id": item["id"], "type": item["type"], "position": position}
    collection["items"].append(entry | ({"note": note} if note else {}))
    return Answer(collection)


def _visible(state: State, request: Request, slug: str) -> dict[str, Any]:
    found = state.collections.get(slug)
    if not found or (found["private"] and not state.role(state.token(request), slug.partition("/")[0])):
        raise Refused(404, "Collection not found")
    return found


def _check(state: State, request: Request, namespace: str) -> None:
    token = state.token(request)
    if token is None:
        raise Refused(401, "Invalid username or password.")
    if not state.may_write(token, f"{namespace}/"):
        raise Refused(403, f'You don\'t have the rights to write under the namespace "{namespace}"')
