"""One word for one thing, the field's own: in code, help, errors and docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INSTEAD = {
    r"pictures?": "image, or grid or figure for what is drawn for people",
    r"narrow numbers?": "low precision, a quantised release",
    r"averages of (the|its) weights": "EMA weights",
    r"sounds": "audio, audio clips",
    r"numbers in a code": "dimensions of a latent",
    r"catalogues?": "registry",
    r"contestants?": "backend",
    r"laps?": "trial",
    r"anew": "again",
    r"told": "is reported, is given",
    r"stands? beside": "is compared with, has the baseline",
    r"given back": "reconstructed",
    r"narrow releases?": "quantised release",
}
"""What to write in place of what such a pattern finds."""

KEPT = {
    "README.md": "sounds",
}
"""Words that stay in a file."""


def texts() -> list[Path]:
    folders = ("zoo", "export", "plugins", "benchmarks", "docs")
    found = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".html")
    ]
    return [  # docs/models/index.md is made of what releases hold
        *(path for path in found if not {"releases", "node_modules", "models.md"} & set(path.parts)),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]


@pytest.mark.parametrize("pattern", INSTEAD)
def test_words_are_those_of_the_field(pattern: str) -> None:
    found = []
    for path in texts():
        name = path.relative_to(ROOT).as_posix()
        kept = KEPT.get(name)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            words = [match.group() for match in re.finditer(rf"(?<![\w./'\"]){pattern}(?![\w(/'\"=.\[])", line)]
            found += [f"{name}:{number}: {word}" for word in words if word != kept]
    assert not found, f"write {INSTEAD[pattern]}:\n" + "\n".join(found)
