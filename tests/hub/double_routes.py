"""The addresses of the local double of the Hub, and the function that answers each."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import double_api as api
import double_collections as collections
import double_files as files
import double_write as write
from double_faults import Answer, Request
from double_repos import Refused
from double_state import Moved, State

NAME = r"([^/]+/[^/]+)"
MODEL = f"/api/models/{NAME}"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/api/whoami-v2", api.whoami),
    ("POST", "/api/validate-yaml", write.validate_yaml),
    ("POST", "/api/repos/create", write.create),
    ("DELETE", "/api/repos/delete", write.delete),
    ("POST", "/api/repos/move", write.move),
    ("GET", "/api/models", api.models),
    ("GET", f"{MODEL}/auth-check(/write)?", api.auth_check),
    ("GET", f"{MODEL}(?:/revision/(.+))?", api.model),
    ("GET", f"{MODEL}/refs", api.refs),
    ("GET", f"{MODEL}/discussions", api.discussions),
    ("GET", f"{MODEL}/commits/(.+)", api.commits),
    ("GET", f"{MODEL}/tree/([^/]+)(?:/(.*))?", api.tree),
    ("POST", f"{MODEL}/paths-info/(.+)", api.paths_info),
    ("POST", f"{MODEL}/preupload/(.+)", files.preupload),
    ("POST", f"{MODEL}/commit/(.+)", write.commit),
    ("POST", f"{MODEL}/tag/(.+)", write.create_tag),
    ("DELETE", f"{MODEL}/tag/(.+)", write.delete_tag),
    ("POST", f"{MODEL}/branch/(.+)", write.create_branch),
    ("DELETE", f"{MODEL}/branch/(.+)", write.delete_branch),
    ("PUT", f"{MODEL}/settings", write.settings),
    ("POST", "/api/collections", collections.create),
    ("GET", "/api/collections", collections.listed),
    ("GET", f"/api/collections/{NAME}", collections.get),
    ("POST", f"/api/collections/{NAME}/items", collections.add_item),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", files.batch),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/verify", files.verify),
    ("GET", f"/{NAME}/resolve/([^/]+)/(.+)", files.resolve),
]
"""Method, path and function; the groups of the path are decoded and given to the function."""


def answer(state: State, request: Request) -> Answer:
    """Answer a request to the Hub. Raises :class:`Refused` for what the Hub refuses."""
    method = "GET" if request.method == "HEAD" else request.method
    state.token(request)
    for wanted, pattern, function in ROUTES:
        found = re.fullmatch(pattern, request.raw)
        if wanted == method and found:
            try:
                return function(state, request, *(unquote(group or "") for group in found.groups()))
            except Moved as moved:
                return _redirected(request, found, str(moved))
    raise Refused(404, "Sorry, we can't find the page you are looking for.")


def _redirected(request: Request, found: re.Match[str], name: str) -> Answer:
    """The redirect of a request for a repository to its new name."""
    start, stop = found.span(1)
    query = f"?{request.asked}" if request.asked else ""
    return Answer(status=307, headers={"Location": f"{request.raw[:start]}{name}{request.raw[stop:]}{query}"})
