"""The suite for third parties: it passes a sound plugin, and says of another what to change, and where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Command, Refused, plugged, write_plugin
from zoo.testing import CHECKS, Subject, run

SOUND = """
import torch
from torch import nn

import zoo


class Net(nn.Module):
    def __init__(self, recipe, sample):
        super().__init__()
        self.sample, self.calls = sample, 0
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, sample.x.shape))


def loss(net, batch, recipe):
    error = (net.decoder(net.encoder(batch.x)) - batch.x).square().mean()
    return {"mse": error}


def tasks(net):
    z = (4,)
    return {
        "encode": zoo.Task(net.encoder, {"image": net.sample.x}, {"mean": zoo.Vector(z)}),
        "decode": zoo.Task(net.decoder, {"z": zoo.Noise(z)}, {"image": net.sample.x}),
    }


def error_of(net, batch, recipe):
    return (net.decoder(net.encoder(batch.x)) - batch.x).square().flatten(1).mean(1)


mine = zoo.Model(
    card=zoo.Card(
        title="Mine",
        summary="A linear encoder and decoder, for tests of the suite.",
        paper="https://example.org",
        citation="Nobody 2020",
    ),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    metrics=(zoo.Metric("squared_error", error_of, unit="squared", protocol="mean over pixels"),),
    recipes={
        "digits": zoo.Recipe(data=zoo.use("digits")),
        "tiny": zoo.Recipe(data=zoo.use("digits"), steps=8, batch=16),
    },
)
"""

BY_NAME = {check.name: check for check in CHECKS}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder in which the model `mine` is installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    with plugged(folder, mine="mine_plugin:mine"):
        yield folder
    sys.modules.pop("mine_plugin", None)


def result_of(check: str, site: Path, text: str) -> tuple[bool | None, str]:
    write_plugin(site / "mine_plugin.py", text)
    result = run(BY_NAME[check], Subject("mine", site.parent))
    return result.ok, result.text


def test_every_check_says_what_must_hold() -> None:
    assert all(check.help.endswith(".") and len(check.help) > 40 for check in CHECKS)
    assert len(BY_NAME) == len(CHECKS)


def test_a_sound_model_passes(site: Path, tmp_path: Path) -> None:
    """But for the registry of its distribution, which it does not have; the slow checks are tested below."""
    write_plugin(site / "mine_plugin.py", SOUND)
    subject = Subject("mine", tmp_path)
    for check in CHECKS:
        if check.name not in ("card", "resume", "quantisation", "discovery", "metrics"):
            result = run(check, subject)
            assert result.ok is (None if check.name == "frozen" else True), f"{check.name}: {result.text}"
    ok, text = result_of("card", site, SOUND)
    assert not ok
    assert "zoo-tests has no registry.yaml" in text


@pytest.mark.parametrize(
    ("check", "old", "new", "says"),
    [
        ("card", '"Nobody 2020"', '"Nobody"', ("the citation 'Nobody' has no year",)),
        ("card", '"https://example.org"', '"a book"', ("'a book', is no address",)),
        ("card", "A linear encoder and decoder, for tests of the suite.", "Short.", ("'Short.', is no sentence",)),
        ("recipes", '"digits": zoo.Recipe(data=zoo.use("digits")),', "", ("no recipe but 'tiny'",)),
        ("recipes", "steps=8", "steps=2", ("has 2 steps, and needs 4",)),
        ("declarations", "zoo.Task(net.decoder", "zoo.Task(lambda z: net.decoder(torch.randn_like(z))", ("random",)),
        ("training", "return {\"mse\": error}", "return {\"mse\": error, \"log\": (error * 0).log() * 0}", ("nan",)),
        ("training", "steps=8", "steps=8, lr=1e-30", ("a phase moves no weight of the module",)),
        ("training", "self.encoder = ", "1 / 0; self.encoder = ", ("division by zero",)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(check: str, old: str, new: str, says: tuple[str, ...], site: Path) -> None:
    assert SOUND.count(old) == 1, old
    ok, text = result_of(check, site, SOUND.replace(old, new))
    assert ok is False, text
    assert len(text.splitlines()) == 1
    for words in says:
        assert words in text
    assert "mine_plugin.py" in text or "mine.tiny" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "old", "new", "says"),
    [
        ("discovery", "import zoo\n", "import zoo\nprint('hello')\n", "its import prints 'hello'"),
        ("discovery", "import zoo\n", "import zoo\nopen('junk', 'w').close()\n", "its import writes 'junk'"),
        ("discovery", "import zoo\n", "import os\nimport zoo\nos._exit(3)\n", "exit status 3"),
        (
            "resume",
            'return {"mse": error}',
            'net.calls += 1\n    return {"mse": error * net.calls}',
            "a run that is killed and resumed ends with another",
        ),
    ],
)
def test_what_takes_a_process_is_found(check: str, old: str, new: str, says: str, site: Path) -> None:
    ok, text = result_of(check, site, SOUND.replace(old, new, 1))
    assert ok is False, text
    assert says in text
    assert "mine_plugin" in text


@pytest.mark.slow
@pytest.mark.parametrize("check", ["discovery", "resume", "metrics", "quantisation"])
def test_a_sound_model_passes_what_takes_long(check: str, site: Path) -> None:
    ok, text = result_of(check, site, SOUND)
    assert ok, text


# The command, and pytest


def test_the_command_checks_and_says_so(site: Path, zoo_call: Command, refused: Refused) -> None:
    write_plugin(site / "mine_plugin.py", SOUND.replace('"Nobody 2020"', '"Nobody"'))
    done = zoo_call("plugin", "test", "mine", "--check", "recipes", "--check", "card")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("mine: 1 passed, 1 failed, in ")
    assert "FAILED  card" in done.stdout
    assert "ok      recipes" in done.stdout
    done = zoo_call("plugin", "test", "mine", "--check", "recipes", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], [one["check"] for one in found["checks"]]) == (0, True, ["recipes"])
    assert "exact" not in (names := zoo_call("plugin", "test", "mine", "--list").stdout)
    assert all(name in names for name in BY_NAME)
    refused("plugin", "test", "mine", "--check", "recipe", says=("No check named 'recipe'. Did you mean 'recipes'?",))
    refused("plugin", "test", "mine.tiny", says=("'mine.tiny' names a recipe. Give the model: zoo plugin test mine",))
    refused("plugin", "test", "mime", says=("No model named 'mime'.",))


def test_the_command_does_not_overwrite_a_folder(site: Path, tmp_path: Path, refused: Refused) -> None:
    write_plugin(site / "mine_plugin.py", SOUND)
    (tmp_path / "there").mkdir()
    refused("plugin", "test", "mine", "--keep", "there", says=("there",))


@pytest.mark.slow
def test_the_suite_for_pytest(site: Path, tmp_path: Path) -> None:
    """One test for each check; what fails says what to change."""
    write_plugin(site / "mine_plugin.py", SOUND.replace("steps=8", "steps=2"))
    text = (
        "from zoo.testing import conformance\n"
        "test_mine = conformance('mine', leave_out=[name for name in "
        f"{sorted(BY_NAME)!r} if name not in ('recipes', 'card')])\n"
    )
    (tmp_path / "test_mine.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, env=with_path(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "test_mine[mine-recipes]" in done.stdout
    assert "its recipe 'tiny' has 2 steps, and needs 4" in done.stdout
    assert "2 failed" in done.stdout


def with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
