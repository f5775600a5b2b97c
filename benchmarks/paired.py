"""A measure of two models on the same test samples: which is better, and by how much, sample by sample.

    ZOO_DATA_DIR=DIR python benchmarks/paired.py iwae.mnist vae.mnist iwae_100 [--limit N]

Both see the same images, binarised by the same random numbers, so that what images differ in is not in the
interval of the difference. Released names; MEASURE is one that both models declare.
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
from zoo.training import metrics
from zoo.training.batches import Batches


def values(name: str, measure: str, limit: int | None) -> NDArray[np.float64]:
    """The measure of each test sample, (n,)."""
    model, recipe = registry.load_recipe(name)
    known = {one.name: one for one in model.measures}
    if measure not in known:
        sys.exit(f"{name} does not declare the measure {measure!r}. It declares: {', '.join(known) or 'none'}.")
    test = data.load(recipe.data, "test")
    batches = Batches(test, max(recipe.batch, 100), recipe.seed, torch.device("cpu"))
    found, failed = metrics.take(
        (known[measure],), zoo.load_module(name), batches, recipe, min(limit or len(test), len(test))
    )
    if failed:
        raise failed[measure]
    return found[measure]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left", metavar="NAME")
    parser.add_argument("right", metavar="NAME")
    parser.add_argument("measure", metavar="MEASURE")
    parser.add_argument("--limit", type=int, help="test samples (default: all)")
    given = parser.parse_args()
    left, right = (values(name, given.measure, given.limit) for name in (given.left, given.right))
    low, high = bootstrap(left - right)
    print(f"{header('genzoo', 'torch')}; `{given.measure}` of the first {len(left):,} test samples.\n")
    row = [f"{left.mean():.3f}", f"{right.mean():.3f}", f"{(left - right).mean():.3f}", f"{low:.3f} to {high:.3f}"]
    heads = [f"`{given.left}`", f"`{given.right}`", "difference", "95% by bootstrap", f"`{given.left}` is lower"]
    print(table(heads, [[*row, f"on {(left < right).mean():.1%} of the samples"]]))


if __name__ == "__main__":
    run(main)
