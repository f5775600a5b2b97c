"""Builds the documentation site from docs/: python docs/_site/build.py [--quick] [--output DIR].

First the pages are made whole in build/docs: pages that say ``notebook: true`` are executed and get their outputs,
linked files of the repository get pages, equations become MathML, which browsers display without a script, and the
gallery is written. Then Zensical makes the site of mkdocs.yml from them, strictly.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import notebooks
import sources
from latex2mathml.converter import convert

ROOT = sources.ROOT
PAGES = ROOT / "build" / "docs"
FRONT = re.compile(r"\A---\n(.*?)\n---\n+", re.DOTALL)
LONG = 40
"""An inline equation of more characters scrolls on a phone."""
MATH = re.compile(r"(?<![\\$])\$\$(?P<block>[^$]+)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?![\w$])")


def main() -> None:
    """Build the site."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="execute nothing, and leave out the gallery")
    parser.add_argument("--output", type=Path, metavar="DIR", help="copy the site there (default: it is in build/site)")
    options = parser.parse_args()
    shutil.rmtree(PAGES, ignore_errors=True)
    prepare(PAGES, quick=options.quick)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(re.sub(r"\x1b\[[\d;]*m", "", done.stdout.partition("Traceback")[0]), end="")
    if done.returncode:
        sys.exit("The site was not built: mend what is reported above.")
    own_worker(ROOT / "build" / "site")
    if options.output:
        shutil.copytree(ROOT / "build" / "site", options.output, dirs_exist_ok=True)


def prepare(out: Path, *, quick: bool) -> None:
    """Write the whole pages below `out`."""
    waiting = [
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for path in sorted((ROOT / "docs").rglob("*"))
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    seen = set(waiting)
    while waiting:
        file = waiting.pop(0)
        target = out / sources.site_path(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix != ".md":
            shutil.copyfile(ROOT / file, target)
            continue
        text, linked = page(file, target, quick=quick)
        target.write_text(text, "utf-8")
        new = [one for one in linked if one not in seen and (ROOT / one).is_file()]
        seen.update(new)
        waiting += new
    if not quick:
        gallery(out)


def page(file: PurePosixPath, target: Path, *, quick: bool) -> tuple[str, list[PurePosixPath]]:
    """The whole text of a page, and the files of the repository to which it links."""
    if file.suffix != ".md":
        return sources.page(file), []
    text = (ROOT / file).read_text("utf-8")
    front = FRONT.match(text)
    text = text[front.end() :] if front else text
    if front and re.search(r"^notebook: true$", front[1], re.MULTILINE) and not quick:
        text = executed(file, text, target)
    here, found = sources.site_path(file).parent, []

    def change(link: str) -> str:
        resolved = sources.resolve(file, link)
        if resolved is None:
            return link
        found.append(resolved[0])
        return os.path.relpath(sources.site_path(resolved[0]), here) + resolved[1]

    return sources.outside_code(sources.links(text, change), mathml), found


def executed(file: PurePosixPath, text: str, target: Path) -> str:
    """The text of a page with its outputs; its notebook and its images are written beside it."""
    name = target.stem
    print(f"Executing {file} …", flush=True)
    with tempfile.TemporaryDirectory(prefix="zoo-docs-") as folder:
        try:
            done = notebooks.execute(text, Path(folder), name)
        except notebooks.CellExecutionError as error:
            sys.exit(f"{file}: a cell fails.\n{error}")
    target.with_suffix(".ipynb").write_text(done.notebook, "utf-8")
    for image, content in done.images.items():
        (target.parent / image).write_bytes(content)
    title, _, rest = done.text.partition("\n")
    return f"{title}\n\n[This page as a notebook]({name}.ipynb){{ .notebook }}\n{rest}"


def mathml(text: str) -> str:
    """Text with its equations as MathML."""

    def one(found: re.Match[str]) -> str:
        if found["block"]:
            return f'<div class="equation">{convert(found["block"].strip(), display="block")}</div>'
        kind = "long" if len(found["inline"]) > LONG else "short"
        return f'<span class="{kind}">{convert(found["inline"])}</span>'  # at the start of a line it is inline too

    return MATH.sub(one, text)


def own_worker(site: Path) -> None:
    """Put our own script, which makes search work from the disk, in place of that of another server."""
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        if "iframe-worker" in text:
            ours = os.path.relpath(site / "_site" / "worker.js", path.parent)
            path.write_text(re.sub(r'"https://[^"]*/iframe-worker/[^"]*"', f'"{ours}"', text), "utf-8")


def gallery(out: Path) -> None:
    """Write the gallery of all released models, as ``zoo gallery`` does, and the page that leads to it."""
    print("Writing the gallery …", flush=True)
    command = [sys.executable, "-m", "zoo", "gallery", "-o", str(out / "gallery")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"zoo gallery fails: {done.stderr.strip()}")
    cards = [
        f'<figure><a href="gallery/index.html#{folder.name}"><img src="gallery/models/{folder.name}/samples.png" '
        f'alt="Samples of {folder.name}" loading="lazy"></a>'
        f"<figcaption><code>{folder.name}</code></figcaption></figure>"
        for folder in sorted((out / "gallery" / "models").iterdir())
        if (folder / "samples.png").is_file()
    ]
    page = out / "gallery.md"
    text = page.read_text("utf-8")
    page.write_text(text.replace("<!-- the models -->", f'<div class="models">{"".join(cards)}</div>'), "utf-8")


if __name__ == "__main__":
    main()
