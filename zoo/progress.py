"""What people see of long work: a bar on a terminal, plain lines elsewhere, nothing if they want it quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any


class Progress:
    """Shows how far a run is, on standard error. Use it as a context manager."""

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "samples", quiet: bool = False) -> None:
        self._what, self._total, self._first, self._unit = what, total, done, unit
        self._began = time.monotonic()
        self._last_line = self._began
        self._bar: Any = None
        self._quiet = quiet

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar
            from rich.table import Column

            columns = (
                TextColumn("{task.description}", table_column=Column(no_wrap=True)),
                MofNCompleteColumn(table_column=Column(no_wrap=True)),
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                BarColumn(None, table_column=Column(ratio=1, max_width=40)),
                TextColumn("{task.fields[terms]}", table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), expand=True, refresh_per_second=4)
            self._task = self._bar.add_task(self._what, total=self._total, completed=self._first, terms="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, terms: Mapping[str, float], samples: int) -> None:
        """Say that `done` steps are done, what the loss terms are, and how many samples were used since the start."""
        now = time.monotonic()
        rate = samples / max(now - self._began, 1e-9)
        text = "  ".join(f"{name} {value:.4g}" for name, value in terms.items()) + f"  {rate:,.0f} {self._unit}/s"
        if self._bar:
            self._bar.update(self._task, completed=done, terms=text)
        elif not self._quiet and (now - self._last_line > 10 or done == self._total):
            self._last_line = now
            left = (now - self._began) / max(done - self._first, 1) * (self._total - done)
            print(f"{self._what}  {done}/{self._total}  {text}  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)


def downloads(quiet: bool) -> Callable[[int, int | None, str], None]:
    """A watcher for downloads: one line on a terminal that counts up, one line a file elsewhere."""
    seen: set[str] = set()

    def watch(done: int, total: int | None, name: str) -> None:
        if quiet:
            return
        if sys.stderr.isatty():
            of = f" of {total / 1e6:.1f}" if total else ""
            end = "\n" if done == total else ""
            print(f"\rDownloading {name}: {done / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)
        elif name not in seen:
            seen.add(name)
            print(f"Downloading {name} …", file=sys.stderr, flush=True)

    return watch
