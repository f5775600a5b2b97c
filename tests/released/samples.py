"""What every released model gave when it was released: samples of a seed, and each task on fixed inputs.

    python tests/released/samples.py          # compares; needs neither torch nor pytest, so it runs wherever zoo does
    python tests/released/samples.py --write  # adds what is not there yet; what is there never changes

Weights stay when graphs are exported anew, and so does this. Bit for bit first; two processors, or two versions of ONNX
Runtime, may differ as docs/reference/format.md allows: an image by one level of 255, a number by atol 1e-5 + rtol 1e-4,
and a class, a text or a latent index not at all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.media.convert import from_batch
from zoo.runtime.derived import ATOL, RTOL
from zoo.runtime.example_inputs import examples

FILE = Path(__file__).with_name("samples.npz")
"""By ``model.recipe/generate`` and ``model.recipe/task/output``: uint8 images, numbers, or texts."""

COUNT, SEED, LENGTH = 4, 0, 100
BATCH = 2

Array = NDArray[Any]


def names() -> list[str]:
    return zoo.list_models(pretrained=True)


def made(name: str) -> dict[str, Array]:
    """What a released model gives now, by what the file calls it."""
    found = {}
    with zoo.load(name, device="cpu") as model:
        plan = model.release.plan
        if plan is not None:
            length = LENGTH if "length" in plan.of_loop else None
            found[f"{name}/generate"] = np.asarray(model.generate(COUNT, seed=SEED, length=length))
        for task, declared in model.release.tasks.items():
            made = examples(declared.inputs, BATCH, plan.schedule(task) if plan is not None else ())
            outputs = model.run(task, *(from_batch(made[key], spec) for key, spec in declared.inputs.items()))
            outputs = outputs if isinstance(outputs, dict) else {next(iter(declared.outputs)): outputs}
            kept = {key: value for key, value in outputs.items() if not key.startswith("next_")}  # states are large
            found |= {f"{name}/{task}/{key}": np.asarray(value) for key, value in kept.items()}
    return found


def recorded() -> dict[str, Array]:
    with np.load(FILE) as kept:
        return dict(kept)


def differences(given: Mapping[str, Array], kept: Mapping[str, Array]) -> list[str]:
    """What differs by more than is allowed, a line each; also what is not on record."""
    unknown = "not on record. Run: python tests/released/samples.py --write"
    found = {key: _difference(array, kept[key]) if key in kept else unknown for key, array in given.items()}
    return [f"{key}: {wrong}" for key, wrong in found.items() if wrong]


def _difference(array: Array, kept: Array) -> str:
    if array.shape != kept.shape or array.dtype != kept.dtype:
        return f"{array.dtype} {array.shape}, and was {kept.dtype} {kept.shape}"
    if np.array_equal(array, kept):
        return ""
    if array.dtype == np.uint8:
        gap = int(np.abs(array.astype(int) - kept).max())
        return f"differs by up to {gap} levels" if gap > 1 else ""
    if array.dtype.kind != "f":
        return "differs"
    gap = float(np.abs(array.astype(float) - kept).max())
    return "" if np.allclose(array, kept, RTOL, ATOL) else f"differs by up to {gap:.3g}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="add what is not on record yet")
    if parser.parse_args(arguments).write:
        kept = recorded() if FILE.exists() else {}
        for name in names():
            kept = made(name) | kept
        np.savez_compressed(FILE, **dict(sorted(kept.items())))  # type: ignore[arg-type]
        print(f"{FILE}: {len(kept)} arrays, {FILE.stat().st_size:,} bytes")
        return 0
    failed = False
    for name in names():
        given, kept = made(name), recorded()
        wrong = differences(given, kept)
        exact = all(np.array_equal(array, kept[key]) for key, array in given.items() if key in kept)
        print(*(wrong or [f"{name}: the same{', bit for bit' if exact else ' within what is allowed'}"]), sep="\n")
        failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
