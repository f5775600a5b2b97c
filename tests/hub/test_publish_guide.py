"""Every command in the guide to publishing runs against a Hub, and ``make publish`` asks before it sends anything."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from double import Double
from publishing import TOKEN

from conftest import Command
from zoo import registry
from zoo.pipeline import publishing, registry_build

pytest_plugins = ("double_fixture",)

ROOT = Path(__file__).parents[2]
GUIDE = re.search(
    r"^## Publish a release$.*?(?=^## Signatures$)",
    (ROOT / "docs" / "how-to" / "hub.md").read_text("utf-8"),
    re.M | re.S,
)[0]
QUICK = "vae.digits"


def test_the_commands_of_the_guide_run(hub: Double, zoo_call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folders = registry_build.release_folders

    def one(models: list[str]) -> list[Path]:  # all of them take minutes to verify
        return [folder for folder in folders(models) if folder.name == QUICK]

    monkeypatch.setattr(registry_build, "release_folders", one)
    monkeypatch.setattr(publishing.registry_build, "release_folders", one)
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert len(commands) == 3
    for _, *arguments in commands:
        done = zoo_call(*arguments)
        assert done.returncode == 0, done.stderr
    assert hub.tags(f"acme/{QUICK}") == {"v1": hub.head(f"acme/{QUICK}")}


def test_every_option_is_in_the_guide(zoo_call: Command) -> None:
    options = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", zoo_call("publish", "--help").stdout, re.MULTILINE)
    assert len(options) > 12
    assert [one for one in options if one not in GUIDE] == ["--json", "--help"]


@pytest.mark.parametrize(("answer", "calls"), [("y\n", 2), ("n\n", 1), ("", 1)])
def test_make_publish_says_what_it_will_do_and_asks(answer: str, calls: int, tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    stub, log = tmp_path / "bin" / "zoo", tmp_path / "log"
    (tmp_path / "bin").mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    stub.chmod(0o755)
    (tmp_path / "bin" / "python").write_text("")
    (tmp_path / ".test").write_text("")
    command = ["make", "--no-print-directory", "publish", f"VENV={tmp_path}", "--old-file", f"{tmp_path}/.test"]
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "ORG")}
    options = {"cwd": ROOT, "env": environment, "input": answer, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run([*command, "ORG=acme"], **options)
    asked = "publish --all --distribution genzoo --org acme"
    assert log.read_text().splitlines() == [f"{asked} --dry-run", asked][:calls], done.stderr
    assert "Publish this under acme? All weights are verified again first. [y/N]" in done.stdout
    assert (done.returncode == 0) == (calls == 2)
    done = subprocess.run(command, **options)
    assert (done.returncode, "Say where: make publish ORG=NAME" in done.stdout) == (2, True)
    assert len(log.read_text().splitlines()) == calls


def test_the_weights_of_this_project_have_a_licence_that_the_hub_knows() -> None:
    from zoo.hub import licences

    assert licences.on_the_hub(licences.of_distribution(registry.OWN)) == {"license": "mit"}
