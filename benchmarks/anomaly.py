"""Anomaly detection: the AUROC of a class that was left out of training, compared with PCA.

    ZOO_DATA_DIR=DIR python benchmarks/anomaly.py [NAME]… [--steps N] [--without CLASS]… [--runs DIR]

For each model and each class (default: all), a run is trained without that class. The anomaly score of the test samples
is the task ``score``, or else the reconstruction error. Runs in DIR that were already measured are not trained again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import zoo
from measure import conclude, header, run, table
from zoo.core.files import expand
from zoo.evaluation import Measurement

NAMES = ("ae.mnist", "vae.mnist", "aae.mnist")
CLASSES = range(10)


def auroc(name: str, label: int, steps: int | None, runs: Path) -> Measurement:
    """Train a model without a class, and return its AUROC."""
    folder = runs / f"{name}-without-{label}"
    kept = folder / "evaluation.json"
    if not (kept.is_file() and '"auroc"' in kept.read_text("utf-8")):
        settings = {"leave_out": label} | ({} if steps is None else {"steps": steps})
        zoo.train(name, set=settings, out=folder, force=True, release=False)
    (measurement,) = zoo.evaluate(folder, only=["auroc"], quiet=True).measurements
    return measurement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--steps", type=int, help="training steps (default: the recipe's)")
    parser.add_argument(
        "--without",
        type=int,
        action="append",
        metavar="CLASS",
        help="leave out this class; may be repeated (default: 0 to 9, one by one)",
    )
    parser.add_argument("--runs", type=expand, metavar="DIR", help="keep the runs there, and reuse them")
    parser.add_argument("--json", type=expand, metavar="FILE", help="also write every measurement to this file")
    args = parser.parse_args()
    found: dict[str, list[Measurement]] = {}
    classes = args.without or CLASSES
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.names:
            found[name] = [auroc(name, label, args.steps, args.runs or Path(temporary)) for label in classes]
    rows = []
    for name, measurements in found.items():
        values = [measurement.value for measurement in measurements]
        baselines = [measurement.baseline[1] for measurement in measurements if measurement.baseline]
        cells = [f"{value:.3f}" for value in (*values, statistics.mean(values), statistics.mean(baselines))]
        rows.append([f"`{name}`", *cells])
    steps = f"{args.steps:,} steps" if args.steps else "the steps of each recipe"
    print(f"{header('genzoo', 'torch')}; {steps} each.\n")
    print(table(["", *map(str, classes), "mean", "PCA"], rows))
    conclude(
        args.json,
        {name: [measurement.to_json() for measurement in measurements] for name, measurements in found.items()},
        None,
    )


if __name__ == "__main__":
    run(main)
