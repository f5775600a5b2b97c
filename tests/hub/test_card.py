"""The metadata of a release on the Hub follows from its manifest, and is what the Hub accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from double_cards import LICENCES, front_matter
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import model_index_to_eval_results
from publishing import released

from conftest import RELEASED, Shelf, Stepwise
from zoo import registry
from zoo.hub import card, extras, licences
from zoo.hub.repository import Blob, Repository
from zoo.release import CARD, MANIFEST, read
from zoo_export.card import model_card


def manifest_of(name: str) -> dict[str, Any]:
    folder, _ = registry.released_folder(name)
    assert folder is not None
    return dict(read(folder).manifest)


@pytest.mark.parametrize("name", RELEASED)
def test_the_metadata_of_every_release_is_what_the_hub_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    manifest = manifest_of(name)
    fields = card.metadata(manifest, repository=f"acme/{name}")
    text = card.written(fields, "# Text\n")
    assert front_matter(text) == fields  # as the double of the Hub reads it, which refuses what the Hub refuses
    read_back = ModelCard(text).data.to_dict()
    assert {key: read_back[key] for key in fields if key != "model-index"} == {
        key: fields[key] for key in fields if key != "model-index"
    }
    assert fields["library_name"] == "genzoo"
    assert fields["license"] == "mit"
    assert {"zoo", "onnx", name.partition(".")[0], *manifest["tasks"]} <= {*fields["tags"]}
    assert fields["datasets"] == [manifest["provenance"]["data"]["name"]]
    assert set(fields) <= {*card.FIELDS}
    expected = f"https://huggingface.co/acme/{name}/resolve/main/samples.png"
    assert fields.get("thumbnail") == (expected if "samples.png" in manifest["files"] else None)


@pytest.mark.parametrize(
    ("endpoint", "has_one"),
    [("", True), ("https://huggingface.co/", True), ("https://hub.corp.example", False), ("http://127.0.0.1:1", False)],
)
def test_the_address_of_a_hub_of_ones_own_is_not_published(
    endpoint: str, has_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    fields = card.metadata(manifest_of("vae.digits"), repository="acme/vae.digits")
    thumbnail = "https://huggingface.co/acme/vae.digits/resolve/main/samples.png"
    assert fields.get("thumbnail") == (thumbnail if has_one else None)
    assert has_one or endpoint not in card.written(fields, "")


@pytest.mark.parametrize("name", RELEASED)
def test_every_metric_is_in_the_model_index_with_its_unit_and_protocol(name: str) -> None:
    manifest = manifest_of(name)
    found, results = model_index_to_eval_results(card.metadata(manifest)["model-index"])
    assert found == name
    metrics = manifest["metrics"]
    assert [(one.metric_type, one.metric_value) for one in results] == [(one["name"], one["value"]) for one in metrics]
    for result, metric in zip(results, metrics, strict=True):
        arguments = result.metric_args or {}
        assert arguments["unit"] == metric["unit"]
        assert arguments["protocol"] == metric["protocol"]
        assert result.dataset_type == manifest["provenance"]["data"]["name"]
        against_training = metric["name"] in ("fid", "kid", "precision", "recall")
        no_data = metric["name"] in ("commonest_class", "rarest_class", "label_accuracy", "code_accuracy")
        assert result.dataset_split == (None if against_training or no_data else "test")
    ModelCardData(model_name=name, eval_results=results)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("vae.mnist", "unconditional-image-generation"),
        ("cgan.mnist", "unconditional-image-generation"),
        ("ddpm.digits", "unconditional-image-generation"),
        ("vq-vae.mnist", "unconditional-image-generation"),
        ("denoising-ae.mnist", "image-to-image"),
        ("features.mnist", "image-classification"),
        ("chargpt.shakespeare", "text-generation"),
        ("audio-vae.fsdd", "other"),
    ],
)
def test_the_pipeline_tag_says_what_a_model_does(name: str, tag: str) -> None:
    assert card.pipeline_tag(manifest_of(name)) == tag


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "tag"), [("illustrate", "text-to-image"), ("describe", "image-to-text"), ("paint", "image-to-image")]
)
def test_what_samples_are_generated_from_counts_too(model: str, tag: str, stepwise: Stepwise) -> None:
    manifest = json.loads((stepwise[model] / "release" / MANIFEST).read_text("utf-8"))
    assert card.pipeline_tag(manifest) == tag


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("MIT", {"license": "mit"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC BY-SA 4.0", {"license": "cc-by-sa-4.0"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("cc0-1.0", {"license": "cc0-1.0"}),
        ("Beer-ware, revision 42", {"license": "other", "license_name": "beer-ware-revision-42"}),
        ("MIT AND Apache-2.0", {"license": "other", "license_name": "mit-and-apache-2.0"}),
    ],
)
def test_a_licence_is_one_of_the_hubs_or_other_with_its_name(licence: str, fields: dict[str, str]) -> None:
    assert licences.on_the_hub(licence) == fields
    assert fields["license"] in LICENCES


def test_the_licence_is_that_of_the_manifest_else_of_the_distribution() -> None:
    manifest = manifest_of("vae.digits")
    assert "licence" not in manifest
    assert licences.of_manifest(manifest) == "MIT"
    assert licences.of_manifest({**manifest, "licence": "Apache-2.0"}) == "Apache-2.0"
    plugin = {"distribution": "nobody-has-this", "version": "1"}
    assert licences.of_manifest({**manifest, "plugin": plugin}) == "unknown"


@pytest.mark.slow
def test_a_new_release_has_its_licence_in_the_manifest_and_metadata_in_its_card(shelf: Shelf) -> None:
    release = read(shelf.release("vae"))
    assert release.manifest["licence"] == "MIT"
    fields, text = card.split((release.folder / CARD).read_text("utf-8"))
    assert fields == card.metadata(release.manifest)
    assert fields["license"] == "mit"
    assert text.startswith("\n# vae.tiny\n")


@pytest.mark.slow
def test_users_own_data_is_no_data_set_of_the_hub(gpt: Path) -> None:
    manifest = read(gpt / "release").manifest
    assert ":" in manifest["provenance"]["data"]["name"]
    assert "datasets" not in card.metadata(manifest)


def test_a_card_is_split_into_fields_and_text() -> None:
    assert card.split("---\na: 1\n---\n# T\n---\nb\n") == ({"a": 1}, "# T\n---\nb\n")
    assert card.split("---\r\na: 1\r\n---\r\nT") == ({"a": 1}, "T")
    assert card.split("# T\n\n---\na: 1\n---\n") == ({}, "# T\n\n---\na: 1\n---\n")
    assert card.split("---\na: [\n---\nT") == ({}, "T")
    assert card.split("---\n---\nT") == ({}, "T")
    for value in ("2024-13-45", "!!bool x", "!!int ''", "!!timestamp x"):
        assert card.split(f"---\na: {value}\n---\nT") == ({}, "T")
    assert card.split("") == ({}, "")


def test_the_examples_of_a_published_card_name_the_repository() -> None:
    text = extras.text_of((released() / CARD).read_text("utf-8"), "acme/vae.digits")
    assert 'model = zoo.load("hub:acme/vae.digits")' in text
    assert "zoo generate hub:acme/vae.digits --seed 0" in text
    assert "`zoo verify hub:acme/vae.digits`" in text
    assert "./" not in text
    assert "-o vae.digits.png\n" in text
    coder = extras.text_of("```sh\nzoo compress . FILE.png -o ../small.zooc\n```\n[up](../x)\n", "acme/x")
    assert "zoo compress hub:acme/x FILE.png -o small.zooc\n" in coder
    assert "(../x)" in coder


def there(readme: str, config: bytes = b"{}") -> Repository:
    return _there({CARD: readme.encode(), "config.json": config})


def _there(texts: dict[str, bytes], *others: str) -> Repository:
    blobs = {name: Blob(len(texts.get(name, b"")), "", "") for name in (*texts, *others)}
    return Repository("acme/x", "0" * 40, False, blobs, texts)


FIELDS = {"library_name": "genzoo", "license": "mit", "tags": ["zoo", "onnx"]}


def test_fields_and_tags_that_people_added_stay_and_those_of_zoo_are_replaced() -> None:
    before = "---\nlicense: other\nlicense_name: x\ntags: [zoo, art]\nlanguage: en\nthumbnail: y\n---\n# Old\n"
    written, note = extras.merged_card(FIELDS, "# New\n", there(before), replace=False)
    fields, text = card.split(written.decode())
    assert fields == {**FIELDS, "tags": ["zoo", "onnx", "art"], "language": "en"}
    assert text.strip() == "# Old"  # nothing says that zoo wrote it
    assert "--replace-card" in note
    replaced, note = extras.merged_card(FIELDS, "# New\n", there(before), replace=True)
    assert (replaced.decode(), note) == (card.written(fields, "# New\n"), "")


def test_metadata_that_cannot_be_read_is_replaced_and_said() -> None:
    before = "---\nlanguage: [en\n---\n# Old\n"
    for replace, text in ((False, "# Old\n"), (True, "# New\n")):
        written, note = extras.merged_card(FIELDS, "# New\n", there(before), replace=replace)
        assert written.decode() == card.written(FIELDS, text)
        assert note.endswith("acme/x: the metadata of README.md there is not valid YAML, and is replaced whole.")
        assert ("--replace-card" in note) == (not replace)
    for repository, reason in ((_there({}, CARD), "too large to be read"), (_there({CARD: b"\xff"}), "not text in")):
        written, note = extras.merged_card(FIELDS, "# New\n", repository, replace=True)
        assert written.decode() == card.written(FIELDS, "# New\n")
        assert f"README.md is {reason}" in note
        assert note.endswith("the metadata that people added to it is lost.")


def test_tags_that_are_no_text_are_dropped() -> None:
    written, _ = extras.merged_card(FIELDS, "# New\n", there("---\ntags: art\n---\n# New\n"))
    assert card.split(written.decode())[0]["tags"] == ["zoo", "onnx", "art"]
    written, _ = extras.merged_card(FIELDS, "# New\n", there("---\ntags: [{a: b}, [c], 7, art]\n---\n# New\n"))
    assert card.split(written.decode())[0] == {**FIELDS, "tags": ["zoo", "onnx", "art"]}


def test_an_edited_text_stays_and_one_that_zoo_wrote_is_replaced() -> None:
    release = read(released())
    config = extras.config(release, "0" * 64, "# Old\n")
    old = card.written(FIELDS, "# Old\n")
    assert extras.merged_card(FIELDS, "# New\n", there(old, config)) == (card.written(FIELDS, "# New\n").encode(), "")
    edited = card.written(FIELDS, "# Old\n\nWith a remark.\n")
    written, note = extras.merged_card(FIELDS, "# New\n", there(edited, config))
    assert written.decode() == edited
    assert "the text of README.md was edited there and stays" in note


def test_another_way_to_write_the_same_card_is_no_change() -> None:
    old = '---\nlibrary_name: "genzoo"  # ours\ntags:\n  - zoo\n  - onnx\nlicense: mit\n---\n# New'
    assert extras.merged_card(FIELDS, "# New\n", there(old)) == (old.encode(), "")


def test_a_card_that_is_no_text_stays() -> None:
    repository = _there({CARD: b"\xff\xfe"})
    assert extras.merged_card(FIELDS, "# New\n", repository)[0] == b"\xff\xfe"


def test_lines_of_gitattributes_are_added_to_those_that_are_there() -> None:
    own = b"*.onnx filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs"
    repository = Repository("acme/x", "0" * 40, False, {}, {".gitattributes": own})
    found = extras.attributes(["a.onnx", "b.png", "c.txt"], repository)
    assert found == own + b"\n*.png filter=lfs diff=lfs merge=lfs -text\n"
    again = Repository("acme/x", "0" * 40, False, {}, {".gitattributes": found})
    assert extras.attributes(["a.onnx", "b.png", "c.txt"], again) == found


def test_config_json_has_what_viewers_show() -> None:
    content = json.loads(extras.config(read(released()), "ab" * 32, "# T"))
    assert content.pop("card_sha256")
    assert content == {
        "model_type": "vae",
        "name": "vae.digits",
        "library_name": "genzoo",
        "format": 3,
        "manifest_sha256": "ab" * 32,
    }


def test_a_card_is_made_from_the_manifest_where_a_release_has_none() -> None:
    release = read(released())
    text = model_card(release.manifest, release.folder)
    assert card.split(text)[0] == card.metadata(release.manifest)
    assert "## Metrics" in text
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "genzoo"
