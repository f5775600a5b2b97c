"""The time of `zoo --help`, `zoo list` and `zoo data list`, at most 2.5 times that of `python -c "import click"`.

    python benchmarks/startup.py [--rounds N]

The A/A row runs the baseline a second time: the difference is noise.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from measure import compare, conclude, header, table

BOUND = 2.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    zoo = shutil.which("zoo", path=str(Path(sys.executable).parent))
    if zoo is None:
        raise SystemExit("zoo is not installed in this Python environment. Run: pip install -e .")
    yardstick = 'python -c "import click"'
    importing = [sys.executable, "-c", "import click"]
    ours = {f"zoo {words}": [zoo, *words.split()] for words in ("--help", "list", "data list")}
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}  # as where it is installed, and as click is
    costs = compare({yardstick: importing, "A/A": importing, **ours}, rounds, compiled)
    base = costs[yardstick].seconds
    rows = [
        [
            name if name == "A/A" else f"`{name}`",
            f"{cost.seconds * 1e3:.1f} ms",
            f"{cost.spread * 1e3:.1f} ms",
            f"{cost.seconds / base:.2f}",
        ]
        for name, cost in costs.items()
    ]
    print(f"{header('genzoo')}; medians of {rounds} interleaved rounds.\n")
    print(table(["command", "time", "spread", "ratio"], rows))
    late = [name for name in ours if costs[name].seconds > BOUND * base]
    conclude(None, {}, [f"{name} takes more than {BOUND:g} times the time of import click." for name in late])


if __name__ == "__main__":
    main()
