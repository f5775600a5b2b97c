"""The schema of registry.yaml: the zoo's own keeps it, and what does not is told with its path."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import patch_registry
from zoo import registry
from zoo.core.errors import PluginError
from zoo.registry import schema

REGISTRY = registry.parse((Path(__file__).parents[2] / registry.FILE).read_text("utf-8"))
NAME = "features.digits"


def test_the_registry_keeps_its_schema() -> None:
    assert schema.problem_of(REGISTRY) == ""
    entry = REGISTRY["releases"][NAME]
    assert entry["training"]["commit"]
    assert len(entry["manifest_sha256"]) == 64
    assert entry["metrics"][0]["protocol"]


DAMAGE: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda all_: all_.update(format=9), "is not a registry of format 2"),
    (lambda all_: all_.update(models=[]), "has models = '[]', which is not a mapping of names"),
    (lambda all_: all_["models"].update({3: {}}), "which is not a mapping of names"),
    (lambda all_: all_["models"]["ae"].pop("paper"), "has no models.ae.paper"),
    (
        lambda all_: all_["models"]["ae"].update(tasks={"encode": 3}),
        "has models.ae.tasks.encode = '3', which is not str",
    ),
    (lambda all_: all_["releases"][NAME].pop("licence"), f"has no releases.{NAME}.licence"),
    (lambda all_: all_["releases"][NAME].update(bytes=True), f"has releases.{NAME}.bytes = 'True', which is not int"),
    (lambda all_: all_["releases"][NAME].update(parity="low"), "parity = 'low', which is not float"),
    (lambda all_: all_["releases"][NAME].update(hub={"repository": "a/b"}), f"has no releases.{NAME}.hub.revision"),
    (
        lambda all_: all_["releases"][NAME].update(hub={"repository": "a/b", "revision": "main"}),
        f"has releases.{NAME}.hub.revision = 'main', which is not a full commit",
    ),
    (lambda all_: all_["releases"][NAME].update(metrics={}), "metrics = '{}', which is not a list"),
    (lambda all_: all_["releases"][NAME]["metrics"][0].pop("protocol"), f"has no releases.{NAME}.metrics.0.protocol"),
    (lambda all_: all_["index"]["ae"].update(title="AE"), "has an index that does not say what the rest says"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE, ids=range(len(DAMAGE)))
def test_what_is_wrong_is_told_with_its_path(damage: Callable[[dict[str, Any]], object], words: str) -> None:
    content = copy.deepcopy(REGISTRY)
    damage(content)
    assert words in schema.problem_of(content)


def test_room_for_other_places() -> None:
    content = copy.deepcopy(REGISTRY)
    hub = {"repository": "zoo/digits", "revision": "0" * 40}
    content["releases"][NAME] |= {"hub": hub, "mirror": "https://a.b/c"}
    content[schema.INDEX] = schema.index_of(content)
    model, recipe = registry.split(NAME)
    assert content[schema.INDEX][model]["released"][recipe]["hub"] == hub  # loading by name needs it
    assert schema.problem_of(content) == ""


def test_doctor_tells_a_wrong_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.tools import doctor

    content = copy.deepcopy(REGISTRY)
    del content["releases"][NAME]["manifest_sha256"]
    file = tmp_path / registry.FILE
    file.write_text(yaml.safe_dump(content))
    patch_registry(monkeypatch, file_path=lambda _: file)
    registry.forget()
    try:
        found = [one for one in doctor._registry_files() if one.name == registry.OWN]
    finally:
        registry.forget()
    assert [one.ok for one in found] == [False]
    assert f"has no releases.{NAME}.manifest_sha256" in found[0].text


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that is read in place of the zoo's own registry.yaml."""
    file = tmp_path / registry.FILE
    patch_registry(monkeypatch, file_path=lambda _: file)
    registry.forget()
    yield file
    registry.forget()


@pytest.mark.parametrize(("text", "words"), [("", "is not a registry"), ("a: [", "cannot be read"), (None, "has no")])
def test_weights_that_cannot_be_looked_up_are_not_called_missing(text: str | None, words: str, own_file: Path) -> None:
    if text is not None:
        own_file.write_text(text)
    with pytest.raises(PluginError, match=f"'{NAME}' cannot be looked up: .*{words}.*zoo registry build"):
        registry.released_folder(NAME)


def test_doctor_tells_lost_weights(own_file: Path) -> None:
    from zoo.tools import doctor

    content = copy.deepcopy({key: value for key, value in REGISTRY.items() if key != "index"})
    content["releases"][NAME]["manifest_sha256"] = "0" * 64
    content["releases"]["vae.digits"]["folder"] = "releases/nothing"
    own_file.write_text(yaml.safe_dump(content, sort_keys=False))
    found = {one.text for one in doctor._registry_files() if one.kind == "weights" and not one.ok}
    assert sorted("altered" in text for text in found) == [False, True]
    assert any("'vae.digits'" in text and "Install the package again" in text for text in found)
    content["releases"]["vae.digits"]["hub"] = {"repository": "zoo/vae.digits", "revision": "0" * 40}
    own_file.write_text(yaml.safe_dump(content, sort_keys=False))
    registry.forget()  # what is on the Hub is not lost
    (lost,) = (one.text for one in doctor._registry_files() if one.kind == "weights" and not one.ok)
    assert "altered" in lost


def test_lists_and_loading_read_the_index_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest, several times as long, is not even parsed; and without an index all is read, and says the same."""
    registry.forget()
    with monkeypatch.context() as patch:
        patch_registry(patch, read_file=lambda _: pytest.fail("the whole registry was read"))
        rows, released = registry.rows(), registry.released_folder(NAME)
    text = (Path(__file__).parents[2] / registry.FILE).read_text("utf-8")
    assert len(text.partition("\nmodels:")[0]) < len(text) / 4
    index = registry.index(registry.OWN)
    registry.forget()
    file = tmp_path / registry.FILE
    file.write_text(yaml.safe_dump({key: value for key, value in REGISTRY.items() if key != "index"}, sort_keys=False))
    patch_registry(monkeypatch, file_path=lambda _: file)
    assert registry.index(registry.OWN).models == index.models
    assert (registry.rows(), registry.released_folder(NAME)) == (rows, released)
    registry.forget()


def test_models_of_a_data_set() -> None:
    names = registry.list_models(data="mnist", pretrained=True)
    assert "features.mnist" in names
    assert not [name for name in names if name.endswith(".digits")]
