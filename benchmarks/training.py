"""Throughput, memory and start-up of `zoo train`, compared with a plain loop and with pythae's trainer.

    ZOO_DATA_DIR=DIR python benchmarks/training.py [--only vae] [--rounds N] [--steps N] [--pythae PYTHON] [--json FILE]

Every trial is a new process, which is stopped after a number of steps. The recipe is shortened, so that a line is
written every few steps; the first fifth is not timed. The A/A row is the plain loop a second time: the difference is
noise. The bounds: in float32 the throughput of the plain loop, and 1.35 times that if the default precision is bf16. A
bound is missed if the shortfall is larger than the difference of A/A from 1. On CUDA a trial is a whole run, and zoo
also runs compiled and with CUDA graphs.

PYTHON is the interpreter of an environment with pythae 0.1.2 and this zoo:

    python -m venv DIR; DIR/bin/pip install -c constraints.txt pythae==0.1.2 -e '.[cpu,train]'
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import conclude, data_dir, header, table
from peak import peak
from trials import Trial, Way, rounds
from zoo.core.files import expand

HERE = Path(__file__).resolve().parent
STEPS = {"vae.mnist": 100, "dcgan.mnist": 120, "chargpt.shakespeare": 60, "pythae_vae.mnist": 6}
"""Steps of a trial on the CPU; on CUDA a trial is the whole recipe."""
BOUNDS = {"fp32": 1.0, "bf16": 1.35}
"""The smallest allowed throughput of zoo relative to the plain loop, by precision."""
LINES = 500
"""The approximate number of lines that zoo and the plain loop write in a run."""

PROBE = """
import json, sys, torch
from zoo.core import devices; from zoo import registry
from zoo.training import precision
device = devices.torch_device(sys.argv[1])
recipes = {name: registry.load_recipe(name)[1] for name in sys.argv[2:]}
print(json.dumps({
    "device": str(device), "words": devices.describe_device(device), "precision": precision.best(device),
    "torch": torch.__version__, "recipes": {name: [recipe.steps, recipe.batch] for name, recipe in recipes.items()},
}))
"""


def zoo(
    python: str, name: str, device: str, whole: int, label: str, *options: str, env: Mapping[str, str] | None = None
) -> Way:
    """Return `zoo train` as a user calls it, without intermediate checkpoints."""
    command = [python, "-m", "zoo", "train", name, "--no-release", "--device", device, "--output", "{folder}/run"]
    return Way(
        name=label,
        command=[*command, "--set", f"steps={whole}", "--checkpoint-every", "1000000", *options],
        lines="run/metrics.jsonl",
        env=env or {},
    )


def ours(python: str, name: str, device: str, whole: int, env: Mapping[str, str] | None = None) -> list[Way]:
    """Return the variants of `zoo train` to compare."""
    ways = [zoo(python, name, device, whole, "zoo, fp32", "--precision", "fp32", env=env)]
    ways += [zoo(python, name, device, whole, "zoo, defaults", env=env)]
    if device.startswith("cuda"):
        for precision in ("fp32", "bf16"):
            for option in ("--compile", "--cuda-graphs"):
                label = f"zoo, {precision} {option}"
                ways.append(zoo(python, name, device, whole, label, "--precision", precision, option, env=env))
    return ways


def beside_plain(name: str, device: str, whole: int) -> list[Way]:
    command = [sys.executable, str(HERE / "plain.py"), name, "--steps", str(whole), "--device", device]
    calm = Way(name="plain loop, GOMP_SPINCOUNT=1000", command=command, env={"GOMP_SPINCOUNT": "1000"})
    plain = [Way(name="plain loop", command=command), Way(name="A/A", command=command)]
    return [*plain, *([calm] if device == "cpu" else []), *ours(sys.executable, name, device, whole)]


def beside_pythae(python: str, name: str, device: str, whole: int, env: Mapping[str, str]) -> list[Way]:
    command = [python, str(HERE / "pythae_vae.py")]
    return [Way(name="pythae", command=command, env=env), *ours(python, name, device, whole, env)]


def whole_run(steps: int, recipe_steps: int, device: str) -> int:
    """Return the length of the run whose first `steps` steps are a trial, so that a trial has at least 20 lines.

    A trial is timed by its lines, and the number of lines in a run does not depend on its length.
    """
    return recipe_steps if device.startswith("cuda") else min(recipe_steps, LINES * max(1, steps // 20))


def plugin(folder: Path) -> dict[str, str]:
    """Return the environment in which zoo finds the plugin pythae_vae.py; its entry point is written into `folder`."""
    about = folder / "benchmark-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[zoo.models]\npythae_vae = pythae_vae:model\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(HERE)])}


def probe(python: str, device: str, names: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Return torch's description of the device, and the steps and batch size of each recipe."""
    command = [python, "-c", PROBE, device, *names]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python} cannot train {', '.join(names)}: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def middle(trials: Sequence[Trial], value: Callable[[Trial], float]) -> float:
    return statistics.median(value(trial) for trial in trials)


def ratio(trials: Sequence[Trial], base: Sequence[Trial]) -> float:
    """Return the median over the rounds of the throughput relative to the base in the same round."""
    return statistics.median(trial.rate / other.rate for trial, other in zip(trials, base, strict=True))


def comparison(name: str, trials: Mapping[str, list[Trial]], batch: int, shares: Mapping[str, float]) -> str:
    """Return a Markdown table that compares all backends with the first one."""
    base = next(iter(trials.values()))
    heads = [f"`{name}`", "samples/s", "spread", "ratio", "peak memory", "ratio", "first step after"]
    heads += ["fraction of the peak"] if shares else []
    rows = []
    for way, mine in trials.items():
        rates = [trial.rate for trial in mine]
        memory = middle(mine, lambda trial: trial.megabytes)
        cells = [
            way,
            f"{statistics.median(rates) * batch:,.0f}",
            f"{(max(rates) - min(rates)) / statistics.median(rates):.1%}",
            f"{ratio(mine, base):.2f}",
            f"{memory:.0f} MB",
            f"{memory / middle(base, lambda trial: trial.megabytes):.2f}",
            f"{middle(mine, lambda trial: trial.start):.1f} s",
        ]
        cells += [f"{shares[way]:.1%}" if way in shares else ""] if shares else []
        rows.append(cells)
    return table(heads, rows)


def shares(name: str, trials: Mapping[str, list[Trial]], about: Mapping[str, Any]) -> dict[str, float]:
    """Return the fraction of the GPU's peak that each way reaches; empty if the peak is not known."""
    precisions = {
        way: "bf16" if "bf16" in way else about["precision"] if "defaults" in way else "fp32" for way in trials
    }
    peaks = {way: peak(about["words"], precision) for way, precision in precisions.items()}
    if not any(peaks.values()):
        return {}
    counted = subprocess.run(
        [sys.executable, str(HERE / "peak.py"), name], stdout=subprocess.PIPE, text=True, check=True
    )
    flop = int(counted.stdout)
    return {way: flop * middle(trials[way], lambda trial: trial.rate) / best for way, best in peaks.items() if best}


def short_of(name: str, trials: Mapping[str, list[Trial]], default: str) -> list[str]:
    """Return the bounds that zoo misses, one line each; `default` is its default precision."""
    noise = abs(ratio(trials["A/A"], trials["plain loop"]) - 1)
    reached = {
        way: (ratio(trials[way], trials["plain loop"]), BOUNDS[precision])
        for way, precision in (
            ("zoo, fp32", "fp32"),
            ("zoo, defaults", default),
        )
    }
    return [
        f"`{name}`: {way} reaches {found:.2f} of the plain loop, and the bound is {bound:g}; "
        f"A/A differs by {noise:.2f}."
        for way, (found, bound) in reached.items()
        if found < bound - noise
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps of a trial, instead of each recipe's own number")
    parser.add_argument("--only", default="", help="run only the recipes with this prefix")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pythae", metavar="PYTHON", help="also compare with pythae, installed in this Python")
    parser.add_argument("--json", type=expand, metavar="FILE", help="also write every trial to this file")
    args = parser.parse_args()
    data_dir()
    names = [name for name in STEPS if name.startswith(args.only) and (args.pythae or "pythae" not in name)]
    if not names:
        raise SystemExit(f"No recipe begins with {args.only!r}: {', '.join(STEPS)} (the last needs --pythae).")
    written: dict[str, Any] = {}
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        env = plugin(Path(temporary))
        for name in names:
            with_pythae = name.startswith("pythae")
            python = os.path.abspath(args.pythae) if with_pythae else sys.executable
            about = probe(python, args.device, [name], env if with_pythae else {})
            device, (whole, batch) = about["device"], about["recipes"][name]
            steps = min(whole, args.steps or (whole if device.startswith("cuda") else STEPS[name]))
            whole = whole_run(steps, whole, device)
            pythae = (python, name, device, whole, env)
            ways = beside_pythae(*pythae) if with_pythae else beside_plain(name, device, whole)
            trials = rounds(ways, steps // 5, steps, args.rounds)
            if not written:
                print(f"{header('torch')}; {about['words']} ({about['precision']} by default);")
                print(f"medians of {args.rounds} interleaved rounds.")
            share = {} if with_pythae or not device.startswith("cuda") else shares(name, trials, about)
            print(
                f"\n{steps} steps a trial, of batches of {batch}:\n\n{comparison(name, trials, batch, share)}",
                flush=True,
            )
            written[name] = {way: [dataclasses.asdict(trial) for trial in mine] for way, mine in trials.items()}
            missed += [] if with_pythae else short_of(name, trials, about["precision"])
    conclude(args.json, written, missed)


if __name__ == "__main__":
    main()
