"""Paths as users give them: a leading ~ is expanded where a path enters, once, and by every option and function."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

import zoo
from conftest import Command, Refused, Shelf, one_error, raises, slow
from data_files import digits
from zoo import data, gallery
from zoo.cli import cli
from zoo.cli.arguments import UserPath
from zoo.core import files
from zoo.core.errors import SettingError
from zoo.hub.resolve import find, spelt
from zoo.training import run_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, beside the folder ``work``, in which the test is."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv(
        "XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    )  # matplotlib's
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_expand(home: Path) -> None:
    assert files.expand("~") == files.expand(Path("~")) == home
    assert files.expand("~/a b/c") == home / "a b" / "c"
    assert files.expand("a/~/b") == Path("a/~/b")
    assert files.expand("$HOME/a") == Path("$HOME/a")  # which is the shell's business
    for odd in ("./~", "./~/a", "~no-such-user/a"):  # folders that are called so, here
        once = files.expand(odd)
        assert once == Path.cwd() / odd
        assert files.expand(once) == once


@pytest.mark.parametrize("given", ["", "a\0b", 5, None])
def test_what_is_no_path(given: object) -> None:
    with raises(SettingError, repr(given), "is not a path"):
        files.expand(given)  # type: ignore[arg-type]


def seed(run: Path) -> int:
    """The seed of the run that a release is of."""
    return int(json.loads((run / "release" / "manifest.json").read_text("utf-8"))["recipe"]["seed"])


@pytest.mark.parametrize("first", ["home", *slow("tilde")])
def test_two_runs_at_one_place_by_two_spellings(first: str, home: Path, zoo_call: Command) -> None:
    """The second one is refused, and the release is that of the run that was trained."""
    outs = [str(home / "a"), "~/a"] if first == "home" else ["~/a", str(home / "a")]
    options = ("train", "ae.tiny", "--set", "steps=1")
    assert zoo_call(*options, "--set", "seed=1", f"--out={outs[0]}", cwd=Path.cwd()).returncode == 0
    one_error(
        zoo_call(*options, "--set", "seed=2", f"--out={outs[1]}", cwd=Path.cwd()), f"{home / 'a'} already holds a run"
    )
    assert seed(home / "a") == run_folder.described(home / "a")["recipe"]["seed"] == 1
    done = zoo_call(*options, "--set", "seed=2", f"--out={outs[1]}", "--force", cwd=Path.cwd())
    assert done.returncode == 0
    assert seed(home / "a") == 2
    assert not list(Path.cwd().iterdir())


def test_a_folder_that_is_called_so(home: Path, zoo_call: Command) -> None:
    zoo_call("train", "ae.tiny", "--set", "steps=1", "--set", "seed=3", "-o", "./~/a", cwd=Path.cwd())
    assert seed(Path.cwd() / "~" / "a") == 3
    assert find("./~/a") == Path.cwd() / "~" / "a" / "release"
    assert not list(home.iterdir())


def commands(group: click.Group = cli) -> Iterator[click.Command]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


def test_every_option_that_takes_a_path_expands_it() -> None:
    found = [option for command in commands() for option in command.params]
    assert not [option.name for option in found if isinstance(option.type, click.Path) and option.name != "inputs"]
    paths = [option for option in found if isinstance(option, click.Option) and option.metavar in ("FILE", "DIR")]
    assert len(paths) > 10
    assert not [option.name for option in paths if not isinstance(option.type, UserPath)]


def test_commands_that_write(home: Path, shelf: Shelf, zoo_call: Command) -> None:
    source, work = shelf.run("ae"), Path.cwd()
    for arguments, made in (
        (("generate", shelf.run("vae"), "-n", "1", "-o", "~/a.png"), "a.png"),
        (("run", source, "reconstruct", "~/digit0.png", "-o", "~/b.npy"), "b.npy"),
        (("interpolate", source, "~/digit0.png", "~/digit1.png", "-o", "~/c.png"), "c.png"),
        (("export", source, "-o", "~/release"), "release/manifest.json"),
        (("gallery", source, "-o", "~/site", "--data-dir", "~/none"), "site/index.html"),
        (("data", "info", "digits", "--data-dir", "~/none", "-o", "~/d.png"), "d.png"),
    ):
        digits(home)
        done = zoo_call(*arguments, cwd=work)
        assert done.returncode == 0, done.stderr
        assert (home / made).is_file(), arguments
    assert not list(work.iterdir())


def test_commands_that_read(home: Path, shelf: Shelf, refused: Refused) -> None:
    """Each says where it looked."""
    refused("generate", "~/nowhere", says=(home / "nowhere", "does not exist"))
    refused("train", "ae.tiny", "--data", "folder:~/nowhere", says=("nowhere", "does not exist"))
    refused("train", "ae.tiny", "--from", "~/nowhere", says=(home / "nowhere", "does not exist"))
    refused("train", "ae.tiny", "--out=", says=("'' is not a path",))
    web = ("export", shelf.run("vae"), "-o", "site", "--format", "web", "--runtime", "~/npm")
    refused(*web, says=(home / "npm", "is not the npm package"))
    (home / "demo" / "vae.digits").mkdir(parents=True)
    (home / "demo" / "vae.digits" / "recipe.json").touch()
    refused("demo", "-o", "~/demo", says=(home / "demo", "earlier demo"))
    (home / "registry.yaml").mkdir()
    build = ("registry", "build", "--distribution", "genzoo", "-o", "~/registry.yaml")
    refused(*build, says=(home / "registry.yaml",))


def test_functions(home: Path, shelf: Shelf) -> None:
    shutil.copytree(shelf.run("vae"), home / "run")
    image = digits(home)[0]
    assert zoo.export("~/run", "~/release") == home / "release"
    with zoo.load("~/release") as model:
        codes = model.encode("~/digit0.png")
        assert np.array_equal(codes, model.encode(image))
        assert model.save(codes, "~/codes.npy") == [home / "codes.npy"]
        assert np.array_equal(model.decode("~/codes.npy"), model.decode(codes))
    assert zoo.load_module(Path("~/release")) is not None
    assert zoo.evaluate("~/run", only=["mse"], limit=10, quiet=True).kept == home / "run" / "evaluation.json"
    assert gallery.build("~/site", ["~/release"], data_dir="~/none", quiet=True).folder == home / "site"
    run = zoo.train("ae.tiny", set={"steps": 1}, out="~/new", start=shelf.release("ae"), release=False, quiet=True)
    assert run.folder == home / "new"
    shutil.copytree(home, home / "images" / "a", ignore=lambda folder, names: [n for n in names if "digit" not in n])
    assert len(data.load("folder:~/images", "test", data_dir="~").x) == 1
    (home / "text.txt").write_text("to be or not to be, " * 100)
    assert data.load("text:~/text.txt", "train", length=8).name == "text:text.txt"
    assert data.data_folder("~/data") == home / "data"
    assert not list(Path.cwd().iterdir())


def test_a_source_as_text() -> None:
    assert spelt("vae.mnist") == "vae.mnist"
    assert spelt(Path("vae")) == "./vae"
    assert spelt(Path("runs/vae")) == "runs/vae"


def test_a_run_finds_its_data_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.txt").write_text("to be or not to be. " * 40)
    run = zoo.train("chargpt.tiny", data="text:own.txt", out="run", set={"steps": 1}, release=False, quiet=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    used = json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]["data"]
    assert used == {"name": f"text:{tmp_path / 'own.txt'}", "options": {"length": 16}}
    assert [measurement.name for measurement in zoo.evaluate("../run", only=["nll"], quiet=True).measurements] == [
        "nll"
    ]
    again = {"set": {"steps": 1}, "resume": True, "release": False, "quiet": True}
    assert zoo.train("chargpt.tiny", data="text:../own.txt", out="../run", **again).steps == run.steps
