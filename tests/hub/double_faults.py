"""What the local double of the Hub is sent, what it answers, and the faults that a test asks for."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from double_repos import Huge, Refused

_HARMLESS = re.compile(r"/api/validate-yaml|/api/models/[^/]+/[^/]+/(preupload|paths-info)/")


@dataclass(eq=False)
class Request:
    """A request as it came, and how it was answered."""

    origin: Literal["hub", "storage"]
    method: str
    path: str
    """Decoded, without the query."""
    query: dict[str, list[str]]
    headers: dict[str, str]
    """With names in lower case."""
    body: bytes = b""
    status: int | None = None
    """None where no answer was sent."""
    file: str | None = None
    """The file of a repository whose content the answer holds."""
    raw: str = ""
    """The path as it came, percent-encoded."""
    asked: str = ""
    """The query as it came."""

    @property
    def token(self) -> str | None:
        """The token that came along; None without an Authorization header."""
        given = self.headers.get("authorization")
        return None if given is None else given.removeprefix("Bearer ")

    @property
    def writes(self) -> bool:
        """Whether it asks for a change: validating a card or asking how to upload does not."""
        return self.method not in ("GET", "HEAD") and not _HARMLESS.match(self.path)

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status}"

    __repr__ = __str__


@dataclass
class Answer:
    """An answer to send; a value that is not bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.body, (bytes, Huge)):
            self.body = json.dumps(self.body).encode()
            self.headers = {"Content-Type": "application/json; charset=utf-8", **self.headers}


def error(refused: Refused) -> Answer:
    """The answer of the Hub to what it refuses: the reason in headers, and again in the body."""
    headers = {"X-Error-Message": refused.message.replace("\n", " "), **refused.headers}
    if refused.code:
        headers["X-Error-Code"] = refused.code
    return Answer({"error": refused.message, **refused.more}, refused.status, headers)


@dataclass(frozen=True)
class Status:
    """Answer with this status instead of doing the work."""

    status: int
    retry_after: int | None = None
    message: str = "The double was asked to fail."
    code: str = ""
    """X-Error-Code, such as RepoNotFound, GatedRepo, RevisionNotFound or EntryNotFound."""


@dataclass(frozen=True)
class Cut:
    """Take or send half of the body, then break the connection: by a reset, or as a server does that was stopped."""

    reset: bool = True


@dataclass(frozen=True)
class Corrupt:
    """Flip a bit in the middle of the body; length and headers stay as they are."""


@dataclass(frozen=True)
class Slow:
    """Send the body at so many bytes a second."""

    rate: float


@dataclass(frozen=True)
class Silent:
    """Accept, and answer nothing until the double is closed."""


@dataclass(frozen=True)
class Drip:
    """Answer with a head that never ends, a byte at a time."""


@dataclass(frozen=True)
class LostAnswer:
    """Do the work, then close the connection without an answer."""


@dataclass(frozen=True)
class Late:
    """Take the request, wait for the event, and do the work only then, without an answer."""

    go: threading.Event


@dataclass(frozen=True)
class Before:
    """Call this before the work is done, for instance to put a commit of somebody else there."""

    action: Callable[[], object]


Fault = Status | Cut | Corrupt | Slow | Silent | Drip | LostAnswer | Late | Before
_OF_CONTENT = (Corrupt, Slow)


@dataclass(eq=False)
class Trigger:
    """When a fault happens: to requests that match, and how many times more (None: always)."""

    how: Fault
    method: str | None
    path: re.Pattern[str]
    times: int | None
    happened: int = 0

    def matches(self, request: Request, of_content: bool) -> bool:
        """Whether the fault happens to this request now: as it comes, or to the content that answers it."""
        at_content = isinstance(self.how, _OF_CONTENT)
        if isinstance(self.how, Cut):
            at_content = request.method not in ("PUT", "POST")
        wanted = self.method in (None, request.method) and self.times != 0
        return at_content == of_content and wanted and bool(self.path.search(request.path))


class Faults:
    """The faults that were asked for, in that order."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []
        self.lock = threading.Lock()

    def take(self, request: Request, of_content: bool) -> Fault | None:
        """The fault that happens to this request now, if any; it is counted."""
        with self.lock:
            for trigger in self.triggers:
                if trigger.matches(request, of_content):
                    trigger.happened += 1
                    if trigger.times is not None:
                        trigger.times -= 1
                    return trigger.how
        return None
