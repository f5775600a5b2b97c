"""Every block of Python and of shell commands in the documentation runs, page by page, with quick recipes.

A page's plugins (blocks that begin with a comment such as ``# zoo_mine/mine.py``, and the entry points beside them) are
installed first, so that its commands can use them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {
    "how-to/hub.md": ("hub/test_hub_guide.py", "hub/test_publish_guide.py", "hub/test_signing.py"),
    "how-to/reproduce.md": ("pipeline/test_reproduce.py",),
    "how-to/ship-weights.md": ("tools/test_new_plugin.py",),
}
"""Pages whose blocks other tests run, with a Hub for example."""
SKIPPED = ("pip install", "npm install", "zoo plugin new", "cd zoo-mine", "pytest", "python -m build")
"""Commands of the guides to plugins that tests/tools/test_new_plugin.py runs in an environment of its own, and
downloads."""
QUICK = [
    (r"vae\.mnist\b", "vae.tiny"),
    (r"\b(mine|coded)\.digits\b", r"\1.tiny"),
    (r"(train|runs/)( ?)vae\.digits(?! --from)", r"\1\2vae.tiny"),
    (r"--set steps=\d+", "--set steps=20"),
    (r"--set data\.size=64", "--set data.size=8"),
    (r"zoo reproduce (\S+)", r"zoo reproduce \1 --quick"),
    (r"zoo gallery", "zoo gallery 'vae.*'"),
    ("~/data", os.environ.get("ZOO_DATA_DIR", "")),
]
"""What takes long, as a test runs it."""


class Block(NamedTuple):
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file of a plugin that the block is, or ""."""
        found = re.match(r"# (\w+/\w+\.py)\n", self.text)
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that run."""
    text = page.read_text("utf-8")
    return [Block(*found) for found in re.findall(r"^```(sh|python|toml)\n(.*?)^```$", text, re.M | re.S)]


def executed(page: Path) -> bool:
    """Whether the page is executed when the site is built (test_site.py)."""
    return page.read_text("utf-8").startswith("---\nnotebook: true\n")


PAGES = {page.relative_to(DOCS).as_posix(): page for page in sorted(DOCS.rglob("*.md"))}
HERE = [name for name, page in PAGES.items() if name not in ELSEWHERE and blocks(page) and not executed(page)]


def install(folder: Path) -> dict[str, str]:
    """Install the plugins of all pages below `folder`, and return the environment that has them."""
    every = [block for page in PAGES.values() if not executed(page) for block in blocks(page)]
    for block in every:
        if block.file:
            path = folder / block.file
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(block.text)
    groups: dict[str, list[str]] = {}
    for block in every:
        for group, point in re.findall(r'^\[project.entry-points."(.*)"\]\n(.*)$', block.text, re.M):
            if (folder / f"{point.split(chr(34))[1].partition(':')[0].replace('.', '/')}.py").is_file():
                groups.setdefault(group, []).append(point.replace('"', ""))
    info = folder / "zoo_mine-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-mine\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("".join("\n".join([f"[{g}]", *points, ""]) for g, points in groups.items()))
    bin = folder / "bin"
    bin.mkdir()
    for program, module in (("zoo", "zoo"), ("python", ""), ("torchrun", "torch.distributed.run")):
        command = f'#!/bin/sh\nexec "{sys.executable}" {f"-m {module} " if module else ""}"$@"\n'
        (bin / program).write_text(command)
        (bin / program).chmod(0o755)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }


def place(folder: Path) -> None:
    """Files of a user's own, as the pages name them."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "photo.jpg"):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / name)
    for number in range(24):
        path = folder / "photos" / ("one" if number % 2 else "two") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 8), np.uint8)).save(path)
    (folder / "rows.csv").write_text("height,width\n" + "".join(f"{n},{n % 7}\n" for n in range(40)))
    (folder / "pyproject.toml").write_text('[project]\nname = "zoo-mine"\n')
    (folder / "notes.txt").write_text("A line of notes.\n" * 200)


def quick(line: str) -> str:
    """The same command with what makes it quick, and replacing what an earlier page of the same folder wrote."""
    for pattern, instead in QUICK:
        line = re.sub(pattern, instead, line)
    if re.match(r"(zoo|torchrun .*zoo) train", line) and "--resume" not in line:
        line = line.partition("  #")[0] + " --force"
    return line


def serve(words: list[str], folder: Path, env: dict[str, str]) -> None:
    """A command that serves until it is stopped: its first page is there."""
    with subprocess.Popen(
        [*words, "0"], cwd=folder, env={**env, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = re.search(r"port (\d+)", process.stdout.readline())
            assert port is not None
            with urllib.request.urlopen(f"http://localhost:{port[1]}/", timeout=10) as answer:
                assert b"<html" in answer.read()
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path) -> None:
    if name == "how-to/data.md" and "ZOO_DATA_DIR" not in os.environ:
        pytest.skip("needs the data set mnist: set ZOO_DATA_DIR")
    env = install(tmp_path)
    folder = tmp_path / "work"
    folder.mkdir()
    place(folder)
    if "node_modules" in PAGES[name].read_text("utf-8"):
        modules = ROOT / "tests" / "web" / "node_modules"
        if not (modules / "onnxruntime-web").is_dir():
            pytest.skip("needs npm packages: run tests/web/setup")
        (folder / "node_modules").symlink_to(modules)
    text = "".join(block.text for block in blocks(PAGES[name]))
    if "runs/vae." in text and "zoo train vae." not in text.partition("runs/vae.")[0]:
        subprocess.run(["zoo", "train", "vae.tiny"], cwd=folder, env=env, check=True, capture_output=True)
    script = ""
    for language, text in blocks(PAGES[name]):
        if language == "sh":
            for line in text.splitlines():
                words = shlex.split(quick(line), comments=True)
                if not words or line.startswith(SKIPPED):
                    continue
                if "http.server" in words:
                    serve(words, folder, env)
                    continue
                for written in (folder / word for option, word in pairwise(words) if option == "-o"):
                    if written.is_dir():  # as somebody who tries one command after the other would
                        shutil.rmtree(written)
                done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
                assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
        elif language == "python" and not Block(language, text).file:
            script += quick(text) + "\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_tests_read_the_pages_that_are_left_out(name: str) -> None:
    for test in ELSEWHERE[name]:
        assert f'"{Path(name).name}"' in (ROOT / "tests" / test).read_text("utf-8"), test
