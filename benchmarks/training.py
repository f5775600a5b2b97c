"""Throughput, memory and start-up of `zoo train` beside the plainest loop, and beside pythae's trainer.

    ZOO_DATA_DIR=DIR python benchmarks/training.py [--only vae] [--rounds N] [--steps N] [--pythae PYTHON] [--json FILE]

Every lap is a process of its own, stopped after so many steps of a shorter run of the recipe, so that there is a line
every few steps; the first fifth is not timed. The A/A row is the plain loop a second time: what it differs by is noise.
The bounds, against the plain loop: its throughput in float32, and 1.35 times that where the defaults compute in bf16.
A bound is missed by what falls short of it by more than A/A differs from 1.
On CUDA a lap is a whole run, and zoo runs compiled and with CUDA graphs too.

PYTHON is that of an environment with pythae 0.1.2 and this zoo:

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

from laps import Contestant, Lap, rounds
from measure import conclude, data_dir, header, table
from peak import peak
from zoo.core.files import expand

HERE = Path(__file__).resolve().parent
STEPS = {"vae.mnist": 100, "dcgan.mnist": 120, "chargpt.shakespeare": 60, "pythae_vae.mnist": 6}
"""Steps of a lap on the CPU; on CUDA a lap is the whole recipe."""
BOUNDS = {"fp32": 1.0, "bf16": 1.35}
"""The least throughput of zoo against the plain loop, by what it computes in."""
LINES = 500
"""Both zoo and the plain loop write about so many lines in a run."""

PROBE = """
import json, sys, torch
from zoo.core import devices; from zoo import registry
from zoo.training import precision
device = devices.torch_device(sys.argv[1])
recipes = {name: registry.load_recipe(name)[1] for name in sys.argv[2:]}
print(json.dumps({
    "device": str(device), "words": devices.device_words(device), "precision": precision.best(device),
    "torch": torch.__version__, "recipes": {name: [recipe.steps, recipe.batch] for name, recipe in recipes.items()},
}))
"""


def zoo(
    python: str, name: str, device: str, whole: int, label: str, *options: str, env: Mapping[str, str] | None = None
) -> Contestant:
    """`zoo train`, as a person calls it, without checkpoints on the way."""
    command = [python, "-m", "zoo", "train", name, "--no-release", "--device", device, "--output", "{folder}/run"]
    return Contestant(
        name=label,
        command=[*command, "--set", f"steps={whole}", "--checkpoint-every", "1000000", *options],
        lines="run/metrics.jsonl",
        env=env or {},
    )


def ours(python: str, name: str, device: str, whole: int, env: Mapping[str, str] | None = None) -> list[Contestant]:
    """`zoo train` in the ways that are compared."""
    ways = [zoo(python, name, device, whole, "zoo, fp32", "--precision", "fp32", env=env)]
    ways += [zoo(python, name, device, whole, "zoo, defaults", env=env)]
    if device.startswith("cuda"):
        for precision in ("fp32", "bf16"):
            for option in ("--compile", "--cuda-graphs"):
                label = f"zoo, {precision} {option}"
                ways.append(zoo(python, name, device, whole, label, "--precision", precision, option, env=env))
    return ways


def beside_plain(name: str, device: str, whole: int) -> list[Contestant]:
    command = [sys.executable, str(HERE / "plain.py"), name, "--steps", str(whole), "--device", device]
    calm = Contestant(name="plain loop, GOMP_SPINCOUNT=1000", command=command, env={"GOMP_SPINCOUNT": "1000"})
    plain = [Contestant(name="plain loop", command=command), Contestant(name="A/A", command=command)]
    return [*plain, *([calm] if device == "cpu" else []), *ours(sys.executable, name, device, whole)]


def beside_pythae(python: str, name: str, device: str, whole: int, env: Mapping[str, str]) -> list[Contestant]:
    command = [python, str(HERE / "pythae_vae.py")]
    return [Contestant(name="pythae", command=command, env=env), *ours(python, name, device, whole, env)]


def whole_run(steps: int, recipe_steps: int, device: str) -> int:
    """The steps of the run that a lap of so many steps is the beginning of: at least 20 lines in a lap, if it has them.

    Lines are what a lap is timed by, and their number in a run does not depend on its length.
    """
    return recipe_steps if device.startswith("cuda") else min(recipe_steps, LINES * max(1, steps // 20))


def plugin(folder: Path) -> dict[str, str]:
    """The environment in which zoo finds the plugin pythae_vae.py; `folder` holds its entry point."""
    about = folder / "benchmark-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[zoo.models]\npythae_vae = pythae_vae:model\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(HERE)])}


def probe(python: str, device: str, names: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """What torch says of the device, and the steps and batch of each recipe."""
    command = [python, "-c", PROBE, device, *names]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python} cannot train {', '.join(names)}: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def middle(laps: Sequence[Lap], value: Callable[[Lap], float]) -> float:
    return statistics.median(value(lap) for lap in laps)


def ratio(laps: Sequence[Lap], base: Sequence[Lap]) -> float:
    """The median over the rounds of the throughput against that of the base in the same round."""
    return statistics.median(mine.rate / other.rate for mine, other in zip(laps, base, strict=True))


def comparison(name: str, laps: Mapping[str, list[Lap]], batch: int, shares: Mapping[str, float]) -> str:
    """A table in Markdown; the first contestant is what the others are compared with."""
    base = next(iter(laps.values()))
    heads = [f"`{name}`", "samples/s", "spread", "ratio", "peak memory", "ratio", "first step after"]
    heads += ["share of the peak"] if shares else []
    rows = []
    for way, mine in laps.items():
        rates = [lap.rate for lap in mine]
        memory = middle(mine, lambda lap: lap.megabytes)
        cells = [
            way,
            f"{statistics.median(rates) * batch:,.0f}",
            f"{(max(rates) - min(rates)) / statistics.median(rates):.1%}",
            f"{ratio(mine, base):.2f}",
            f"{memory:.0f} MB",
            f"{memory / middle(base, lambda lap: lap.megabytes):.2f}",
            f"{middle(mine, lambda lap: lap.start):.1f} s",
        ]
        cells += [f"{shares[way]:.1%}" if way in shares else ""] if shares else []
        rows.append(cells)
    return table(heads, rows)


def shares(name: str, laps: Mapping[str, list[Lap]], about: Mapping[str, Any]) -> dict[str, float]:
    """The part of the card's peak that each way reaches; nothing for a card whose peak is not known."""
    precisions = {way: "bf16" if "bf16" in way else about["precision"] if "defaults" in way else "fp32" for way in laps}
    peaks = {way: peak(about["words"], precision) for way, precision in precisions.items()}
    if not any(peaks.values()):
        return {}
    counted = subprocess.run(
        [sys.executable, str(HERE / "peak.py"), name], stdout=subprocess.PIPE, text=True, check=True
    )
    flop = int(counted.stdout)
    return {way: flop * middle(laps[way], lambda lap: lap.rate) / best for way, best in peaks.items() if best}


def short_of(name: str, laps: Mapping[str, list[Lap]], default: str) -> list[str]:
    """The bounds that zoo does not keep, a line each; `default` is what it computes in unless told."""
    noise = abs(ratio(laps["A/A"], laps["plain loop"]) - 1)
    reached = {
        way: (ratio(laps[way], laps["plain loop"]), BOUNDS[precision])
        for way, precision in (
            ("zoo, fp32", "fp32"),
            ("zoo, defaults", default),
        )
    }
    return [
        f"`{name}`: {way} reaches {found:.2f} of the plain loop; the bound is {bound:g}, and A/A differs by {noise:.2f}."
        for way, (found, bound) in reached.items()
        if found < bound - noise
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps of a lap, instead of each recipe's own number")
    parser.add_argument("--only", default="", help="only the recipes whose names begin so")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pythae", metavar="PYTHON", help="compare with pythae, which this Python has")
    parser.add_argument("--json", type=expand, metavar="FILE", help="write every lap there too")
    given = parser.parse_args()
    data_dir()
    names = [name for name in STEPS if name.startswith(given.only) and (given.pythae or "pythae" not in name)]
    if not names:
        raise SystemExit(f"No recipe begins with {given.only!r}: {', '.join(STEPS)} (the last needs --pythae).")
    written: dict[str, Any] = {}
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        env = plugin(Path(temporary))
        for name in names:
            with_pythae = name.startswith("pythae")
            python = os.path.abspath(given.pythae) if with_pythae else sys.executable
            about = probe(python, given.device, [name], env if with_pythae else {})
            device, (whole, batch) = about["device"], about["recipes"][name]
            steps = min(whole, given.steps or (whole if device.startswith("cuda") else STEPS[name]))
            whole = whole_run(steps, whole, device)
            if with_pythae:
                contestants = beside_pythae(python, name, device, whole, env)
            else:
                contestants = beside_plain(name, device, whole)
            laps = rounds(contestants, steps // 5, steps, given.rounds)
            if not written:
                print(f"{header('torch')}; {about['words']} ({about['precision']} by default);")
                print(f"medians of {given.rounds} interleaved rounds.")
            share = {} if with_pythae or not device.startswith("cuda") else shares(name, laps, about)
            print(
                f"\n{steps} steps a lap, of batches of {batch}:\n\n{comparison(name, laps, batch, share)}", flush=True
            )
            written[name] = {way: [dataclasses.asdict(lap) for lap in mine] for way, mine in laps.items()}
            missed += [] if with_pythae else short_of(name, laps, about["precision"])
    conclude(given.json, written, missed)


if __name__ == "__main__":
    main()
