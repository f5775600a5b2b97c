"""Links from a page to files outside docs/: text becomes a page with highlighted source, and an image is copied."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".toml": "toml",
    ".json": "json",
    ".js": "javascript",
    ".mjs": "javascript",
}
IMAGES = (".png", ".gif", ".jpg", ".svg")
_LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
_BLOCKS = r"^(?:```|~~~).*?^(?:```|~~~)[ \t]*$|<div class=\"output\".*?\n</div>\n"
_BLOCK = re.compile(f"({_BLOCKS})", re.M | re.S)
_CODE = re.compile(f"({_BLOCKS}|`[^`\n]+`)", re.M | re.S)


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Text whose parts outside blocks and spans of code, and outside the output of cells, are changed."""
    parts = _CODE.split(text)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def links(text: str, change: Callable[[str], str]) -> str:
    """The text with each link outside blocks of code changed by `change`, which gets its address."""
    parts = _BLOCK.split(text)
    for number in range(0, len(parts), 2):
        parts[number] = _LINK.sub(lambda found: found[1] + change(found[2]) + found[3], parts[number])
    return "".join(parts)


def resolve(page: PurePosixPath, link: str) -> tuple[PurePosixPath, str] | None:
    """The file of the repository to which a link on a page leads, and its anchor; None for other links."""
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
    language = LANGUAGES.get(file.suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n# {file}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"
