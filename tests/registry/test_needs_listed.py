"""What a model needs is in its registry, and what this machine lacks of it is listed without importing the plugin."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, plugged
from zoo import registry
from zoo.hub.lacking import lacking, sentences
from zoo.pipeline import registry_build

DISTRIBUTION = "zoo-tests"
NEED = "features.digits"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """The package of a distribution whose models are built with a released classifier, and its registry."""
    package = tmp_path / "site" / "zoo_judge"
    package.mkdir(parents=True)
    imports = ("from needs_plugin import judged, judging", "from zoo_autoencoders.ae import ae")
    (package / "__init__.py").write_text("\n".join(imports))
    with plugged(tmp_path / "site", judged="zoo_judge:judged", judging="zoo_judge:judging", plain="zoo_judge:ae"):
        registry_build.write(DISTRIBUTION)
        yield package
    sys.modules.pop("zoo_judge", None)


def change(package: Path, old: str, new: str) -> None:
    """Change the registry, and let the plugin fail where it is imported."""
    path = package / registry.FILE
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    sys.modules.pop("zoo_judge", None)
    registry.forget()


def said(zoo_call: Command, *arguments: str) -> Any:
    done = zoo_call(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def states(zoo_call: Command) -> dict[str, str]:
    return {one["name"]: one["problem"] for one in said(zoo_call, "plugin", "list")["plugins"]}


def test_the_registry_says_what_each_recipe_needs(package: Path, zoo_call: Command) -> None:
    content = registry.parse((package / registry.FILE).read_text("utf-8"))
    for model in ("judged", "judging"):
        assert content["models"][model]["needs"] == content["index"][model]["needs"] == {"tiny": {"features": NEED}}
    assert "needs" not in content["models"]["plain"]
    assert "needs" not in content["index"]["plain"]
    assert said(zoo_call, "info", "judged.tiny")["needs"] == {"features": NEED}
    about = said(zoo_call, "info", "judged")
    assert (about["needs"], about.get("lacking")) == ({"judged.tiny": {"features": NEED}}, None)
    assert {row["name"]: row["lacking"] for row in said(zoo_call, "list", "judg*", "--all")} == {
        "judged.tiny": [], "judging.tiny": []
    }  # fmt: skip
    assert states(zoo_call)["judged"] == ""
    assert "!" not in zoo_call("list", "--all").stdout


def test_a_release_that_is_missing_is_listed(package: Path, zoo_call: Command) -> None:
    change(package, NEED, "features.faces")
    why = "the release 'features.faces' as 'features': Model 'features' has no recipe 'faces'."
    (lacks,) = said(zoo_call, "info", "judged.tiny")["lacking"]
    assert lacks.startswith(why)
    assert said(zoo_call, "info", "judged")["lacking"] == {"judged.tiny": [lacks]}
    rows = {row["name"]: row for row in said(zoo_call, "list", "--all")}
    assert (rows["judged.tiny"]["lacking"], rows["judged.tiny"]["note"]) == ([lacks], "")
    assert rows["plain.tiny"]["lacking"] == rows["vae.tiny"]["lacking"] == []
    assert states(zoo_call)["judged"] == f"judged.tiny needs {lacks}"
    lines = zoo_call("list", "judged", "--all").stdout.splitlines()
    assert lines[1].split()[:2] == ["judged", "tiny!"]
    assert lines[-2:] == ["! It cannot be trained here. What is released can be used.", f"  judged.tiny needs {lacks}"]


def test_a_data_set_that_is_not_installed_is_listed(package: Path, zoo_call: Command) -> None:
    change(package, ': "digits"', ': "faces"')
    change(package, "data: digits", "data: faces")
    what = "the data set 'faces', which is not installed"
    assert lacking("judged") == {"tiny": [what]}
    (text,) = sentences("plain")
    assert text == f"plain.digits, plain.tiny need {what}"
    assert states(zoo_call)["judged"] == f"judged.tiny needs {what}"
    assert said(zoo_call, "info", "judged.tiny")["lacking"] == [what]


def test_what_can_be_had_is_not_lacking(package: Path, tmp_path: Path) -> None:
    change(package, NEED, "hub:acme/features")  # it is downloaded
    assert lacking("judged") == {}
    there = tmp_path / "faces"
    change(package, "hub:acme/features", str(there))
    assert str(there) in lacking("judged")["tiny"][0]
    there.mkdir()
    (there / "manifest.json").write_text("{}")
    assert lacking("judged") == {}


def test_nothing_is_known_of_what_no_registry_describes(package: Path) -> None:
    (package / registry.FILE).unlink()
    registry.forget()
    assert lacking("judged") == lacking("nobody") == {}
