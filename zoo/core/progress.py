"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing if `quiet`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, NamedTuple

from zoo.core.text import plain

SOON, LATER = 0.2, 10.0
"""Seconds between two updates of the bar, and between two plain lines."""


def duration(seconds: float) -> str:
    """Format seconds: ``"42 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Progress:
    """A context manager that shows the progress of a run on standard error."""

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "samples", quiet: bool = False) -> None:
        self._what, self._total, self._first, self._unit = what, total, done, unit
        self._began = time.monotonic()
        self._shown = self._began
        self._terms = ""
        self._bar: Any = None
        self._quiet = quiet

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar
            from rich.table import Column

            columns = (
                TextColumn("{task.description}", table_column=Column(no_wrap=True)),
                MofNCompleteColumn(table_column=Column(no_wrap=True)),
                TextColumn("{task.fields[pace]}", table_column=Column(no_wrap=True)),
                BarColumn(None, table_column=Column(ratio=1, max_width=40)),
                TextColumn("{task.fields[terms]}", table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), expand=True, refresh_per_second=4)
            self._task = self._bar.add_task(self._what, total=self._total, completed=self._first, terms="", pace="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, terms: Mapping[str, float], samples: int) -> None:
        """Report the number of steps done, the loss terms, and the number of samples used since the start."""
        self.tell(terms)
        self.move(done, samples)

    def tell(self, terms: Mapping[str, float]) -> None:
        """Set the loss terms to show from now on."""
        self._terms = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())

    def move(self, done: int, samples: int) -> None:
        """Report the number of steps done and of samples used since the start. The display is updated at intervals."""
        now = time.monotonic()
        if done < self._total and now - self._shown < (SOON if self._bar else LATER):
            return
        self._shown = now
        spent = max(now - self._began, 1e-9)
        rate = f"{samples / spent:,.0f} {self._unit}/s"
        left = round(spent / max(done - self._first, 1) * (self._total - done))
        if self._bar:
            pace = f"{timedelta(seconds=left)}  {rate}"
            self._bar.update(self._task, completed=done, terms=self._terms, pace=pace)
        elif not self._quiet:
            text = "  ".join(filter(None, (self._terms, rate)))
            print(f"{self._what}  {done}/{self._total}  {text}  {left} s left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)


class Transfers:
    """A context manager that shows transfers: one bar for all of them on a terminal, elsewhere a line for each.

    `what` happens to them: "Uploading" or "Downloading".
    """

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what, self._quiet = what, quiet
        self._bar: Progress | None = None
        self._seen: set[str] = set()

    def __enter__(self) -> Transfers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bar as it is now, so that other lines can follow it."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
        _LIVE.discard(self)

    def move(self, done: int, total: int | None, name: str) -> None:
        """Report the bytes done, the total if it is known, and the name of what is transferred."""
        if self._quiet:
            return
        if self._bar is None and not sys.stderr.isatty():  # a bar may have put something else in its place
            if name not in self._seen:
                print(f"{self._what} {name} …", file=sys.stderr, flush=True)
            self._seen.add(name)
            return
        if self._bar is None and total:
            self._bar = Progress(self._what, -(-total // 1000), unit="kB").__enter__()
            _LIVE.add(self)
        if self._bar is not None:
            self._bar.move(-(-done // 1000), done // 1000)
            if done == total:
                self.stop()

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.say(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """Print a line that only says how far it is."""
        if not self._quiet:
            self.say(text)


_LIVE: set[Transfers] = set()


def stop_bars() -> None:
    """Leave the bars of transfers as they are now: for a message about what ended them."""
    for transfers in list(_LIVE):
        transfers.stop()


def downloads(quiet: bool) -> Callable[[int, int | None, str], None]:
    """Return a progress callback for downloads, which takes the bytes done, the total if known, and the name."""
    return Transfers("Downloading", quiet).move


class TransferReport(NamedTuple):
    """Where what is said of a transfer goes: lines, and the bytes done, the total and the name of each file."""

    say: Callable[[str], None]
    progress: Callable[[int, int | None, str], None]
    step: Callable[[str], None] = lambda text: None
    """Lines that only say how far it is."""

    @classmethod
    def on_stderr(cls, quiet: bool = False) -> TransferReport:
        """Lines and progress on standard error; if `quiet`, lines alone."""
        return cls(_say_once, downloads(quiet))


_NOTICES: set[str] = set()


def _say_once(text: str) -> None:
    """Print a line on standard error, once a process: a command may look up its SOURCE more than once."""
    if text not in _NOTICES:
        _NOTICES.add(text)
        print(plain(text), file=sys.stderr, flush=True)  # words of others may be in it
