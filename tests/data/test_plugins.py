"""Data sets of others: fields by name, options, what their authors get wrong, and models that learn from two."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from conftest import Command, Refused, plugged, python, raises, write_plugin
from zoo import data, registry
from zoo.core.errors import DataError, PluginError, SettingError, TrainingError
from zoo.data import characters
from zoo.training import checkpoints
from zoo.training.batches import Batches

SOUND = """
from dataclasses import dataclass
from typing import Literal

import numpy as np

import zoo
from zoo.data import characters


@dataclass(frozen=True, kw_only=True)
class Options(zoo.ImageOptions):
    numbers: int = zoo.setting(2, "numbers beside each image", ge=1, le=5)
    kind: Literal["even", "odd"] = zoo.setting("even", "which ones")


def form(options):
    image = zoo.Image(1, 6, 6)
    return zoo.Sample(image, {
        "label": zoo.Label(3), "other": image, "caption": zoo.Text(" abc", 4), "row": zoo.Vector((options.numbers,)),
    })


def load(split, folder, options):
    count = 40 if split == "train" else 10
    random = np.random.default_rng(count)
    x = random.integers(0, 256, (count, 1, 6, 6), np.uint8)
    caption = characters.rows(["abc"[: index % 4] for index in range(count)], zoo.Text(" abc", 4))
    row = random.normal(size=(count, options.numbers)).astype(np.float32)
    return {"x": x, "label": np.arange(count) % 3, "other": 255 - x, "caption": caption, "row": row}


pairs = zoo.DataSet(
    card=zoo.DataCard(title="Pairs", source="Made up", licence="MIT", citation="none", split="40 and 10"),
    options=Options,
    sample=form,
    load=load,
    classes=("a", "b", "c"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    paintings: zoo.Use = zoo.setting(zoo.use("digits", size=6), "the other side")


def build(recipe, sample):
    from torch import nn

    net = nn.Sequential(nn.Flatten(), nn.Linear(sample["paintings"].height * sample.x.width, 1))
    net.image = sample.x
    return net


def loss(net, batch, recipe):
    return {"gap": (net(batch.x) - net(batch["paintings"])).square().mean() + net(batch.x).square().mean()}


def gap(net, batch, recipe):
    return (net(batch.x) - net(batch["paintings"])).square()[:, 0]


two = zoo.Model(
    card=zoo.Card(title="Two", summary="Learns from two sets.", paper="https://example.org", citation="Nobody 2020"),
    build=build,
    objectives=(zoo.Objective(loss),),
    tasks=lambda net: {"rate": zoo.Task(net, {"image": net.image}, {"rating": zoo.Vector((1,))})},
    recipes={"tiny": Recipe(data=zoo.use("pairs", flip=True), steps=6, batch=8, precision="fp32")},
    metrics=(zoo.Metric("gap", gap, "squared", "of pairs"),),
)
"""

Plug = Callable[..., tuple[Path, int]]


@pytest.fixture
def plug(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plug]:
    """Installs the data set `pairs` and the model `two` with one thing replaced; returns the file, and that line."""
    folder = tmp_path_factory.mktemp("plugin")

    def install(old: str = "import numpy as np", new: str = "import numpy as np") -> tuple[Path, int]:
        assert SOUND.count(old) == 1, old
        before, after = SOUND.split(old)
        write_plugin(folder / "pairs_plugin.py", before + new + after)
        return folder / "pairs_plugin.py", before.count("\n") + 1

    with plugged(folder, data={"pairs": "pairs_plugin:pairs"}, two="pairs_plugin:two"):
        yield install
    sys.modules.pop("pairs_plugin", None)


def test_the_fields_of_a_sample(plug: Plug) -> None:
    plug()
    loaded = data.load("pairs", "train", numbers=3)
    assert list(loaded.fields) == ["x", "label", "other", "caption", "row"]
    assert loaded.sample["row"] == zoo.Vector((3,))
    assert (loaded.labels.dtype, loaded.classes) == (np.int64, ("a", "b", "c"))  # type: ignore[union-attr]
    assert loaded.fields["caption"][:3].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 2, 0, 0]]
    assert loaded.sha256 != data.load("pairs", "train").sha256
    batch = Batches(loaded, 8, 0, torch.device("cpu")).train(0, torch.zeros(()))
    assert {name: (str(batch[name].dtype), tuple(batch[name].shape)) for name in ("x", *loaded.sample.fields)} == {
        "x": ("torch.float32", (8, 1, 6, 6)),
        "label": ("torch.int64", (8,)),
        "other": ("torch.float32", (8, 1, 6, 6)),
        "caption": ("torch.int64", (8, 4)),
        "row": ("torch.float32", (8, 3)),
    }
    assert torch.equal(batch.labels, batch["label"])


def test_pairs_stay_aligned(plug: Plug) -> None:
    plug()
    loaded = data.load("pairs", "train", size=12)
    assert (loaded.x.shape, loaded.fields["other"].shape) == ((40, 1, 12, 12), (40, 1, 12, 12))
    assert loaded.sample["other"] == loaded.sample.x == zoo.Image(1, 12, 12)
    assert loaded.sha256 == data.load("pairs", "train").sha256
    batches = Batches(data.load("pairs", "train"), 8, 0, torch.device("cpu"), flip=True)
    batch = batches.train(1, torch.zeros(()))
    assert torch.equal((batch["other"] * 255).round(), 255 - (batch.x * 255).round())
    plain = Batches(data.load("pairs", "train"), 8, 0, torch.device("cpu")).train(1, torch.zeros(()))
    assert not torch.equal(batch.x, plain.x)


@pytest.mark.parametrize(("field", "name"), [("row", "count"), ("caption", "prompt"), ("other", "steps")])
def test_a_field_may_have_a_name_that_not_every_generation_needs(field: str, name: str, plug: Plug) -> None:
    """Nobody gives a vector, and a model that makes its samples at once has neither a prompt nor steps of its own."""
    file, _ = plug(
        f'"{field}": {field if field != "other" else "255 - x"}', f'"{name}": {field if field != "other" else "x"}'
    )
    file.write_text(file.read_text().replace(f'"{field}": ', f'"{name}": '))
    assert name in data.load("pairs", "train").fields


def test_an_option_may_change_the_number_of_samples(plug: Plug) -> None:
    file, _ = plug("count = 40 if", "count = 20 * options.numbers if")
    file.write_text(file.read_text().replace("    sample=form,", "    sample=form,\n    train=40,"))
    for options, count in (({}, 40), ({"numbers": 3}, 60), ({"size": 12}, 40)):
        assert len(data.load("pairs", "train", **options)) == count
    write_plugin(file, file.read_text().replace("train=40", "train=41"))
    assert len(data.load("pairs", "train", numbers=3)) == 60
    with raises(PluginError, "declares train=41"):
        data.load("pairs", "train", size=12)


def test_samples_of_every_field_are_taken_together(plug: Plug) -> None:
    plug()
    loaded = data.load("pairs", "train")
    some = loaded.take(np.array([5, 3]))
    assert all(np.array_equal(some.fields[name], held[[5, 3]]) for name, held in loaded.fields.items())


def test_captions_are_rows() -> None:
    spec = zoo.Text(" ab", 3)
    assert characters.rows(["ab", "", "babab"], spec).tolist() == [[1, 2, 0], [0, 0, 0], [2, 1, 2]]
    with raises(DataError, "'abc'", "'c'", "not in the vocabulary"):
        characters.rows(["abc"], spec)


LOAD = '{"x": x, "label": np.arange(count) % 3, "other": 255 - x, "caption": caption, "row": row}'
MISTAKES = {
    "an array of another dtype": (LOAD, LOAD.replace('"x": x', '"x": x / 255'), ("'x' as float64", "uint8")),
    "an array of another shape": (
        LOAD,
        LOAD.replace("255 - x", "x[:, 0]"),
        ("'other' of shape (40, 6, 6)", "(n, 1, 6, 6)"),
    ),
    "another count": (LOAD, LOAD.replace("255 - x", "x[1:]"), ("different length", "39 of 'other'")),
    "fewer samples than declared": (
        "    sample=form,",
        "    sample=form,\n    train=41,",
        ("load gives 40 samples of the split 'train', and the data set declares train=41. Write train=40",),
    ),
    "more test samples than declared": (
        "    sample=form,",
        "    sample=form,\n    train=40,\n    test=9,",
        ("load gives 10 samples of the split 'test', and the data set declares test=9. Write test=10",),
    ),
    "a class too many": (LOAD, LOAD.replace("% 3", "% 4"), ("'label' with the class 3", "there are 3")),
    "a character too many": (
        LOAD,
        LOAD.replace("caption,", "caption + 4,"),
        ("'caption' with the character", "there are 4"),
    ),
    "numbers that are none": (LOAD, LOAD.replace("row}", "row * np.nan}"), ("'row' with values that are not finite",)),
    "no x": (LOAD, LOAD.replace('"x": x, ', ""), ("load gives no field 'x'; it gives label, other",)),
    "a field too many": (
        LOAD,
        LOAD.replace('"x": x', '"x": x, "y": x'),
        ("the field 'y'", "the sample has only x, label"),
    ),
    "a list": (LOAD, LOAD.replace('"row": row', '"row": row.tolist()'), ("'row' as [[", "should be a numpy array")),
    "no samples": ("count = 40", "count = 0", ("load gives no samples",)),
    "a tuple": (LOAD, "x, caption", ("load returns (array", "and should return the array of each field")),
    "an exception": (
        "    caption = char",
        "    caption = None.lower()\n    char",
        ("the function 'load' fails: AttributeError",),
    ),
    "an exit": (
        "    caption = char",
        "    __import__('sys').exit(3)\n    caption = char",
        ("'load' fails: SystemExit: 3",),
    ),
    "a form that exits": (
        "    image = zoo.Image(1, 6, 6)\n    return",
        "    image = __import__('sys').exit(3)\n    return",
        ("which gives the form of the fields, fails: SystemExit: 3",),
    ),
    "an option that exits": (
        "\n\ndef form(options)",
        "\n    def __post_init__(self):\n        __import__('sys').exit(3)\n\n\ndef form(options)",
        ("the class Options fails: SystemExit: 3",),
    ),
    "a form that fails": (
        "    image = zoo.Image(1, 6, 6)\n    return",
        "    image = zoo.Image(0, 6, 6)\n    return",
        ("channels is 0",),
    ),
    "a form that is none": (
        "    return zoo.Sample(image, {",
        "    return dict({",
        ("sample gives {", "should give a zoo.Sample"),
    ),
    "a field called as an input of every graph": (
        '"caption": zoo.Text',
        '"count": zoo.Text',
        ("the field 'count' has a name that generation needs", "Rename it"),
    ),
    "a field called as an argument of generation": (
        '"other": image, ',
        '"fit": image, ',
        ("the field 'fit' has a name that generation needs", "Rename it"),
    ),
    "a field that ends in _": (
        '"other": image, ',
        '"is_": image, ',
        ("the field 'is_' has a name that is not allowed: it must begin with a letter and not end with '_'",),
    ),
    "a field of a load that begins with _": (
        LOAD,
        'zoo.Loaded(fields={"x": x, "_a": x}, sample=zoo.Sample(zoo.Image(1, 6, 6), {"_a": zoo.Image(1, 6, 6)}))',
        ("the field '_a' has a name that is not allowed: it must begin with a letter",),
    ),
    "names of other classes": ('("a", "b", "c")', '("a", "b")', ("it names 2 classes, and the label has 3",)),
    "no form at all": ("    sample=form,\n", "", ("neither the data set nor its load gives the form",)),
    "a stream without a hash": (
        LOAD,
        LOAD.replace(
            '"x": x', '"x": __import__("zoo.data.stream").data.stream.Stream([folder] * 40, (1, 6, 6), print)'
        ),
        ("a stream", "no sha256"),
    ),
    "options that are no dataclass": (
        "@dataclass(frozen=True, kw_only=True)\nclass Options",
        "class Options",
        ("class Options adds fields and is no dataclass",),
    ),
    "options that are no options": (
        "    options=Options,",
        "    options=dict,",
        ("options is the class dict", "inherits from zoo.Options"),
    ),
    "an option of a type that is none": (
        'numbers: int = zoo.setting(2, "numbers beside each image", ge=1, le=5)',
        'numbers: dict = zoo.setting(None, "numbers")',
        ("Options: the field 'numbers' is of the type dict", "an option is an int"),
    ),
    "a card that lacks its licence": (' licence="MIT",', "", ("licence",)),
    "a split that is none": (
        "    sample=form,",
        '    sample=form,\n    files={"val": ()},',
        ("the split 'val'", "train and test"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_with_a_data_set_is_one_line(mistake: str, plug: Plug, refused: Refused) -> None:
    old, new, says = MISTAKES[mistake]
    file, _ = plug(old, new)
    line = refused("train", "ae.tiny", "--data", "pairs", says=(f"Plugin 'pairs' ({file}, line ", *says))
    assert "Traceback" not in line


def test_an_exit_in_a_stream_is_one_line(plug: Plug) -> None:
    stream = '__import__("zoo.data.stream").data.stream.Stream([folder] * count, (1, 6, 6), lambda *_: exit(3))'
    fields = LOAD.replace('"x": x', f'"x": {stream}').replace("exit(3)", '__import__("sys").exit(3)')
    file, _ = plug(LOAD, f'zoo.Loaded(fields={fields}, sha256="0")')
    loaded = data.load("pairs", "train")
    with raises(PluginError, f"Plugin 'pairs' ({file}, line ", "reads an image of a stream, fails: SystemExit: 3"):
        loaded.read(np.arange(2))


def test_a_value_that_is_no_data_set(plug: Plug) -> None:
    file, _ = plug("pairs = zoo.DataSet(", "pairs = dict(")
    with raises(PluginError, f"Plugin 'pairs' ({file})", "should be a zoo.DataSet"):
        data.load("pairs", "train")


RECIPES = {
    "a data set that is not there": (
        'zoo.use("pairs", flip=True)',
        'zoo.use("pair")',
        ("data = 'pair'", "Did you mean 'pairs'?"),
    ),
    "an option that is not there": (
        "flip=True",
        "flap=True",
        ("data = 'pairs'", "no option 'flap'", "Did you mean 'flip'?"),
    ),
    "a value out of range": ("flip=True", "numbers=9", ("numbers = 9 is out of range", "at most 5")),
    "a value of another type": ("flip=True", 'kind="neither"', ("kind = 'neither' is not one of even, odd",)),
    "a further data set that is not there": (
        'zoo.use("digits", size=6)',
        'zoo.use("digit")',
        ("paintings = 'digit'", "Did you mean 'digits'?"),
    ),
}


@pytest.mark.parametrize("mistake", RECIPES)
def test_what_is_wrong_with_a_recipe_is_one_line(mistake: str, plug: Plug, refused: Refused) -> None:
    old, new, says = RECIPES[mistake]
    file, _ = plug(old, new)
    refused("train", "two.tiny", says=(f"Plugin 'two' ({file}, line ", "two.tiny has", *says))


def test_a_name_in_place_of_a_data_set(plug: Plug, refused: Refused) -> None:
    file, line = plug('Recipe(data=zoo.use("pairs", flip=True)', 'Recipe(data="pairs"')
    says = (f"Plugin 'two' ({file}, line {line})", "data = 'pairs' is not a data set. Write zoo.use('pairs').")
    refused("train", "two.tiny", says=says)


def test_a_field_that_the_data_has_too(plug: Plug, refused: Refused) -> None:
    plug('"label": zoo.Label(3), "other"', '"label": zoo.Label(3), "paintings"')
    file, _ = plug(LOAD, LOAD)
    write_plugin(file, file.read_text().replace('"other"', '"paintings"'))
    refused(
        "train", "two.tiny", says=("has the data set 'paintings'", "a field of that name", "Rename the recipe field")
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--set", "data.szie=8"), ("'digits' has no option 'szie'", "Did you mean 'size'?", "It has: size, fit")),
        (("--set", "size=8"), ("No recipe field named 'size'", "Set data.size")),
        (("--set", "dta.size=8"), ("No recipe field named 'dta'", "Did you mean 'data'?")),
        (("--set", "lr.size=8"), ("No recipe field named 'lr.size'",)),
        (("--set", "data.size=many"), ("The data set 'digits': data.size = 'many' is not an integer",)),
        (("--set", "data.size=-1"), ("The data set 'digits': data.size = -1 is out of range",)),
        (("--set", "data.fit=cut"), ("The data set 'digits': data.fit = 'cut' is not one of crop, pad",)),
        (("--data", "emoji", "--set", "data.style=oil"), ("The data set 'emoji': data.style = 'oil' is not one of",)),
        (("--set", "data.background=puce!"), ("The data set 'digits': data.background = 'puce!' is no colour",)),
        (("--set", "data=mnits"), ("No data set named 'mnits'", "Did you mean 'mnist'?")),
        (("--data", "mnits"), ("No data set named 'mnits'", "Did you mean 'mnist'?")),
        (("--data", "tones", "--set", "data.size=8"), ("'tones' has no option 'size'", "It has: seconds, bands")),
        (("--data", "folder:"), ("'folder:' names no folder", "Write folder:DIR")),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(options: tuple[str, ...], says: tuple[str, ...], refused: Refused) -> None:
    refused("train", "ae.tiny", *options, says=says)


def test_an_unknown_split() -> None:
    with raises(SettingError, "no split 'val'", "train or test"):
        data.load("digits", "val")  # type: ignore[arg-type]


def test_another_data_set_keeps_the_options_that_it_has() -> None:
    _, recipe = registry.load_recipe("chargpt.tiny")
    other = data.changed("chargpt.tiny", recipe, {"data": "shakespeare"}).data
    assert other == zoo.use("shakespeare", length=16)
    again = data.changed("chargpt.tiny", recipe, {"data": "shakespeare", "data.length": 8}).data
    assert again == zoo.use("shakespeare", length=8)
    _, recipe = registry.load_recipe("vae.cifar10")
    images = {"fit": "crop", "background": "white", "crop": 0}
    resized = data.changed("vae.cifar10", recipe, {"data": "digits", "data.size": 16}).data
    assert resized == zoo.use("digits", size=16, flip=True, **images)
    assert data.changed("vae.cifar10", recipe, {"data": "tones"}).data == zoo.use("tones", seconds=1.0, bands=0)


def test_options_are_parsed_for_the_data_that_is_used() -> None:
    _, recipe = registry.load_recipe("ae.tiny")
    parsed = data.parse(recipe, ["data.seconds=2", "lr=0.5"], "tones")
    assert parsed == {"lr": 0.5, "data": zoo.use("tones"), "data.seconds": 2.0}
    assert data.parse(recipe, ["data=tones", "data.bands=3"]) == {"data": zoo.use("tones"), "data.bands": 3}


# Models that learn from two


def test_a_model_learns_from_two_data_sets(plug: Plug, tmp_path: Path) -> None:
    """Resume is exact, the run and its release say both, and metrics have the field of the second."""
    plug()

    def train(folder: str, **more: object) -> Path:
        return zoo.train("two.tiny", out=tmp_path / folder, checkpoint_every=3, quiet=True, **more).folder  # type: ignore[arg-type]

    whole, cut = train("whole"), train("cut", release=False)
    checkpoints.path_of(cut, 6).unlink()
    train("cut", resume=True, release=False)
    left, right = (checkpoints.read(run).tensors for run in (whole, cut))
    assert all(torch.equal(left[name], right[name]) for name in left)
    about = json.loads((whole / "recipe.json").read_text())
    assert about["recipe"]["paintings"]["options"]["size"] == 6
    assert about["sample"]["fields"]["paintings"]["kind"] == "image"
    manifest = json.loads((whole / "release" / "manifest.json").read_text())
    assert manifest["provenance"]["further"]["paintings"]["name"] == "digits"
    (before,) = zoo.evaluate(whole, only=["gap"], quiet=True).measurements
    (after,) = zoo.evaluate(whole / "release", only=["gap"], quiet=True).measurements
    assert before.value == pytest.approx(after.value, rel=1e-5)
    with raises(TrainingError, "was started with paintings.flip = False, and now paintings.flip is True"):
        train("whole", resume=True, set={"paintings.flip": True})


def test_samples_of_two_data_sets_are_drawn_independently() -> None:
    digits = data.load("digits", "train")
    tagged = dataclasses.replace(digits, fields={**digits.fields, "x": np.arange(1500, dtype=np.int64)})
    tagged = dataclasses.replace(tagged, sample=zoo.Sample(digits.sample.x, digits.sample.fields))
    batches = Batches(tagged, 100, 0, torch.device("cpu"), further={"paintings": tagged})
    drawn = [batches.train(k, torch.zeros(())) for k in range(15)]
    for name in ("x", "paintings"):  # each sample once an epoch
        assert sorted(torch.cat([batch[name] for batch in drawn]).tolist()) == list(range(1500))
    assert (drawn[0].x == drawn[0]["paintings"]).sum() < 10
    again = Batches(tagged, 100, 0, torch.device("cpu"), further={"paintings": tagged}, micro_batches=2)
    halves = torch.cat([again.train(3, torch.zeros(()), part)["paintings"] for part in (0, 1)])
    assert torch.equal(halves, drawn[3]["paintings"])
    with raises(SettingError, "paintings has 5 samples to train on, fewer than a batch of 100"):
        Batches(tagged, 100, 0, torch.device("cpu"), further={"paintings": tagged.take(np.arange(5))})


def test_windows_of_a_second_text_are_rows() -> None:
    """In the order of a test split; and a text that is modelled may have images beside it."""
    text, digits = data.load("descriptions", "test", length=16), data.load("digits", "test")
    for first, second in ((digits, text), (text, digits)):
        both = first.adding("beside", second)
        assert both.sample["beside"] == second.sample.x
        batch = next(iter(Batches(both, 8, 0, torch.device("cpu")).in_order(8)))
        plain = next(iter(Batches(second, 8, 0, torch.device("cpu")).in_order(8)))
        assert torch.equal(batch["beside"], plain.x)
    batch = Batches(digits, 8, 0, torch.device("cpu"), further={"beside": text}).train(0, torch.zeros(()))
    assert (batch["beside"].dtype, batch["beside"].shape) == (torch.int64, (8, 16))


# Lists


def test_lists_read_static_text_alone(plug: Plug, zoo_command: Command) -> None:
    """A data set without a registry is listed by name; its plugin is not imported."""
    file, _ = plug("import numpy as np", "raise RuntimeError('imported')")
    env = {"PYTHONPATH": str(file.parent)}
    (row,) = (
        row for row in json.loads(zoo_command("data", "list", "--json", env=env).stdout) if row["name"] == "pairs"
    )
    assert (row["note"], row["distribution"], row["where"]) == ("not indexed", "zoo-tests", None)
    assert "not indexed" in zoo_command("data", "info", "pairs", env=env).stdout
    code = """
import sys
from zoo.cli import main
sys.argv = ["zoo", "data", "list"]
try: main()
except SystemExit as done: assert not done.code
"""
    assert "fashion-mnist" in python(code, block=("numpy", "torch", "PIL", "zoo_data", "yaml"))


def test_options_are_completed(zoo_command: Command) -> None:
    words = {"COMP_WORDS": "zoo train vae.tiny --set data.fl", "COMP_CWORD": "4", "_ZOO_COMPLETE": "bash_complete"}
    assert "data.flip=" in zoo_command(env=words).stdout


def test_doctor_tries_data_sets(plug: Plug) -> None:
    from zoo.tools import doctor

    file, _ = plug("    image = zoo.Image(1, 6, 6)", "    image = None.lower()")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(file.parent))
        found = {row.name: row for row in doctor._plugins(registry.DATA, 60)}
    assert not found["pairs"].ok
    assert f"({file}, line 18)" in found["pairs"].text
    assert found["mnist"].ok
    assert found["mnist"].text.endswith(": x, label")


def test_the_registry_of_a_distribution_of_data_sets(plug: Plug) -> None:
    from zoo.pipeline import registry_build

    plug()
    entry = registry_build.describe_data("pairs")
    assert entry["fields"]["row"] == {"kind": "vector", "shape": [2]}
    assert entry["options"]["numbers"] == {
        "default": 2, "type": "an integer of at least 1 and of at most 5", "help": "numbers beside each image",
    }  # fmt: skip
    content = registry.parse(registry_build.build("zoo-tests"))
    assert content["data_index"]["pairs"]["shape"] == [1, 6, 6]
    assert content["models"]["two"]["recipes"]["tiny"]["data.flip"] is True


def test_two_distributions_with_one_name(tmp_path: Path, plug: Plug) -> None:
    with plugged(tmp_path, data={"mnist": "pairs_plugin:pairs"}):
        with raises(PluginError, "The data set name 'mnist' is claimed by genzoo and zoo-tests: uninstall one of them"):
            data.load("mnist", "train")
        assert "claimed by" in next(row.note for row in registry.data_rows() if row.name == "mnist")
