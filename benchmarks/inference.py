"""Latency, memory and cold start of every released model in ONNX Runtime and torch; load time of a 100 MB release.

    python benchmarks/inference.py [--only NAME]… [--rounds N] [--compiled] [--json FILE]
    ZOO_DATA_DIR=DIR python benchmarks/inference.py --all [--releases DIR]

Each uses one thread. --all also measures the other recipes, each trained for one step, because speed does not depend on
the values of the weights. The bounds, on the CPU: ONNX Runtime is at least twice as fast as eager torch at batch 1, and
never slower at 64. Its first sample takes a quarter of the time and half of the memory. A release of 100 MB loads in a
tenth of the time of torch.load without hashing, and in twice the time of hashing alone.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zoo
from measure import conclude, header, run, table
from zoo.benchmark.results import Benchmark, Ratio, Row, percentile, ratio
from zoo.core.files import expand
from zoo.release import WEIGHTS, read
from zoo.runtime.onnx_backend import OnnxBackend

SPEEDS = {1: 2.0, 64: 1.0}
"""The smallest allowed speed-up of ONNX Runtime over eager torch, by batch size."""
COLD_START, MEMORY = 4.0, 0.5
LOADING, HASHING = 0.1, 2.0
HIDDEN = (4096, 3072)
"""Layer sizes with which an autoencoder of 8 × 8 pixels has a file of 103 MB."""


def source(name: str, folder: Path) -> str:
    """Return what to load for `name`: its released weights, or a run of one step in `folder`."""
    if name in zoo.list_models(pretrained=True):
        return name
    if not (folder / name / "release").exists():
        zoo.train(name, set={"steps": 1}, out=folder / name, quiet=True, force=True)
    return str(folder / name)


def of(found: Benchmark, engine: str, control: bool = False) -> dict[tuple[str, int], Row]:
    """Return the rows of one engine on the CPU, by task and batch size."""
    return {
        (row.task, row.batch): row
        for row in found.rows
        if row.backend.engine == engine and row.backend.device == "cpu" and row.backend.control is control
    }


def latencies(founds: Mapping[str, Benchmark]) -> str:
    """Return a Markdown table of median latencies: one row a model and task, one group of columns a batch size."""
    compiled = any(of(found, "torch-compiled") for found in founds.values())
    batches = sorted({row.batch for found in founds.values() for row in found.rows})
    heads, lines = ["", "task"], []
    for batch in batches:
        heads += [f"torch, {batch}", *(["compiled", "speed"] if compiled else []), f"ONNX Runtime, {batch}", "speed"]
    for name, found in founds.items():
        torch, faster, onnx = of(found, "torch"), of(found, "torch-compiled"), of(found, "onnx")
        for task in dict.fromkeys(task for task, _ in onnx):
            cells = [f"`{name}`", task]
            for cell in ((task, batch) for batch in batches):
                cells += [latency(torch[cell])]
                if compiled:
                    cells += [latency(faster[cell]), f"{faster[cell].speed.median:.2f}"] if cell in faster else ["", ""]
                cells += [latency(onnx[cell]), f"{onnx[cell].speed.median:.2f}"]
            lines.append(cells)
    return table(heads, lines)


def latency(row: Row) -> str:
    return f"{row.p50_ms:.3g} ms"


def span(speed: Ratio) -> str:
    return f"{speed.low:.2f}–{speed.high:.2f}"


def noise(founds: Mapping[str, Benchmark]) -> str:
    """Describe the differences of the control over all rows: the median, the 95th percentile, and the largest."""
    off = []
    for found in founds.values():
        onnx, again = of(found, "onnx"), of(found, "onnx", True)
        ratios = (ratio(onnx[cell].rounds_ms, row.rounds_ms).median for cell, row in again.items() if cell in onnx)
        off += [max(times, 1 / times) - 1 for times in ratios]
    half, most = (percentile(off, part) for part in (0.5, 0.95))
    return f"A/A differs by {half:.1%} or less in half of the rows, {most:.1%} in 95% of them, {max(off):.1%} at worst."


def starts(founds: Mapping[str, Benchmark]) -> str:
    """Return a Markdown table of cold start and memory, one row a model."""
    heads = ["", "first sample, torch", "ONNX Runtime", "speed"]
    heads += ["memory, torch", "ONNX Runtime", "ratio", "at the end, torch", "ONNX Runtime", "ratio"]
    lines = []
    for name, found in founds.items():
        torch, onnx = (processes(found)[key] for key in (("torch", False), ("onnx", False)))
        cells = [f"`{name}`", f"{torch.seconds:.2f} s", f"{onnx.seconds:.2f} s", f"{onnx.speed.median:.1f}"]
        for first, last in ((torch.first_megabytes, onnx.first_megabytes), (torch.megabytes, onnx.megabytes)):
            cells += [f"{first:.0f} MB", f"{last:.0f} MB", f"{last / first:.2f}"]
        lines.append(cells)
    return table(heads, lines)


def processes(found: Benchmark) -> dict[tuple[str, bool], Any]:
    return {(one.backend.engine, one.backend.control): one for one in found.started if one.backend.device == "cpu"}


def short_of(name: str, found: Benchmark) -> list[str]:
    """Return the bounds that a model misses, one line each."""
    missed = [
        f"`{name}`: {row.task} at batch {row.batch} is {row.speed.median:.2f} times as fast as in torch "
        f"({span(row.speed)}), and the bound is {SPEEDS[row.batch]:g}."
        for row in of(found, "onnx").values()
        if row.batch in SPEEDS and row.speed.median < SPEEDS[row.batch]
    ]
    torch, onnx = processes(found)["torch", False], processes(found)["onnx", False]
    if onnx.speed.median < COLD_START:
        missed.append(
            f"`{name}`: its first sample is {onnx.speed.median:.1f} times as fast, and the bound is {COLD_START:g}."
        )
    if (part := onnx.first_megabytes / torch.first_megabytes) > MEMORY:
        missed.append(f"`{name}`: its first sample takes {part:.2f} of the memory, and the bound is {MEMORY:g}.")
    return missed


def ready(folder: Path, rounds: int) -> tuple[str, list[str], dict[str, list[float]]]:
    """Return a Markdown table of the load times of a 100 MB release, the bounds that it misses, and all times."""
    import torch
    from safetensors.torch import load_file

    from zoo.core import files

    run = zoo.train("ae.tiny", set={"hidden": HIDDEN, "steps": 1}, out=folder / "large", quiet=True, force=True)
    release = read(run.folder / "release")
    weights, pickled, hashed = release.folder / WEIGHTS, folder / "large.pt", files.sha256
    torch.save(load_file(weights), pickled)

    def unhashed(opened: str = "") -> None:
        """Call zoo.load without computing hashes, and optionally open a graph."""
        files.sha256 = lambda path: release.files[path.name]
        try:
            with zoo.load(release.folder, device="cpu", threads=1) as model:
                if opened:
                    assert isinstance(model.backend, OnnxBackend)
                    model.backend.session(opened)
        finally:
            files.sha256 = hashed

    def load() -> None:
        zoo.load(release.folder, device="cpu", threads=1).close()

    def sha256() -> None:
        with open(weights, "rb") as file:
            hashlib.file_digest(file, "sha256")

    ways: dict[str, Callable[[], object]] = {
        "torch.load": lambda: torch.load(pickled),
        "A/A": lambda: torch.load(pickled),
        "zoo.load, hashing aside": unhashed,
        "… and a graph over half of the weights opened": lambda: unhashed("encode.onnx"),
        "SHA-256 of the weights alone": sha256,
        "zoo.load": load,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:
                times[name].append(time.perf_counter() - began)
    lines = []
    for name, mine in times.items():
        cells = [name, f"{statistics.median(mine) * 1e3:.2f} ms", f"{min(mine) * 1e3:.2f}–{max(mine) * 1e3:.2f} ms"]
        cells += [f"{share(mine, times[base]):.3f}" for base in ("torch.load", "SHA-256 of the weights alone")]
        lines.append(cells)
    missed = []
    for name, base, bound in (
        ("zoo.load, hashing aside", "torch.load", LOADING),
        ("zoo.load", "SHA-256 of the weights alone", HASHING),
    ):
        if (took := share(times[name], times[base])) > bound:
            missed.append(f"{name} takes {took:.2f} of the time of {base}, and the bound is {bound:g}.")
    megabytes = weights.stat().st_size / 1e6
    found = table(["", "time", "in rounds", "to torch.load", "to hashing"], lines)
    return f"A release of {megabytes:.0f} MB:\n\n{found}", missed, times


def share(mine: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of two times in the same round."""
    return statistics.median(own / other for own, other in zip(mine, base, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="prefix of names, or 'ready'; may be repeated")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, action="append", help="batch size; may be repeated (default: 1 and 64)")
    parser.add_argument("--compiled", action="store_true", help="also measure torch.compile, which takes minutes more")
    parser.add_argument("--all", action="store_true", help="include recipes without released weights")
    parser.add_argument(
        "--releases", type=expand, metavar="DIR", help="keep the runs of one step there, and reuse them"
    )
    parser.add_argument("--json", type=expand, metavar="FILE", help="also write all results to this file")
    args = parser.parse_args()
    only = tuple(args.only) or ("",)
    names = [name for name in zoo.list_models(pretrained=not args.all) if not name.endswith(".tiny")]
    names = [name for name in names if name.startswith(only)]
    if not names and not "ready".startswith(only):
        raise SystemExit(f"No model begins with {' or '.join(only)}, and 'ready' does not either.")
    ways = ("torch", *(["torch-compiled"] if args.compiled else []), "onnx")
    founds: dict[str, Benchmark] = {}
    missed: list[str] = []
    written: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.releases or Path(temporary)
        for name in names:
            found = zoo.bench(
                source(name, folder), only=ways, batches=args.batch or (), rounds=args.rounds, device="cpu"
            )
            print(f"\n{latencies({name: found})}", file=sys.stderr, flush=True)
            left_out = [f"{left.backend.name} {left.what}: {left.reason}" for left in found.left_out]
            for line in (*found.warnings, *left_out):
                print(f"{name}: {line}", file=sys.stderr, flush=True)
            founds[name], written[name] = found, found.to_json()
            missed += short_of(name, found)
        if founds:
            first = next(iter(founds.values()))
            print(f"{header('genzoo', 'torch', 'onnxruntime')};")
            print(f"{first.threads} thread, medians of {first.rounds} interleaved rounds. {noise(founds)}")
            print(f"\n{latencies(founds)}")
            print("\nTime and memory of the first sample, and memory at the end:")
            print(f"\n{starts(founds)}", flush=True)
        if "ready".startswith(only):
            text, late, times = ready(folder, max(args.rounds, 2))
            print(f"\n{text}", flush=True)
            written["ready"] = times
            missed += late
    conclude(args.json, written, missed)


if __name__ == "__main__":
    run(main)
