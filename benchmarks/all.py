"""Runs the benchmarks whose tables stand in docs/benchmarks.md, one after the other, and writes their tables there.

    ZOO_DATA_DIR=DIR python benchmarks/all.py [SCRIPT]… [--list]

docs/benchmarks.md says what is run: between a line `<!-- made by: python benchmarks/startup.py -->` and the next
`<!-- end -->` is what that command printed. Lines that begin `<!-- made at length by:` are of commands that take too
long to be run each time: they are run where SCRIPT, such as "anomaly", names them. --list only lists the commands. What
a script that fails has printed is not written, and the others are run all the same.
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
DOCS = ROOT / "docs" / "benchmarks.md"
BLOCK = re.compile(
    r"(<!-- made (at length )?by: python benchmarks/((\w+)\.py.*?) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A part of the docs that a script makes."""

    script: str
    """Its name without its ending."""
    arguments: tuple[str, ...]
    """The script with its options."""
    long: bool
    """Whether it is run only when named."""
    opening: str
    """The line that it follows."""

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "benchmarks" / self.arguments[0]), *self.arguments[1:]]

    def __str__(self) -> str:
        return f"python benchmarks/{shlex.join(self.arguments)}"


def blocks(text: str) -> list[Block]:
    """The parts of a document that are made by scripts, in their order."""
    return [Block(found[4], tuple(shlex.split(found[3])), bool(found[2]), found[1]) for found in BLOCK.finditer(text)]


def replaced(text: str, block: Block, content: str) -> str:
    """The document with that part made anew."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{content.strip()}\n\n{found[6]}" if found[1] == block.opening else found[0]

    return BLOCK.sub(fill, text)


def chosen(known: list[Block], scripts: list[str]) -> list[Block]:
    """Those of the scripts that are named, or all but the long ones; the end of the script for an unknown name."""
    names = list(dict.fromkeys(block.script for block in known))
    for script in scripts:
        if script not in names:
            raise SystemExit(f"No part of {DOCS.name} is made by {script!r}. There are: {', '.join(names)}.")
    return [block for block in known if (block.script in scripts if scripts else not block.long)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help="only these (default: all that do not take long)")
    parser.add_argument("--list", action="store_true", help="only list the commands")
    given = parser.parse_args()
    if not given.list:
        data_dir()
    troubles = []
    for block in chosen(blocks(DOCS.read_text("utf-8")), given.scripts):
        print(f"{block}", flush=True)
        if given.list:
            continue
        began = time.monotonic()
        done = subprocess.run(block.command, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT)
        print(f"… {time.monotonic() - began:.0f} s, exit status {done.returncode}", flush=True)
        if done.returncode in (0, MISSED):  # read anew: an editor may have saved it meanwhile
            files.write(DOCS, replaced(DOCS.read_text("utf-8"), block, done.stdout))
        if done.returncode:
            what = "is not within its bounds" if done.returncode == MISSED else "failed, and its part was kept"
            troubles.append(f"{block} {what}.")
    if troubles:
        raise SystemExit("\n".join(troubles))


if __name__ == "__main__":
    main()
