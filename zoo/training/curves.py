"""The training curves of a run as a figure: every loss term and metric by step."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from zoo.core.errors import installed

SMOOTH = 50
"""The approximate number of independent points in a smoothed curve."""

Points = dict[str, list[tuple[int, float]]]


def image(lines: Iterable[str], title: str) -> bytes | None:
    """Plot the lines of ``metrics.jsonl`` as a PNG; None if matplotlib is not installed or there are no points."""
    if not installed("matplotlib"):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    terms, metrics = points(lines)
    panels = [part for part in (terms, metrics) if part]
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
        panel.set_title("loss terms" if part is terms else "metrics", fontsize=10)
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
    """The (step, value) points of each loss term and each metric in the lines of ``metrics.jsonl``, by name."""
    terms, metrics = defaultdict[str, list[tuple[int, float]]](list), defaultdict[str, list[tuple[int, float]]](list)
    for line in lines:
        entry = json.loads(line)
        for curves, values in ((terms, entry.get("terms", {})), (metrics, entry.get("metrics", {}))):
            for name, value in values.items():
                curves[name].append((entry["step"], value))
    return dict(terms), dict(metrics)


def smooth(values: Sequence[float]) -> list[float]:
    """Smooth a curve by an exponential moving average; curves of up to `SMOOTH` points stay unchanged."""
    decay = max(0.0, 1 - SMOOTH / len(values))
    smoothed, last = [], values[0]
    for value in values:
        last = decay * last + (1 - decay) * value
        smoothed.append(last)
    return smoothed
