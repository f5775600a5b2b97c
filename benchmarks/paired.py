"""Paired comparison of two models: the difference of a metric on the same test samples.

    ZOO_DATA_DIR=DIR python benchmarks/paired.py iwae.mnist vae.mnist iwae_100 [--limit N]

Both models get the same images, binarised by the same random numbers, so that variation between images does not widen
the interval of the difference. The names are released names; both models must declare METRIC.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from numpy.typing import NDArray

import zoo
from measure import header, run, table
from zoo import data, registry
from zoo.evaluation.intervals import bootstrap
from zoo.training import metric_values
from zoo.training.batches import Batches


def values(name: str, metric: str, limit: int | None) -> NDArray[np.float64]:
    """Return the value of the metric for each test sample, (n,)."""
    model, recipe = registry.load_recipe(name)
    known = {one.name: one for one in model.metrics if isinstance(one, zoo.Metric)}
    if metric not in known:
        sys.exit(f"{name} does not declare the metric {metric!r}. It declares: {', '.join(known) or 'none'}.")
    test = data.load(recipe.data, "test")
    batches = Batches(test, max(recipe.batch, 100), recipe.seed, torch.device("cpu"))
    found, failed = metric_values.take(
        (known[metric],), zoo.load_module(name), batches, recipe, min(limit or len(test), len(test))
    )
    if failed:
        raise failed[metric]
    return found[metric]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left", metavar="NAME")
    parser.add_argument("right", metavar="NAME")
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument("--limit", type=int, help="number of test samples (default: all)")
    args = parser.parse_args()
    left, right = (values(name, args.metric, args.limit) for name in (args.left, args.right))
    low, high = bootstrap(left - right)
    print(f"{header('genzoo', 'torch')}; `{args.metric}` of the first {len(left):,} test samples.\n")
    row = [f"{left.mean():.3f}", f"{right.mean():.3f}", f"{(left - right).mean():.3f}", f"{low:.3f} to {high:.3f}"]
    heads = [f"`{args.left}`", f"`{args.right}`", "difference", "95% by bootstrap", f"`{args.left}` is lower"]
    print(table(heads, [[*row, f"on {(left < right).mean():.1%} of the samples"]]))


if __name__ == "__main__":
    run(main)
