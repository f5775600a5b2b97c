"""Reviewed releases of third parties: listed, loaded by name at the pinned commit and hash, and checked again."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache as cache_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from double import Corrupt, Double, Silent, Status, env

import zoo
from conftest import TRAINING, Command, Refused, one_error, patch_registry, plugged, python, raises
from zoo import registry
from zoo.core.errors import HubError, NotFoundError, ReleaseError
from zoo.hub import cache, community, resolve
from zoo.release import MANIFEST, WEIGHTS, seal

pytest_plugins = ("double_fixture",)

NAME = "their-vae.digits"
REPO = "acme/their-vae"


@cache_of
def released() -> dict[str, bytes]:
    """The files of a release of somebody else, whose plugin is not installed."""
    folder = resolve.find("vae.digits")
    content = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    manifest = json.loads(content[MANIFEST])
    manifest |= {"name": NAME, "plugin": {"distribution": "their-package", "version": "1.0"}}
    return {**content, MANIFEST: json.dumps(seal(manifest)).encode()}


def entry(commit: str = "0" * 40, **changes: Any) -> dict[str, Any]:
    manifest = json.loads(released()[MANIFEST])
    return {
        "name": NAME,
        "title": manifest["card"]["title"],
        "tasks": list(manifest["tasks"]),
        "data": "digits",
        "repository": REPO,
        "revision": commit,
        "manifest_sha256": hashlib.sha256(released()[MANIFEST]).hexdigest(),
        "distribution": "their-package",
        "licence": "MIT",
        **changes,
    }


Listing = Callable[..., Path]


@pytest.fixture
def listing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Listing:
    """Puts a list with these entries in place of the one of the package."""

    def put(*entries: Any, text: str | None = None, **more: Any) -> Path:
        path = tmp_path_factory.mktemp("list") / "community.yaml"
        path.write_text(yaml.safe_dump({"format": 1, "releases": list(entries), **more}) if text is None else text)
        monkeypatch.setattr(community, "FILE", path)
        return path

    return put


@pytest.fixture
def listed(hub: Double, listing: Listing) -> str:
    """A reviewed release that is on the Hub; gives its commit. The branch has moved on."""
    commit = hub.put(REPO, released())
    hub.put(REPO, {MANIFEST: b"{}"})
    listing(entry(commit))
    return commit


def test_the_list_of_the_package_keeps_to_its_form() -> None:
    for found in community._read(community.FILE):
        assert found.name.count(".") >= 1


def test_the_form_that_the_file_shows_is_accepted(listing: Listing) -> None:
    """The commented example, with a hash in place of the dots."""
    lines = community.FILE.read_text("utf-8").splitlines()
    example = [line.removeprefix("# ") for line in lines if line.startswith(("# - ", "#   "))]
    listing(text="format: 1\nreleases:\n" + "\n".join(example).replace("…", "a" * 64))
    (found,) = community.releases()
    assert found.name == "their-model.mnist"
    assert str(found.source).startswith("hub:ORG/their-model.mnist@0123")


def test_a_reviewed_name_loads_what_is_pinned(hub: Double, listed: str, capfd: pytest.CaptureFixture[str]) -> None:
    with zoo.load(NAME) as model, zoo.load("vae.digits") as installed:
        assert model.name == NAME
        assert np.array_equal(model.generate(4, seed=3), installed.generate(4, seed=3))
    assert f"The weights of {NAME} come from hub:{REPO}@{listed}." in capfd.readouterr().err
    assert [one.sources for one in cache.contents()] == [(f"hub:{REPO}@{listed}",)]
    count = len(hub.requests)
    hub.remove(REPO)
    assert resolve.find(NAME).parent == cache.folder() / "releases"
    assert resolve.find(NAME, network=False) == resolve.find(NAME)
    assert len(hub.requests) == count  # what is cached asks nobody


def test_every_command_that_takes_a_source_takes_a_reviewed_name(
    hub: Double, listed: str, zoo_call: Command, tmp_path: Path
) -> None:
    folder = zoo_call("pull", NAME, "--quiet").stdout.strip()
    assert Path(folder) == cache.place(entry()["manifest_sha256"])
    assert zoo_call("generate", NAME, "-n", "2", "-o", "a.npy").returncode == 0
    assert np.load(tmp_path / "a.npy").shape == (2, 8, 8)
    assert zoo_call("verify", NAME).returncode == 0


def test_without_torch_it_runs_without_its_plugin(hub: Double, listed: str, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from zoo.hub import community
community.FILE = Path(sys.argv[1])
import zoo
with zoo.load(sys.argv[2]) as model:
    print(model.name, model.generate(2, seed=5).tolist())
"""
    printed = python(code, community.FILE, NAME, block=TRAINING, env=env(hub, home=tmp_path))
    with zoo.load("vae.digits") as model:
        assert printed == f"{NAME} {model.generate(2, seed=5).tolist()}\n"


def test_another_manifest_at_the_commit_is_refused(hub: Double, listing: Listing) -> None:
    manifest = seal({**json.loads(released()[MANIFEST]), "name": "their-vae.evil"})
    content = {**released(), MANIFEST: json.dumps(manifest).encode()}
    listing(entry(hub.put(REPO, content)))
    right, wrong = entry()["manifest_sha256"], hashlib.sha256(content[MANIFEST]).hexdigest()
    with raises(ReleaseError, f"The weights of {NAME} could not be fetched", right, wrong, "Nothing was kept"):
        zoo.load(NAME)
    assert cache.contents() == []


def test_altered_weights_are_refused(hub: Double, listed: str) -> None:
    hub.fail(Corrupt(), method="GET", path=rf"{WEIGHTS}$")
    with raises(ReleaseError, f"{WEIGHTS} is damaged or altered"):
        zoo.load(NAME)
    assert cache.contents() == []


def test_where_the_hub_is_down_the_mirror_is_asked(hub: Double, listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.fail(Status(503))
    monkeypatch.setenv("ZOO_MIRROR", "http://127.0.0.1:9/zoo")
    where = f"The mirror http://127.0.0.1:9/zoo/{entry()['manifest_sha256']}/"
    with raises(HubError, f"The weights of {NAME} could not be fetched", "answers 503", where):
        zoo.load(NAME)


def test_an_installed_model_of_the_name_wins(hub: Double, listing: Listing, zoo_call: Command) -> None:
    commit = hub.put(REPO, released())
    listing(entry(commit, name="vae.digits"), entry(commit, name="vae.theirs"), entry(commit))
    with zoo.load("vae.digits") as model:
        assert model.release.folder == registry.released_folder("vae.digits")[0]
    with raises(NotFoundError, "Model 'vae' has no recipe 'theirs'", "vae.mnist"):
        zoo.load("vae.theirs")
    assert hub.requests == []
    assert [found.name for found in community.releases()] == [NAME]
    assert "theirs" not in zoo_call("list").stdout


def test_a_model_that_is_installed_without_these_weights_keeps_its_error(
    hub: Double, listing: Listing, tmp_path: Path
) -> None:
    listing(entry(hub.put(REPO, released())))
    (tmp_path / "theirs.py").write_text("")
    with plugged(tmp_path, **{"their-vae": "theirs:model"}):
        with raises(NotFoundError, f"No weights are released under {NAME!r}"):
            zoo.load(NAME)
        assert community.releases() == ()
    assert hub.requests == []


def test_weights_of_an_installed_model_that_are_pinned_elsewhere_stay_so(
    hub: Double, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = {"package": "gone", "folder": "gone", "manifest_sha256": "f" * 64}
    patch_registry(monkeypatch, released_folder=lambda name: (None, pinned))
    with raises(NotFoundError, "The weights of 'vae.digits' are not installed"):
        zoo.load("vae.digits")


def test_names_that_are_nearly_listed(hub: Double, listed: str, refused: Refused) -> None:
    with raises(NotFoundError, "Model 'their-vae' has no recipe 'digit'. Did you mean 'digits'?", NAME):
        zoo.load("their-vae.digit")
    with raises(NotFoundError, f"'their-vae' is a model; say which recipe: {NAME}."):
        zoo.load("their-vae")
    refused("info", "their-vae.mnist", says=("has no recipe 'mnist'", NAME))
    with raises(NotFoundError, "No model named 'their-gan'"):
        zoo.load("their-gan.digits")
    with raises(NotFoundError, f"{NAME} is not on this machine. Run: zoo pull {NAME}"):
        resolve.find(NAME, network=False)
    assert hub.requests == []


def test_a_folder_of_a_reviewed_name_needs_a_separator(
    hub: Double, listed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that has the name of an installed model."""
    shutil.copytree(resolve.find("vae.digits"), tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    assert resolve.find(NAME).parent == cache.folder() / "releases"
    assert resolve.find(f"./{NAME}") == Path(NAME)


def test_zoo_list_shows_reviewed_releases_after_the_models(hub: Double, listed: str, zoo_call: Command) -> None:
    done = zoo_call("list")
    *rows, line, blank, note = done.stdout.splitlines()
    assert line.split()[:2] == ["their-vae", "digits+"]
    assert rows[-1].split()[0] == [*registry.plugins()][-1]
    assert blank == ""
    assert "reviewed release of a third party" in note
    rows_as_json = json.loads(zoo_call("list", "--json").stdout)
    assert rows_as_json[-1].items() >= {"name": NAME, "licence": "MIT", "hub": f"hub:{REPO}@{listed}"}.items()
    assert rows_as_json[-1].keys() > rows_as_json[0].keys()
    assert hub.requests == []


def test_the_filters_of_zoo_list_hold_for_reviewed_releases(
    hub: Double, listing: Listing, zoo_call: Command, refused: Refused
) -> None:
    listing(entry(tasks=["segment"], data="galaxies"))
    for arguments in (
        ["--task", "segment"],
        ["--data", "galaxies"],
        ["their-*"],
        [NAME],
        ["--pretrained"],
        ["their-vae"],
    ):
        assert "their-vae" in zoo_call("list", *arguments).stdout, arguments
    for arguments in (["--task", "encode"], ["--data", "mnist"], ["vae*"]):
        assert "their-vae" not in zoo_call("list", *arguments).stdout, arguments
    refused("list", "their-*", "--task", "encode", says=("No model matches 'their-*' and the filters",))
    refused("list", "--task", "segments", says=("No model has the task 'segments'",))


def test_zoo_info_of_a_reviewed_name_asks_nobody(hub: Double, listed: str, zoo_call: Command) -> None:
    about = json.loads(zoo_call("info", NAME, "--json").stdout)
    assert about["from"] == f"hub:{REPO}@{listed}, reviewed"
    assert about["licence"] == "MIT"
    assert about["manifest"] == entry()["manifest_sha256"]
    assert about["distribution"].startswith("their-package, ")
    assert about["tasks"] == entry()["tasks"]
    assert f"hub:{REPO}@{listed}" in zoo_call("info", NAME).stdout
    assert hub.requests == []


def test_a_reviewed_name_is_completed(listing: Listing, monkeypatch: pytest.MonkeyPatch, zoo_command: Command) -> None:
    from zoo.cli.arguments import complete_source

    listing(entry())
    assert NAME in [item.value for item in complete_source(None, None, "their")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "vae"}, "name = 'vae' in release 1 (vae), which is not model.recipe"),
        ({"name": "../x.y"}, "name = '../x.y'"),
        ({"name": 5}, "name = '5'"),
        ({"title": ""}, "title = '' in release 1 (their-vae.digits), which is not a line of text"),
        ({"title": "\x1b[31mred"}, "title = '\\x1b[31mred'"),
        ({"title": "x" * 201}, "title = 'xxx"),
        ({"title": None}, "title = 'None'"),
        ({"tasks": []}, "tasks = '[]'"),
        ({"tasks": "encode"}, "tasks = 'encode'"),
        ({"tasks": ["generate"]}, "which is not a list of names of tasks"),
        ({"tasks": [["encode"]]}, "which is not a list of names of tasks"),
        ({"data": "a\nb"}, "data = 'a\\nb'"),
        ({"repository": "vae"}, "repository = 'vae' in release 1 (their-vae.digits), which is not a repository"),
        ({"repository": "a/b@main"}, "repository = 'a/b@main'"),
        ({"repository": ["a/b"]}, "which is not a repository"),
        ({"revision": "main"}, "revision = 'main' in release 1 (their-vae.digits), which is not a full commit"),
        ({"revision": "0" * 39}, "which is not a full commit"),
        ({"revision": int("1" * 40)}, "which is not a full commit"),
        ({"manifest_sha256": "0" * 63}, "which is not a SHA-256"),
        ({"manifest_sha256": "F" * 64}, "which is not a SHA-256"),
        ({"distribution": "a b; rm"}, "distribution = 'a b; rm'"),
        ({"distribution": "-r"}, "distribution = '-r'"),
        ({"licence": False}, "licence = 'False'"),
        ({"mirror": "https://example.org"}, "unknown field 'mirror' in release 1 (their-vae.digits). The fields are"),
    ],
)
def test_an_entry_that_breaks_the_form_is_one_line(changes: dict[str, Any], says: str, listing: Listing) -> None:
    path = listing(entry(**changes))
    with raises(ReleaseError, path, says, "Install genzoo again"):
        community.releases()


def test_an_entry_without_a_field_is_one_line(listing: Listing) -> None:
    for key in entry():
        listing({name: value for name, value in entry().items() if name != key})
        with raises(ReleaseError, f"has no {key} in release 1"):
            community.releases()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a list of releases of format 1"),
        ("format: 2\nreleases: []\n", "is not a list of releases of format 1"),
        ("format: 1\n", "is not a list of releases of format 1"),
        ("format: 1\nreleases: []\nmore: 1\n", "is not a list of releases of format 1"),
        ("[]", "is not a list of releases of format 1"),
        ("format: 1\nreleases: {a: 1}\n", "has releases = \"{'a': 1}\", which is not a list"),
        ("format: 1\nreleases: [a]\n", "has release 1 = 'a', which is not a mapping"),
        ("format: 1\nreleases: [", "cannot be read: ParserError"),
        ("format: 1\nreleases: !!python/object/apply:os.system [id]\n", "cannot be read: ConstructorError"),
        ("\udcff", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_a_list_that_breaks_the_form_is_one_line(text: str, says: str, listing: Listing, zoo_call: Command) -> None:
    path = listing(text="")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with raises(ReleaseError, path, says):
        community.releases()
    one_error(zoo_call("list"), says)


def test_a_list_that_is_gone_is_one_line(listing: Listing) -> None:
    path = listing()
    path.unlink()
    with raises(ReleaseError, path, "cannot be read: FileNotFoundError"):
        community.releases()


def test_two_entries_of_one_name_are_refused(listing: Listing) -> None:
    listing(entry(), entry(), entry(name="their-vae.mnist"))
    with raises(ReleaseError, f"has two releases {NAME!r}"):
        community.releases()


def test_an_empty_list_is_read_without_a_yaml_parser(listing: Listing) -> None:
    path = listing(text="# Nothing\nformat: 1\n\nreleases: []\n")
    code = """
import sys
from pathlib import Path
from zoo.hub import community
for path in (community.FILE, Path(sys.argv[1])):
    community.FILE = path
    print(len(community.releases()), "yaml" in sys.modules, "huggingface_hub" in sys.modules)
"""
    assert python(code, path).split("\n")[-2] == "0 False False"


def check(zoo_call: Command, *arguments: str) -> tuple[int, dict[str, str]]:
    done = zoo_call("registry", "community", "--json", *arguments)
    return done.returncode, {one["name"]: one["problem"] for one in json.loads(done.stdout)}


def test_entries_are_checked_again_without_their_weights(hub: Double, listed: str, zoo_call: Command) -> None:
    done = zoo_call("registry", "community")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == [NAME, f"hub:{REPO}@{listed}", "ok"]
    assert check(zoo_call, NAME) == (0, {NAME: ""})
    assert set(hub.fetched) == {MANIFEST, "metrics.jsonl"}  # the Hub has no SHA-256 of what is no large file
    assert not any((cache.folder() / "releases").iterdir())
    one_error(zoo_call("registry", "community", "vae.gone"), "The list of reviewed releases has no 'vae.gone'")


def test_what_is_wrong_with_an_entry_is_found(hub: Double, listing: Listing, zoo_call: Command) -> None:
    commit = hub.put(REPO, released())
    hub.put("acme/half", {name: content for name, content in released().items() if name != WEIGHTS})
    hub.repo("acme/private", private=True)
    hub.put("acme/empty", {"x": b"1"})
    wrong = {
        "a.hash": ({"manifest_sha256": "0" * 64}, f"{MANIFEST} is damaged or altered: expected SHA-256 {'0' * 64}"),
        "b.commit": ({"revision": "0" * 40}, f"{REPO} has no revision"),
        "c.gone": ({"repository": "acme/gone"}, "acme/gone does not exist"),
        "d.private": ({"repository": "acme/private"}, "acme/private does not exist"),
        "e.empty": ({"repository": "acme/empty", "revision": hub.head("acme/empty")}, f"has no {MANIFEST}"),
        "f.half": ({"repository": "acme/half", "revision": hub.head("acme/half")}, ""),
        "g.name": ({}, "The list has name = 'g.name', and the manifest 'their-vae.digits'."),
    }
    for key, value in {"title": "X", "tasks": ["encode"], "data": "mnist", "distribution": "other"}.items():
        wrong[f"h.{key}"] = ({key: value}, "The list has name")
    listing(*(entry(**{"revision": commit, "name": name, **changes}) for name, (changes, _) in wrong.items()))
    code, problems = check(zoo_call)
    assert code == 1
    for name, (_, says) in wrong.items():
        assert problems[name], name
        assert says in problems[name]
    assert len(zoo_call("registry", "community").stdout.splitlines()) == 1 + len(wrong)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"title": "X"}, "The list has title = 'X', and the manifest"),
        ({"tasks": ["encode"]}, "The list has tasks = ['encode'], and the manifest"),
        ({"data": "mnist"}, "The list has data = 'mnist', and the manifest 'digits'."),
        ({"distribution": "other"}, "The list has distribution = 'other', and the manifest 'their-package'."),
    ],
)
def test_an_entry_says_what_its_manifest_says(
    changes: dict[str, Any], says: str, hub: Double, listing: Listing, zoo_call: Command
) -> None:
    listing(entry(hub.put(REPO, released()), **changes))
    code, problems = check(zoo_call)
    assert code == 1
    assert says in problems[NAME]


def test_files_that_are_not_there_are_found(hub: Double, listing: Listing, zoo_call: Command) -> None:
    commit = hub.put(REPO, {name: content for name, content in released().items() if name != "encode.onnx"})
    listing(entry(commit))
    assert check(zoo_call) == (1, {NAME: f"hub:{REPO}@{commit} has no encode.onnx, which its manifest names."})


@pytest.mark.slow
def test_a_hub_that_does_not_answer_fails_the_check(hub: Double, listed: str, zoo_call: Command) -> None:
    hub.fail(Silent())
    began = time.monotonic()
    code, problems = check(zoo_call)
    assert time.monotonic() - began < 10
    assert code == 1
    assert "does not answer in time" in problems[NAME]


def test_an_empty_list_is_checked(hub: Double, listing: Listing, zoo_call: Command) -> None:
    listing()
    assert zoo_call("registry", "community").stdout == "The list has no release.\n"
    assert check(zoo_call) == (0, {})
    assert hub.requests == []


def test_make_community_runs_the_check(tmp_path: Path) -> None:
    makefile = Path(__file__).parents[2] / "Makefile"
    done = subprocess.run(
        ["make", "--dry-run", "--file", makefile, "community", f"PYTHON={sys.executable}"],
        cwd=makefile.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "zoo registry community" in done.stdout
