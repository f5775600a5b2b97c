"""A fresh process that loads a release and generates 16 samples: without torch, beside torch, and torch by hand.

    python benchmarks/cold_start.py SOURCE [--rounds N]

The bounds: at most half the memory and a quarter of the wall time of the same in torch.
"""

from __future__ import annotations

import argparse
import sys

from measure import compare, machine

MEMORY, TIME = 0.5, 0.25

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", help="a run folder or a release folder")
parser.add_argument("--rounds", type=int, default=11)
arguments = parser.parse_args()

ONNX = "import sys, zoo; assert len(zoo.load(sys.argv[1]).generate(16)) == 16; assert 'torch' not in sys.modules"
TORCH = "import sys, zoo; assert len(zoo.load(sys.argv[1], backend='torch').generate(16)) == 16"
IMPORT = "import torch"
commands = {
    name: [sys.executable, "-c", code, arguments.source]
    for name, code in (("onnxruntime", ONNX), ("torch", TORCH), ("import torch alone", IMPORT))
}
costs = compare(commands, arguments.rounds)
base = costs["torch"]
print(f"{machine()}; medians of {arguments.rounds} interleaved rounds; load {arguments.source}, generate 16")
for name, cost in costs.items():
    print(
        f"{name:<19} {cost.seconds:6.3f} s (spread {cost.spread:.3f}) {cost.seconds / base.seconds:5.2f} ×"
        f"   {cost.megabytes:6.0f} MB {cost.megabytes / base.megabytes:5.2f} ×"
    )
fast = costs["onnxruntime"]
if fast.seconds > TIME * base.seconds or fast.megabytes > MEMORY * base.megabytes:
    raise SystemExit(f"More than {MEMORY} of the memory or {TIME} of the time of torch.")
