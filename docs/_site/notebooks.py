"""Pages that are executed: a page of Markdown as a notebook, and a notebook with its outputs as a page."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SECONDS = 900
"""The longest time that a cell may take."""
LINES = 40
"""Longer printed output is cut in the middle."""
PACKAGES = Path(__file__).resolve().parents[2] / "tests" / "web" / "node_modules"
"""The packages of Node that ``make browser`` installs."""
HEADER = "---\njupyter:\n  kernelspec:\n    display_name: Python 3\n    language: python\n    name: python3\n---\n\n"
"""Without it jupytext takes the language of most cells for that of the notebook."""
SKIPPED = "not-executed"
"""The tag of cells that are not executed."""


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

    `text` has no front matter.
    """
    book = jupytext.reads(HEADER + text, fmt="md")
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith("%%sh"):
            cell.source = cell.source.replace("%%sh", "%%sh -e", 1)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book  # type: ignore[no-any-return]


def execute(text: str, folder: Path, name: str) -> Page:
    """Execute a page in `folder`, and return it with its outputs. `name` is that of its images.

    The page has a virtual environment and a home of its own, so it may install packages: only `folder` changes. Cells
    that run Node are skipped, and say so, where Node or its packages are missing. Raises :class:`CellExecutionError`
    with the cell and its output if a cell fails.
    """
    book = notebook(text)
    _skip_without_node(book)
    with tempfile.TemporaryDirectory(prefix="zoo-page-") as own:
        python = _environment(Path(own) / "environment")
        if PACKAGES.is_dir():
            (folder / "node_modules").symlink_to(PACKAGES)
        where = {"metadata": {"path": str(folder)}}
        client = _Client(book, timeout=SECONDS, coalesce_streams=True, skip_cells_with_tag=SKIPPED, resources=where)
        client.own, client.python = Path(own), python
        try:
            client.execute(env=_variables(python, Path(own) / "home"))
        finally:
            if PACKAGES.is_dir():
                (folder / "node_modules").unlink()
    _relative(book, folder)
    images: dict[str, bytes] = {}
    parts = []
    for cell in book.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else _code(cell, name, images))
    return Page(json.dumps(book, indent=1), "\n\n".join(parts) + "\n", images)


def _environment(folder: Path) -> Path:
    """The Python of a new virtual environment that sees the packages of this one; pip installs into it, offline."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    lent = sysconfig.get_paths()["purelib"]
    site = next(folder.rglob("site-packages"))
    (site / "lent.pth").write_text(f"import site; site.addsitedir({lent!r})\n")  # with the .pth files that are there
    python = folder / "bin" / "python"
    for module in ("zoo", "pytest", "jupyter"):
        _program(python, module, f'-m {module} "$@"')
    # Built with the packages that are there: a page is executed without a network.
    _program(python, "pip", '-m pip "$@" --no-build-isolation --no-index')
    return python


def _program(python: Path, name: str, arguments: str) -> None:
    """A program of an environment."""
    program = python.parent / name
    program.write_text(f"#!/bin/sh\nexec {shlex.quote(str(python))} {arguments}\n")
    program.chmod(0o755)


class _Client(NotebookClient):
    """Starts its kernel with the Python of a page, and keeps the files of the kernel in a folder of its own."""

    own: Path
    python: Path

    def create_kernel_manager(self) -> AsyncKernelManager:
        folder = self.own / "kernels" / "python3"
        folder.mkdir(parents=True)
        command = [str(self.python), "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": "Python 3", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        self.km = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder.parent)]),
            connection_file=str(self.own / "connection.json"),
        )
        return self.km


def _variables(python: Path, home: Path) -> dict[str, str]:
    """The environment variables of a page: nothing of the user's home is read or written."""
    (home / "tmp").mkdir(parents=True)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ZOO_", "HF_", "XDG_", "JUPYTER"))
    }
    return {
        **inherited,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",  # results do not depend on the number of cores
        "HF_HUB_OFFLINE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "NODE_NO_WARNINGS": "1",  # IPython asks for colours, NO_COLOR for none
    }


def _skip_without_node(book: nbformat.NotebookNode) -> None:
    """Mark the cells that run Node where it, or a package, is missing."""
    if shutil.which("node") and PACKAGES.is_dir():
        return
    said = "Not executed when this page was built: it needs Node and its packages.\n"
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith("%%sh") and "\nnode " in cell.source:
            cell.metadata["tags"] = [SKIPPED]
            cell.outputs = nbformat.from_dict([{"output_type": "stream", "name": "stdout", "text": said}])  # type: ignore[no-untyped-call]


def _relative(book: nbformat.NotebookNode, folder: Path) -> None:
    """Print the paths of files in `folder` without it, which is gone when the page is read."""
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                for absolute in (folder, folder.resolve()):
                    output.text = output.text.replace(f"{absolute}{os.sep}", "")


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
