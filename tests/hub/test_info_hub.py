"""A release on the Hub is looked at without its weights, and no code of it is fetched."""

from __future__ import annotations

import json

import pytest
from double import Double
from pulling import REPO, SOURCE, altered, cached_files, named, released

import zoo
from conftest import Command, Refused, raises
from zoo.core.errors import NotFoundError
from zoo.release import MANIFEST, SIGNATURE

pytest_plugins = ("double_fixture",)


def test_zoo_info_looks_at_a_release_without_its_weights(hub: Double, zoo_call: Command) -> None:
    content = released()
    content["README.md"] = b"---\nlicense: cc-by-sa-4.0\n---\n"
    content[SIGNATURE] = b"{}"
    commit = hub.put(REPO, content)
    text = zoo_call("info", SOURCE).stdout
    about = json.loads(zoo_call("info", SOURCE, "--json").stdout)
    assert set(hub.fetched) == {MANIFEST, SIGNATURE}
    assert cached_files() == []
    assert about["source"] == f"{SOURCE}@{commit}"
    assert about["hub"] | {"changed": "", "downloads": 0} == {
        "page": f"{hub.endpoint}/{REPO}",
        "publisher": "acme",
        "commit": commit,
        "changed": "",
        "visibility": "public",
        "licence": "cc-by-sa-4.0",
        "downloads": 0,
        "bytes": sum(len(content[name]) for name in named(content) if name != MANIFEST),
    }
    assert about["signature"]["check"] == f"zoo verify {SOURCE}@{commit} --key PUBLIC.pem"
    assert about["fine-tuning"]["distribution"] == "genzoo"
    card = json.loads(content[MANIFEST])["card"]
    assert (about["title"], about["summary"]) == (card["title"], card["summary"])
    assert about["paper"] == f"{card['citation']}, {card['paper']}"
    assert about["provenance"] == json.loads(content[MANIFEST])["provenance"]
    assert "the package that the release names, which nobody has checked" in text


def test_what_a_stranger_wrote_does_not_draw_on_the_terminal(hub: Double, zoo_call: Command) -> None:
    content = released()
    card = json.loads(content[MANIFEST])["card"] | {"title": "Nice\x1b[2J\x07\u202e model"}
    provenance = json.loads(content[MANIFEST])["provenance"] | {"\x1b]0;x\x07": "\x1b[31m"}
    hub.put(REPO, altered(content, card=card, provenance=provenance))
    text = zoo_call("info", SOURCE).stdout
    assert "Nice [2J  model" in text
    assert not any(mark in text for mark in "\x1b\x07\u202e")


def test_zoo_info_of_what_is_no_release(hub: Double, refused: Refused) -> None:
    hub.put(REPO, {"config.json": b"{}"})
    refused("info", SOURCE, says=(f"{SOURCE} has no {MANIFEST}, so it is no release of zoo",))
    refused("info", "hub:acme/missing", says=("acme/missing does not exist", "or is private"))


@pytest.mark.parametrize(
    ("distribution", "says"),
    [
        ("their-zoo", "By the release, which nobody has checked: pip install their-zoo==1.0."),
        ("x; rm -rf ~", "names the package 'x; rm -rf ~' '1.0', which cannot be right"),
        ("--index-url=http://evil", "names the package '--index-url=http://evil' '1.0', which cannot be right"),
    ],
)
def test_the_torch_side_needs_the_plugin_and_never_fetches_code(distribution: str, says: str, hub: Double) -> None:
    hub.put(REPO, altered(released(), name="their.model", plugin={"distribution": distribution, "version": "1.0"}))
    with raises(NotFoundError, "The plugin of 'their' is not installed", says, "ONNX Runtime runs the release"):
        zoo.load_module(SOURCE)
