"""Links from a page to files outside docs/: text becomes a page of its own with highlighted source, an image is copied."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".json": "json", ".js": "javascript", ".mjs": "javascript"}
IMAGES = (".png", ".gif", ".jpg", ".svg")
_LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)(\))")


def links(text: str, change: Callable[[str], str]) -> str:
    """The text with each link outside code changed by `change`, which gets its address."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        lines.append(line if fence else _LINK.sub(lambda found: found[1] + change(found[2]) + found[3], line))
    return "\n".join(lines)


def resolve(page: PurePosixPath, link: str) -> tuple[PurePosixPath, str] | None:
    """The file of the repository that a link of a file of the repository names, and its anchor; None for other links."""
    if re.match(r"[a-z]+:|#|/", link):
        return None
    path, _, anchor = link.partition("#")
    return PurePosixPath(os.path.normpath(page.parent / path)), f"#{anchor}" if anchor else ""


def site_path(file: PurePosixPath) -> PurePosixPath:
    """Where a file of the repository is below docs/ in the site."""
    if file.parts[0] == "docs":
        return file.relative_to("docs")
    if file.suffix in (*IMAGES, ".md"):
        return PurePosixPath("source") / file
    return PurePosixPath("source") / f"{file}.md"


def page(file: PurePosixPath) -> str:
    """The page of a file that is not Markdown."""
    text = (ROOT / file).read_text("utf-8")
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", text))])
    return f"# {file}\n\n{fence}{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
