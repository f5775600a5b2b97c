"""``zoo plugin new``: what it writes is clean, what it refuses is one line, and every plugin is a full citizen."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

from conftest import BLOCK, TRAINING, Command, contents, plugged, raises
from zoo.cli.plugin import new_command
from zoo.core.errors import ExistsError, SettingError
from zoo.tools import new_plugin

ROOT = Path(__file__).parents[2]
NAME = "a-plugin"
LONG = "a" * new_plugin.LONGEST


class New(NamedTuple):
    """What is written: the arguments of the command."""

    kind: str
    template: str | None = None
    data: bool = False

    def write(self, folder: Path, name: str = NAME) -> new_plugin.NewPlugin:
        return new_plugin.write(name, kind=self.kind, template=self.template, data=self.data, folder=folder)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.template, "data" if self.data else "")))


EVERY = [
    *(New("model", template) for template in new_plugin.MODELS),
    *(New("model", template, data=True) for template in new_plugin.MODELS),
    New("dataset"),
    New("logger"),
]
SLOW = [new for new in EVERY if new.kind != "model" or new.data == (new.template == "vae")]
"""What is installed: one model of each template, one of them with data of its own. The guide's is the VAE on digits."""


@pytest.mark.parametrize("name", ["mine", LONG])
@pytest.mark.parametrize("new", EVERY, ids=str)
def test_what_is_written_is_clean(new: New, name: str, tmp_path: Path) -> None:
    """It compiles, and ruff finds nothing to change, also with the longest name."""
    made = new.write(tmp_path / "project", name)
    assert {file for file, content in contents(made.folder).items() if content is not None} == {*made.files}
    for file in made.files:
        text = (made.folder / file).read_text("utf-8")
        assert not re.search(r"(?<!\$)\$(?!\{\{)\w", text), file
        if file.endswith(".py"):
            compile(text, file, "exec")
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for command in (["check"], ["format", "--check"]) if ruff else ():
        done = subprocess.run([str(ruff), *command, "--no-cache", "."], cwd=made.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("new", EVERY, ids=str)
def test_the_entry_points_name_what_is_there(new: New, tmp_path: Path) -> None:
    made = new.write(tmp_path / "project")
    project = tomllib.loads((made.folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert (project["name"], made.package) == ("zoo-a-plugin", "zoo_a_plugin")
    points = [point for group in project["entry-points"].values() for point in group.items()]
    assert [name for name, _ in points] == [NAME, *([f"{NAME}-shapes"] if new.data else [])]
    for _, value in points:
        module, _, attribute = value.partition(":")
        text = (made.folder / f"{module.replace('.', '/')}.py").read_text("utf-8")
        assert re.search(rf"^(class )?{attribute}\b", text, re.M)


NAMES = {
    "capital letters": ("My.VAE", SettingError, ("'My.VAE' is not allowed", "Did you mean 'my-vae'?")),
    "a digit first": ("3d", SettingError, ("'3d' is not allowed", "Did you mean 'd'?")),
    "only others": ("../é", SettingError, ("is not allowed", "between them.")),
    "empty": ("", SettingError, ("'' is not allowed",)),
    "an option": ("a-", SettingError, ("Did you mean 'a'?",)),
    "a line end": ("mine\n", SettingError, ("Did you mean 'mine'?",)),
    "long": (LONG + "a", SettingError, (f"has {new_plugin.LONGEST + 1} characters",)),
    "a keyword": ("class", SettingError, ("keyword of Python", "'my-class'")),
    "a model": ("vae", SettingError, ("model name 'vae' is taken by genzoo", "'my-vae'")),
    "a package": ("gans", SettingError, ("'zoo_gans' can be imported already", "'my-gans'")),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_refused(case: str, tmp_path: Path) -> None:
    name, error, words = NAMES[case]
    with raises(error, *words):
        new_plugin.write(name, folder=tmp_path / "project")
    assert contents(tmp_path) == {}


def test_a_name_is_taken_in_its_own_group(tmp_path: Path) -> None:
    """A logger may have the name of a model, and a model that of a data set, but not their own data set."""
    new_plugin.write("digits", folder=tmp_path / "a model")
    new_plugin.write("vae", kind="logger", folder=tmp_path / "a logger")
    for kind, name in (("dataset", "digits"), ("logger", "mlflow")):
        with raises(SettingError, f"name '{name}' is taken by genzoo"):
            new_plugin.write(name, kind=kind, folder=tmp_path / "no")
    with (
        plugged(tmp_path, data={"mine-shapes": "nothing:data"}),
        raises(SettingError, "data set name 'mine-shapes' is taken by zoo-tests 1.0"),
    ):
        new_plugin.write("mine", data=True, folder=tmp_path / "no")


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_is_there_stays(there: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    {"folder": project.mkdir, "file": project.touch, "link": lambda: project.symlink_to("nowhere")}[there]()
    with raises(ExistsError, "exists already and was kept", "zoo plugin new mine -o DIR"):
        new_plugin.write("mine", folder=project)
    assert list(tmp_path.iterdir()) == [project]


@pytest.mark.parametrize("option", ["--template=vae", "--data"])
def test_options_of_models_are_for_models(option: str, zoo_call: Command, tmp_path: Path) -> None:
    done = zoo_call("plugin", "new", "mine", "--kind", "dataset", option)
    assert done.returncode == 1
    assert done.stderr == f"Error: {option.partition('=')[0]} is for models, and --kind is dataset. Leave out " + (
        f"{option.partition('=')[0]}.\n"
    )
    assert contents(tmp_path) == {}


def test_the_command_says_what_comes_next(zoo_call: Command, tmp_path: Path) -> None:
    done = zoo_call("plugin", "new", "mine", "--template", "gan")
    lines = done.stdout.splitlines()
    following = [line.strip() for line in lines[lines.index("Next:") + 1 :]]
    assert following[:2] == ["cd zoo-mine", "pip install -e '.[dev]'"]
    assert {"zoo train mine.tiny", "pytest", "zoo doctor"} < set(following)
    assert (tmp_path / "zoo-mine" / "zoo_mine" / "mine.py").is_file()

    done = zoo_call("plugin", "new", "mine", "--kind", "logger", "-o", "a folder", "--json")
    made = json.loads(done.stdout)
    assert (made["name"], made["kind"], made["folder"], made["package"]) == ("mine", "logger", "a folder", "zoo_mine")
    assert made["next"][0] == "cd 'a folder'"
    assert all((tmp_path / "a folder" / file).is_file() for file in made["files"])


def test_the_command_offers_what_there_is() -> None:
    choices = {option.name: option.type for option in new_command.params}
    for name, known in (("kind", new_plugin.KINDS), ("template", new_plugin.MODELS)):
        offered = choices[name]
        assert isinstance(offered, click.Choice)
        assert list(offered.choices) == list(known)


# Installed, tested, released and installed elsewhere


def environment(folder: Path) -> Path:
    """The Python of a new virtual environment that sees the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    site = next(folder.rglob("site-packages"))
    ours = sysconfig.get_paths()["purelib"]
    (site / "lent.pth").write_text(f"import site; site.addsitedir({ours!r})\n")  # with the .pth files that are there
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def run(python: Path, *arguments: str, cwd: Path) -> str:
    """Run Python, one thread, with the programs of its environment first; it must succeed."""
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(python), *arguments],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


INSTALL = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")

ELSEWHERE = f"""
{BLOCK.format(names=TRAINING)}
import zoo
print(*zoo.list_models(pretrained=True))
with zoo.load("{NAME}.tiny") as model:
    print(model.generate(3, seed=1).shape)
    model.save(model.generate(4, seed=1), "samples.png")
"""


@pytest.mark.slow
@pytest.mark.parametrize("new", SLOW, ids=str)
def test_it_is_a_full_citizen(new: New, tmp_path: Path) -> None:
    """Installed into a fresh environment it passes its own tests, unmodified: trains, resumes, exports, generates."""
    project = new.write(tmp_path / "project").folder
    python = environment(tmp_path / "venv")
    run(python, *INSTALL, "--editable", ".", cwd=project)
    if new.kind != "logger":
        run(python, "-m", "zoo", "registry", "build", cwd=project)
        run(python, "-m", "zoo", "registry", "build", "--check", cwd=project)
    tests = run(python, "-m", "pytest", "-q", cwd=project)
    assert "skipped" not in tests or new.kind == "model"  # it has nothing frozen to check
    if new.data:  # it examines every plugin, which takes long
        found = json.loads(run(python, "-m", "zoo", "doctor", "--json", cwd=project))["findings"]
        assert [(row["kind"], row["ok"]) for row in found if NAME in row["name"]] == [
            ("registry", True), ("plugin", True), ("data", True)
        ]  # fmt: skip
    if new.kind == "logger":
        return
    if new.kind == "dataset":
        assert "Diamonds" in run(python, "-m", "zoo", "data", "info", NAME, cwd=project)
        return
    assert f"{NAME} " in run(python, "-m", "zoo", "list", cwd=project)
    run(python, "-m", "zoo", "train", f"{NAME}.tiny", cwd=project)
    run(python, "-m", "zoo", "release", f"runs/{NAME}.tiny", cwd=project)
    run(python, "-m", "zoo", "verify", f"{NAME}.tiny", cwd=project)
    run(python, "-m", "build", "--no-isolation", cwd=project)  # the wheel from the source distribution

    (wheel,) = (project / "dist").glob("*.whl")
    elsewhere = environment(tmp_path / "elsewhere")
    run(elsewhere, *INSTALL, str(wheel), cwd=tmp_path)
    shutil.rmtree(project)
    done = run(elsewhere, "-c", ELSEWHERE, cwd=tmp_path).splitlines()
    assert f"{NAME}.tiny" in done[0].split()
    assert done[1] == "(3, 8, 8)"
    assert (tmp_path / "samples.png").is_file()


def shell(script: str, python: Path, cwd: Path) -> None:
    """Run a script as a step of a workflow runs, with the programs of an environment; it must succeed.

    pip may use no index: every requirement must be met by the packages that are there.
    """
    path = os.pathsep.join((str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, **offline, "PATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("git") is None, reason="needs bash and git")
@pytest.mark.parametrize("new", [New("model", "vae", data=True), New("dataset"), New("logger")], ids=str)
def test_its_readme_and_its_workflow_run(new: New, tmp_path: Path) -> None:
    """Every command of the README, and then every step of the workflow, on the files that git holds."""
    project = new.write(tmp_path / "project").folder
    python = environment(tmp_path / "venv")
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", cwd=tmp_path)  # older than torch needs
    for name in ("zoo", "pytest"):  # those of the lent packages run another Python
        program = python.parent / name
        program.write_text(f'#!/bin/sh\nexec "{python}" -m {name} "$@"\n')
        program.chmod(0o755)
    readme = re.findall(r"```sh\n(.*?)```", (project / "README.md").read_text("utf-8"), re.S)
    assert "pip install -e '.[dev]'" in readme[0]
    for block in readme:
        shell(block.replace("python -m build", "python -m build --no-isolation"), python, project)

    shell("git init --quiet && git add . && git checkout-index --all --prefix=../checkout/", python, project)
    checkout = tmp_path / "checkout"
    assert not {"runs", "dist"} & {path.name for path in checkout.iterdir()}
    job = yaml.safe_load((checkout / ".github" / "workflows" / "test.yml").read_text("utf-8"))["jobs"]["test"]
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert steps[-1] == "pytest"
    for step in steps:
        shell(step, python, checkout)


@pytest.mark.slow
def test_the_guide_runs(tmp_path: Path) -> None:
    """The first commands of two guides, with the recipe ``tiny`` for speed and without downloads."""
    pages = [(ROOT / "docs" / "how-to" / name).read_text("utf-8") for name in ("plugin.md", "ship-weights.md")]
    blocks = [re.findall(r"```sh\n(.*?)```", page, re.S)[0] for page in pages]
    lines = re.findall(r"^([^#\n]+)", "".join(blocks), re.M)
    assert len(lines) >= 12
    python, cwd = environment(tmp_path / "venv"), tmp_path
    for line in lines:
        program, *arguments = shlex.split(line.replace("mine.digits", "mine.tiny"))
        if program == "cd":
            cwd = cwd / arguments[0]
        elif program == "pip":
            run(python, *INSTALL, "-e", ".", cwd=cwd)
        elif program == "python":
            run(python, *arguments, "--no-isolation", cwd=cwd)
        else:
            again = ["--force"] if re.match("zoo (train|release) (runs/)?mine.digits", line) else []
            run(python, "-m", program, *arguments, *again, cwd=cwd)
    (wheel,) = (cwd / "dist").glob("*.whl")
    assert "zoo_mine/releases/mine.tiny/model.safetensors" in zipfile.ZipFile(wheel).namelist()
