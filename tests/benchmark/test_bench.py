"""zoo bench: what it measures, what it leaves out and why, and how its processes end. Never a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zoo
from conftest import Command, Refused, Shelf, one_error, python, slow
from zoo.benchmark import results, rounds, worker
from zoo.benchmark.backends import Backend
from zoo.benchmark.process import Process
from zoo.benchmark.results import Benchmark, Ratio
from zoo.core.errors import EvaluationError
from zoo.release import read, seal

TORCH, ONNX = Backend("a", "torch", "cpu"), Backend("a", "onnx", "cpu")
AGAIN = Backend("a", "onnx", "cpu", control=True)


@pytest.fixture(autouse=True)
def _short_laps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TRIAL", 0.01)


def cells(found: Benchmark, engine: str) -> list[tuple[str, int]]:
    return [(row.task, row.batch) for row in found.rows if row.backend.engine == engine and not row.backend.control]


def check(found: Benchmark, release: Path, engines: tuple[str, ...], batch: int) -> None:
    tasks = list(read(release).tasks)
    if read(release).generation is not None:
        tasks.append("generate")
    assert not found.left_out
    for engine in engines:
        assert sorted(cells(found, engine)) == sorted((task, batch) for task in tasks)
    for row in found.rows:
        assert row.base == Backend(str(release), engines[0], "cpu")
        assert 0 < row.p50_ms <= row.p99_ms
        assert row.items_per_second > 0
        assert row.calls >= 3 or (row.calls == 1 and row.p50_ms > 1e3 * rounds.TRIAL)
        assert len(row.rounds_ms) == 1
        assert row.backend != row.base or row.speed == Ratio(1.0, 1.0, 1.0)


@pytest.mark.parametrize("model", ["cgan", *slow("chargpt", "ddpm", "vae")])
def test_every_task_and_generate_of_every_kind(model: str, shelf: Shelf) -> None:
    release = shelf.release(model)
    check(zoo.bench(release, batches=[3], rounds=1, only=["onnx"], device="cpu", quiet=True), release, ("onnx",), 3)


@pytest.mark.slow
def test_torch_beside_onnx_runtime(shelf: Shelf) -> None:
    release, both = shelf.release("chargpt"), ("torch", "onnx")
    check(zoo.bench(release, batches=[2], rounds=1, only=both, device="cpu", quiet=True), release, both, 2)


@pytest.mark.slow
def test_processes_tell_what_computes_and_how_much_memory_they_took(shelf: Shelf) -> None:
    found = zoo.bench(
        shelf.release("vae"), tasks=["decode"], batches=[1], rounds=2, only=("torch", "onnx"), device="cpu", quiet=True
    )
    torch, onnx, again = found.started
    assert again.backend.control
    assert again.backend.original == onnx.backend
    assert [list(one.providers) for one in found.started] == [
        ["torch:cpu"],
        ["CPUExecutionProvider"],
        ["CPUExecutionProvider"],
    ]
    assert all(len(one.cold_seconds) == 2 for one in found.started)
    assert onnx.megabytes is not None
    assert torch.first_megabytes is not None
    assert onnx.megabytes < 0.5 * torch.first_megabytes  # this process holds torch, which must not count
    assert all(one.first_megabytes <= one.megabytes for one in found.started)
    assert found.versions[0].startswith("zoo ")
    assert {version.split()[0] for version in found.versions} == {"zoo", "torch", "onnxruntime"}
    assert (found.threads, found.rounds, found.machine["cores"]) == (1, 2, os.cpu_count())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_threads_are_those_asked_for(shelf: Shelf) -> None:
    counts = []
    for threads in (1, 3):
        process = Process(Backend(str(shelf.release("ae")), "onnx", "cpu"), threads, Path())
        process.trial("decode", 1, 0.0)
        counts.append(len(os.listdir(f"/proc/{process.pid}/task")))
        assert f"OMP_NUM_THREADS={threads}\0".encode() in Path(f"/proc/{process.pid}/environ").read_bytes()
        process.end()
    assert counts[1] - counts[0] >= 2


def test_json_has_everything(zoo_call: Command, shelf: Shelf) -> None:
    done = zoo_call(
        "bench", shelf.run("ae"), "--task", "encode", "--batch", "2", "--rounds", "1", "--only", "onnx", "--json",
        "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["name"], row["task"], row["batch"]) for row in found["rows"]] == [
        ("onnx cpu", "encode", 2),
        ("A/A onnx cpu", "encode", 2),
    ]
    assert found["rows"][1]["base"]["engine"] == "onnx"
    assert found["rows"][1]["control"]
    assert found["rows"][0]["speed"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert {"p50_ms", "p99_ms", "items_per_second", "calls", "rounds_ms"} <= found["rows"][0].keys()
    assert {"cold_seconds", "first_megabytes", "megabytes", "providers", "speed"} <= found["processes"][0].keys()
    assert {"processor", "cores", "system", "python"} == found["machine"].keys()
    assert (found["threads"], found["rounds"], found["left_out"]) == (1, 1, [])
    assert "torch" not in " ".join(found["versions"])


@pytest.mark.slow
def test_releases_beside_each_other(zoo_call: Command, shelf: Shelf) -> None:
    ae, vae = shelf.release("ae"), shelf.release("vae")
    done = zoo_call(
        "bench", ae, vae, "--task", "decode", "--batch", "1", "--rounds", "1", "--only", "onnx", "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    head = next(line for line in lines if line[:1] == ["TASK"])
    assert head[:4] == ["TASK", "BATCH", "SOURCE", "BACKEND"]
    decode = [line for line in lines if line[:2] == ["decode", "1"]]
    assert [line[2] for line in decode] == [str(ae), str(vae), str(ae)]
    assert ["1", "thread,", "1", "round"] in lines


# What is left out


def without(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which these packages are not installed."""
    for package in packages:
        (folder / f"{package}.py").write_text(
            f"raise ModuleNotFoundError('No module named {package}', name={package!r})"
        )
    return {"PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_without_torch_its_rows_are_left_out(zoo_command: Command, shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    env = without(tmp_path / "gone", "torch", "onnx", "onnxscript", "zoo_autoencoders")
    done = zoo_command(
        "bench", shelf.release("vae"), "--task", "decode", "--batch", "1", "--rounds", "1", "--device", "cpu", env=env
    )
    assert done.returncode == 0, done.stderr
    assert "onnx cpu" in done.stdout
    assert "torch" not in done.stdout
    for way in ("torch cpu", "torch-compiled cpu"):
        (line,) = (line for line in done.stderr.splitlines() if line.startswith(f"{way}: left out"))
        assert "needs torch, which is not installed. Run: pip install 'genzoo[train]'" in line


def test_without_the_plugin_torch_is_left_out(release: Path) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    (release / "manifest.json").write_text(json.dumps(seal(manifest | {"name": "elsewhere.tiny"})))
    found = zoo.bench(
        release, tasks=["encode"], batches=[1], rounds=1, only=["torch", "onnx"], device="cpu", quiet=True
    )
    (left,) = found.left_out
    assert left.backend.engine == "torch"
    assert "The plugin of 'elsewhere' is not installed" in left.reason
    assert {row.backend.engine for row in found.rows} == {"onnx"}


def test_a_call_longer_than_a_lap_is_timed_once() -> None:
    assert len(worker.trial(lambda: time.sleep(0.02), 0.01)["ns"]) == 1
    assert len(worker.trial(lambda: time.sleep(0.02), 0.0)["ns"]) == worker.LEAST


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler, as torch.compile does")
def test_torch_compiled(shelf: Shelf, tmp_path: Path) -> None:
    process = Process(Backend(str(shelf.release("dcgan")), "torch-compiled", "cpu"), 1, tmp_path)
    try:
        assert list(tmp_path.rglob("*.so"))  # it was compiled for the first sample
        assert len(process.trial("decode", 1, 0.0)["ns"]) >= 3
    finally:
        process.end()


@pytest.mark.slow
def test_without_a_compiler_torch_compiled_is_left_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    found = zoo.bench(
        shelf.release("vae"), tasks=["decode"], batches=[1], rounds=1, only=["torch-compiled", "onnx"],
        device="cpu", quiet=True,
    )  # fmt: skip
    (left,) = found.left_out
    assert left.backend.engine == "torch-compiled"
    assert "compiler" in left.reason.lower()
    assert "\n" not in left.reason
    assert cells(found, "onnx") == [("decode", 1)]


@pytest.mark.slow
def test_a_task_that_fails_costs_its_row(release: Path) -> None:
    (release / "reconstruct.onnx").unlink()
    found = zoo.bench(
        release,
        tasks=["encode", "reconstruct"],
        batches=[1],
        rounds=1,
        only=["torch", "onnx"],
        device="cpu",
        quiet=True,
    )
    assert cells(found, "onnx") == [("encode", 1)]
    assert cells(found, "torch") == [("encode", 1), ("reconstruct", 1)]
    assert {left.backend.engine for left in found.left_out} == {"onnx"}
    for left in found.left_out:  # and the control
        assert left.what == "reconstruct at batch 1"
        assert "reconstruct.onnx is missing" in left.reason


@pytest.mark.parametrize("turn", [0, 8], ids=["at once", "in the last round"])
def test_a_worker_that_dies_costs_its_rows(turn: int, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks, each in ONNX Runtime and in its control, in three rounds of which the first does not count."""
    trial, turns = Process.trial, []

    def killed(self: Process, *asked: Any) -> dict[str, Any]:
        if len(turns) == turn:
            os.kill(self.pid, signal.SIGKILL)
        turns.append(asked)
        return trial(self, *asked)

    monkeypatch.setattr(Process, "trial", killed)
    found = zoo.bench(
        shelf.release("vae"), tasks=["encode", "decode"], batches=[1], rounds=2, only=["onnx"], device="cpu", quiet=True
    )
    (left,) = found.left_out
    assert (left.backend.control, left.what) == (False, "")
    assert left.reason == "encode at batch 1: its process was ended by SIGKILL"
    assert [(row.task, row.backend.control) for row in found.rows] == [("encode", True), ("decode", True)]
    assert all(row.base == row.backend and len(row.rounds_ms) == 2 for row in found.rows)
    assert [one.backend.control for one in found.started] == [True]


def test_what_a_dying_worker_said_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os; os.write(2, b'out of luck'); os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    says = r"Nothing could be measured. onnx cpu: its process ended with exit code 3 \(out of luck\)"
    with pytest.raises(EvaluationError, match=says):
        zoo.bench(shelf.release("vae"), only=["onnx"], device="cpu", quiet=True)


# How it ends


def children(pid: int) -> set[int]:
    """The processes that a process started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[1]) == pid and after[0] != "Z":
            found.add(int(path.parent.name))
    return found


def within(seconds: float) -> Iterator[None]:
    """Look again and again, and fail when that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
    pytest.fail(f"not within {seconds} s")


def alive(pids: set[int]) -> bool:
    return any(
        Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text() for pid in pids
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("number", "waiting"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGKILL, 2)])
def test_all_processes_end_with_it(number: int, waiting: int, shelf: Shelf, tmp_path: Path) -> None:
    """While one starts, and when all of them wait for their turns."""
    command = [sys.executable, "-m", "zoo", "bench", str(shelf.release("vae")), "--only", "onnx", "--device", "cpu"]
    process = subprocess.Popen(
        [*command, "--rounds", "1000" if waiting == 1 else "1", "--batch", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    try:
        for _ in within(60):
            started = children(process.pid)
            if len(started) >= waiting:
                break
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert process.returncode == 130, said
            assert said.splitlines()[-1] == "Error: Interrupted."
            assert "Traceback" not in said
        for _ in within(60):
            if not alive(started):
                break
    finally:
        process.kill()  # its workers end with it
        process.communicate()


# Bad input


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--only", "tosh"], ("No backend named 'tosh'", "Did you mean 'torch'?", "torch-compiled, onnx")),
        (["--batch", "0"], ("batch = 0 is out of range", "at least 1")),
        (["--batch", "5000"], ("batch = 5000 is out of range", "at most 4096")),
        (["--rounds", "0"], ("rounds = 0 is out of range",)),
        (["--threads", "0"], ("threads = 0 is not an integer from 1 to",)),
        (["--task", "decod"], ("vae.tiny has no task 'decod'", "Did you mean 'decode'?", "generate")),
        (["--device", "gpu"], ("--device", "'gpu' is not one of")),
        (["nosuch.tiny"], ("No model named 'nosuch'",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_bad_input(options: list[str], says: tuple[str, ...], release: Path, refused: Refused) -> None:
    refused("bench", release, *options, says=says)


def test_no_source(refused: Refused) -> None:
    refused("bench", says=("Missing argument", "zoo bench --help"))


def test_cuda_that_is_not_there(zoo_call: Command, shelf: Shelf) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has CUDA here")
    done = zoo_call("bench", shelf.release("vae"), "--device", "cuda", "--only", "onnx")
    one_error(done, "Nothing could be measured", "onnx cuda", "CUDA was requested", "genzoo[gpu]")


# The measurements


def test_values_of_known_times() -> None:
    trials = {("decode", 4): {TORCH: [[2_000_000] * 3, [8_000_000] * 3, [4_000_000] * 3], ONNX: [[1_000_000] * 3] * 3}}
    torch, onnx = results.rows(trials)
    assert torch.base == onnx.base == TORCH
    assert onnx.speed == Ratio(4.0, 2.0, 8.0)  # in the same rounds
    assert torch.speed == Ratio(1.0, 1.0, 1.0)
    assert (torch.p50_ms, torch.p99_ms, torch.calls) == (4.0, 8.0, 9)
    assert list(torch.rounds_ms) == [2.0, 8.0, 4.0]
    assert onnx.items_per_second == pytest.approx(4000)


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 201)]
    assert results.percentile(values, 0.99) == 198
    assert results.percentile(values[:50], 0.99) == 50
    assert results.percentile([7.0], 0.5) == 7


@pytest.mark.parametrize(
    ("again", "other_work", "says"),
    [
        (1.05, 0.0, []),
        (1.3, None, ["The control differs from itself by up to 30%"]),
        (1 / 1.3, 0.1, ["The control differs from itself by up to 30%"]),
        (1.0, 1.25, ["Other work used 1.2 cores"]),
    ],
)
def test_warnings(again: float, other_work: float | None, says: list[str]) -> None:
    trials = {("decode", 1): {ONNX: [[1_000_000] * 3] * 3, AGAIN: [[round(again * 1_000_000)] * 3] * 3}}
    found = Benchmark(
        sources=["a"], machine={}, versions=[], threads=1, rounds=3, rows=results.rows(trials), started=[], left_out=[],
        other_work=other_work,
    )  # fmt: skip
    assert len(found.warnings) == len(says)
    for warning, words in zip(found.warnings, says, strict=True):
        assert warning.startswith(words)
    assert found.to_json()["warnings"] == found.warnings


def test_the_parent_imports_nothing_heavy(shelf: Shelf) -> None:
    code = (
        "import sys, zoo\n"
        "zoo.bench(sys.argv[1], tasks=['decode'], batches=[1], rounds=1, only=['onnx'], device='cpu', quiet=True)\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'numpy') if name in sys.modules])"
    )
    assert python(code, shelf.release("vae")) == "[]\n"
