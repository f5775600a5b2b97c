"""Plugins of other distributions: one that does all that the built-in ones do, and broken ones that hurt nobody."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import zoo
from conftest import Command, Shelf, one_error, patch_registry, python
from zoo import registry
from zoo.cli import main
from zoo.contract.version import CONTRACT
from zoo.core.errors import PluginError, ZooError
from zoo.registry import listing
from zoo.training import checkpoints

PROJECT = Path(__file__).parents[1] / "thirdparty"
NAME = "zoo-thirdparty-example"

BROKEN = {  # by model name: what its module does, and what zoo says of it
    "raises": ("raise RuntimeError('full moon')", "RuntimeError: full moon"),
    "lacks": ("import a_package_that_nobody_has", "No module named 'a_package_that_nobody_has'"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "garbled": ("model = (", "SyntaxError"),
    "empty": ("", "has no attribute 'model'"),
    "other": ("model = 42", "is 42, and should be a zoo.Model"),
}
DEADLY = {  # what only a process of its own survives, and the row in zoo doctor
    "dies": ("import os; os._exit(7)", "ended the process with exit code 7"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "ended the process with exit code -11"),
    "hangs": ("import time; time.sleep(600)", "took more than 5 s and was stopped"),
}
NEWER = "format: 2\ncontract: '99.1'\nmodels: {}\n"
TOO_NEW = f"made for contract 99.1, and this zoo has {CONTRACT}. Run: pip install --upgrade genzoo"
SOUND = "from zoo_thirdparty_example.sparse import sparse as model"


def environment(*folders: Path) -> dict[str, str]:
    """Variables of a process that has the distributions in these folders installed."""
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def install(folder: Path, distribution: str, model: str, code: str, content: str | None = None) -> None:
    """Put a distribution into a folder, as pip does: a package, and the metadata that names its entry point."""
    stem = distribution.replace("-", "_")
    package = f"{stem}_package"
    files = {
        f"{package}/__init__.py": code,
        f"{stem}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        f"{stem}-1.0.dist-info/entry_points.txt": f"[{registry.MODELS}]\n{model} = {package}:model\n",
    }
    if content is not None:
        files[f"{package}/{registry.FILE}"] = content
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of the example is unpacked."""
    folder = tmp_path_factory.mktemp("example")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def run(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of ``zoo train sparse.tiny``."""
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "zoo", "train", "sparse.tiny", "--checkpoint-every", "20"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment(example)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "sparse.tiny"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every broken distribution."""
    folder = tmp_path_factory.mktemp("broken")
    for model, (code, _) in (BROKEN | DEADLY).items():
        install(folder, f"brings-{model}", model, code)
    install(folder, "no-registry", "unindexed", SOUND)
    install(folder, "bad-registry", "misindexed", SOUND, "models: [")
    install(folder, "from-the-future", "newer", SOUND, NEWER)
    install(folder, "loud", "loud", f"print('a banner')\n{SOUND}")
    install(folder, "left-twin", "twin", SOUND)
    install(folder, "right-twin", "twin", SOUND)
    install(folder, "impostor", "vae", SOUND)
    install(folder, "half-removed", "nameless", SOUND)
    (folder / "half_removed-1.0.dist-info" / "METADATA").unlink()
    return folder


@pytest.fixture
def among_broken(broken: Path, example: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has the broken distributions, too."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(example))
        patch.syspath_prepend(str(broken))
        registry.forget()
        yield
    registry.forget()


# The example


def test_list_describes_it(example: Path, zoo_command: Command) -> None:
    rows = json.loads(zoo_command("list", "sparse", "--all", "--json", env=environment(example)).stdout)
    assert [row["name"] for row in rows] == ["sparse.digits", "sparse.tiny"]
    for row in rows:
        assert (row["title"], row["distribution"], row["note"]) == ("Sparse autoencoder", NAME, "")
        assert "reconstruct" in row["tasks"]


@pytest.mark.slow
def test_its_registry_is_up_to_date(example: Path, zoo_command: Command) -> None:
    file = PROJECT / "zoo_thirdparty_example" / registry.FILE
    build = ("registry", "build", "--distribution", NAME, "--check", "-o", file)
    done = zoo_command(*build, env=environment(example))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_verify_proves_it_again(example: Path, run: Path, zoo_command: Command) -> None:
    found = json.loads(zoo_command("verify", run, "--json", env=environment(example)).stdout)
    assert found["ok"]
    assert "torch and ONNX Runtime agree on every task" in found["parity"]


@pytest.mark.slow
def test_verify_without_the_plugin_checks_the_rest(run: Path, zoo_command: Command) -> None:
    found = json.loads(zoo_command("verify", run, "--json").stdout)
    assert found["ok"]
    assert "the plugin is not installed" in found["parity"]


@pytest.mark.slow
def test_generates_the_same_without_torch_and_the_plugin(example: Path, run: Path, tmp_path: Path) -> None:
    generate = "import numpy, zoo; numpy.save(sys.argv[3], zoo.load(sys.argv[1], backend=sys.argv[2]).generate(70))"
    python(generate, run, "onnx", tmp_path / "onnx.npy", block=["torch", "zoo_thirdparty_example"])
    python(f"sys.path.insert(0, {str(example)!r})\n{generate}", run, "torch", tmp_path / "torch.npy")
    left, right = (np.load(tmp_path / name).astype(int) for name in ("onnx.npy", "torch.npy"))
    assert left.shape == right.shape == (70, 8, 8)
    assert left.std() > 1
    assert np.abs(left - right).max() <= 1


@pytest.mark.slow
def test_spectral_norm_is_folded(run: Path) -> None:
    """A release holds the plain weight W / σ, σ = uᵀWv, that the trained module computes with."""
    released = load_file(run / "release" / "model.safetensors")
    assert not [name for name in released if "parametrizations" in name]
    trained = checkpoints.read(run).tensors
    w, u, v = (trained[f"module.dictionary.parametrizations.weight.{name}"] for name in ("original", "0._u", "0._v"))
    torch.testing.assert_close(released["dictionary.weight"], w / (u @ w @ v), rtol=1e-6, atol=0)


@pytest.mark.slow
def test_whoever_may_read_the_card_may_read_the_weights(run: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in (run / "release").iterdir()}
    assert modes == dict.fromkeys(modes, modes["README.md"])


@pytest.mark.slow
def test_module_of_a_release_has_plain_weights(example: Path, run: Path) -> None:
    code = "print(*zoo.load_module(sys.argv[1]).state_dict())"
    names = python(f"sys.path.insert(0, {str(example)!r})\nimport zoo\n{code}", run).split()
    assert sorted(names) == ["dictionary.bias", "dictionary.weight", "encoder.1.bias", "encoder.1.weight", "scale"]


@pytest.mark.slow
def test_weights_are_released_into_its_package_and_its_wheel_carries_them(
    example: Path, run: Path, tmp_path: Path, zoo_command: Command
) -> None:
    """``zoo release`` writes them into a source tree; a wheel of that lists, loads, generates and verifies them."""
    tree = shutil.copytree(PROJECT, tmp_path / "tree", ignore=shutil.ignore_patterns("shapes"))
    (about,) = example.glob("*.dist-info")
    shutil.copytree(about, tree / about.name)  # as pip install -e says where its entry points are
    into = ("--into", "zoo_thirdparty_example")
    done = zoo_command("release", run, *into, "--checkpoint", "last", env=environment(tree))
    assert done.returncode == 0, done.stderr
    folder = tree / "zoo_thirdparty_example" / "releases" / "sparse.tiny"
    assert str(folder) in done.stdout
    assert (folder / "model.safetensors").read_bytes() == (run / "release" / "model.safetensors").read_bytes()
    again = zoo_command("release", run, "--into", tree / "zoo_thirdparty_example", env=environment(tree))
    one_error(again, str(folder), "exists already and was kept", "--force")
    forced = zoo_command("release", run, "--force", env=environment(tree))
    assert forced.returncode == 0, forced.stderr

    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=tree, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    shutil.rmtree(tree)
    site = environment(tmp_path / "site")
    (row,) = json.loads(zoo_command("list", "sparse", "--pretrained", "--json", env=site).stdout)
    assert row["name"] == "sparse.tiny"
    code = "print(zoo.load('sparse.tiny').generate(3).shape)"
    printed = python(f"sys.path.insert(0, {str(tmp_path / 'site')!r})\nimport zoo\n{code}", block=["torch"])
    assert printed.strip() == "(3, 8, 8)"
    (tmp_path / "elsewhere").mkdir()
    done = zoo_command("generate", "sparse.tiny", "-o", "a.png", cwd=tmp_path / "elsewhere", env=site)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere" / "a.png").is_file()
    assert zoo_command("verify", "sparse.tiny", env=site).returncode == 0


@pytest.mark.slow
def test_its_run_is_reproduced(example: Path, run: Path, zoo_command: Command) -> None:
    done = zoo_command("reproduce", run, "-q", env=environment(example))
    assert done.returncode == 0, done.stderr
    assert "The weights are bit-equal" in done.stdout
    one_error(zoo_command("reproduce", run), "'sparse' is not installed", "pip install zoo-thirdparty-example==1.0")


@pytest.mark.slow
def test_torch_without_the_plugin_says_what_to_install(run: Path) -> None:
    with pytest.raises(ZooError, match=r"sparse.*zoo-thirdparty-example"):
        zoo.load(run, backend="torch")


# Among broken ones


def test_list_goes_on(broken: Path, example: Path, zoo_command: Command) -> None:
    done = zoo_command("list", "--all", "--json", env=environment(broken, example))
    assert (done.returncode, done.stderr) == (0, "")
    notes = {row["name"]: row["note"] for row in json.loads(done.stdout)}
    assert notes["ae.tiny"] == notes["sparse.tiny"] == ""
    assert all(notes[model] == "not indexed" for model in (*BROKEN, *DEADLY, "unindexed", "nameless", "loud"))
    assert notes["newer"] == TOO_NEW
    assert notes["misindexed"].startswith("not indexed (")
    assert "cannot be read" in notes["misindexed"]
    assert notes["twin"] == "claimed by left-twin and right-twin: uninstall one of them"
    assert notes["vae"] == "claimed by genzoo and impostor: uninstall one of them"


@pytest.mark.slow
def test_other_models_go_on(broken: Path, shelf: Shelf, zoo_command: Command) -> None:
    with_broken = environment(broken)
    assert zoo_command("generate", shelf.run("vae"), env=with_broken).returncode == 0
    done = zoo_command("train", "ae.tiny", "--set", "steps=1", "--no-release", env=with_broken)
    assert done.returncode == 0, done.stderr


BAD_ENTRIES: list[Callable[[dict[str, Any]], object]] = [
    lambda entry: entry.clear(),
    lambda entry: entry.pop("summary"),
    lambda entry: entry.update(title=3),
    lambda entry: entry.update(tasks=["encode"]),
    lambda entry: entry.update(settings={"atoms": 3}),
    lambda entry: entry["settings"]["atoms"].pop("default"),
    lambda entry: entry.update(recipes={"tiny": 3}),
    lambda entry: entry["recipes"]["tiny"].pop("data"),
    lambda entry: entry["recipes"]["tiny"].update(data=3),
    lambda entry: entry["recipes"]["tiny"].update(a_field_of_a_newer_zoo=3),
]
BAD_FILES = ["", "[]", "models: [", "\0", "format: 9\nmodels: {}", "format: 1", "format: 1\nmodels: {a: 3}"]


@pytest.mark.parametrize("damage", [*BAD_ENTRIES, *BAD_FILES], ids=range(len(BAD_ENTRIES) + len(BAD_FILES)))
@pytest.mark.usefixtures("among_broken")
def test_a_damaged_registry(
    damage: str | Callable[[dict[str, Any]], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """List and info go on, and say less of that model."""
    if not isinstance(damage, str):
        content = yaml.safe_load((PROJECT / "zoo_thirdparty_example" / registry.FILE).read_text("utf-8"))
        damage(content["models"]["sparse"])
        damage = yaml.safe_dump(content | {"models": {"misindexed": content["models"]["sparse"]}})
    file, where = tmp_path / registry.FILE, registry.file_path
    file.write_text(damage)
    patch_registry(monkeypatch, file_path=lambda name: file if name == "bad-registry" else where(name))
    assert "ae.tiny" in registry.list_models()
    assert registry.list_models("misindexed*")
    for name in ("misindexed", "misindexed.tiny"):
        monkeypatch.setattr(sys, "argv", ["zoo", "info", name])
        with contextlib.suppress(SystemExit):
            main()


@pytest.mark.parametrize("model", ["unindexed", "misindexed"])
@pytest.mark.usefixtures("among_broken")
def test_a_model_without_a_registry_works(model: str) -> None:
    assert registry.load_recipe(f"{model}.tiny")[1].steps == 20


@pytest.mark.parametrize("model", BROKEN)
@pytest.mark.usefixtures("among_broken")
def test_asking_for_a_broken_one_says_why(model: str) -> None:
    with pytest.raises(PluginError) as caught:
        zoo.train(f"{model}.tiny")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for words in (repr(model), f"brings-{model} 1.0", BROKEN[model][1]):
        assert words in message
    assert "zoo doctor" not in message
    package = f"brings_{model}_package{os.sep}__init__.py"
    assert f"{package}, line 1)" in message or (f"{package})" in message and model in ("empty", "other"))


@pytest.mark.parametrize(("model", "claims"), [("twin", "left-twin and right-twin"), ("vae", "genzoo and impostor")])
@pytest.mark.usefixtures("among_broken")
def test_a_name_that_two_claim_names_both(model: str, claims: str) -> None:
    with pytest.raises(PluginError, match=f"'{model}' is claimed by {claims}: uninstall one of them"):
        zoo.train(f"{model}.tiny")


@pytest.mark.usefixtures("among_broken")
def test_one_for_a_newer_contract_is_not_imported() -> None:
    with pytest.raises(PluginError, match=re.escape(f"The model 'newer' of from-the-future 1.0 is {TOO_NEW}")):
        registry.load("newer")


@pytest.mark.usefixtures("among_broken")
def test_what_a_plugin_prints_at_import_is_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    sys.modules.pop("loud_package", None)
    registry.load("loud")
    assert tuple(capsys.readouterr()) == ("", "a banner\n")


@pytest.mark.usefixtures("among_broken")
def test_plugin_list_has_a_line_for_each(zoo_call: Command) -> None:
    found = json.loads(zoo_call("plugin", "list", "--json").stdout)
    assert found["contract"] == CONTRACT
    states = {(one["kind"], one["name"], one["distribution"]): one["problem"] for one in found["plugins"]}
    assert states["model", "ae", "genzoo"] == states["data set", "mnist", "genzoo"] == ""
    assert states["logger", "mlflow", "genzoo"] == states["model", "sparse", NAME] == ""
    assert states["model", "twin", "left-twin"] == "claimed by left-twin and right-twin: uninstall one of them"
    assert states["model", "newer", "from-the-future"] == TOO_NEW
    assert all(states["model", name, f"brings-{name}"] == "not indexed" for name in (*BROKEN, *DEADLY))
    lines = zoo_call("plugin", "list").stdout.splitlines()
    assert len(lines) == 1 + len(found["plugins"])
    assert next(line for line in lines if " sparse " in line).split()[-2:] == [CONTRACT, "ok"]


@pytest.mark.usefixtures("among_broken")
def test_a_distribution_whose_code_is_gone(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "package_root", lambda value: None)
    problems = {one.name: one.problem for one in listing.listed()}
    assert problems["sparse"].startswith("its code, zoo_thirdparty_example.sparse:sparse, is not installed.")


def test_a_broken_one_is_one_line_at_the_command_line(broken: Path, zoo_command: Command) -> None:
    one_error(zoo_command("train", "exits.tiny", env=environment(broken)), "brings-exits", "SystemExit: 3")
    one_error(zoo_command("info", "vae.tiny", env=environment(broken)), "genzoo and impostor")


@pytest.fixture(scope="module")
def doctor(broken: Path, example: Path) -> dict[str, Any]:
    """What ``zoo doctor --json`` says among broken plugins."""
    command = [sys.executable, "-m", "zoo", "doctor", "--timeout", "5", "--json"]
    variables = {**os.environ, **environment(broken, example)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("garbled", "brings_garbled_package/__init__.py, line 1)"),
        *((model, words) for model, (_, words) in (BROKEN | DEADLY).items()),
        ("twin", "claimed by left-twin and right-twin"),
        ("vae", "claimed by genzoo and impostor"),
    ],
)
def test_doctor_says_what_is_wrong(doctor: dict[str, Any], name: str, words: str) -> None:
    (row,) = [row for row in doctor["findings"] if row["kind"] == "plugin" and row["name"] == name]
    assert not row["ok"]
    assert words in row["text"]


@pytest.mark.slow
def test_doctor_looks_at_registry_files(doctor: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in doctor["findings"] if row["kind"] == "registry"}
    assert rows[NAME]["ok"]
    assert rows["no-registry"]["ok"]
    assert "zoo registry build" in rows["no-registry"]["text"]
    assert not rows["bad-registry"]["ok"]
    assert "cannot be read" in rows["bad-registry"]["text"]
