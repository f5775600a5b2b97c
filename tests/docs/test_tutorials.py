"""Every page that is a notebook executes, changes nothing outside its folder, and displays what it says."""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_site"
FRONT = re.compile(r"\A---\n(.*?)\n---\n+", re.DOTALL)
PAGES = [
    path.relative_to(ROOT / "docs").as_posix()
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if (front := FRONT.match(path.read_text("utf-8"))) and re.search(r"^notebook: true$", front[1], re.MULTILINE)
]


class Done(NamedTuple):
    """An executed page: what its cells printed, and its images."""

    printed: str
    images: dict[str, bytes]


def _floats(text: str, pattern: str) -> list[float]:
    found = re.findall(pattern, text, re.MULTILINE)
    assert found, f"nothing printed is like {pattern}"
    return [float(number) for row in found for number in ([row] if isinstance(row, str) else row)]


def first_model(done: Done) -> None:
    assert len(done.images) == 4
    for words in ("torch in memory: False", "0 failed", "zoo_mine/releases/mine.shapes/model.safetensors"):
        assert words in done.printed
    for name, better in (("negative_elbo", -1), ("mse", -1), ("knn", 1)):
        first, low, high, second, low_again, high_again = _floats(done.printed, rf"^  {name} +(\S+) +(\S+) to (\S+)$")
        assert better * second > better * first  # as the page says
        if name == "knn":
            assert low_again > high, "the intervals overlap"
        else:
            assert low < high_again


def own_images(done: Done) -> None:
    assert len(done.images) == 4
    assert "step-00000400" not in done.printed  # it was stopped
    (ring,) = _floats(done.printed, r"^a ring +score +(\S+)$")
    (square,) = _floats(done.printed, r"^a filled square +score +(\S+)$")
    (threshold,) = _floats(done.printed, r"^threshold +score +(\S+)$")
    assert ring < threshold < square / 2


def deploy(done: Done) -> None:
    assert len(done.images) == 2
    assert "the same as zoo: True" in done.printed
    hashes = re.findall(r"^[0-9a-f]{64}$", done.printed, re.MULTILINE)
    if shutil.which("node") and (ROOT / "tests" / "web" / "node_modules").is_dir():
        assert "0 of 512 pixels differ from Python" in done.printed
        assert len(hashes) == 2
    else:
        assert "Not executed" in done.printed
    assert len(set(hashes)) == 1
    assert re.findall(r"^200 (\S+)", done.printed, re.MULTILINE)[-1] == "model/model.safetensors"
    sizes = re.findall(r"^(?:model|small) +(\S+) bytes", done.printed, re.MULTILINE)
    large, small = (int(size.replace(",", "")) for size in sizes)
    assert small < large / 2


def anomalies(done: Done) -> None:
    assert len(done.images) == 1
    usual, negative, *_ = _floats(done.printed, r"^\S.* ([0-9.]+)% above the threshold$")
    assert usual < 2
    assert negative > 90
    assert all(value > 0.7 for value in _floats(done.printed, r"AUROC (\S+)$"))


def triton(done: Done) -> None:
    assert re.findall(r"^(\w+): +(\w+)$", done.printed, re.MULTILINE)[-3:] == [
        ("generate", "True"), ("encode", "True"), ("score", "True")
    ]  # fmt: skip
    assert "max_batch_size: 0" in done.printed
    assert 'name: "seed", data_type: TYPE_INT64, dims: [1] }' in done.printed
    assert 'name: "score", data_type: TYPE_FP32, dims: [1], reshape: { shape: [ ] } }' in done.printed


MATTERS: dict[str, Callable[[Done], None]] = {
    "tutorials/first-model.md": first_model,
    "tutorials/own-images.md": own_images,
    "tutorials/deploy.md": deploy,
    "how-to/anomalies.md": anomalies,
    "how-to/triton.md": triton,
}
"""What the outputs of a page must be."""


def test_the_pages_are_there() -> None:
    assert set(MATTERS) <= set(PAGES)


def _seen() -> dict[str, int]:
    """When each file of this checkout, and of the environment, was written last."""
    folders = [ROOT / name for name in ("zoo", "export", "plugins", "docs", "tests")]
    files = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    files += [path for key in ("purelib", "scripts") for path in Path(sysconfig.get_paths()[key]).iterdir()]
    skipped = {"__pycache__", "node_modules", ".pytest_cache", ".mypy_cache", ".ruff_cache", "build"}
    return {str(path): path.lstat().st_mtime_ns for path in files if path.is_file() and skipped.isdisjoint(path.parts)}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home, and an empty folder of temporary files; both must be empty at the end."""
    for name, variable in (("home", "HOME"), ("tmp", "TMPDIR")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield tmp_path
    assert [path.name for name in ("home", "tmp") for path in (tmp_path / name).rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_executes(page: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    monkeypatch.syspath_prepend(SITE)
    import notebooks

    folder, before = elsewhere / "page", _seen()
    folder.mkdir()
    text = FRONT.sub("", (ROOT / "docs" / page).read_text("utf-8"))
    done = notebooks.execute(text, folder, Path(page).stem)
    assert _seen() == before

    cells = [cell for cell in json.loads(done.notebook)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    for name, content in done.images.items():
        assert content.startswith(b"\x89PNG"), name
        assert f"]({name})" in done.text
    assert str(folder) not in done.text
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    if page in MATTERS:
        MATTERS[page](Done(printed, done.images))


@pytest.mark.slow
def test_a_page_has_an_environment_of_its_own(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that a page installs is there for its later cells, and nowhere else."""
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    monkeypatch.syspath_prepend(SITE)
    import notebooks

    text = """# Page

```sh
zoo plugin new of-a-page
pip install -q -e ./zoo-of-a-page
zoo plugin list | grep of-a-page
```

```python
import sys

sys.prefix
```
"""
    before = _seen()
    folder = elsewhere / "page"
    folder.mkdir()
    done = notebooks.execute(text, folder, "page")
    assert "zoo-of-a-page 0.1.0" in done.text
    assert f"'{sys.prefix}'" not in done.text
    assert _seen() == before


def test_a_cell_that_needs_node_is_skipped_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    monkeypatch.syspath_prepend(SITE)
    import notebooks

    text = "# Page\n\n```sh\nnode sample.mjs\n```\n\n```sh\necho node is not run\n```\n"
    monkeypatch.setattr(notebooks, "PACKAGES", tmp_path / "missing")
    book = notebooks.notebook(text)
    notebooks._skip_without_node(book)
    with_node, without = (cell for cell in book.cells if cell.cell_type == "code")
    assert with_node.metadata["tags"] == [notebooks.SKIPPED]
    assert "it needs Node" in with_node.outputs[0].text
    assert "tags" not in without.metadata
