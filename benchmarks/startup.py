"""How long `zoo --help` and `zoo list` take, beside `python -c "import click"`: the bound is three times.

    python benchmarks/startup.py [--rounds N]

The A/A row runs the yardstick a second time: what it differs by is noise.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from measure import compare, machine

BOUND = 3.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=21)
rounds = parser.parse_args().rounds

zoo = shutil.which("zoo", path=str(Path(sys.executable).parent))
if zoo is None:
    raise SystemExit("There is no zoo beside this Python. Run: pip install -e .")
yardstick = [sys.executable, "-c", "import click"]
costs = compare(
    {"import click": yardstick, "A/A": yardstick, "zoo --help": [zoo, "--help"], "zoo list": [zoo, "list"]}, rounds
)
base = costs["import click"].seconds
print(f"{machine()}; medians of {rounds} interleaved rounds")
for name, cost in costs.items():
    print(f"{name:<14} {cost.seconds * 1e3:7.1f} ms  (spread {cost.spread * 1e3:6.1f})  {cost.seconds / base:5.2f} ×")
late = [name for name in ("zoo --help", "zoo list") if costs[name].seconds > BOUND * base]
raise SystemExit(f"More than {BOUND:g} × import click: {', '.join(late)}" if late else 0)
