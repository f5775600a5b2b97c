"""What the tests share: each registered model trained and released once a session, and a command line to call."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zoo
from zoo import registry
from zoo.cli import main
from zoo.core.errors import ZooError
from zoo.registry import discovery, registry_file

if TYPE_CHECKING:  # it imports torch, and the process that only starts those which run tests needs none
    from zoo.training import checkpoints

REAL = os.environ.get("ZOO_DATA_DIR")

MODELS = tuple(registry.plugins())
KINDS = ("cgan", "chargpt", "ddpm", "vae")
"""One model of each kind of generation: at once with labels, token by token, step by step, and from codes."""

RELEASED = tuple(zoo.list_models(pretrained=True))
TRAINING = ("torch", "onnx", "onnxscript", "sklearn", "scipy")
"""What only training, exporting and measuring need."""

QUICK = ("chargpt.shakespeare", "ddpm.digits", "features.digits", "vae.digits", "vq-vae.mnist")
"""Released weights of each kind of generation."""

# One thread: tiny models gain nothing from more, and threads that wait for each other are slow on a busy machine.
# It counts where it is set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say how much CPU time the session took, with all processes that it started; workers leave that to the first."""
    if not hasattr(config, "workerinput"):
        used = os.times()
        seconds = round(used.user + used.system + used.children_user + used.children_system)
        print(f"CPU time: {seconds // 60} min {seconds % 60} s")


def slow(*values: Any) -> list[Any]:
    """Values of a parameter, or tuples of them for several, that wait for ``-m slow``."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow) for value in values
    ]


def few(values: Iterable[Any], *chosen: Any) -> list[Any]:
    """Of the values of a parameter the chosen; the others wait for ``-m slow``."""
    return [*chosen, *slow(*(value for value in values if value not in chosen))]


class Shelf:
    """Tiny runs by model name, each trained with its release on first use, by one of the processes that run tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: dict[str, Path] = {}

    def run(self, model: str) -> Path:
        """The run folder of ``model.tiny``. Read only: copy it before changing anything."""
        name = f"{model}.tiny"
        return self.made(name, lambda folder: zoo.train(name, out=folder, quiet=True, force=True))

    def made(self, name: str, train: Callable[[Path], object]) -> Path:
        """The run folder of that name, trained on first use."""
        if name not in self._runs:
            folder = self.folder / name
            with open(self.folder / f"{name}.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
                if not (folder / "release" / "manifest.json").is_file():
                    train(folder)
            self._runs[name] = folder
        return self._runs[name]

    def release(self, model: str) -> Path:
        """Its release folder."""
        return self.run(model) / "release"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder in that of the whole session
        folder = folder.parent
    (folder / "shelf").mkdir(exist_ok=True)
    return Shelf(folder / "shelf")


@pytest.fixture(params=few(MODELS, *KINDS))
def model_name(request: pytest.FixtureRequest) -> str:
    """A model of each kind in turn; with ``-m slow`` the others."""
    return str(request.param)


@pytest.fixture(params=few(RELEASED, *QUICK))
def released(request: pytest.FixtureRequest) -> str:
    """Released weights of each kind in turn; with ``-m slow`` the others."""
    return str(request.param)


@pytest.fixture(scope="session", autouse=True)
def _traced_once() -> Iterator[None]:
    """In every test, also where it is a release that is wanted and not its graphs."""
    import traced
    from zoo_export import onnx_graph

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_graph, "trace", traced.Once())
        yield


Trained = Callable[[str], "checkpoints.Checkpoint"]


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """Trains ``MODEL.tiny``, and gives its checkpoint; it has no release, which takes longer."""

    from zoo.training import checkpoints

    def train(model: str) -> checkpoints.Checkpoint:
        zoo.train(f"{model}.tiny", out=tmp_path / model, release=False, quiet=True)
        return checkpoints.read(tmp_path / model)

    return train


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def zoo_command(tmp_path: Path) -> Command:
    """Runs ``zoo ARGUMENTS`` in a process of its own, in an empty folder, with its output as text."""

    def run(
        *arguments: str | Path, cwd: Path = tmp_path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "zoo", *map(str, arguments)]
        return subprocess.run(
            command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout
        )

    return run


@pytest.fixture
def zoo_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls ``zoo ARGUMENTS`` in this process, in the same empty folder: for what takes long because torch does."""

    def call(*arguments: str | Path, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        code: Any = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                main()
        except SystemExit as ended:
            code = ended.code
        return subprocess.CompletedProcess(arguments, int(code or 0), *capsys.readouterr())

    return call


def one_error(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """Assert that a command failed with one ``Error:`` line, no traceback, and these words; return the line."""
    assert done.returncode not in (0, None), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == lines[0], done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""


def python(
    code: str,
    *arguments: str | Path,
    block: Sequence[str] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run code in a fresh Python in which the packages in `block` cannot be imported; return what it printed."""
    prelude = BLOCK.format(names=set(block))
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def patch_registry(patch: pytest.MonkeyPatch, **values: object) -> None:
    """Replace functions of the registry, for those who import them and for the registry itself."""
    for name, value in values.items():
        for module in (registry, discovery, registry_file):
            if hasattr(module, name):
                patch.setattr(module, name, value)


Refused = Callable[..., str]
Words = tuple[object, ...]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything under a folder: what must be the same after an error."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def refused(zoo_call: Command, tmp_path: Path) -> Refused:
    """Calls ``zoo ARGUMENTS`` in the test's folder: it fails with one line that has these words and changes nothing."""

    def call(*arguments: str | Path, says: Words) -> str:
        before = contents(tmp_path)
        line = one_error(zoo_call(*arguments), *map(str, says))
        assert contents(tmp_path) == before
        return line

    return call


@contextlib.contextmanager
def raises(kind: type[ZooError], *words: object) -> Iterator[pytest.ExceptionInfo[ZooError]]:
    """The block raises exactly this kind of error, in one line that has these words."""
    with pytest.raises(kind) as caught:
        yield caught
    assert type(caught.value) is kind
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert str(word) in str(caught.value)


@pytest.fixture
def release(shelf: Shelf, tmp_path: Path) -> Path:
    """A release of a VAE to spoil."""
    return Path(shutil.copytree(shelf.release("vae"), tmp_path / "release"))


@contextlib.contextmanager
def plugged(folder: Path, *, data: Mapping[str, str] | None = None, **models: str) -> Iterator[None]:
    """Within the block, models and data sets of the tests are installed: each name with its ``module:value``."""
    info = folder / "zoo_tests-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-tests\nVersion: 1.0\n")
    groups = {registry.MODELS: models, registry.DATA: data or {}}
    lines = [[f"[{group}]", *(f"{name} = {target}" for name, target in own.items())] for group, own in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(line for group in lines for line in group) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        # Compiled, a text that is as long as the last one and was written in the same second would be taken for it.
        patch.setattr(sys, "dont_write_bytecode", True)
        registry.forget()
        yield
    registry.forget()


def write_plugin(file: Path, text: str) -> None:
    """Write a plugin of one file in a folder that is plugged in; what was imported from that file is forgotten."""
    sys.modules.pop(file.stem, None)
    file.write_text(text)
    importlib.invalidate_caches()
    registry.forget()


STEPWISE = {name: f"step_plugin:{name}" for name in ("dots", "cells", "mist")} | {
    name: f"ask_plugin:{name}" for name in ("paint", "flow", "drift", "masked", "sentence", "illustrate", "describe")
}
"""The models of step_plugin.py and ask_plugin.py."""

STEPWISE_DATA = {name: f"ask_plugin:{name}" for name in ("named", "captions")}
"""The data sets of ask_plugin.py."""


class Stepwise(Mapping[str, Path]):
    """A run of each of them, with its release, trained on first use. Read only."""

    def __init__(self, shelf: Shelf, site: Path) -> None:
        self.shelf, self.site = shelf, site
        self._runs: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if name in STEPWISE and name not in self._runs:
            with plugged(self.site, data=STEPWISE_DATA, **STEPWISE):
                self._runs[name] = self.shelf.run(name)
        return self._runs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(STEPWISE)

    def __len__(self) -> int:
        return len(STEPWISE)


@pytest.fixture(scope="session")
def stepwise(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Stepwise:
    return Stepwise(shelf, tmp_path_factory.mktemp("stepwise"))


@pytest.fixture
def run(shelf: Shelf, tmp_path: Path) -> Path:
    """A run to spoil."""
    return Path(shutil.copytree(shelf.run("ae"), tmp_path / "run"))


@pytest.fixture(scope="session")
def gpt(shelf: Shelf) -> Path:
    """A run of a text model that knows the characters of one sentence. Read only."""
    text = shelf.folder / "text.txt"

    def train(folder: Path) -> None:
        text.write_text("the quick brown fox jumps over the lazy dog\n" * 10)
        zoo.train("chargpt.tiny", data=f"text:{text}", out=folder, set={"steps": 2}, quiet=True, force=True)

    return shelf.made("fox", train)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    path.write_bytes(b"\xff" * 100)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a proxy, and the data folder of whoever runs the tests, out of them."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with the published files."""
    if not REAL:
        pytest.skip("set ZOO_DATA_DIR to a folder with mnist/, cifar10/, fsdd/ … to test the published files")
    return Path(REAL)
