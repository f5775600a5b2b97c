"""A distribution publishes all of its released weights into a collection."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from double import Before, Double, Status
from packaged import DISTRIBUTION, NAMES, publish_both
from publishing import changed

from conftest import Command, one_error
from zoo.pipeline import publishing, registry_build
from zoo.release import CARD

pytest_plugins = ("double_fixture", "package_fixture")


def test_all_weights_of_a_distribution_are_published_into_a_collection(
    hub: Double, package: Path, zoo_call: Command
) -> None:
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org", "acme")
    done = zoo_call(*command)
    one_error(done, "There are 2 problems. Nothing was changed.")
    assert [line for line in done.stderr.splitlines() if line.startswith("- ")] == [
        f"- {name}: The licence of {name} is not known: its manifest names none, and {DISTRIBUTION} declares "
        "none. Give it: --licence mit"
        for name in NAMES
    ]
    done = zoo_call(*command, "--licence", "mit", "--dry-run")
    assert done.stdout.count("Nothing was sent.") == 2
    assert hub.writes == []
    done = zoo_call(*command, "--licence", "mit")
    assert done.returncode == 0, done.stderr
    (slug,) = hub.state.collections
    assert [item["id"] for item in hub.state.collections[slug]["items"]] == [f"acme/{name}" for name in NAMES]
    assert done.stdout.splitlines()[-1] == f"Collection: {hub.endpoint}/collections/{slug}"
    heads = [hub.head(f"acme/{name}") for name in NAMES]
    found = json.loads(zoo_call(*command, "--licence", "mit", "--quiet", "--json").stdout)
    assert [one["commit"] for one in found["releases"]] == heads
    assert [item["id"] for item in hub.state.collections[slug]["items"]] == [f"acme/{name}" for name in NAMES]
    assert sum(request.path == "/api/whoami-v2" for request in hub.requests) == 4  # once a command: it is limited


@pytest.mark.slow
def test_a_publish_of_all_that_fails_goes_on_where_it_stopped(
    hub: Double, package: Path, zoo_call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "verify", lambda folder: {})  # it takes seconds
    fault = hub.fail(Status(500), path="/commit/", method="POST")
    hub.put(f"acme/{NAMES[0]}", {})
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org", "acme", "--licence", "mit")
    one_error(zoo_call(*command), f"{NAMES[0]}:", "0 of 2 are published; the same command goes on.")
    fault.times = 0
    assert zoo_call(*command).returncode == 0
    fault = hub.fail(Status(500), path="/api/collections")
    one_error(zoo_call(*command), "are published, and 0 of 2 are in the collection 'zoo-tests' of acme.", "goes on.")
    fault.times = 0
    hub.fail(Status(500), path="/items", method="POST", times=1)  # the collection is made, and has none
    one_error(zoo_call(*command), "are published, and 0 of 2 are in the collection 'zoo-tests' of acme.")
    hub.fail(Before(lambda: hub.fail(Status(500), path="/items", times=1)), path="/items", times=1)
    one_error(zoo_call(*command), "are published, and 1 of 2 are in the collection 'zoo-tests' of acme.")


def test_a_card_that_is_no_text_is_said(hub: Double, package: Path, zoo_call: Command) -> None:
    folder = package / "releases" / NAMES[0]
    (folder / CARD).write_bytes(b"\xff\xfe")
    command = ("publish", folder, "--repo", "acme/x", "--licence", "mit")
    one_error(zoo_call(*command), "is not text in UTF-8")
    (folder / CARD).unlink()
    other = changed(folder, folder.parents[2] / "other", lambda manifest, _: manifest["provenance"].pop("torch"))
    one_error(zoo_call(command[0], other, *command[2:]), "has no README.md", "(KeyError: 'torch'). Write one.")
    assert hub.writes == []


def test_a_card_that_is_a_link_is_not_published(
    hub: Double, package: Path, zoo_call: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "verify", lambda folder: {})  # it takes seconds
    (tmp_path / "secret.txt").write_text("A secret.")
    folder = package / "releases" / NAMES[0]
    (folder / CARD).unlink()
    (folder / CARD).symlink_to(tmp_path / "secret.txt")
    done = zoo_call("publish", folder, "--repo", "acme/x", "--licence", "mit")
    one_error(done, "README.md is a link, and would publish another file. Replace it by a copy, or delete it.")
    assert hub.writes == []


def test_what_is_soon_looked_at_is_looked_at_before_anything_is_verified(
    hub: Double, package: Path, zoo_call: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def verify(folder: Path) -> dict[str, str]:
        raise AssertionError(f"{folder} was verified")

    monkeypatch.setattr(publishing, "verify", verify)
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org")
    done = zoo_call(*command, "acme")
    one_error(done, "There are 2 problems.")
    assert done.stderr.startswith(
        f"{DISTRIBUTION} has 2 released weight sets in its package (3.2 MB). The token, the licences and the "
        "repositories are checked; then all weights are verified, which may take minutes; then each is published as "
        "acme/MODEL.RECIPE, and put into a collection.\n"
    )
    one_error(zoo_call(*command, "other", "--licence", "mit"), "There are 4 problems.")
    one_error(zoo_call(*command, "acme", "--licence", "mit", "--sign", tmp_path / "no.pem"), "no.pem")
    monkeypatch.delenv("HF_TOKEN")
    one_error(zoo_call(*command, "acme", "--licence", "mit"), "No token is set")
    assert hub.writes == []


def test_weights_that_have_left_the_package_are_named(hub: Double, package: Path, zoo_call: Command) -> None:
    publish_both(package)
    registry_build.write(DISTRIBUTION, hub="acme")
    command = ("publish", "--all", "--distribution", DISTRIBUTION, "--org", "acme", "--licence", "mit", "--dry-run")
    shutil.rmtree(package / "releases" / NAMES[0])
    assert f"in its package (1.6 MB), and 1 more on the Hub already ({NAMES[0]})." in zoo_call(*command).stderr
    shutil.rmtree(package / "releases" / NAMES[1])
    one_error(zoo_call(*command), f"2 are on the Hub already, where its registry.yaml pins them ({', '.join(NAMES)})")
