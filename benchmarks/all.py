"""Runs the benchmarks of docs/reference/benchmarks.md, one after the other, and writes their tables into that page.

    ZOO_DATA_DIR=DIR python benchmarks/all.py [SCRIPT]… [--list]

docs/reference/benchmarks.md lists the commands: the text between a line
`<!-- made by: python benchmarks/startup.py -->` and the next `<!-- end -->` is the output of that command. Lines that
begin with `<!-- made at length by:` mark slow commands, which run only if SCRIPT names them, such as "anomaly".
--list only lists the commands. If a script fails, its output is not written, and the other scripts still run.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from measure import MISSED, data_dir
from zoo.core import files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "reference" / "benchmarks.md"
BLOCK = re.compile(
    r"(<!-- made (at length )?by: python benchmarks/((\w+)\.py.*?) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A part of the docs that a script generates."""

    script: str
    """The name of the script without its extension."""
    arguments: tuple[str, ...]
    """The script with its options."""
    long: bool
    """Whether the script runs only if it is named."""
    opening: str
    """The comment line before the generated text."""

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "benchmarks" / self.arguments[0]), *self.arguments[1:]]

    def __str__(self) -> str:
        return f"python benchmarks/{shlex.join(self.arguments)}"


def blocks(text: str) -> list[Block]:
    """Return the parts of a document that scripts generate, in order."""
    return [Block(found[4], tuple(shlex.split(found[3])), bool(found[2]), found[1]) for found in BLOCK.finditer(text)]


def replaced(text: str, block: Block, content: str) -> str:
    """Return the document with new content in that part."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{content.strip()}\n\n{found[6]}" if found[1] == block.opening else found[0]

    return BLOCK.sub(fill, text)


def chosen(known: list[Block], scripts: list[str]) -> list[Block]:
    """Return the parts of the named scripts, or all except the slow ones. Exits for an unknown name."""
    names = list(dict.fromkeys(block.script for block in known))
    for script in scripts:
        if script not in names:
            raise SystemExit(f"No part of {DOCS.name} is made by {script!r}. There are: {', '.join(names)}.")
    return [block for block in known if (block.script in scripts if scripts else not block.long)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "scripts", nargs="*", metavar="SCRIPT", help="run only these (default: all except the slow ones)"
    )
    parser.add_argument("--list", action="store_true", help="only list the commands")
    args = parser.parse_args()
    if not args.list:
        data_dir()
    troubles = []
    for block in chosen(blocks(DOCS.read_text("utf-8")), args.scripts):
        print(f"{block}", flush=True)
        if args.list:
            continue
        began = time.monotonic()
        done = subprocess.run(block.command, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT)
        print(f"… {time.monotonic() - began:.0f} s, exit status {done.returncode}", flush=True)
        if done.returncode in (0, MISSED):  # read again: an editor may have saved it meanwhile
            files.write(DOCS, replaced(DOCS.read_text("utf-8"), block, done.stdout))
        if done.returncode:
            what = "is not within its bounds" if done.returncode == MISSED else "failed, and its old output was kept"
            troubles.append(f"{block} {what}.")
    if troubles:
        raise SystemExit("\n".join(troubles))


if __name__ == "__main__":
    main()
