"""Fine-tuning on other characters and classes: what rows stand for goes along with them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn

import zoo
from conftest import Command
from zoo import Label, modules, registry
from zoo.contract.specs import Image, Sample, Text
from zoo.data import DataSplit, load
from zoo.plugin import Batch
from zoo.training import finetune, rows
from zoo.training.finetune import Origin

WORDS = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\nFirst Citizen:\n"
"""How tiny Shakespeare begins."""


def data_of(text: Text, classes: tuple[str, ...] = ()) -> DataSplit:
    none = np.zeros(0, np.uint8)
    return DataSplit(
        name="text:a", split="train", sample=Sample(text), fields={"x": none}, source="", licence="", sha256="",
        classes=classes,
    )  # fmt: skip


def nll(module: nn.Module, vocabulary: str) -> float:
    """Of the words, in nats a character."""
    ids = torch.tensor([[vocabulary.index(character) for character in WORDS]])
    zero = torch.zeros(1)
    metric = registry.load("chargpt").metrics[0].fn
    with torch.no_grad():
        return float(metric(module.eval(), Batch(x=ids, fields={}, index=zero, progress=zero), None)[0])


@pytest.mark.parametrize("change", ["another", "more", "fewer"])
def test_released_weights_know_the_characters_of_another_text(change: str) -> None:
    """As many characters of which one is another, in whose place the order of all moves; more; or fewer."""
    released = zoo.load_module("chargpt.shakespeare")
    origin = finetune.origin("chargpt.shakespeare")
    assert origin.sample is not None
    assert isinstance(origin.sample.x, Text)
    old = origin.sample.x.vocabulary
    new, said = {
        "another": (old.replace("$", "") + "~", ", 1 fresh: '~'"),
        "more": (f"{old[:3]}#{old[3:]}éü", ", 3 fresh: '#', 'é', 'ü'"),
        "fewer": ("".join(character for character in old if character not in "$&3XZ"), "60 of 60 characters kept"),
    }[change]
    model, recipe = registry.load_recipe("chargpt.shakespeare")
    data = data_of(Text(new, origin.sample.x.length))
    module = modules.build(model, recipe, data.sample, "chargpt.shakespeare")
    fresh = module.state_dict()["embedding.weight"].clone()
    match = finetune.start(module, origin, model, recipe, data, "chargpt.shakespeare")
    assert not match.fresh
    state = module.state_dict()
    for key in ("embedding.weight", "head.weight"):
        for place, character in enumerate(new):
            expected = origin.tensors[key][old.index(character)] if character in old else fresh[place]
            assert torch.equal(state[key][place], expected)
    assert nll(module, new) == pytest.approx(nll(released, old), abs=0.05)
    assert nll(released, old) < 1.6
    kept = sum(character in old for character in new)
    assert f"{kept} of {len(new)} characters kept" in match.describe()
    assert match.describe().endswith(said)


def test_what_is_said_of_characters_is_kept(tmp_path: Path, zoo_call: Command) -> None:
    (tmp_path / "first.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 10)
    options = {"set": {"steps": 1}, "release": False, "quiet": True}
    first = zoo.train("chargpt.tiny", data=f"text:{tmp_path / 'first.txt'}", out=tmp_path / "first", **options)
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dög\n" * 10)
    done = zoo_call(
        "train", "chargpt.tiny", "--from", str(first.folder), "--data", f"text:{tmp_path / 'text.txt'}",
        "--set", "steps=1", "--no-release", "-o", "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = "28 of 29 characters kept, 1 fresh: 'ö'"
    assert f"tensors matched; {said}" in done.stderr
    assert json.loads((tmp_path / "run" / "recipe.json").read_text("utf-8"))["from"]["rows"] == [said]


class Odd(nn.Module):
    """A model whose width is the size of its vocabulary, with pairs of characters, a start token and normed weights."""

    def __init__(self, recipe: zoo.Recipe, sample: Sample) -> None:
        super().__init__()
        count = sample.form(Text).classes
        self.square = nn.Linear(4, count)
        self.width = nn.Linear(4, 4)
        self.pairs = nn.Parameter(torch.arange(count * count, dtype=torch.float32).reshape(count, count))
        self.started = nn.Embedding(count + 1, 2)
        self.normed = nn.utils.parametrizations.spectral_norm(nn.Linear(2, count))


def test_rows_are_found_by_what_grows() -> None:
    """Not by sizes, which other axes may have by chance; several axes of one tensor are moved alike."""
    model = dataclasses.replace(registry.load("chargpt"), build=Odd)
    recipe = zoo.Recipe()
    old, new = Sample(Text("abcd", 4)), Sample(Text("bcde", 4))
    source = modules.build(model, recipe, old, "odd.one")
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    plain = modules.remove_parametrizations(modules.build(model, recipe, old, "odd.one").eval())
    folded = plain.state_dict()["normed.weight"]
    tensors = {**source.state_dict(), "normed.weight": folded}
    del tensors["normed.parametrizations.weight.original"]
    module = modules.build(model, recipe, new, "odd.one")
    before = {key: value.clone() for key, value in module.state_dict().items()}
    origin = Origin("odd.one", "", tensors, old)
    match = finetune.start(module, origin, model, recipe, data_of(Text("bcde", 4)), "odd.one")
    after = module.state_dict()
    for key in ("square.weight", "square.bias"):
        assert torch.equal(after[key][:3], tensors[key][1:])
        assert torch.equal(after[key][3], before[key][3])
    assert torch.equal(after["width.weight"], tensors["width.weight"])
    assert torch.equal(after["pairs"][:3, :3], tensors["pairs"][1:, 1:])
    assert torch.equal(after["pairs"][3], before["pairs"][3])
    assert torch.equal(after["pairs"][:, 3], before["pairs"][:, 3])
    assert torch.equal(after["started.weight"], before["started.weight"])  # nobody knows where the start token is
    assert "started.weight" in match.fresh
    assert torch.allclose(after["normed.parametrizations.weight.original"][:3], folded[1:])
    assert "3 of 4 characters kept, 1 fresh: 'e'" in match.describe()


def folder(root: Path, classes: tuple[str, ...]) -> str:
    for value, name in enumerate(classes):
        for index in range(4):
            (root / name).mkdir(parents=True, exist_ok=True)
            Pillow.new("L", (8, 8), 50 * value + index).save(root / name / f"{index}.png")
    return f"folder:{root}"


def test_classes_of_another_folder(tmp_path: Path) -> None:
    """A classifier of dogs and foxes goes on with cats too: the order is that of the names."""
    options = {"set": {"steps": 1, "batch": 2}, "release": False, "quiet": True}
    first = zoo.train("features.tiny", data=folder(tmp_path / "a", ("dog", "fox")), out=tmp_path / "one", **options)
    assert json.loads((first.folder / "recipe.json").read_text())["data"]["classes"] == ["dog", "fox"]
    origin = finetune.origin(first.folder)
    assert origin.classes == ("dog", "fox")
    model, recipe = registry.load_recipe("features.tiny")
    for names, said in (
        (("cat", "dog", "fox"), "2 of 3 classes kept, 1 fresh: 'cat'"),
        (("cat", "dog"), "1 of 2 classes kept, 1 fresh: 'cat'"),
        (("cat", "cow"), ""),  # other classes altogether: weights are a start, wherever they come from
        (("dog", "fox"), ""),
    ):
        data = load(folder(tmp_path / "-".join(names), names), "train")
        module = modules.build(model, recipe, data.sample, "features.tiny")
        match = finetune.start(module, origin, model, recipe, data, "features.tiny")
        assert match.rows == ((said,) if said else ())
        for key in ("head.weight", "head.bias"):
            for place, name in enumerate(names):
                if name in origin.classes:
                    held = origin.tensors[key][origin.classes.index(name)]
                    assert torch.equal(module.state_dict()[key][place], held)


def test_names_of_classes_that_are_known() -> None:
    assert finetune.origin("features.digits").classes == tuple(map(str, range(10)))
    for data in (None, {}, {"name": 3}, {"name": "x", "classes": 3}, {"classes": ["a"]}, {"classes": [1, 2]}):
        assert finetune._classes(data, Sample(Image(1, 8, 8), {"label": Label(2)})) == ()
    pair, model = Sample(Image(1, 8, 8), {"label": Label(2)}), registry.load_recipe("ae.tiny")
    assert rows.differing(pair, (), pair, ("a", "b"), *model, "ae.tiny") == []
