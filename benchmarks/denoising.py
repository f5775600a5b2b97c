"""Compares a denoising autoencoder with median filters and non-local means (Buades et al. 2005), at the same noise.

    ZOO_DATA_DIR=DIR python benchmarks/denoising.py SOURCE [--limit 1000]

The first test images get the noise of the recipe that SOURCE was trained with. All methods get the same noisy images,
as bytes. The filters are scikit-image's (pip install scikit-image), each with the best settings of its grid on these
same images, which favours the filters. PSNR is the mean over images.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

import zoo
from measure import conclude, header, run, table
from zoo import data
from zoo.evaluation.reconstruction import psnr
from zoo.modules import derive_seed
from zoo_autoencoders.denoising_ae import corrupt

try:
    from skimage.filters import median
    from skimage.restoration import denoise_nl_means
except ImportError:
    sys.exit("The filters need scikit-image, which is not installed. Run: pip install scikit-image")

Array = NDArray[np.float64]

BOUND = 3.0
"""The smallest allowed gain in decibels over the better filter."""
STRENGTHS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""h of non-local means, as multiples of the standard deviation of the noise."""


def filters(deviation: float) -> Mapping[str, Callable[[Array], Array]]:
    """Return the filters of one image, (h, w) in [0, 1], by name and settings."""

    def by_median(size: int) -> Callable[[Array], Array]:
        return lambda image: np.asarray(median(image, np.ones((size, size))))

    def by_means(patch: int, strength: float) -> Callable[[Array], Array]:
        return lambda image: np.asarray(
            denoise_nl_means(image, patch, 9, h=strength * deviation, sigma=deviation, fast_mode=True)
        )

    found = {f"median, {size}×{size}": by_median(size) for size in (3, 5, 7)}
    for patch, strength in itertools.product((3, 5, 7), STRENGTHS):
        found[f"non-local means, patches of {patch}×{patch}, h = {strength} σ"] = by_means(patch, strength)
    return found


def quality(images: Array, clean: Array) -> float:
    """Return the mean PSNR in decibels of images, (n, h, w) in [0, 1]."""
    return float(psnr(np.square(images.clip(0, 1) - clean).mean((1, 2))).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a released name, a run folder or a release folder")
    parser.add_argument("--limit", type=int, default=1000, help="number of test images")
    args = parser.parse_args()
    with zoo.load(args.source) as model:
        recipe = model.release.manifest["recipe"]
        test = data.load(model.release.data, "test")
        images = torch.from_numpy(test.array[: args.limit]).float() / 255
        torch.manual_seed(derive_seed(0, "denoising"))
        noisy = (corrupt(images, recipe["noise"], recipe["level"])[:, 0] * 255).round().byte().numpy()
        denoised = model.run("denoise", noisy) / 255
    clean, given = images[:, 0].double().numpy(), noisy / 255
    rows = [("as it is", quality(given, clean))]
    best: dict[str, tuple[float, str]] = {}
    for name, clear in filters(float((given - clean).std())).items():
        value = quality(np.stack([clear(image) for image in given]), clean)
        best[name.partition(",")[0]] = max(best.get(name.partition(",")[0], (0.0, "")), (value, name))
    value = quality(denoised, clean)
    rows += [(name, found) for found, name in best.values()] + [(f"`{model.name}`", value)]
    above = value - max(best.values())[0]
    print(
        f"{header('genzoo')}. {recipe['noise'].capitalize()} noise, level {recipe['level']}, on the first "
        f"{len(clean):,} test images of {test.name}: the model is {above:+.1f} dB from the better filter.\n"
    )
    print(table(["", "PSNR"], [[name, f"{found:.2f} dB"] for name, found in rows]))
    missed = f"`{model.name}` is {above:+.1f} dB from the better filter, and the bound is {BOUND:+g}."
    conclude(None, {}, [missed] if above < BOUND else [])


if __name__ == "__main__":
    run(main)
