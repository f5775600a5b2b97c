"""How well a class that was left out of training stands out: AUROC, beside PCA.

    ZOO_DATA_DIR=DIR python benchmarks/anomaly.py [NAME]… [--steps N] [--without CLASS]… [--runs DIR]

For each model and each class, or those that are named, a run is trained without that class, and the test split is
scored by the task ``score``, or else by the error of the reconstruction. Runs in DIR that were measured are not trained
again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import zoo
from measure import conclude, header, run, table
from zoo.core.files import expand
from zoo.evaluation import Figure

NAMES = ("ae.mnist", "vae.mnist", "aae.mnist")
CLASSES = range(10)


def auroc(name: str, label: int, steps: int | None, runs: Path) -> Figure:
    """The figure of a model that was trained without a class."""
    folder = runs / f"{name}-without-{label}"
    kept = folder / "measures.json"
    if not (kept.is_file() and '"auroc"' in kept.read_text("utf-8")):
        settings = {"leave_out": label} | ({} if steps is None else {"steps": steps})
        zoo.train(name, set=settings, out=folder, force=True, release=False)
    (figure,) = zoo.evaluate(folder, only=["auroc"], quiet=True).figures
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--steps", type=int, help="of training, in place of the recipe's")
    parser.add_argument(
        "--without", type=int, action="append", metavar="CLASS", help="may be repeated (default: 0 to 9, one by one)"
    )
    parser.add_argument("--runs", type=expand, metavar="DIR", help="keep and find the runs there")
    parser.add_argument("--json", type=expand, metavar="FILE", help="write every figure there too")
    given = parser.parse_args()
    found: dict[str, list[Figure]] = {}
    classes = given.without or CLASSES
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.names:
            found[name] = [auroc(name, label, given.steps, given.runs or Path(temporary)) for label in classes]
    rows = []
    for name, figures in found.items():
        values = [figure.value for figure in figures]
        beside = [figure.baseline[1] for figure in figures if figure.baseline]
        cells = [f"{value:.3f}" for value in (*values, statistics.mean(values), statistics.mean(beside))]
        rows.append([f"`{name}`", *cells])
    steps = f"{given.steps:,} steps" if given.steps else "the steps of each recipe"
    print(f"{header('genzoo', 'torch')}; {steps} each.\n")
    print(table(["", *map(str, classes), "mean", "PCA"], rows))
    conclude(given.json, {name: [figure.to_json() for figure in figures] for name, figures in found.items()}, None)


if __name__ == "__main__":
    run(main)
