"""The floating-point operations of one training step of a recipe, and the peak rates of NVIDIA GPUs.

ZOO_DATA_DIR=DIR python benchmarks/peak.py vae.mnist      prints the operations, counted on the CPU
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

PEAKS: Mapping[str, Mapping[str, float]] = {
    # Dense TFLOP/s of the SXM modules, from NVIDIA's data sheets "H200 Tensor Core GPU", "H100 Tensor Core GPU" and
    # "A100 Tensor Core GPU" (for bfloat16, the sheets of H100 and H200 state twice this, which is with sparsity).
    "NVIDIA H200": {"bf16": 989.0, "fp32": 67.0},
    "NVIDIA H100 80GB HBM3": {"bf16": 989.0, "fp32": 67.0},
    "NVIDIA A100-SXM4": {"bf16": 312.0, "fp32": 19.5},
}


def peak(card: str, precision: str) -> float | None:
    """Return the peak operations a second of a GPU, or None if unknown."""
    found = [peaks for name, peaks in PEAKS.items() if card.startswith(name)]
    return found[0][precision] * 1e12 if found and precision in found[0] else None


def operations(name: str) -> int:
    """Count additions and multiplications of all matrix products and convolutions in step 0, forward and backward."""
    import dataclasses

    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from zoo import data, modules, registry
    from zoo.training.batches import Batches
    from zoo.training.distributed import World
    from zoo.training.phases import Phase

    model, recipe = registry.load_recipe(name)
    recipe = dataclasses.replace(recipe, precision="fp32")
    dataset, cpu = data.load(recipe.data, "train"), torch.device("cpu")
    batches = Batches(dataset, recipe.batch, recipe.seed, cpu)
    module = modules.build(model, recipe, dataset.sample, name)
    batch = batches.train(0, torch.zeros(()))
    # Fused attention is not counted on every device; attention as plain matrix products is.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        for number, objective in enumerate(model.phases(recipe, module)):
            Phase(number, objective, module, recipe, cpu, World()).move(lambda part: batch, 0)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    print(operations(sys.argv[1]))
