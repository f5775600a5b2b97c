"""The pages of docs/models: each model is in one, and its title, paper, settings and metrics are the registry's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import MODELS
from zoo import registry

PAGES = {
    path.stem: path.read_text("utf-8")
    for path in sorted((Path(__file__).parents[2] / "docs" / "models").glob("*.md"))
    if path.stem != "index"  # the tables of all models
}
SECTIONS = [
    (page, title, name, text)
    for page, source in PAGES.items()
    for title, name, text in re.findall(r"^## ([^`\n]*): `([\w-]+)`\n(.*?)(?=^## |\Z)", source, re.M | re.S)
]
OWN = {name for name in MODELS if registry.find(name).distribution == "genzoo"}
REGISTRY = registry.parse((Path(__file__).parents[2] / registry.FILE).read_text("utf-8"))
GANS = ("bigan", "cgan", "dcgan", "gan", "infogan", "lsgan", "sngan", "wgan", "wgan-gp")


def test_every_model_is_in_exactly_one_family() -> None:
    assert sorted(name for _, _, name, _ in SECTIONS) == sorted(OWN)


@pytest.mark.parametrize(("title", "name", "text"), [part[1:] for part in SECTIONS], ids=[part[2] for part in SECTIONS])
def test_a_section_has_title_paper_equation_source_and_samples(title: str, name: str, text: str) -> None:
    card = registry.load(name).card
    assert title == card.title
    assert f"({card.paper})" in text
    assert "\n$$\n" in text
    file = registry.find(name).value.partition(":")[0].replace(".", "/")
    assert f"(../../plugins/{file}.py)" in text
    released = [
        registry.released_folder(row.name)[0] for row in registry.rows() if row.model == name and row.pretrained
    ]
    images = [folder for folder in released if folder and (folder / "samples.png").is_file()]
    assert not images or any(f"releases/{folder.name}/samples.png)" in text for folder in images)
    assert 1 <= len(re.findall(r"^```(?:python|sh)$", text, re.M)) <= 3


@pytest.mark.parametrize(("name", "text"), [part[2:] for part in SECTIONS], ids=[part[2] for part in SECTIONS])
def test_settings_are_those_of_the_recipes(name: str, text: str) -> None:
    recipes = registry.load(name).recipes
    lines = re.findall(rf"^- `{name}\.([\w-]+)`: (.*(?:\n  .*)*)", text, re.M)
    assert {recipe for recipe, _ in lines} == set(recipes) - {"tiny"}
    for recipe, line in lines:
        for key, value in re.findall(r"`(\w+)=([^`]*)`", line):
            assert str(getattr(recipes[recipe], key)) == value, (recipe, key)


def metric(name: str, models: tuple[str, ...] = ()) -> Mapping[str, float]:
    """The values of a metric of the MNIST weights, of these models or of all."""
    found = {
        release.removesuffix(".mnist"): one["value"]
        for release, entry in REGISTRY["releases"].items()
        if release.endswith(".mnist")
        for one in entry["metrics"]
        if one["name"] == name
    }
    return {model: value for model, value in found.items() if not models or model in models}


def ranked(name: str, models: tuple[str, ...] = ()) -> list[str]:
    values = metric(name, models)
    return sorted(values, key=lambda model: values[model])


def test_what_the_page_of_gans_says_of_the_metrics() -> None:
    assert {name for page, _, name, _ in SECTIONS if page == "gans"} == set(GANS)
    assert ranked("fid")[:2] == ["cgan", "infogan"]
    assert ranked("precision")[-1] == "cgan"
    assert ranked("recall", GANS)[0] == "infogan"
    assert ranked("fid", GANS)[2] == "bigan"
    assert set(ranked("fid", GANS)[-2:]) == {"gan", "wgan"}
    alike = metric("fid", ("dcgan", "lsgan", "sngan", "wgan-gp"))
    assert max(alike.values()) < 1.5 * min(alike.values())
    assert metric("mse")["bigan"] > baseline("bigan")


def test_what_the_page_of_variational_autoencoders_says_of_the_metrics() -> None:
    unlabelled = ("vae", "iwae")
    assert ranked("negative_elbo", unlabelled)[0] == ranked("mse", unlabelled)[0] == "vae"
    assert ranked("iwae_100")[0] == "iwae"
    assert ranked("fid", (*unlabelled, "cvae")) == ["cvae", "iwae", "vae"]
    assert ranked("mse")[0] == "vq-vae"
    closer = [name for name in GANS if metric("fid")[name] < metric("fid")["vae"]]
    assert len(closer) > len(GANS) / 2
    low, high = (measurements(name)["iwae_100"] for name in unlabelled)
    assert low["low"] < high["high"]
    assert high["low"] < low["high"]


def test_what_the_page_of_adversarial_autoencoders_says_of_the_metrics() -> None:
    both = ("aae", "wae")
    assert ranked("fid", both)[0] == "aae"
    assert ranked("mse", both)[0] == "wae"
    assert ranked("linear_probe", both)[-1] == "wae"
    assert metric("mse")["vae-gan"] > baseline("vae-gan")


def test_reconstructions_of_convolutions_are_closer() -> None:
    assert metric("mse")["conv-ae"] < metric("mse")["ae"] / 2


def baseline(model: str) -> float:
    """The mean squared error of PCA."""
    return float(measurements(model)["mse"]["baseline"]["value"])


def measurements(model: str) -> dict[str, Any]:
    """What was measured of the MNIST weights, by the name of the metric."""
    return {measured["name"]: measured for measured in REGISTRY["releases"][f"{model}.mnist"]["metrics"]}
