"""The loss curves of a run as an image: every loss term and measure by step."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from zoo.core.errors import installed

SMOOTH = 50
"""About so many points stay visible in a smoothed curve."""

Points = dict[str, list[tuple[int, float]]]


def image(lines: Iterable[str], title: str) -> bytes | None:
    """A PNG of the lines of ``metrics.jsonl``; None where matplotlib is not installed, or there is nothing to draw."""
    if not installed("matplotlib"):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    terms, measures = points(lines)
    panels = [part for part in (terms, measures) if part]
    if not panels:
        return None
    width = 6.4 * len(panels)
    figure = Figure(figsize=(width, 4.2), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.8 / width, right=1 - 0.2 / width, bottom=0.12, top=0.87, wspace=0.18)
    for panel, part in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, curve in part.items():
            steps, values = zip(*curve, strict=True)
            (line,) = panel.plot(
                steps, smooth(values), marker="o" if len(steps) < 20 else None, markersize=3, label=name
            )
            if len(steps) >= 20:
                panel.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
        panel.set_xlabel("step")
        panel.set_title("loss terms" if part is terms else "measures", fontsize=10)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
        every = [value for curve in part.values() for _, value in curve]
        if min(every) > 0 and max(every) > 50 * min(every):
            panel.set_yscale("log")
    figure.suptitle(title, fontsize=11)
    buffer = io.BytesIO()
    canvas.print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def points(lines: Iterable[str]) -> tuple[Points, Points]:
    """The loss terms and the measures in the lines of ``metrics.jsonl``: (step, value) by name."""
    terms, measures = defaultdict[str, list[tuple[int, float]]](list), defaultdict[str, list[tuple[int, float]]](list)
    for line in lines:
        entry = json.loads(line)
        for found, values in ((terms, entry.get("terms", {})), (measures, entry.get("measures", {}))):
            for name, value in values.items():
                found[name].append((entry["step"], value))
    return dict(terms), dict(measures)


def smooth(values: Sequence[float]) -> list[float]:
    """An exponential moving average that leaves short curves as they are."""
    keep = max(0.0, 1 - SMOOTH / len(values))
    smoothed, last = [], values[0]
    for value in values:
        last = keep * last + (1 - keep) * value
        smoothed.append(last)
    return smoothed
