"""Loggers of runs: TensorBoard, MLflow, and those of others, of which a broken one costs a line and no run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import zoo
from conftest import Refused, patch_registry, raises
from zoo import registry
from zoo.cli.arguments import complete_logger
from zoo.core.errors import MissingPackageError, PluginError
from zoo.registry import forget
from zoo.tools import doctor
from zoo.training import checkpoints, run_folder

OWN = '''
"""Loggers of the tests."""
from pathlib import Path


class Lines:
    """Writes a line for each call."""

    def __init__(self, run):
        self.file = open(run.folder / "lines.txt", "a")
        self.write("start", run.name, run.step, run.steps, run.recipe["batch"])

    def write(self, *values):
        print(*values, file=self.file, flush=True)

    def terms(self, step, terms, lr):
        self.write("terms", step, sorted(terms), lr)

    def metrics(self, step, metrics, split):
        self.write("metrics", step, sorted(metrics), split)

    def samples(self, step, files):
        assert all(file.is_file() for file in files)
        self.write("samples", step, *(file.name for file in files))

    def close(self, complete):
        self.write("close", complete)
        self.file.close()


class Breaks(Lines):
    def terms(self, step, terms, lr):
        super().terms(step, terms, lr)
        if step == 5:
            raise RuntimeError("the disk\\nis full")


class BreaksAtTheEnd(Lines):
    def close(self, complete):
        super().close(complete)
        raise OSError("gone")


def no_start(run):
    raise ConnectionError("no server")


def no_methods(run):
    return Path(run.folder)


number = 3
'''
NAMES = ("Lines", "Breaks", "BreaksAtTheEnd", "no_start", "no_methods", "number", "absent")


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The loggers above, installed by their names in lower case; `broken` cannot be imported."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "own_loggers.py").write_text(OWN)
    (folder / "broken_logger.py").write_text("import nosuchpackage")
    info = folder / "zoo_log_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-log-tests\nVersion: 1.0\n")
    lines = [f"{name.lower()} = own_loggers:{name}\n" for name in NAMES]
    (info / "entry_points.txt").write_text(f"[zoo.loggers]\n{''.join(lines)}broken = broken_logger:x\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        forget()
        yield folder
    forget()


def train(name: str, run: Path, **options: Any) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl of a run without a release."""
    zoo.train(name, out=run, release=False, quiet=True, **options)
    return [json.loads(line) for line in (run / run_folder.METRICS).read_text().splitlines()]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train("vae.tiny", tmp_path / "run", log=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"loss/reconstruction", "loss/kl", "lr", "test/negative_elbo"} <= set(tags["scalars"])
    assert tags["images"] == ["samples"]
    assert [event.step for event in events.Scalars("loss/kl")] == list(range(1, 21))


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "tensorboard" or name.startswith(("torch.utils.tensorboard", "zoo_loggers.tens")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # type: ignore[arg-type]
    forget()  # what was imported before
    with raises(MissingPackageError, "The logger tensorboard needs tensorboard", "pip install 'genzoo[tensorboard]'"):
        train("vae.tiny", tmp_path / "run", log=("tensorboard",))
    assert not (tmp_path / "run").exists()


def history(run: Path) -> tuple[Any, Callable[[str], list[tuple[int, float]]], Path]:
    """MLflow's run in a run folder, the steps and values of a metric by its name, and the folder of its files."""
    from mlflow import MlflowClient

    client = MlflowClient((run / "mlflow").resolve().as_uri())
    (held,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])

    def values(name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in client.get_metric_history(held.info.run_id, name)]

    return held, values, Path(held.info.artifact_uri.removeprefix("file://"))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, and no consent to plain files other than the logger's own, which it leaves in the environment."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")


@pytest.mark.usefixtures("store")
def test_mlflow(tmp_path: Path) -> None:
    lines = train("vae.tiny", tmp_path / "run", log=("mlflow",), checkpoint_every=10)
    held, values, artifacts = history(tmp_path / "run")
    assert held.info.run_name == "vae.tiny"
    assert held.info.status == "FINISHED"
    assert held.data.params["steps"] == "20"
    assert held.data.params["data"] == "digits"
    assert values("loss/kl") == [(line["step"], line["terms"]["kl"]) for line in lines if "terms" in line]
    assert values("test/negative_elbo") == [
        (line["step"], line["metrics"]["negative_elbo"]) for line in lines if "metrics" in line
    ]
    assert sorted(path.name for path in (artifacts / "samples").iterdir()) == ["step-00000010.png", "step-00000020.png"]


@pytest.mark.usefixtures("store")
def test_a_run_goes_on_in_the_same_run_of_mlflow(tmp_path: Path) -> None:
    """Steps 11 to 20 are done twice, by a run that was killed after its last step, and are logged once."""
    run = tmp_path / "run"
    train("vae.tiny", run, log=("mlflow",), checkpoint_every=10)
    checkpoints.path_of(run, 20).unlink()
    lines = train("vae.tiny", run, log=("mlflow",), checkpoint_every=10, resume=True)
    held, values, _ = history(run)
    assert held.info.status == "FINISHED"
    assert values("loss/kl") == [(line["step"], line["terms"]["kl"]) for line in lines if "terms" in line]


def test_what_a_logger_is_told(own: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("vae.tiny", run, log=("lines", "lines"), checkpoint_every=10, set={"steps": 12})
    said = (run / "lines.txt").read_text().splitlines()
    assert said[0] == "start vae.tiny 0 12 32"
    assert said[1] == "terms 1 ['kl', 'reconstruction'] 0.001"
    assert said[-4:] == [
        "terms 12 ['kl', 'reconstruction'] 0.001",
        "metrics 12 ['negative_elbo'] test",
        "samples 12 step-00000012.png",
        "close True",
    ]
    checkpoints.path_of(run, 12).unlink()
    train("vae.tiny", run, log=("lines",), checkpoint_every=10, set={"steps": 12}, resume=True)
    assert "start vae.tiny 10 12 32" in (run / "lines.txt").read_text()


def test_a_logger_of_a_run_that_fails(own: Path, tmp_path: Path) -> None:
    with pytest.raises(zoo.ZooError, match="not finite"):
        train("ae.tiny", tmp_path / "run", log=("lines",), set={"lr": 1e30})
    assert (tmp_path / "run" / "lines.txt").read_text().splitlines()[-1] == "close False"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("breaks", "The logger 'breaks' failed and is dropped; the run goes on: RuntimeError: the disk is full"),
        ("breaksattheend", "The logger 'breaksattheend' failed and is dropped; the run goes on: OSError: gone"),
    ],
)
def test_a_logger_that_breaks_is_dropped(
    name: str, says: str, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.train("ae.tiny", out=tmp_path / "run", log=(name, "lines"), release=False)
    said = capsys.readouterr().err
    assert said.count(says) == 1
    assert len(checkpoints.read(tmp_path / "run").tensors) > 3
    lines = (tmp_path / "run" / "lines.txt").read_text().splitlines()
    assert "close True" in lines[-2:]  # the other one has all
    assert lines.count("close False") == (name == "breaks")
    assert sum(line.startswith("terms 20") for line in lines) == (1 if name == "breaks" else 2)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_start", "Logger 'no_start' does not start: ConnectionError: no server. Leave out --log no_start."),
        ("no_methods", "which has no terms and no metrics and no samples and no close. It must have: terms, metrics"),
        ("number", "own_loggers:number of zoo-log-tests 1.0 is 3, and should be a function."),
        ("absent", "zoo-log-tests 1.0 cannot be imported: AttributeError"),
        ("broken", "zoo-log-tests 1.0 cannot be imported: ModuleNotFoundError: No module named"),
    ],
)
def test_a_logger_that_does_not_start(name: str, says: str, own: Path, tmp_path: Path) -> None:
    with raises(PluginError, says):
        zoo.train("ae.tiny", out=tmp_path / "run", log=(name,), release=False, quiet=True)
    assert not checkpoints.steps(tmp_path / "run")


def test_a_logger_that_is_not_there(refused: Refused) -> None:
    says = ("No logger named 'tensorbord'. Did you mean 'tensorboard'? Run: zoo plugin list",)
    refused("train", "ae.tiny", "--log", "tensorbord", says=says)


def test_two_loggers_of_one_name(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims: Mapping[str, Sequence[Any]] = {"lines": registry.plugins(registry.LOGGERS)["lines"] * 2}
    patch_registry(monkeypatch, plugins=lambda group: claims)
    with raises(PluginError, "The logger name 'lines' is claimed by zoo-log-tests and zoo-log-tests: uninstall one"):
        registry.load_value("lines", registry.LOGGERS)


def test_the_doctor_lists_loggers(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(own))
    found = {finding.name: (finding.ok, finding.text) for finding in doctor._loggers(60)}
    assert found["tensorboard"] == (True, f"genzoo {zoo.__version__}: --log tensorboard")
    assert found["lines"] == (True, "zoo-log-tests 1.0: --log lines")
    ok, text = found["broken"]
    assert not ok
    assert "cannot be imported" in text
    assert found.keys() == {"mlflow", "tensorboard", "broken", *(name.lower() for name in NAMES)}


def test_names_of_loggers_are_completed(own: Path) -> None:
    assert [item.value for item in complete_logger(None, None, "t")] == ["tensorboard"]  # type: ignore[arg-type]
