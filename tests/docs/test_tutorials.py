"""Every page that is a notebook displays what it says, and is executed in an environment of its own."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from site_fixture import seen
from test_blocks import PAGES, executed

pytest_plugins = ("site_fixture",)

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_site"
NOTEBOOKS = [name for name, page in PAGES.items() if executed(page)]


class Done(NamedTuple):
    """An executed page: what its cells printed, and its images."""

    printed: str
    images: list[str]


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
    assert set(MATTERS) <= set(NOTEBOOKS)


@pytest.mark.slow
@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_page_displays_what_it_says(page: str, site: Path) -> None:
    book = json.loads((site / page).with_suffix(".ipynb").read_text("utf-8"))
    outputs = [output for cell in book["cells"] for output in cell.get("outputs", ())]
    assert "error" not in {output["output_type"] for output in outputs}
    displayed = [output["data"] for output in outputs if "data" in output]
    images = [data["image/png"] for data in displayed if "image/png" in data and "text/html" not in data]
    text = (site / page).with_suffix(".html").read_text("utf-8")
    for number in range(len(images)):
        assert (site / page).with_name(f"{Path(page).stem}-{number}.png").is_file()
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    assert "zoo-docs-" not in printed + text
    if page in MATTERS:
        MATTERS[page](Done(printed, images))


@pytest.mark.slow
def test_a_page_has_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    before = seen()
    done = notebooks.execute(text, tmp_path, "page")
    assert "zoo-of-a-page 0.1.0" in done.text
    assert f"'{sys.prefix}'" not in done.text
    assert seen() == before


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
