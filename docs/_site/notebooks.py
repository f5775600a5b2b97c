"""Pages that are executed: a page of Markdown as a notebook, and a notebook with its outputs as a page."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SECONDS = 900
"""The longest time that a cell may take."""
LINES = 40
"""Longer printed output is cut in the middle."""


@dataclass(frozen=True)
class Page:
    """An executed page."""

    notebook: str
    """The notebook with its outputs, as JSON."""
    text: str
    """The page in Markdown, with what each cell printed and displayed."""
    images: dict[str, bytes] = field(default_factory=dict)
    """The content of the images that it displays, by file name."""


def notebook(text: str) -> nbformat.NotebookNode:
    """A page as a notebook: its blocks of Python and of shell commands are the cells. A command that fails is an error.

    `text` has no front matter. What a cell must do for the site alone is between ``<!-- hidden`` and ``-->``.
    """
    book = jupytext.reads(text, fmt="md")
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith("%%sh"):
            cell.source = cell.source.replace("%%sh", "%%sh -e", 1)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book  # type: ignore[no-any-return]


def execute(text: str, folder: Path, name: str, environment: dict[str, str] | None = None) -> Page:
    """Execute a page in `folder`, and return it with its outputs. `name` is that of its images.

    Raises :class:`CellExecutionError` with the cell and its output if a cell fails.
    """
    book = notebook(text)
    bin = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "100"}
    client = NotebookClient(
        book,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],  # not the warning that it uses TCP of this machine
    )
    client.execute(env={**env, **(environment or {})})
    images: dict[str, bytes] = {}
    parts = []
    for cell in book.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else _code(cell, name, images))
    return Page(json.dumps(book, indent=1), "\n\n".join(parts) + "\n", images)


def _code(cell: nbformat.NotebookNode, name: str, images: dict[str, bytes]) -> str:
    """A cell and its outputs in Markdown."""
    language, source = "python", cell.source
    if source.startswith("%%sh"):
        language, source = "sh", source.partition("\n")[2]
    parts = [f"```{language}\n{source}\n```"]
    printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    if printed.strip():
        parts.append(_printed(printed))
    for output in cell.outputs:
        if output.output_type in ("display_data", "execute_result"):
            parts.append(_displayed(output.data, name, images))
    return "\n\n".join(parts)


def _printed(text: str) -> str:
    """What a cell printed."""
    lines = [line.rpartition("\r")[2].rstrip() for line in text.strip("\n").split("\n")]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], "…", *lines[-LINES // 2 :]]
    return "```{ .text .output }\n" + "\n".join(lines) + "\n```"


def _displayed(data: Any, name: str, images: dict[str, bytes]) -> str:
    """What a cell displayed: HTML, an image, or text, the first that there is."""
    if "text/html" in data:
        return f'<div class="output" markdown="0">\n{data["text/html"]}\n</div>'
    if "image/png" in data:
        file = f"{name}-{len(images)}.png"
        images[file] = base64.b64decode(data["image/png"])
        return f"![What the cell displays]({file}){{ .output }}"
    return _printed(data["text/plain"])


__all__ = ["CellExecutionError", "Page", "execute", "notebook"]
